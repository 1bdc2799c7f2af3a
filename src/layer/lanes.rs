//! The way out of the agent's threads: each thread writes into buffers of its own, and a worker swaps them for
//! empty ones.
//!
//! What is said of the lives of spans has a lane of its own, so that prompts and answers never displace it. A lane
//! takes what it grows by from a budget that all threads share, and what finds no room is dropped and counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use thread_local::ThreadLocal;

use super::command::{self, Command, HEADER, Tag};
use crate::event::Event;

/// The buffers of all threads.
pub struct Lanes {
    threads: ThreadLocal<Mutex<Buffers>>,
    of_ending_threads: Mutex<Buffers>,
    next_thread: AtomicU32,
    epoch: Instant,
    budgets: [AtomicUsize; LANES],
    bounds: [usize; LANES],
    dropped: Dropped,
    nudge: Nudge,
    /// Whether nobody reads any more.
    closed: AtomicBool,
}

/// Where a thread stands with what it keeps of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unknown,
    Alive,
    Ended,
}

/// Says that the thread is ending. Spans may be kept where they close after that.
struct Alive;

impl Drop for Alive {
    fn drop(&mut self) {
        PHASE.set(Phase::Ended);
    }
}

thread_local! {
    static PHASE: Cell<Phase> = const { Cell::new(Phase::Unknown) };
    static ALIVE: Alive = const { Alive };
}

/// What a command is about, and hence what it may displace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The lives of spans.
    Life,
    /// What went in and came out.
    Content,
}

const LANES: usize = 2;

/// What one thread has written since it was last read.
#[derive(Debug, Default)]
pub struct Buffers {
    /// By lane.
    pub commands: [Vec<u8>; LANES],
    /// Events from the agent's code.
    pub events: Vec<Emitted>,
    /// The thread's number.
    pub thread: u32,
    sequence: u32,
    last: Option<(u64, u64)>,
}

/// An event from the agent's code, and the span that it happened in.
#[derive(Debug)]
pub struct Emitted {
    /// The event.
    pub event: Box<Event>,
    /// The registry's id of the span, or 0.
    pub span: u64,
    /// When.
    pub stamp: u64,
    /// Its number among the commands of its thread.
    pub sequence: u32,
}

/// What found no room.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Beginnings: of these spans nothing is known.
    pub spans: AtomicU64,
    /// Ends: these spans are found to be over later, if at all.
    pub ends: AtomicU64,
    /// Facts about spans.
    pub facts: AtomicU64,
    /// What went in or came out, answers in pieces, and progress.
    pub content: AtomicU64,
    /// Events from the agent's code.
    pub events: AtomicU64,
}

/// How the worker is told that a buffer is half full. It is not told anything else: waking it costs more than a
/// hundred spans.
#[derive(Debug, Default)]
struct Nudge {
    worker: Mutex<Option<Thread>>,
    given: AtomicBool,
}

impl Lanes {
    /// A buffer that is fuller than this has the worker come before its time.
    const HALF_FULL: usize = 128 << 10;
    /// What a buffer keeps for the next time where room is scarce, and where it is not. New memory costs a thread
    /// more, page by page, than all that it writes there.
    const KEPT: usize = 16 << 10;
    const MOST_KEPT: usize = 1 << 20;
    /// Events of one thread that may wait.
    const MOST_EVENTS: usize = 10_000;

