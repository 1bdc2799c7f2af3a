//! Spans that go on, told by log records: processors of partial spans send each open span every few seconds as a
//! log record whose body is the span, and once more when it has ended.

use serde_json::Value;

use super::{Deriver, Output};
use crate::event::Timestamp;
use crate::otlp::json::from_json;
use crate::otlp::view::{AnyValue, LogRecord};
use crate::otlp::{Batch, Signal};
use crate::semconv::PARTIAL_EVENT;

impl Deriver {
    /// Takes in the span that a log record carries; whether it carries one.
    pub(super) fn partial_span(&mut self, record: &LogRecord<'_>, now: Timestamp, out: &mut Output) -> bool {
        if !record.attributes().any(|attribute| attribute.key == *PARTIAL_EVENT) {
            return false;
        }
        match spans_in(record.body) {
            Some(spans) => self.live_spans(&spans, now, out),
            None => self.counts.unreadable_partial_spans += 1,
        }
        true
    }
}

/// The spans in a body: OTLP as JSON or as protobuf.
fn spans_in(body: AnyValue<'_>) -> Option<Batch> {
    let bytes = match body {
        AnyValue::String(text) => {
            let mut json: Value = serde_json::from_str(text.as_str()).ok()?;
            without_names_of_enums(&mut json);
            from_json(json.to_string().as_bytes(), Signal::Traces.schema()).ok()?
        }
        AnyValue::Bytes(bytes) => bytes.to_vec(),
        _ => return None,
    };
    Some(Batch::read(Signal::Traces, bytes.into()).ok()?.batch)
}

/// Protobuf's own JSON has names for enums where OTLP has numbers. Of these only the status means anything here.
fn without_names_of_enums(json: &mut Value) {
    match json {
        Value::Object(members) => {
            if members.get("kind").is_some_and(Value::is_string) {
                members.remove("kind");
            }
            let status = members.get_mut("status").and_then(|status| status.get_mut("code"));
            if let Some(code) = status.filter(|code| code.is_string()) {
                let number = match code.as_str() {
                    Some("STATUS_CODE_ERROR") => 2,
                    Some("STATUS_CODE_OK") => 1,
                    _ => 0,
                };
                *code = number.into();
            }
            members.values_mut().for_each(without_names_of_enums);
        }
        Value::Array(values) => values.iter_mut().for_each(without_names_of_enums),
        _ => {}
    }
}
