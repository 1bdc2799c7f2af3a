//! What can be done with a subscription from outside.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::analytics::Analytics;
use super::dispatch::Core;
use super::inbox::Inbox;

/// A subscription. Dropping this changes nothing: it lasts until it is canceled, or the bus is shut down. A clone is the
/// same.
#[derive(Clone)]
pub struct Subscription {
    inbox: Arc<Inbox>,
    core: Weak<Core>,
}

impl Subscription {
    pub(super) fn new(inbox: Arc<Inbox>, core: &Arc<Core>) -> Subscription {
        Subscription { inbox, core: Arc::downgrade(core) }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.inbox.settings.id
    }

    /// What became of its events.
    pub fn analytics(&self) -> Analytics {
        self.inbox.analytics()
    }

    /// Has nothing delivered until [`Subscription::resume`]; what comes meanwhile waits.
    pub fn pause(&self) {
        self.inbox.pause(true);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.inbox.pause(false);
    }

    /// Ends it: what waits is discarded, and counted. A handler that is at work finishes with its event.
    pub fn cancel(&self) {
        match self.core.upgrade() {
            Some(core) => core.remove(&self.inbox),
            None => self.inbox.cancel(),
        }
    }

    /// Waits until everything that was published before is handled. Blocks the thread; of a stream, nothing is waited
    /// for but its being read.
    ///
    /// # Errors
    /// How many events were not when the time was over.
    pub fn flush(&self, timeout: Duration) -> Result<(), usize> {
        let deadline = Instant::now() + timeout;
        let behind = self.core.upgrade().map_or(0, |core| core.wait_until_handed_on(deadline));
        let left = self.inbox.wait_until_done(deadline).err().unwrap_or_default();
        if behind + left == 0 { Ok(()) } else { Err(behind + left) }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Subscription").field(&self.id()).finish()
    }
}
