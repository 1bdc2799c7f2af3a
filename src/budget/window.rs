//! The times that budgets are for: UTC hours, days and months, one run, or all time.

use std::time::Duration;

use super::definition::Per;
use crate::derive::Name;
use crate::event::Timestamp;

/// One span of time or one run that a budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// All time.
    Ever,
    /// What begins at this time.
    From(Timestamp),
    /// One run.
    Run(Name),
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than any month, and shorter than any two.
const BEYOND_A_MONTH: Duration = Duration::from_secs(32 * 24 * 3600);

impl Window {
    /// The window that something in a run belongs to that happened at a time.
    pub fn of(per: Per, at: Timestamp, run: &Name) -> Window {
        match per {
            Per::Total => Window::Ever,
            Per::Run => Window::Run(run.clone()),
            Per::Hour => Window::From(beginning(at, HOUR)),
            Per::Day => Window::From(beginning(at, DAY)),
            Per::Month => Window::From(month(at)),
        }
    }

    /// When it begins, where it is one of time.
    pub fn start(&self) -> Option<Timestamp> {
        match self {
            Window::From(start) => Some(*start),
            Window::Ever | Window::Run(_) => None,
        }
    }

    /// When the next one begins.
    pub fn end(&self, per: Per) -> Option<Timestamp> {
        let start = self.start()?;
        match per {
            Per::Hour => Some(start.plus(HOUR)),
            Per::Day => Some(start.plus(DAY)),
            Per::Month => Some(month(start.plus(BEYOND_A_MONTH))),
            Per::Run | Per::Total => None,
        }
    }
}

fn beginning(at: Timestamp, length: Duration) -> Timestamp {
    let length = length.as_micros() as i64;
    Timestamp::from_micros(at.as_micros().div_euclid(length).saturating_mul(length))
}

/// The first moment of a month: its day says how many days ago that was.
fn month(at: Timestamp) -> Timestamp {
    let day_of_month: u64 = at.date().get(8..10).and_then(|day| day.parse().ok()).unwrap_or(1);
    beginning(at.minus(DAY * (day_of_month.saturating_sub(1) as u32)), DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn windows_are_those_of_the_calendar_in_utc() {
        for (per, time, start, end) in [
            (Per::Hour, "2026-11-21T06:28:00Z", "2026-11-21T06:00:00Z", "2026-11-21T07:00:00Z"),
            (Per::Day, "2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Per::Day, "2026-11-21T23:59:59.999999Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Per::Day, "2026-11-22T00:30:00+01:00", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Per::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Per::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let window = Window::of(per, at(time), &"r".into());
            assert_eq!((window.start(), window.end(per)), (Some(at(start)), Some(at(end))), "{time}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_time_is_in_the_window_it_belongs_to(micros in 0i64..4_000_000_000_000_000) {
            for per in [Per::Hour, Per::Day, Per::Month] {
                let at = Timestamp::from_micros(micros);
                let window = Window::of(per, at, &"r".into());
                let (start, end) = (window.start().unwrap(), window.end(per).unwrap());
                proptest::prop_assert!(start <= at && at < end);
                proptest::prop_assert_eq!(Window::of(per, end, &"r".into()).start(), Some(end));
            }
        }
    }
}
