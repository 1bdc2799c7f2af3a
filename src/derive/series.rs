//! Series of metrics: what each data point says that the ones before it did not.
//!
//! Increments may come twice and in any order, running totals too, and begin again from nothing.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::dialect::Point;
use crate::otlp::view::Temporality;

/// The series that were seen lately: between one and two generations of them.
#[derive(Debug, Default)]
pub struct Series {
    young: HashMap<u64, Seen, RandomState>,
    old: HashMap<u64, Seen, RandomState>,
}

/// What is known of one series: of increments their times, of totals by when they began how far they came.
#[derive(Clone, Debug, Default)]
struct Seen(Vec<(u64, f64)>);

impl Series {
    const GENERATION: usize = 20_000;
    /// So many increments, or beginnings, are remembered.
    const REMEMBERED: usize = 32;

    /// How much more than before a point counts.
    pub fn more(&mut self, id: u64, point: &Point<'_>) -> f64 {
        if !self.young.contains_key(&id) {
            if self.young.len() >= Series::GENERATION {
                self.old = std::mem::take(&mut self.young);
            }
            let known = self.old.remove(&id).unwrap_or_default();
            self.young.insert(id, known);
        }
        let Some(seen) = self.young.get_mut(&id) else { return 0.0 };
        let key = match point.temporality {
            Temporality::Cumulative => point.start,
            Temporality::Delta | Temporality::Unspecified => point.time,
        };
        let known = seen.0.iter_mut().find(|(known, _)| *known == key);
        match (point.temporality, known) {
            (Temporality::Cumulative, Some((_, total))) => {
                let more = (point.value - *total).max(0.0);
                *total = total.max(point.value);
                more
            }
            (_, Some(_)) => 0.0,
            (_, None) => {
                if seen.0.len() >= Series::REMEMBERED {
                    seen.0.remove(0);
                }
                seen.0.push((key, point.value));
                point.value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_and_totals_count_once_in_any_order() {
        let mut series = Series::default();
        let mut more = |temporality, start, time, value| {
            let point = Point { value, temporality, start, time, session: None, model: None, agent: None };
            series.more(temporality as u64, &point)
        };
        let delta = Temporality::Delta;
        assert_eq!([more(delta, 1, 2, 5.0), more(delta, 0, 1, 3.0), more(delta, 1, 2, 5.0)], [5.0, 3.0, 0.0]);
        let total = Temporality::Cumulative;
        assert_eq!([more(total, 1, 2, 5.0), more(total, 1, 4, 9.0), more(total, 1, 3, 7.0)], [5.0, 4.0, 0.0]);
        assert_eq!(more(total, 10, 11, 2.0), 2.0, "it began again");
    }
}
