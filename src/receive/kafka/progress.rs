//! How far each partition was taken, and from where on whoever gets it next has to read.
//!
//! That is not the same: of a run in progress this process holds what came before, and what was told of one that is over
//! may still be in its queues. So an offset is committed only once the runs are over whose messages are before it, or have
//! gone on for so long that they are given up on, and what was told until then is delivered.

use std::cell::LazyCell;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::event::TraceId;
use crate::flow::Told;

/// A partition: which of the topics that are read, and its number there.
pub type Place = (usize, i32);

/// All partitions that are ours at the moment.
#[derive(Debug, Default)]
pub struct Progress {
    partitions: HashMap<Place, Partition>,
    /// Those that were ours until the group began to share them anew, and since when they are not.
    leaving: HashMap<Place, (Partition, Instant)>,
    replay: Duration,
    shares: u64,
}

/// One partition.
#[derive(Debug, Default)]
struct Partition {
    /// Which time of all that it was given to us: what was fetched before comes again.
    share: u64,
    /// The offset behind what was taken; none before anything was.
    taken: Option<i64>,
    /// Messages of runs that may be in progress, the oldest first.
    held: VecDeque<Held>,
    /// The offset that is committed next, and what has to be delivered before. Another one follows when it is.
    settling: Option<(Told, i64)>,
    /// What was committed last, as far as we know.
    committed: Option<i64>,
}

/// A message of which somebody may need to know again.
#[derive(Clone, Copy, Debug)]
struct Held {
    offset: i64,
    trace: TraceId,
    since: Instant,
}

impl Progress {
    /// The most messages of a partition that are held back.
    const MOST_HELD: usize = 100_000;

    /// Of no partition; messages of runs in progress are held back for so long at most.
    pub fn new(replay: Duration) -> Progress {
        Progress { replay, ..Progress::default() }
    }

    /// The group shares its partitions anew, and these are nobody's until it is done.
    pub fn leave(&mut self, places: &[Place], now: Instant) {
        for place in places {
            if let Some(partition) = self.partitions.remove(place) {
                self.leaving.insert(*place, (partition, now));
            }
        }
    }

    /// The group is done, and these partitions are ours: those that were so before go on at this offset, if anything was
    /// taken of them. Nobody else can have had them meanwhile unless it took longer than `patience`.
    pub fn arrive(&mut self, places: &[Place], now: Instant, patience: Duration) -> Vec<(Place, Option<i64>)> {
        self.shares += 1;
        let mut begin = Vec::new();
        for place in places {
            let kept = self.leaving.get(place).is_some_and(|(_, since)| now.duration_since(*since) <= patience);
            let kept = if kept { self.leaving.remove(place).map(|(partition, _)| partition) } else { None };
            let partition = Partition { share: self.shares, ..kept.unwrap_or_default() };
            begin.push((*place, partition.taken));
            self.partitions.insert(*place, partition);
        }
        begin
    }

    /// The traces of which we hold something and whose partitions are others' now.
    pub fn given_away(&mut self) -> Vec<TraceId> {
        let held = self.leaving.drain().flat_map(|(_, (partition, _))| partition.held);
        let mut traces: Vec<TraceId> = held.map(|held| held.trace).collect();
        traces.sort_unstable();
        traces.dedup();
        traces
    }

    /// Which share of the group's partitions this one is of, if it is ours.
    pub fn share(&self, place: Place) -> Option<u64> {
        self.partitions.get(&place).map(|partition| partition.share)
    }

    /// How many partitions are ours.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How many messages were taken whose offsets are held back.
    pub fn held(&self) -> usize {
        self.partitions.values().map(|partition| partition.held.len()).sum()
    }

    /// Whether offsets wait for nothing but the delivery of what was told.
    pub fn is_settling(&self) -> bool {
        self.partitions.values().any(|partition| partition.settling.is_some())
    }

    /// A message was taken, with spans or records of these traces.
    pub fn took(&mut self, place: Place, offset: i64, traces: &[TraceId], now: Instant) {
        let replays = !self.replay.is_zero();
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        partition.taken = Some(offset + 1);
        if replays {
            partition.held.extend(traces.iter().map(|&trace| Held { offset, trace, since: now }));
            let excess = partition.held.len().saturating_sub(Progress::MOST_HELD);
            partition.held.drain(..excess);
        }
    }

    /// The offsets to be committed that have changed since this was asked last. `told` says what was told until now; it is
    /// asked once at most.
    pub fn next_offsets(
        &mut self,
        now: Instant,
        is_in_progress: impl Fn(TraceId) -> bool,
        told: impl Fn() -> Told,
        is_delivered: impl Fn(&Told) -> bool,
    ) -> Vec<(Place, i64)> {
        let replay = self.replay;
        let is_over = |held: &Held| now.duration_since(held.since) > replay || !is_in_progress(held.trace);
        for partition in self.partitions.values_mut() {
            while partition.held.front().is_some_and(is_over) {
                partition.held.pop_front();
            }
        }
        // After it was seen which runs are over, so that it has all that was told of them.
        let told = LazyCell::new(told);
        let next = |(place, partition): (&Place, &mut Partition)| {
            let before = partition.committed;
            partition.settle(&is_delivered);
            if partition.settling.is_none() && partition.free() != partition.committed {
                partition.settling = partition.free().map(|offset| (Told::clone(&told), offset));
                partition.settle(&is_delivered);
            }
            partition.committed.filter(|offset| before != Some(*offset)).map(|offset| (*place, offset))
        };
        self.partitions.iter_mut().filter_map(next).collect()
    }
}

