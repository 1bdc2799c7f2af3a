//! A source of events, under its name.

use std::sync::Arc;

use super::dispatch::Core;
use super::refused::{Published, Refused};
use crate::event::Event;

/// Publishes under a name, which is `source.service` of its events and has rate limits of its own. It does not keep the
/// bus open, so handlers may have one: that of the last [`Bus`](super::Bus) ends it. A clone is the same.
#[derive(Clone)]
pub struct Publisher {
    core: Arc<Core>,
    name: Arc<str>,
}

impl Publisher {
    pub(super) fn new(core: Arc<Core>, name: &str) -> Publisher {
        Publisher { core, name: name.into() }
    }

    /// [`Bus::publish`](super::Bus::publish) under this name.
    ///
    /// # Errors
    /// Those of [`Bus::publish`](super::Bus::publish).
    pub fn publish(&self, mut event: Event) -> Result<Published, Refused> {
        event.source.service = Some(self.name.clone());
        super::publish(&self.core, event)
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.name).finish()
    }
}