    /// With bounds in bytes on what all threads together may have waiting.
    pub fn new(life: usize, content: usize) -> Lanes {
        Lanes {
            threads: ThreadLocal::new(),
            of_ending_threads: Mutex::new(Buffers::of(u32::MAX)),
            next_thread: AtomicU32::new(0),
            epoch: Instant::now(),
            budgets: [AtomicUsize::new(0), AtomicUsize::new(0)],
            bounds: [life, content],
            dropped: Dropped::default(),
            nudge: Nudge::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes nothing from now on: nobody is going to read it.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Writes a command down.
    #[inline]
    pub fn push(&self, lane: Lane, tag: Tag, span: u64, payload: &[u8]) {
        if self.closed.load(Relaxed) {
            return;
        }
        let mut buffers = self.own();
        let stamp = buffers.stamp(self, tag, span);
        let sequence = buffers.next();
        let buffer = &mut buffers.commands[lane as usize];
        if !self.make_room(buffer, lane, HEADER + payload.len(), tag) {
            self.dropped.count(lane, tag);
            return;
        }
        command::put(buffer, &Command { tag, span, stamp, sequence, payload });
        let is_half_full = buffer.len() > Lanes::HALF_FULL;
        drop(buffers);
        if is_half_full {
            self.nudge.give();
        }
    }

    /// Writes an event down.
    pub fn emit(&self, event: Box<Event>, span: u64) {
        if self.closed.load(Relaxed) {
            self.dropped.events.fetch_add(1, Relaxed);
            return;
        }
        let mut buffers = self.own();
        if buffers.events.len() >= Lanes::MOST_EVENTS {
            self.dropped.events.fetch_add(1, Relaxed);
            return;
        }
        let (stamp, sequence) = (self.now(), buffers.next());
        buffers.events.push(Emitted { event, span, stamp, sequence });
        let is_half_full = buffers.events.len() == Lanes::MOST_EVENTS / 2;
        drop(buffers);
        if is_half_full {
            self.nudge.give();
        }
    }

    /// Nanoseconds since this was made.
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// What found no room so far.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// The thread to wake when a buffer is half full.
    pub fn wake(&self, worker: Thread) {
        *self.nudge.lock() = Some(worker);
    }

    /// Takes what all threads have written, leaving the room that `spare` has for the next time. Whatever was
    /// stamped before the call is in it.
    pub fn take(&self, spare: &mut Vec<Buffers>) -> Vec<Buffers> {
        self.nudge.given.store(false, Relaxed);
        let mut taken = Vec::new();
        let is_tight = self.is_tight();
        for thread in self.threads.iter().chain([&self.of_ending_threads]) {
            let mut buffers = lock(thread);
            if buffers.is_empty() {
                // Room that a thread keeps and does not use is wanted by others.
                if is_tight {
                    self.shrink(&mut buffers, 0);
                }
                continue;
            }
            let mut empty = spare.pop().unwrap_or_default();
            (empty.thread, empty.sequence, empty.last) = (buffers.thread, buffers.sequence, None);
            taken.push(std::mem::replace(&mut *buffers, empty));
        }
        taken
    }

    /// Gives back what was taken and read.
    pub fn give_back(&self, mut read: Buffers, spare: &mut Vec<Buffers>) {
        // Most of the room stays with nobody, so that no thread is without because another once needed much.
        let is_roomy = self.budgets.iter().zip(self.bounds).all(|(budget, bound)| budget.load(Relaxed) <= bound / 4);
        read.commands.iter_mut().for_each(Vec::clear);
        read.events.clear();
        read.events.shrink_to(64);
        let is_tight = self.is_tight();
        let most = if is_tight { 0 } else { Lanes::KEPT };
        self.shrink(&mut read, if is_roomy { Lanes::MOST_KEPT } else { most });
        spare.push(read);
        if is_tight {
            spare.drain(..).for_each(|mut kept| self.shrink(&mut kept, 0));
        }
    }

    /// Whether half of what may wait is taken already, be it by room that is kept.
    fn is_tight(&self) -> bool {
        self.budgets.iter().zip(self.bounds).any(|(budget, bound)| budget.load(Relaxed) > bound / 2)
    }

    /// Gives room back beyond what is to be kept.
    fn shrink(&self, buffers: &mut Buffers, kept: usize) {
        for (budget, buffer) in self.budgets.iter().zip(&mut buffers.commands) {
            let before = buffer.capacity();
            buffer.shrink_to(kept);
            budget.fetch_sub(before - buffer.capacity(), Relaxed);
        }
    }

    /// Bytes that the buffers of all threads take.
    pub fn bytes(&self) -> usize {
        self.budgets.iter().map(|budget| budget.load(Relaxed)).sum()
    }

    /// The buffers of this thread; of one that is ending, whose memory of itself is gone, those that all such share.
    fn own(&self) -> MutexGuard<'_, Buffers> {
        if PHASE.get() == Phase::Ended {
            return lock(&self.of_ending_threads);
        }
        let own = self.threads.get_or(|| {
            let thread = self.next_thread.fetch_add(1, Relaxed);
            Mutex::new(Buffers::of(thread))
        });
        if PHASE.get() == Phase::Unknown {
            // Made after what `threads` keeps for this thread, it is gone before that is.
            ALIVE.try_with(|_| PHASE.set(Phase::Alive)).ok();
        }
        lock(own)
    }

    /// Whether there is room. Ends may take a quarter more than all else: a span that began should end.
    #[inline]
    fn make_room(&self, buffer: &mut Vec<u8>, lane: Lane, bytes: usize, tag: Tag) -> bool {
        let wanted = buffer.len() + bytes;
        if wanted <= buffer.capacity() {
            return true;
        }
        let bound = self.bounds[lane as usize];
        let bound = if tag == Tag::Close { bound + bound / 4 } else { bound };
        let (before, after) = (buffer.capacity(), wanted.next_power_of_two().max(4096));
        let budget = &self.budgets[lane as usize];
        if budget.fetch_add(after - before, Relaxed) + (after - before) > bound {
            budget.fetch_sub(after - before, Relaxed);
            self.nudge.give();
            return false;
        }
        buffer.reserve_exact(after - buffer.len());
        // What the allocator gives beyond what was asked for counts as well, so that giving back comes out even.
        budget.fetch_add(buffer.capacity() - after, Relaxed);
        true
    }
}

impl Buffers {
    /// Empty ones of a thread.
    pub fn of(thread: u32) -> Buffers {
        Buffers { thread, ..Buffers::default() }
    }

