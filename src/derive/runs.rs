//! All runs in memory: found by key, looked at when due, bounded.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::due::Due;
use super::node::State;
use super::run::{Room, Run, RunKey};
use crate::event::Timestamp;

/// A run's place. It stays good while the run is in memory and finds nothing afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunIx {
    slot: u32,
    generation: u32,
}

impl RunIx {
    /// A number of it alone, below 2^63 for as long as memory lasts.
    pub fn number(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// One for tests.
    #[cfg(test)]
    pub fn of(slot: u32) -> RunIx {
        RunIx { slot, generation: 0 }
    }
}

/// The runs in memory.
#[derive(Debug, Default)]
pub struct Runs {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<RunKey, RunIx, RandomState>,
    due: Due,
    /// Closed runs in the order in which they closed; some have come back to life since.
    closed: VecDeque<(u64, RunIx)>,
    closings: u64,
    /// The room of runs that left memory, for the next ones.
    spare: Vec<Room>,
    nodes: usize,
    /// Runs that were changed, if somebody wants to know.
    changed: Option<Vec<RunIx>>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    run: Option<Box<Run>>,
}

impl Runs {
    /// How many runs are on their way from memory while one is taken out.
    const AHEAD: usize = 3;

    const MOST_SPARE: usize = 256;

    /// None in memory; notes which of those to come are changed.
    pub fn with_changes_noted() -> Runs {
        Runs { changed: Some(Vec::new()), ..Runs::default() }
    }

    /// The runs that were changed, some of them several times, since this was asked last.
    pub fn take_changed(&mut self) -> Vec<RunIx> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note_change(&mut self, ix: RunIx) {
        if let Some(changed) = &mut self.changed
            && changed.last() != Some(&ix)
        {
            changed.push(ix);
        }
    }

    /// The run of a key, new from now on if it is not in memory.
    pub fn find_or_begin(&mut self, key: RunKey, now: Timestamp) -> RunIx {
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let ix = RunIx { slot, generation: self.slots[slot as usize].generation };
        let room = self.spare.pop().unwrap_or_default();
        self.slots[slot as usize].run = Some(Box::new(Run::new(key.clone(), now, room)));
        self.by_key.insert(key, ix);
        ix
    }

    /// The run that two keys are of, which were those of two runs as long as nobody knew.
    pub fn join(&mut self, key: RunKey, other: RunKey, now: Timestamp) -> RunIx {
        let (known, other_known) = (self.find(&key), self.find(&other));
        match (known, other_known) {
            (Some(one), Some(two)) if one == two => one,
            (Some(one), Some(two)) => self.unite(one, two),
            (Some(known), None) => self.alias(known, other),
            (None, Some(known)) => self.alias(known, key),
            (None, None) => {
                let ix = self.find_or_begin(key, now);
                self.alias(ix, other)
            }
        }
    }

    fn alias(&mut self, ix: RunIx, key: RunKey) -> RunIx {
        self.by_key.insert(key.clone(), ix);
        self.change(ix, |run| {
            run.aliases.push(key);
            run.call_by_the_best_name();
        });
        ix
    }

    /// The larger run takes over what the other holds; a name says less than a trace.
    fn unite(&mut self, one: RunIx, two: RunIx) -> RunIx {
        let rank = |ix: RunIx| self.get(ix).map(|run| (run.key.trace_id().is_some(), run.nodes.len()));
        let (into, from) = if rank(one) >= rank(two) { (one, two) } else { (two, one) };
        let Some(mut from) = self.take(from) else { return into };
        let keys: Vec<RunKey> = std::mem::take(&mut from.aliases).into_iter().chain([from.key.clone()]).collect();
        self.change(into, |run| run.adopt(*from));
        for key in keys {
            self.alias(into, key);
        }
        into
    }

    /// The place of a run.
    pub fn find(&self, key: &RunKey) -> Option<RunIx> {
        self.by_key.get(key).copied()
    }

