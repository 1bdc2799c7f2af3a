//! Events as they come, for the agent's own code.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::event::Filter;
use crate::flow::SharedRecord;
use crate::hub::Hub;

/// Events that fit a filter, from when it was made on. Whoever is too slow for the ring in memory loses the oldest, and
/// can see how many; nobody waits for it.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    filter: Filter,
    head: watch::Receiver<u64>,
    next: u64,
    read: VecDeque<SharedRecord>,
    lost: u64,
}

impl Subscription {
    /// At most so many events are taken out of the ring at a time.
    const PAGE: usize = 256;

    /// From now on.
    pub(super) fn new(hub: Arc<Hub>, filter: Filter) -> Subscription {
        let head = hub.watch();
        Subscription { next: hub.head(), filter, head, read: VecDeque::new(), lost: 0, hub }
    }

    /// The next event, as soon as there is one; nothing once telemetry has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<SharedRecord> {
        loop {
            // Before looking: what came in between is still to be had.
            let is_closed = self.hub.is_closed();
            if let Some(record) = self.try_next() {
                return Some(record);
            }
            if is_closed {
                return None;
            }
            self.head.changed().await.ok()?;
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<SharedRecord> {
        if self.read.is_empty() {
            self.head.borrow_and_update();
            let page = self.hub.read(self.next, Subscription::PAGE, &self.filter);
            self.lost += page.gap.map_or(0, |(from, to)| to - from);
            self.next = page.next;
            self.read.extend(page.events.into_iter().map(|(_, record)| record));
        }
        self.read.pop_front()
    }

    /// The next event, for code that is not asynchronous. Blocks the thread for at most `timeout`.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<SharedRecord> {
        let deadline = Instant::now() + timeout;
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut next = pin!(self.next());
        loop {
            match next.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(record) => return record,
                Poll::Pending if deadline <= Instant::now() => return None,
                Poll::Pending => std::thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            }
        }
    }

    /// Whether telemetry has ended, so that no more events come than can be had at once.
    pub fn has_ended(&self) -> bool {
        self.hub.is_closed()
    }

    /// Events that were gone before they could be looked at, whether they would have fit or not.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