    /// The moment of a command. What is said of one span in a row, or is the same moment anyway, has the moment of
    /// the first: the clock costs more than the rest of the command.
    #[inline]
    fn stamp(&mut self, lanes: &Lanes, tag: Tag, span: u64) -> u64 {
        let needs_no_clock = matches!(tag, Tag::Enter | Tag::Fields | Tag::Follows | Tag::Ids);
        let stamp = match self.last {
            Some((last, stamp)) if last == span && needs_no_clock => stamp,
            _ => lanes.now(),
        };
        // Only what makes and enters a span is followed by more of the same moment.
        self.last =
            matches!(tag, Tag::New | Tag::Enter | Tag::Fields | Tag::Follows | Tag::Ids).then_some((span, stamp));
        stamp
    }

    fn next(&mut self) -> u32 {
        let number = self.sequence;
        self.sequence = number.wrapping_add(1);
        number
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.commands.iter().all(Vec::is_empty) && self.events.is_empty()
    }
}

impl Dropped {
    fn count(&self, lane: Lane, tag: Tag) {
        let counter = match (lane, tag) {
            (Lane::Content, _) => &self.content,
            (_, Tag::New) => &self.spans,
            (_, Tag::Close) => &self.ends,
            _ => &self.facts,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Each kind with its number.
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        [
            ("span", count(&self.spans)),
            ("span_end", count(&self.ends)),
            ("fact", count(&self.facts)),
            ("content", count(&self.content)),
            ("event", count(&self.events)),
        ]
    }
}

impl Nudge {
    #[cold]
    fn give(&self) {
        if !self.given.swap(true, Relaxed)
            && let Some(worker) = &*self.lock()
        {
            worker.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(buffers: &Mutex<Buffers>) -> MutexGuard<'_, Buffers> {
    buffers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes this many bytes or a bit more, and reads them; what the buffers take then.
    fn write_and_read(lanes: &Lanes, bytes: usize, spare: &mut Vec<Buffers>) -> usize {
        (0..bytes / 1000).for_each(|span| lanes.push(Lane::Life, Tag::New, span as u64, &[0; 1000]));
        lanes.take(spare).into_iter().for_each(|buffers| lanes.give_back(buffers, spare));
        lanes.bytes()
    }

    #[test]
    fn room_is_kept_where_there_is_enough_of_it() {
        let mut spare = Vec::new();
        let roomy = Lanes::new(4 << 20, 0);
        let first = write_and_read(&roomy, 300_000, &mut spare);
        assert_eq!(first, spare[0].commands[0].capacity());
        assert!((300_000..1 << 20).contains(&first), "{first}");
        let scarce = Lanes::new(1_200_000, 0);
        assert_eq!(write_and_read(&scarce, 300_000, &mut Vec::new()), Lanes::KEPT);
        let tight = Lanes::new(600_000, 0);
        assert_eq!(write_and_read(&tight, 300_000, &mut Vec::new()), 0);
        assert_eq!(scarce.dropped().counts().iter().map(|(_, count)| count).sum::<u64>(), 0);
    }
}