    /// The run at a place, if it is still in memory.
    pub fn get(&self, ix: RunIx) -> Option<&Run> {
        let slot = self.slots.get(ix.slot as usize).filter(|slot| slot.generation == ix.generation)?;
        slot.run.as_deref()
    }

    /// Changes the run at a place, and keeps count of what it holds.
    pub fn change<T>(&mut self, ix: RunIx, change: impl FnOnce(&mut Run) -> T) -> Option<T> {
        let slot = self.slots.get_mut(ix.slot as usize).filter(|slot| slot.generation == ix.generation)?;
        let run = slot.run.as_deref_mut()?;
        let before = run.nodes.len();
        let result = change(run);
        self.nodes += run.nodes.len() - before;
        self.note_change(ix);
        Some(result)
    }

    /// Has the run looked at when it next wants to be.
    pub fn schedule(&mut self, ix: RunIx, limits: &Limits) {
        let due = self.change(ix, |run| {
            let due = limits.due(run)?;
            if run.due.is_some_and(|earlier| earlier <= due) {
                return None;
            }
            run.due = Some(due);
            Some(due)
        });
        if let Some(Some(due)) = due {
            self.due.push(due, ix);
        }
    }

    /// The next run that is due at `now`.
    pub fn next_due(&mut self, now: Timestamp) -> Option<RunIx> {
        while let Some((due, ix)) = self.due.peek() {
            if due > now {
                return None;
            }
            self.due.pop();
            let is_current = self.change(ix, |run| run.due.take_if(|current| *current == due).is_some());
            if is_current == Some(true) {
                return Some(ix);
            }
        }
        None
    }

    /// Counts a run as ended: it may leave memory when room is needed.
    pub fn close(&mut self, ix: RunIx) {
        let closing = self.closings;
        self.closings += 1;
        self.change(ix, |run| (run.closed, run.closing) = (true, closing));
        self.closed.push_back((closing, ix));
        // Runs that came back to life left entries behind.
        if self.closed.len() > 2 * self.by_key.len() + 1000 {
            let closed = std::mem::take(&mut self.closed);
            self.closed = closed.into_iter().filter(|entry| self.is_current(*entry)).collect();
        }
    }

    fn is_current(&self, (closing, ix): (u64, RunIx)) -> bool {
        self.get(ix).is_some_and(|run| run.closed && run.closing == closing)
    }

    /// Takes the oldest runs out of memory until there are no more than so many of spans, or of runs and of what they are called by:
    /// not every run has spans.
    pub fn take_oldest(&mut self, most: usize) -> Vec<(RunIx, Box<Run>)> {
        let (mut taken, mut keys) = (Vec::new(), self.by_key.len());
        while self.nodes.max(keys) > most
            && let Some((ix, run)) = self.take_out_oldest()
        {
            keys = keys.saturating_sub(1 + run.aliases.len());
            taken.push((ix, run));
        }
        // One behind the other, because each waits for memory, and so they wait together.
        taken.iter().for_each(|(_, run)| self.forget_keys(run));
        taken
    }

    /// Takes out the run that closed the longest time ago, or, if none has closed, the one that is due first. The next ones are
    /// brought meanwhile, because they mostly leave with it.
    fn take_out_oldest(&mut self) -> Option<(RunIx, Box<Run>)> {
        while let Some(entry) = self.closed.pop_front() {
            self.bring(self.closed.get(Runs::AHEAD).map(|(_, ix)| *ix));
            if self.is_current(entry) {
                return self.take_out(entry.1).map(|run| (entry.1, run));
            }
        }
        while let Some((_, ix)) = self.due.pop() {
            let next = self.due.peek();
            self.bring(next.map(|(_, ix)| ix));
            if let Some(run) = self.take_out(ix) {
                return Some((ix, run));
            }
        }
        None
    }

    fn bring(&self, ix: Option<RunIx>) {
        if let Some(run) = ix.and_then(|ix| self.get(ix)) {
            run.bring();
        }
    }

