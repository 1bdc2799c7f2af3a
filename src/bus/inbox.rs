//! What waits for one subscription, and what became of the rest: the dispatcher puts in, one reader takes out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::analytics::Counters;
use super::dispatch::Core;
use super::letters::{DeadLetter, DeathReason};
use super::queue::{Bounds, Entry, Overflow, Queue};
use super::ring::Weighed;
use crate::event::{Event, Filter};

/// Says whether a subscription wants an event.
pub(super) type Predicate = Box<dyn Fn(&Event) -> bool + Send + Sync>;

/// How a subscription is served.
pub(crate) struct Settings {
    pub id: Arc<str>,
    pub filter: Filter,
    pub predicate: Option<Predicate>,
    pub bounds: Bounds,
    pub overflow: Overflow,
    pub in_order: bool,
    pub attempts: u32,
    pub backoff: Duration,
    /// Whether somebody reads when they like, so that nobody can wait for it.
    pub is_stream: bool,
}

/// The inbox of a subscription.
pub(crate) struct Inbox {
    pub settings: Settings,
    pub counters: Counters,
    takes_all: bool,
    state: Mutex<State>,
    /// Told to the reader: there is something, or nothing more comes.
    ready: Condvar,
    /// Told to whoever waits for the reader: it waits as well.
    rested: Condvar,
    /// The lane of the most urgent event in the queue.
    most_urgent: AtomicU8,
    paused: AtomicBool,
    canceled: AtomicBool,
    /// Events that the reader took out and has not begun with.
    in_hand: AtomicUsize,
}

struct State {
    queue: Queue,
    /// Live events count from this offset on.
    from: u64,
    /// Bytes in the reader's hand, those already handled included.
    hand_bytes: usize,
    /// No more comes.
    closed: bool,
    reader: Reader,
    has_waiters: bool,
    offered: u64,
}

/// What the reader is at.
#[derive(Debug)]
enum Reader {
    /// Reading or handling.
    Busy,
    /// Asleep until it is told.
    Asleep,
    /// Waiting as a task.
    Task(Waker),
    Gone,
}

/// What the reader took out: a few events at a time, so that it need not take the lock for each.
#[derive(Debug, Default)]
pub(crate) struct Hand(VecDeque<Entry>);

/// What there is for a reader.
pub(super) enum Next {
    Event(Entry),
    Nothing,
    /// And nothing more comes.
    End,
}

impl Inbox {
    const MOST_IN_HAND: usize = 128;

    /// Takes live events from an offset on.
    pub fn new(settings: Settings, from: u64) -> Inbox {
        let queue = Queue::new(settings.in_order);
        Inbox {
            takes_all: settings.filter.is_empty(),
            settings,
            counters: Counters::default(),
            state: Mutex::new(State {
                queue,
                from,
                hand_bytes: 0,
                closed: false,
                reader: Reader::Busy,
                has_waiters: false,
                offered: 0,
            }),
            ready: Condvar::new(),
            rested: Condvar::new(),
            most_urgent: AtomicU8::new(Queue::NONE),
            paused: AtomicBool::new(false),
            canceled: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
        }
    }

    /// Takes in those live events that fit.
    pub fn offer(&self, first: u64, events: &[Weighed], core: &Core) {
        let fits = |event: &Weighed| self.takes_all || self.settings.filter.matches(event.record.event());
        let numbered = (first..).zip(events);
        if self.takes_all {
            self.put(numbered.map(|(offset, event)| (offset, event, false)), core);
            return;
        }
        // Looked at before the lock, for which the reader would wait.
        let fitting: Vec<(u64, &Weighed)> = numbered.filter(|(_, event)| fits(event)).collect();
        if !fitting.is_empty() {
            self.put(fitting.into_iter().map(|(offset, event)| (offset, event, false)), core);
        }
    }

    /// Takes in events once more, whatever their offsets; whether the subscription still takes any.
    pub fn replay(&self, events: &[(u64, Weighed)], core: &Core) -> bool {
        self.put(events.iter().map(|(offset, event)| (*offset, event, true)), core)
    }

