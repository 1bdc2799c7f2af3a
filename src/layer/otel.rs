//! The ids of the OpenTelemetry layer, where there is one beside ours.
//!
//! Asking for them starts the OpenTelemetry span, after which its parent cannot be set any more. So they are asked
//! for when a span is entered first: an inbound `traceparent` must be set before that anyway.

use opentelemetry::trace::TraceContextExt;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;
use tracing_opentelemetry::get_otel_context;

use super::recent::Recent;

/// Reads the ids of each span once.
#[derive(Debug, Default)]
pub struct Ids {
    asked: Recent,
}

/// A trace id and a span id.
pub type RawIds = [u8; 24];

impl Ids {
    /// Nothing has been asked of a span that is new.
    #[inline]
    pub fn forget(&self, id: &Id) {
        self.asked.remember(id.into_u64(), false);
    }

    /// The ids of a span, the first time that this thread asks. There are none without an OpenTelemetry layer, and
    /// for spans that are filtered from it.
    #[inline]
    pub fn read_once(&self, id: &Id, dispatch: Option<&WeakDispatch>) -> Option<RawIds> {
        if self.asked.recall(id.into_u64()) == Some(true) {
            return None;
        }
        self.asked.remember(id.into_u64(), true);
        read(id, dispatch)
    }
}

/// The ids of a span, if the OpenTelemetry layer has given it any.
pub fn read(id: &Id, dispatch: Option<&WeakDispatch>) -> Option<RawIds> {
    let context = get_otel_context(id, &dispatch?.upgrade()?)?;
    let span = context.span();
    let span = span.span_context();
    let mut ids = [0; 24];
    ids[..16].copy_from_slice(&span.trace_id().to_bytes());
    ids[16..].copy_from_slice(&span.span_id().to_bytes());
    span.is_valid().then_some(ids)
}