    /// Takes a run out of memory.
    pub fn take(&mut self, ix: RunIx) -> Option<Box<Run>> {
        let run = self.take_out(ix)?;
        self.forget_keys(&run);
        Some(run)
    }

    fn forget_keys(&mut self, run: &Run) {
        self.by_key.remove(&run.key);
        for alias in &run.aliases {
            self.by_key.remove(alias);
        }
    }

    /// The same, but that it is still known what it was called by.
    fn take_out(&mut self, ix: RunIx) -> Option<Box<Run>> {
        let slot = self.slots.get_mut(ix.slot as usize).filter(|slot| slot.generation == ix.generation)?;
        let run = slot.run.take()?;
        slot.generation += 1;
        self.note_change(ix);
        self.free.push(ix.slot);
        self.nodes -= run.nodes.len();
        Some(run)
    }

    /// Takes back the room of a run that left memory.
    pub fn recycle(&mut self, mut run: Box<Run>) {
        if self.spare.len() < Runs::MOST_SPARE {
            self.spare.extend(run.take_room());
        }
    }

    /// How many spans are in memory.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many runs are in memory.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All runs in memory, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.slots.iter().filter_map(|slot| slot.run.as_deref())
    }

    /// The places of all runs in memory.
    pub fn places(&self) -> Vec<RunIx> {
        let mut places: Vec<RunIx> = self.by_key.values().copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// How long runs are waited for, and how much is kept of them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Spans kept in memory, of open and closed runs together.
    pub spans: usize,
    /// How long the events of a span wait for the spans above it.
    pub hold: std::time::Duration,
    /// How long work waits for what may change it, where all above it is known, before it enters the counters.
    pub settled: std::time::Duration,
    /// How long at most work waits for what is above it before it enters the counters.
    pub settle: std::time::Duration,
    /// How long after its root ended, with nothing open, a run counts as ended.
    pub quiet: std::time::Duration,
    /// How long without a sign of life until open work counts as lost.
    pub heartbeat: std::time::Duration,
    /// How long open work is waited for that itself waits for people.
    pub people: std::time::Duration,
    /// How long until a run whose root never came counts as lost.
    pub idle: std::time::Duration,
    /// The most bytes of a value in an event's payload, as JSON; longer ones are cut where events are handed on.
    pub value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = std::time::Duration::from_secs;
        Limits {
            spans: 100_000,
            hold: super::held::HOLD,
            settled: seconds(5),
            settle: seconds(300),
            quiet: seconds(2),
            heartbeat: seconds(60),
            people: seconds(7 * 24 * 3600),
            idle: seconds(600),
            // With what else an event says it fits into the 1 MiB that readers of WebSockets take.
            value_bytes: 256 << 10,
        }
    }
}

impl Limits {
    /// When a run wants to be looked at next.
    fn due(&self, run: &Run) -> Option<Timestamp> {
        let held = run.held.first().map(|held| held.since.plus(self.hold));
        let unsettled = run.unsettled.first().map(|(arrived, _)| arrived.plus(self.settled));
        let waiting = run.waiting.first().map(|(arrived, _)| arrived.plus(self.settle));
        let over = (!run.closed).then(|| self.over_at(run));
        let undecided = run.undecided.first().map(|held| held.since.plus(super::held::UNDECIDED));
        [held, undecided, unsettled, waiting, over].into_iter().flatten().min()
    }

    /// When a run is over if nothing more arrives.
    pub fn over_at(&self, run: &Run) -> Timestamp {
        let patience = if run.has_turn_that_is_over() {
            self.settled
        } else if run.has_stand_in() && run.open().take(2).count() == 1 {
            // Of what stands for the agent nobody gives signs of life.
            self.idle
        } else if run.has_open_work() && run.waits_for_people() {
            self.people
        } else if run.has_open_work() {
            self.heartbeat
        } else if run.root().is_some_and(|root| run.node(root).state == State::Ended) {
            self.quiet
        } else {
            self.idle
        };
        run.last_seen.plus(patience)
    }
}