    fn put<'e>(&self, events: impl Iterator<Item = (u64, &'e Weighed, bool)>, core: &Core) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let mut gone = Vec::new();
        let hand = Bounds { events: self.in_hand.load(Relaxed), bytes: state.hand_bytes };
        let bounds = self.settings.bounds;
        let mut may_expire = true;
        for (offset, event, is_replay) in events {
            if !is_replay && offset < state.from {
                continue;
            }
            state.offered += 1;
            if may_expire && state.queue.len() + hand.events >= bounds.events {
                // Once for all of them: looking through the queue takes its time.
                may_expire = false;
                let expired = state.queue.expire(core.now());
                self.counters.expired_waiting.fetch_add(expired as u64, Relaxed);
            }
            let entry = Entry { offset, is_replay, event: event.clone() };
            state.queue.take_in(entry, bounds, hand, self.settings.overflow, &mut gone);
        }
        self.most_urgent.store(state.queue.most_urgent(), Relaxed);
        if state.queue.len() > 0 && !self.paused.load(Relaxed) {
            self.wake(state);
        } else {
            drop(state);
        }
        self.overflowed(gone, core);
        true
    }

    fn overflowed(&self, gone: Vec<Entry>, core: &Core) {
        if gone.is_empty() {
            return;
        }
        self.counters.overflowed.fetch_add(gone.len() as u64, Relaxed);
        core.letters.keep(gone.into_iter().map(|entry| self.letter(entry, DeathReason::Overflow, 0, None, core)));
    }

    /// A dead letter of this subscription.
    pub(super) fn letter(
        &self,
        entry: Entry,
        reason: DeathReason,
        attempts: u32,
        error: Option<Arc<str>>,
        core: &Core,
    ) -> DeadLetter {
        let (at, subscription) = (core.now(), self.settings.id.clone());
        DeadLetter { id: 0, subscription, reason, error, attempts, at, offset: entry.offset, event: entry.event }
    }

    /// The next event, if there is one.
    pub(super) fn next(&self, hand: &mut Hand) -> Next {
        if self.canceled.load(Relaxed) {
            self.discard(hand);
            return Next::End;
        }
        if self.paused.load(Relaxed) {
            return if self.lock().closed { Next::End } else { Next::Nothing };
        }
        match hand.0.front() {
            Some(front) => {
                let lane = front.lane(self.settings.in_order);
                if self.most_urgent.load(Relaxed) < lane
                    && let Some(urgent) = self.overtaking(lane)
                {
                    return Next::Event(urgent);
                }
            }
            None => {
                let mut state = self.lock();
                self.fill(hand, &mut state);
                if hand.0.is_empty() {
                    return if state.closed { Next::End } else { Next::Nothing };
                }
            }
        }
        let next = hand.0.pop_front();
        self.in_hand.store(hand.0.len(), Relaxed);
        next.map_or(Next::Nothing, Next::Event)
    }

    fn overtaking(&self, lane: u8) -> Option<Entry> {
        let mut state = self.lock();
        let urgent = state.queue.pop_before(lane);
        self.most_urgent.store(state.queue.most_urgent(), Relaxed);
        urgent
    }

    fn fill(&self, hand: &mut Hand, state: &mut State) {
        let most = (self.settings.bounds.events / 4).clamp(1, Inbox::MOST_IN_HAND);
        hand.0.extend(std::iter::from_fn(|| state.queue.pop()).take(most));
        state.hand_bytes = hand.0.iter().map(|entry| entry.event.bytes()).sum();
        self.most_urgent.store(state.queue.most_urgent(), Relaxed);
    }

    /// Blocks until there may be something, for at most a time.
    pub(super) fn sleep(&self, timeout: Option<Duration>) {
        let state = self.rest(Reader::Asleep);
        let Some(mut state) = state else { return };
        match timeout {
            Some(timeout) => {
                let asleep = |state: &mut State| matches!(state.reader, Reader::Asleep);
                let woken = self.ready.wait_timeout_while(state, timeout, asleep);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => {
                let asleep = |state: &mut State| matches!(state.reader, Reader::Asleep);
                state = self.ready.wait_while(state, asleep).unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.reader = Reader::Busy;
    }

    /// Has a task woken as soon as there may be something; whether there is nothing now.
    pub(super) fn wait_as(&self, waker: &Waker) -> bool {
        self.rest(Reader::Task(waker.clone())).is_some()
    }

    /// Lets the reader rest, unless there is something to do. Looked at under the lock, so that nothing is missed.
    fn rest(&self, reader: Reader) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let has_work = (state.queue.len() > 0 || self.in_hand.load(Relaxed) > 0) && !self.paused.load(Relaxed);
        if has_work || state.closed || self.canceled.load(Relaxed) {
            return None;
        }
        state.reader = reader;
        if state.has_waiters {
            state.has_waiters = false;
            self.rested.notify_all();
        }
        Some(state)
    }

    /// Wakes the reader. Waking a task is code of others, for which the lock is let go.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        match std::mem::replace(&mut state.reader, Reader::Busy) {
            Reader::Asleep => self.ready.notify_one(),
            Reader::Task(waker) => {
                drop(state);
                waker.wake();
            }
            Reader::Busy => {}
            Reader::Gone => state.reader = Reader::Gone,
        }
    }

    /// Blocks until the reader has done everything, or is gone; else how much is left at the deadline.
    pub fn wait_until_done(&self, deadline: Instant) -> Result<(), usize> {
        let mut state = self.lock();
        let is_done = |state: &State| match state.reader {
            Reader::Gone => true,
            Reader::Busy => false,
            Reader::Asleep | Reader::Task(_) => !state.closed && self.waiting_in(state) == 0,
        };
        while !is_done(&state) {
            let patience = deadline.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break;
            }
            state.has_waiters = true;
            state = self.rested.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        match self.waiting_in(&state) + usize::from(matches!(state.reader, Reader::Busy)) {
            _ if is_done(&state) && self.waiting_in(&state) == 0 => Ok(()),
            left => Err(left),
        }
    }

    /// Says that the reader is gone.
    pub(super) fn leave(&self, hand: &mut Hand) {
        let mut state = self.lock();
        if self.canceled.load(Relaxed) {
            self.discard(hand);
        }
        // Nobody took it, so it waits.
        hand.0.drain(..).rev().for_each(|entry| state.queue.put_back(entry));
        self.in_hand.store(0, Relaxed);
        state.reader = Reader::Gone;
        self.rested.notify_all();
    }

    /// Takes no more live events; what waits is still delivered.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    /// Takes and delivers nothing more; what waits is discarded, and counted.
    pub fn cancel(&self) {
        self.canceled.store(true, Relaxed);
        let mut state = self.lock();
        state.closed = true;
        let waiting = state.queue.clear();
        self.counters.discarded.fetch_add(waiting as u64, Relaxed);
        self.wake(state);
        // It may be waiting for the time of its next attempt.
        self.ready.notify_all();
    }

    fn discard(&self, hand: &mut Hand) {
        self.counters.discarded.fetch_add(hand.0.len() as u64, Relaxed);
        hand.0.clear();
        self.in_hand.store(0, Relaxed);
    }

    /// Waits a while before the next attempt, unless the subscription is canceled meanwhile.
    pub(super) fn back_off(&self, pause: Duration) {
        let goes_on = |_: &mut State| !self.canceled.load(Relaxed);
        drop(self.ready.wait_timeout_while(self.lock(), pause, goes_on));
    }

    /// Whether nothing is delivered until it is resumed.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Relaxed)
    }

    /// Pauses, or resumes.
    pub fn pause(&self, paused: bool) {
        let state = self.lock();
        self.paused.store(paused, Relaxed);
        if !paused {
            self.wake(state);
        }
    }

    /// Whether nothing is delivered any more.
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Relaxed)
    }

    /// Events that were taken in, and those of them that wait.
    pub fn offered_and_waiting(&self) -> (u64, usize) {
        let state = self.lock();
        (state.offered, self.waiting_in(&state))
    }

    fn waiting_in(&self, state: &State) -> usize {
        state.queue.len() + self.in_hand.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
