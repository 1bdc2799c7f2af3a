//! What was read of a partition and is still there, because somebody else would need it if we were gone: entries of runs
//! that are in progress, and of such whose events are still on their way out.

use std::collections::VecDeque;
use std::time::Instant;

use crate::event::TraceId;
use crate::flow::Told;

/// Entries of one partition.
#[derive(Debug, Default)]
pub struct Held {
    /// Of runs that may be in progress.
    open: Vec<Open>,
    /// Of runs that are over, and what has to be delivered before they go.
    over: VecDeque<(Told, Vec<String>)>,
}

#[derive(Debug)]
struct Open {
    entry: String,
    trace: Option<TraceId>,
    since: Instant,
}

impl Held {
    /// An entry was handed on that tells of this trace.
    pub fn took(&mut self, entry: String, trace: Option<TraceId>, now: Instant) {
        self.open.push(Open { entry, trace, since: now });
    }

    /// The entries that nobody needs any more. `told` says what was told until now; it is asked once at most.
    pub fn done(
        &mut self,
        oldest: Option<Instant>,
        mut is_in_progress: impl FnMut(TraceId) -> bool,
        told: impl FnOnce() -> Told,
        is_delivered: impl Fn(&Told) -> bool,
    ) -> Vec<String> {
        let mut is_open = |open: &Open| {
            oldest.is_none_or(|oldest| open.since >= oldest) && open.trace.is_some_and(&mut is_in_progress)
        };
        let (open, over): (Vec<Open>, Vec<Open>) =
            std::mem::take(&mut self.open).into_iter().partition(|open| is_open(open));
        self.open = open;
        if !over.is_empty() {
            self.over.push_back((told(), over.into_iter().map(|open| open.entry).collect()));
        }
        let mut done = Vec::new();
        while self.over.front().is_some_and(|(told, _)| is_delivered(told)) {
            done.extend(self.over.pop_front().into_iter().flat_map(|(_, entries)| entries));
        }
        done
    }

    /// Entries could not be taken out; they are tried again.
    pub fn not_done(&mut self, entries: Vec<String>) {
        self.over.push_front((Told::default(), entries));
    }

    /// The traces of which something may be in progress.
    pub fn traces(&self) -> impl Iterator<Item = TraceId> {
        self.open.iter().filter_map(|open| open.trace)
    }

    /// How many entries of runs that are over are still there.
    pub fn settling(&self) -> usize {
        self.over.iter().map(|(_, entries)| entries.len()).sum()
    }

    /// How many entries are still there.
    pub fn len(&self) -> usize {
        self.open.len() + self.settling()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trace(number: u8) -> Option<TraceId> {
        TraceId::from_bytes(&[number; 16])
    }

    #[test]
    fn an_entry_goes_when_its_run_is_over_and_what_it_told_is_delivered() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.took("1-0".into(), trace(1), now);
        held.took("1-1".into(), trace(2), now);
        held.took("1-2".into(), None, now);
        let mut done = |open: &[u8], told: usize, delivered: usize| {
            let is_in_progress = |of| open.iter().any(|number| trace(*number) == Some(of));
            held.done(None, is_in_progress, || vec![told], |told| told[0] <= delivered)
        };
        assert_eq!(done(&[1, 2], 5, 4), Vec::<String>::new(), "what is of no run waits for its events alone");
        assert_eq!(done(&[1, 2], 5, 5), ["1-2"]);
        assert_eq!(done(&[1], 7, 6), Vec::<String>::new());
        assert_eq!(done(&[], 8, 7), ["1-1"]);
        assert_eq!(done(&[], 9, 9), ["1-0"]);
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn what_goes_on_for_too_long_is_held_no_more() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.took("1-0".into(), trace(1), now);
        held.took("1-1".into(), trace(1), now + Duration::from_secs(30));
        let oldest = Some(now + Duration::from_secs(1));
        assert_eq!(held.done(oldest, |_| true, Vec::new, |_| true), ["1-0"]);
        assert_eq!(held.traces().collect::<Vec<_>>(), [trace(1).unwrap()]);
    }
}