impl Partition {
    /// The offset before which no run is in progress, if anything was taken.
    fn free(&self) -> Option<i64> {
        self.held.front().map(|held| held.offset).or(self.taken)
    }

    fn settle(&mut self, is_delivered: impl Fn(&Told) -> bool) {
        if let Some((_, offset)) = self.settling.take_if(|(told, _)| is_delivered(told)) {
            self.committed = Some(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (0, 3);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn trace(number: u8) -> TraceId {
        TraceId::from_bytes(&[number; 16]).unwrap()
    }

    fn progress(messages: &[(i64, u8)]) -> (Progress, Instant) {
        let (mut progress, now) = (Progress::new(Duration::from_secs(60)), Instant::now());
        progress.arrive(&[PLACE], now, PATIENCE);
        for (offset, number) in messages {
            progress.took(PLACE, *offset, &[trace(*number)], now);
        }
        (progress, now)
    }

    /// What is to be committed while all runs are in progress.
    fn open(progress: &mut Progress, now: Instant) -> Vec<(Place, i64)> {
        progress.next_offsets(now, |_| true, Vec::new, |_| true)
    }

    #[test]
    fn an_offset_waits_until_what_was_told_before_it_is_delivered() {
        let (mut progress, now) = progress(&[(10, 1), (11, 2)]);
        let next = |progress: &mut Progress, open: u8, told: usize, delivered: usize| {
            let offsets =
                progress.next_offsets(now, |of| trace(open) == of, || vec![told], |told| told[0] <= delivered);
            (offsets.first().map(|(_, offset)| *offset), progress.is_settling())
        };
        assert_eq!(next(&mut progress, 2, 5, 4), (None, true));
        assert_eq!(next(&mut progress, 3, 9, 4), (None, true), "the other is over, and waits behind the first");
        assert_eq!(next(&mut progress, 3, 9, 5), (Some(11), true));
        progress.leave(&[PLACE], now);
        assert!(!progress.is_settling(), "what is others' is not waited for");
        progress.arrive(&[PLACE], now, PATIENCE);
        assert_eq!(next(&mut progress, 3, 12, 8), (None, true));
        assert_eq!(next(&mut progress, 3, 12, 9), (Some(12), false));
        assert_eq!(next(&mut progress, 3, 12, 0), (None, false), "nothing was taken since");
    }

    #[test]
    fn what_is_over_is_committed_as_far_as_nothing_before_it_is_in_progress() {
        let (mut progress, now) = progress(&[(10, 1), (11, 2), (12, 1), (13, 3)]);
        let mut committed = |open: &[u8]| {
            let is_open = |of| open.iter().any(|number| trace(*number) == of);
            let offsets = progress.next_offsets(now, is_open, Vec::new, |_| true);
            offsets.first().map(|(_, offset)| *offset)
        };
        assert_eq!(committed(&[1, 2, 3]), Some(10));
        assert_eq!(committed(&[1, 3]), None, "nothing has changed");
        assert_eq!(committed(&[3]), Some(13));
        assert_eq!(committed(&[]), Some(14));
        assert_eq!(committed(&[]), None);
    }

    #[test]
    fn what_goes_on_for_too_long_is_held_back_no_more() {
        let (mut progress, now) = progress(&[(10, 1), (11, 2)]);
        progress.took(PLACE, 12, &[trace(1)], now + Duration::from_secs(30));
        let offsets = progress.next_offsets(now + Duration::from_secs(61), |_| true, Vec::new, |_| true);
        assert_eq!(offsets, [(PLACE, 12)]);
    }

    #[test]
    fn what_is_ours_again_goes_on_and_what_is_not_counts_for_nothing() {
        const OTHER: Place = (1, 3);
        let (mut progress, now) = progress(&[(10, 2), (11, 1), (12, 2)]);
        assert_eq!(progress.arrive(&[OTHER], now, PATIENCE), [(OTHER, None)]);
        progress.took(OTHER, 5, &[trace(3)], now);
        assert_eq!((progress.partitions(), progress.held()), (2, 4));
        let before = progress.share(PLACE);
        progress.leave(&[PLACE, OTHER], now);
        progress.took(PLACE, 13, &[trace(1)], now);
        assert!(progress.share(PLACE).is_none() && open(&mut progress, now).is_empty());
        assert_eq!(progress.arrive(&[PLACE], now + PATIENCE, PATIENCE), [(PLACE, Some(13))]);
        assert_ne!(progress.share(PLACE), before, "what was fetched before comes again");
        assert_eq!(progress.given_away(), [trace(3)]);
        assert_eq!(open(&mut progress, now), [(PLACE, 10)]);
    }

    #[test]
    fn what_may_have_been_with_somebody_else_begins_anew() {
        let (mut progress, now) = progress(&[(10, 2), (11, 1), (12, 2)]);
        progress.leave(&[PLACE], now);
        assert_eq!(progress.arrive(&[PLACE], now + 2 * PATIENCE, PATIENCE), [(PLACE, None)]);
        assert_eq!(progress.given_away(), [trace(1), trace(2)]);
        assert!(open(&mut progress, now).is_empty(), "before anything is taken there is nothing to commit");
    }
}
