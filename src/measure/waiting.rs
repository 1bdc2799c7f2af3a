//! Tasks that wait for a person, and since when.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::derive::Name;
use crate::event::Timestamp;

/// The tasks that were escalated and are not resolved. Bounded: when there is no room, the one that waits longest
/// is forgotten, for nobody may ever resolve it.
#[derive(Debug, Default)]
pub struct Waiting {
    since: HashMap<Name, Timestamp, RandomState>,
}

impl Waiting {
    const MOST: usize = 10_000;

    /// A task was escalated; what waits already goes on waiting.
    pub fn escalated(&mut self, task: &Name, at: Timestamp) {
        if let Some(since) = self.since.get_mut(task) {
            *since = at.min(*since);
            return;
        }
        if self.since.len() >= Waiting::MOST {
            self.forget_old();
        }
        self.since.insert(task.clone(), at);
    }

    /// A task was resolved; returns how many seconds it waited, if it was seen to begin.
    pub fn resolved(&mut self, task: &Name, at: Timestamp) -> Option<f64> {
        self.since.remove(task).map(|since| at.micros_since(since) as f64 / 1e6)
    }

    /// Forgets a tenth at once, so that each task that comes does not look at all others.
    fn forget_old(&mut self) {
        let mut times: Vec<Timestamp> = self.since.values().copied().collect();
        let (_, newest_forgotten, _) = times.select_nth_unstable(Waiting::MOST / 10);
        let newest_forgotten = *newest_forgotten;
        self.since.retain(|_, since| *since > newest_forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_once_and_is_bounded() {
        let mut waiting = Waiting::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        waiting.escalated(&"a".into(), at(10));
        waiting.escalated(&"a".into(), at(20));
        assert_eq!(waiting.resolved(&"a".into(), at(40)), Some(30.0));
        assert_eq!(waiting.resolved(&"a".into(), at(41)), None);
        for task in 0..25_000 {
            waiting.escalated(&task.to_string().into(), at(task));
        }
        assert!(waiting.since.len() <= Waiting::MOST);
        assert_eq!(waiting.resolved(&"24999".into(), at(25_000)), Some(1.0));
        assert_eq!(waiting.resolved(&"0".into(), at(25_000)), None);
    }
}
