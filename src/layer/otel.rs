//! The ids of the OpenTelemetry layer, where there is one beside ours.
//!
//! Asking for them starts the OpenTelemetry span, after which its parent cannot be set any more. So they are asked
//! for when a span is entered first: an inbound `traceparent` must be set before that anyway.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::Dispatch;
use tracing::span::Id;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use super::command::Value;
use super::set::Settable;
use crate::semconv::Key;

/// Whether there is an OpenTelemetry layer beside ours, as far as it is known.
#[derive(Debug, Default)]
pub struct Presence(AtomicU8);

impl Presence {
    const ABSENT: u8 = 1;
    const PRESENT: u8 = 2;

    /// It was asked for ids, and gave some or none. Some spans may be filtered from it, so one answer with ids counts for
    /// more than any number without; but whoever is asked in vain first is probably not there.
    pub fn has_answered(&self, gave_some: bool) {
        let seen = if gave_some { Presence::PRESENT } else { Presence::ABSENT };
        if self.0.load(Relaxed) < seen {
            self.0.store(seen, Relaxed);
        }
    }

    /// Whether it is there, or was never asked.
    pub fn may_be_there(&self) -> bool {
        self.0.load(Relaxed) != Presence::ABSENT
    }
}

/// A trace id and a span id.
pub type RawIds = [u8; 24];

/// Sets a field on the OpenTelemetry span as well: what goes to trace backends should say no less.
pub fn mirror(dispatch: &Dispatch, id: u64, field: Settable, value: &Value<'_>) {
    let id = Id::from_u64(id);
    let Some(context) = get_otel_context(&id, dispatch) else { return };
    let span = context.span();
    if let (Settable::Error, Value::Text(text)) = (field, value) {
        span.set_status(Status::error((*text).to_owned()));
        return;
    }
    let metadata = dispatch.downcast_ref::<Registry>().and_then(|registry| Some(registry.span(&id)?.metadata()));
    let is_tool = metadata.is_some_and(|metadata| metadata.fields().field(Key::GEN_AI_TOOL_NAME.name()).is_some());
    let value = match value {
        Value::Bool(truth) => opentelemetry::Value::Bool(*truth),
        Value::Int(number) => opentelemetry::Value::I64(*number),
        Value::Uint(number) => opentelemetry::Value::F64(*number as f64),
        Value::Double(number) => opentelemetry::Value::F64(*number),
        Value::Text(text) => opentelemetry::Value::String((*text).to_owned().into()),
    };
    span.set_attribute(KeyValue::new(field.name(is_tool), value));
}

/// The ids of a span, if the OpenTelemetry layer has given it any.
pub fn read(id: &Id, dispatch: &Dispatch) -> Option<RawIds> {
    let context = get_otel_context(id, dispatch)?;
    let span = context.span();
    let span = span.span_context();
    let mut ids = [0; 24];
    ids[..16].copy_from_slice(&span.trace_id().to_bytes());
    ids[16..].copy_from_slice(&span.span_id().to_bytes());
    span.is_valid().then_some(ids)
}
