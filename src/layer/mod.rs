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
pub use visit::values_cut;

use std::sync::OnceLock;

use tracing::dispatcher::WeakDispatch;
use tracing::{Dispatch, Id, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use crate::semconv::KeyTable;

/// What the layer writes into and the worker reads from.
pub struct Source {
    callsites: Callsites,
    lanes: Lanes,
    /// The subscriber that the layer is part of.
    dispatch: OnceLock<WeakDispatch>,
    /// Whether there is an OpenTelemetry layer beside ours.
    otel: otel::Presence,
}

impl Source {
    /// A source for a deriver that reads these dimensions.
    pub fn new<'k>(dimensions: impl IntoIterator<Item = &'k str>, patterns: Vec<Pattern>, limits: &Limits) -> Source {
        Source {
            callsites: Callsites::new(KeyTable::with(dimensions), patterns),
            lanes: Lanes::new(limits.life_bytes, limits.content_bytes),
            dispatch: OnceLock::new(),
            otel: otel::Presence::default(),
        }
    }

    /// Those of some spans that the registry does not know any more.
    fn gone(&self, spans: impl Iterator<Item = u64>) -> Vec<u64> {
        let gone = self.within_subscriber(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            Some(spans.filter(|id| registry.span_data(&Id::from_u64(*id)).is_none()).collect())
        });
        gone.flatten().unwrap_or_default()
    }

    /// The ids of a span that was not entered, from the OpenTelemetry layer if there may be one.
    fn otel_ids(&self, span: u64) -> Option<otel::RawIds> {
        if !self.otel.may_be_there() {
            return None;
        }
        self.within_subscriber(|dispatch| self.ask_otel(&Id::from_u64(span), dispatch)).flatten()
    }

    /// The ids that the OpenTelemetry layer gives a span; and whether it gives any is known from then on.
    fn ask_otel(&self, id: &Id, dispatch: &Dispatch) -> Option<otel::RawIds> {
        let ids = otel::read(id, dispatch);
        self.otel.has_answered(ids.is_some());
        ids
    }

    /// The subscriber that the layer is part of, as long as anybody has it.
    fn subscriber(&self) -> Option<Dispatch> {
        self.dispatch.get()?.upgrade()
    }

    /// Works with the subscriber on a thread that has another. Should the last reference to a span be dropped here, the
    /// registry closes it with the current one.
    fn within_subscriber<T>(&self, work: impl FnOnce(&Dispatch) -> T) -> Option<T> {
        let dispatch = self.subscriber()?;
        Some(tracing::dispatcher::with_default(&dispatch, || work(&dispatch)))
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
