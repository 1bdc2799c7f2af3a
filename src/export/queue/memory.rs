//! A queue in memory: bounded in requests, items and bytes, and gone with the process.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Bounds, Load, NotTaken, Portion, Taken};

/// The queue.
#[derive(Debug)]
pub struct MemoryQueue {
    state: Mutex<State>,
    bounds: Bounds,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    items: usize,
    bytes: usize,
    closed: bool,
    /// Somebody waits for what is in it now.
    in_a_hurry: bool,
    /// Items that were ever taken out.
    taken: usize,
    /// How many portions that were.
    portions: u64,
    /// The numbers of those that are not dealt with, and how many items came out before each, in that order.
    under_way: Vec<(u64, usize)>,
}

#[derive(Debug)]
struct Entry {
    load: Load,
    items: usize,
    bytes: usize,
    since: Instant,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> MemoryQueue {
        MemoryQueue { state: Mutex::default(), bounds, filled: Notify::new(), emptied: Notify::new() }
    }

    /// Whether there is room for something.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        let bounds = &self.bounds;
        state.entries.len() < bounds.requests && state.items < bounds.items && state.bytes < bounds.bytes
    }

    /// Waits until there is room, at most until `deadline`.
    pub async fn room(&self, deadline: tokio::time::Instant) {
        let room = async {
            loop {
                let emptied = self.emptied.notified();
                if self.has_room() {
                    return;
                }
                emptied.await;
            }
        };
        tokio::time::timeout_at(deadline, room).await.unwrap_or_default();
    }

    /// Puts something at the end, for whoever has found room a moment ago. Gives it back if the queue is closed, or has
    /// twice as much in it as it should: what one request brings may be large, but not without bounds.
    pub fn push(&self, load: Load) -> Result<(), NotTaken> {
        let (items, bytes) = (load.items(), load.bytes());
        let mut state = self.lock();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.items >= self.bounds.items.saturating_mul(2) || state.bytes >= self.bounds.bytes.saturating_mul(2) {
            return Err(NotTaken::Full);
        }
        state.items = state.items.saturating_add(items);
        state.bytes += bytes;
        match (state.entries.back_mut(), load) {
            // However many they are, they are one number.
            (Some(Entry { load: Load::Changes(waiting), items: of_entry, .. }), Load::Changes(more)) => {
                *waiting = waiting.saturating_add(more);
                *of_entry = *waiting;
            }
            (_, load) => state.entries.push_back(Entry { load, items, bytes, since: Instant::now() }),
        }
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes a portion from the front, once there is one; nothing once the queue is closed and empty.
    pub async fn pop(&self, portion: &Portion) -> Option<Taken> {
        loop {
            let filled = self.filled.notified();
            let wait = match self.try_pop(portion) {
                Popped::Taken(taken) => return Some(taken),
                Popped::Closed => return None,
                Popped::Empty => None,
                Popped::NotYet(wait) => Some(wait),
            };
            match wait {
                None => filled.await,
                // Either more has come by then, or patience has ended: both are seen in the next round.
                Some(wait) => tokio::time::timeout(wait, filled).await.unwrap_or_default(),
            }
        }
    }

    fn try_pop(&self, portion: &Portion) -> Popped {
        let mut state = self.lock();
        let Some(first) = state.entries.front() else {
            return if state.closed { Popped::Closed } else { Popped::Empty };
        };
        let waited = first.since.elapsed();
        let (enough, wait) = portion.company(!state.under_way.is_empty());
        if state.items < enough && waited < wait && !state.closed && !state.in_a_hurry {
            return Popped::NotYet(wait - waited);
        }
        let Some(first) = state.take_first() else { return Popped::Empty };
        let (mut load, mut items, mut bytes) = (first.load, first.items, first.bytes);
        while let Some(next) = state.entries.front() {
            let fits = items + next.items <= portion.items && bytes + next.bytes <= portion.bytes;
            if !fits || !load.is_of_one_kind_with(&next.load) {
                break;
            }
            let Some(next) = state.take_first() else { break };
            (items, bytes) = (items + next.items, bytes + next.bytes);
            load.append(next.load);
        }
        let (number, before) = (state.portions, state.taken);
        state.under_way.push((number, before));
        (state.portions, state.taken) = (number + 1, before.saturating_add(items));
        let more = !state.entries.is_empty();
        state.in_a_hurry &= more;
        drop(state);
        self.emptied.notify_waiters();
        if more {
            self.filled.notify_one();
        }
        Popped::Taken(Taken { load, place: Some(number) })
    }

    /// A portion is dealt with.
    pub fn settle(&self, place: u64) {
        self.lock().under_way.retain(|(number, _)| *number != place);
    }

    /// Items that were ever put in.
    pub fn put(&self) -> usize {
        let state = self.lock();
        state.taken.saturating_add(state.items)
    }

    /// How many of those are dealt with, counted from the first one on.
    pub fn settled(&self) -> usize {
        let state = self.lock();
        state.under_way.first().map_or(state.taken, |(_, before)| *before)
    }

    /// Lets nothing of what is in it wait for company.
    pub fn hurry(&self) {
        let mut state = self.lock();
        state.in_a_hurry = !state.entries.is_empty();
        drop(state);
        self.filled.notify_one();
    }

    /// Takes no more; what is in it can still be taken out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_waiters();
        self.filled.notify_one();
    }

    /// Items and bytes in it.
    pub fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.items, state.bytes)
    }

    /// How much it has room for.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Popped {
    Taken(Taken),
    NotYet(Duration),
    Empty,
    Closed,
}

