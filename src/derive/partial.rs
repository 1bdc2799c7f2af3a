//! Spans that go on, as partial span processors send them: a log record now and then with the span as it stands, and one
//! when it has ended.

use crate::otlp::json::from_json;
use crate::otlp::view::{AnyValue, LogRecord};
use crate::otlp::{Batch, Signal};

/// The attribute by which such a record is known: `heartbeat` or `stop`.
const PARTIAL_EVENT: &str = "partial.event";

/// The span that a record holds; nothing for records of other kinds. One without an end goes on.
pub fn partial_span(record: &LogRecord<'_>) -> Option<Batch> {
    record.attributes().find(|attribute| attribute.key == *PARTIAL_EVENT)?;
    let bytes = match record.body {
        AnyValue::String(text) => from_json(text.as_str().as_bytes(), Signal::Traces.schema()).ok()?,
        AnyValue::Bytes(bytes) => bytes.to_vec(),
        _ => return None,
    };
    Some(Batch::read(Signal::Traces, bytes.into()).ok()?.batch)
}
