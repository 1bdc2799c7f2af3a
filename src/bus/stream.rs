//! The reader of an inbox that somebody else drives: a task, or a thread that asks for one event after another.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use super::dispatch::Core;
use super::inbox::{Hand, Inbox, Next};
use super::latency::bump;
use super::subscription::Subscription;

/// Events of a subscription, the most urgent first. What is not read in time for its room is a dead letter; dropping
/// the stream cancels the subscription.
pub struct Stream {
    inbox: Arc<Inbox>,
    core: Arc<Core>,
    hand: Hand,
}

impl Stream {
    pub(super) fn new(inbox: Arc<Inbox>, core: Arc<Core>) -> Stream {
        Stream { inbox, core, hand: Hand::default() }
    }

    /// The next event, as soon as there is one; nothing once the bus was shut down and all was read, or the subscription
    /// was canceled. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for whoever polls.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match self.take() {
                Err(Next::Nothing) if self.inbox.wait_as(context.waker()) => return Poll::Pending,
                // Something has come in between.
                Err(Next::Nothing) => {}
                Err(_) => return Poll::Ready(None),
                Ok(delivery) => return Poll::Ready(Some(delivery)),
            }
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.take().ok()
    }

    /// The next event, for code that is not asynchronous. Blocks the thread for at most `timeout`.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Delivery> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.take() {
                Ok(delivery) => return Some(delivery),
                Err(Next::Nothing) if Instant::now() < deadline => {
                    self.inbox.sleep(Some(deadline.saturating_duration_since(Instant::now())));
                }
                Err(_) => return None,
            }
        }
    }

    fn take(&mut self) -> Result<Delivery, Next> {
        loop {
            match self.inbox.next(&mut self.hand) {
                Next::Event(entry) if self.inbox.is_wanted(&entry, &self.core) => {
                    let counters = &self.inbox.counters;
                    bump(&counters.delivered, 1);
                    counters.last_delivered.store(self.core.now().as_micros(), Relaxed);
                    return Ok(Delivery { entry, attempt: 1 });
                }
                Next::Event(_) => {}
                nothing => return Err(nothing),
            }
        }
    }

    /// What can be done with the subscription while somebody else reads.
    pub fn subscription(&self) -> Subscription {
        Subscription::new(self.inbox.clone(), &self.core)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.core.remove(&self.inbox);
        self.inbox.leave(&mut self.hand);
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stream").field(&self.inbox.settings.id).finish()
    }
}