impl State {
    fn take_first(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.items -= entry.items;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, EventName, Timestamp};
    use crate::flow::Record;
    use std::sync::Arc;

    fn events(count: usize) -> Load {
        let event = Event::named(EventName::parse("a.b").unwrap(), Timestamp::default());
        Load::Events((0..count).map(|_| Arc::new(Record::new(event.clone()))).collect())
    }

    fn queue(items: usize) -> MemoryQueue {
        MemoryQueue::new(Bounds { requests: 100, items, bytes: usize::MAX })
    }

    const ANY: Portion = Portion { items: 10, bytes: usize::MAX, enough: 0, wait: Duration::ZERO };

    #[tokio::test]
    async fn what_waits_is_taken_together_up_to_a_portion() {
        let queue = queue(100);
        [3, 4, 5, 20].map(events).into_iter().for_each(|load| queue.push(load).unwrap());
        let mut portions = Vec::new();
        queue.close();
        while let Some(taken) = queue.pop(&ANY).await {
            portions.push(taken.load.items());
        }
        assert_eq!(portions, [7, 5, 20]);
        assert_eq!(queue.size(), (0, 0));
    }

    #[tokio::test]
    async fn a_full_queue_makes_wait_until_there_is_room() {
        let queue = Arc::new(queue(5));
        queue.push(events(5)).unwrap();
        let within = |time: Duration| tokio::time::Instant::now() + time;
        queue.room(within(Duration::from_millis(10))).await;
        assert!(!queue.has_room());
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.room(within(Duration::from_secs(60))).await }
        });
        tokio::task::yield_now().await;
        queue.pop(&ANY).await.unwrap();
        waiting.await.unwrap();
        assert!(queue.has_room());
    }

    #[tokio::test]
    async fn nothing_goes_into_a_queue_that_is_closed_or_has_twice_what_it_should() {
        let queue = queue(5);
        for _ in 0..5 {
            queue.push(events(2)).unwrap();
        }
        assert_eq!(queue.push(events(1)), Err(NotTaken::Full));
        queue.close();
        assert_eq!(queue.push(events(1)), Err(NotTaken::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_waits_for_company_but_not_forever() {
        let queue = queue(100);
        let portion = Portion { enough: 10, wait: Duration::from_millis(50), ..ANY };
        queue.push(events(2)).unwrap();
        assert_eq!(queue.pop(&portion).await.unwrap().load.items(), 2);
        queue.push(events(6)).unwrap();
        queue.push(events(4)).unwrap();
        assert_eq!(queue.pop(&portion).await.unwrap().load.items(), 10);
        let began = tokio::time::Instant::now();
        queue.push(events(1)).unwrap();
        queue.hurry();
        assert_eq!(queue.pop(&portion).await.unwrap().load.items(), 1);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn what_came_later_is_not_settled_before_what_came_first() {
        let queue = queue(100);
        [10, 20, 30].map(events).into_iter().for_each(|load| queue.push(load).unwrap());
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(queue.pop(&ANY).await.unwrap().place.unwrap());
        }
        assert_eq!((queue.put(), queue.settled()), (60, 0));
        queue.settle(places[1]);
        assert_eq!(queue.settled(), 0);
        queue.settle(places[0]);
        assert_eq!(queue.settled(), 30);
        queue.settle(places[2]);
        assert_eq!((queue.put(), queue.settled()), (60, 60));
    }

    #[tokio::test]
    async fn changes_that_wait_are_one_number() {
        let queue = queue(100);
        [3, 4, 5].map(Load::Changes).into_iter().for_each(|load| queue.push(load).unwrap());
        assert!(queue.lock().entries.len() == 1 && queue.has_room());
        assert_eq!(queue.pop(&ANY).await.unwrap().load.items(), 12);
        assert_eq!(queue.size(), (0, 0));
    }
}
