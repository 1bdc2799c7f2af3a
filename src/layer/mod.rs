//! Source 1: the tracing layer. Spans of the agent's own code in, the same derivation as in the collector behind.
//!
//! On the agent's threads the layer only writes commands down: `subscriber` into `lanes`, for `callsite`s that are ours.
//! A worker of ours reads them (`follow`) and keeps the `open` spans, as spans of OTLP.

mod callsite;
mod cancel;
mod closed;
mod command;
mod follow;
mod future;
mod lanes;
mod macros;
mod notes;
mod open;
mod order;
mod otel;
mod recent;
mod set;
mod span;
mod subscriber;
mod tell;
mod visit;

use callsite::Callsites;
pub use callsite::Pattern;
pub use follow::{Follower, Limits};
pub use future::{FutureExt, InSpan};
use lanes::Lanes;
pub use set::{Settable, Usage};
pub use span::{Progress, SpanExt};
pub use subscriber::AgentLayer;
pub use tell::Told;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::dispatcher::WeakDispatch;
use tracing::{Id, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::semconv::KeyTable;

/// What the layer writes into and the worker reads from.
pub struct Source {
    callsites: Callsites,
    lanes: Lanes,
    /// The subscriber that the layer is part of.
    dispatch: OnceLock<WeakDispatch>,
    /// Whether the OpenTelemetry layer has given any span its ids.
    has_otel: AtomicBool,
}

impl Source {
    /// A source for a deriver that reads these dimensions.
    pub fn new<'k>(dimensions: impl IntoIterator<Item = &'k str>, patterns: Vec<Pattern>, limits: &Limits) -> Source {
        Source {
            callsites: Callsites::new(KeyTable::with(dimensions), patterns),
            lanes: Lanes::new(limits.life_bytes, limits.content_bytes),
            dispatch: OnceLock::new(),
            has_otel: AtomicBool::new(false),
        }
    }

    /// Whether the registry still has a span; nothing if the registry is gone.
    fn registry(&self) -> Option<impl Fn(u64) -> bool + use<>> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        dispatch.downcast_ref::<Registry>()?;
        Some(move |id| {
            let registry = dispatch.downcast_ref::<Registry>();
            registry.is_some_and(|registry| registry.span_data(&Id::from_u64(id)).is_some())
        })
    }

    /// Whether there is an OpenTelemetry layer beside ours, as far as it is known.
    fn has_otel(&self) -> bool {
        self.has_otel.load(Relaxed)
    }

    /// Whether spans or log events of a callsite matter here.
    pub fn is_ours(&self, metadata: &'static Metadata<'static>) -> bool {
        self.callsites.find(metadata).is_some()
    }

    /// The lanes, for whoever wakes the worker and shows what was dropped.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }
}
