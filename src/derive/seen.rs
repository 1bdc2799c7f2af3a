//! The ids of events from outside that were seen lately.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::event::EventId;

/// Remembers the last ids: between one and two generations of them.
#[derive(Debug, Default)]
pub struct Seen {
    young: HashSet<EventId, RandomState>,
    old: HashSet<EventId, RandomState>,
}

impl Seen {
    const GENERATION: usize = 32_768;

    /// Whether the id is new; it is remembered from now on.
    pub fn is_new(&mut self, id: EventId) -> bool {
        if self.old.contains(&id) {
            return false;
        }
        if self.young.len() >= Seen::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_remembered_and_no_more() {
        let mut seen = Seen::default();
        let first = EventId::new_random();
        assert!(seen.is_new(first));
        assert!(!seen.is_new(first));
        for _ in 0..Seen::GENERATION {
            assert!(seen.is_new(EventId::new_random()));
        }
        assert!(!seen.is_new(first), "a generation later it is still known");
        for _ in 0..2 * Seen::GENERATION {
            seen.is_new(EventId::new_random());
        }
        assert!(seen.young.len() + seen.old.len() <= 2 * Seen::GENERATION);
        assert!(seen.is_new(first), "it is long ago");
    }
}
