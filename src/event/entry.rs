//! An event as an entry of a stream, such as Redis has them: fields and values that are all text.

use serde_json::{Map, Number, Value};

use super::read::read_value;
use super::{Event, ReadError, Source, Timestamp};

/// Reads an entry: one field that holds an event as JSON (`event`, `data`, `payload` …), or a field for each member,
/// in any of the forms that [`super::read_events`] takes. Values that are JSON in their turn, numbers and truth values
/// are read as such where they are no names, ids or texts for people.
///
/// ```
/// use spanlight::event::{Source, SourceKind, Timestamp, read_stream_entry};
///
/// let source = Source { kind: SourceKind::Redis, dialect: None, instance: None, service: None };
/// let fields: [(&str, &[u8]); 3] = [
///     ("event_type", b"TOOL_USAGE"),
///     ("source_agent", br#"{"id": "neuroscientist", "role": "Neuroscientist"}"#),
///     ("payload", br#"{"tool_name": "search"}"#),
/// ];
/// let events = read_stream_entry(fields, &source, Timestamp::now()).unwrap();
/// assert_eq!(events[0].name.as_str(), "tool.completed");
/// assert_eq!(events[0].dimensions.tool.as_deref(), Some("search"));
/// ```
///
/// # Errors
/// Those of [`super::read_events`], and a value that is no UTF-8.
pub fn read_stream_entry<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    source: &Source,
    now: Timestamp,
) -> Result<Vec<Event>, ReadError> {
    let mut entry = Map::new();
    for (field, value) in fields {
        let text = std::str::from_utf8(value)
            .map_err(|_| ReadError(format!("the value of the field `{field}` is no UTF-8 text")))?;
        entry.extend(meant(field, text).map(|value| (field.to_owned(), value)));
    }
    read_value(Value::Object(entry), source, now)
}

/// What a text stands for that had to be written because a stream has nothing else.
fn meant(field: &str, text: &str) -> Option<Value> {
    // A piece of an answer may well be a piece of JSON.
    let may_be_json = text.starts_with(['{', '[']) && field != "chunk";
    if may_be_json && let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    // What clients write for a value that is absent, because leaving a field out takes a branch.
    if matches!(text, "" | "null" | "None" | "undefined") {
        return None;
    }
    if is_text(field) {
        return Some(text.into());
    }
    Some(match text {
        "true" | "True" => true.into(),
        "false" | "False" => false.into(),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    })
}

/// The number, unless digits would be lost.
fn number(text: &str) -> Option<Number> {
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) if !number.is_f64() || text.len() <= 17 => Some(number),
        _ => None,
    }
}

/// Fields whose values stay what they are even where they look like a number.
fn is_text(field: &str) -> bool {
    let word = super::aliases::plain(field);
    word.ends_with("id") || word.ends_with("name") || TEXTS.contains(&word.as_str())
}

static TEXTS: &[&str] = &[
    "agent",
    "chunk",
    "comment",
    "content",
    "error",
    "feature",
    "hypothesis",
    "input",
    "key",
    "last_error",
    "message",
    "model",
    "output",
    "provider",
    "query",
    "response",
    "source",
    "text",
    "tool",
];

#[cfg(test)]
mod tests {
    use super::super::SourceKind;
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Vec<Event>, ReadError> {
        let source = Source { kind: SourceKind::Redis, dialect: None, instance: None, service: None };
        let fields = fields.iter().map(|(field, value)| (*field, value.as_bytes()));
        read_stream_entry(fields, &source, Timestamp::from_unix_seconds(1e9))
    }

    fn one(fields: &[(&str, &str)]) -> Event {
        read(fields).unwrap().remove(0)
    }

    #[test]
    fn a_field_for_each_member() {
        let event = one(&[
            ("event_type", "agent_execution_completed"),
            ("timestamp", "1706092200.5"),
            ("trace_id", "None"),
            ("session_id", "17"),
            ("source_agent", r#"{"id":"neuroscientist","role":"Neuroscientist"}"#),
            ("payload", r#"{"output":"done"}"#),
            ("performance_metrics", r#"{"latency_ms":1234,"token_cost":0.05,"success":true}"#),
            ("attempts", "3"),
            ("hit", "True"),
            ("key", "007"),
        ]);
        assert_eq!((event.name.as_str(), event.source.kind), ("agent.completed", SourceKind::Redis));
        assert_eq!(event.timestamp.to_string(), "2024-01-24T10:30:00.500000Z");
        assert_eq!((event.trace_id, event.identity.session_id.as_deref()), (None, Some("17")));
        assert_eq!(event.dimensions.agent.as_deref(), Some("neuroscientist"));
        assert_eq!((event.performance.duration_ms, event.performance.cost_usd), (Some(1234.0), Some(0.05)));
        let data = |key| event.data.get(key);
        assert_eq!(
            (data("attempts"), data("hit"), data("key")),
            (Some(3.into()), Some(true.into()), Some("007".into()))
        );
    }

    #[test]
    fn a_field_that_holds_the_event() {
        let json = r#"{"event_type":"task_queued","timestamp":1697123395.123,"payload":{"task_id":"t_1"}}"#;
        for field in ["event", "data", "payload", "message", "json", "value"] {
            let event = one(&[(field, json)]);
            assert_eq!(
                (event.name.as_str(), event.identity.task_id.as_deref()),
                ("task.queued", Some("t_1")),
                "{field}"
            );
            let event = one(&[("event_type", "TASK_QUEUED"), ("id", "5"), ("user_id", "u"), (field, json)]);
            assert_eq!(
                (event.name.as_str(), event.identity.task_id.as_deref()),
                ("task.queued", Some("t_1")),
                "{field}"
            );
            assert_eq!((event.timestamp.as_seconds(), event.identity.user_id.as_deref()), (1_697_123_395, Some("u")));
        }
        let native = one(&[("data", json)]);
        assert_eq!(one(&[("event", &native.to_json()), ("offset", "7")]), native);
    }

    #[test]
    fn what_is_none_says_what_is_missing() {
        let error = |fields: &[(&str, &str)]| read(fields).unwrap_err().to_string();
        assert!(error(&[("hello", "world")]).contains("needs a `name`"));
        assert!(error(&[]).contains("needs a `name`"));
        assert!(error(&[("data", "[1]")]).contains("needs a `name`"));
        let source = Source { kind: SourceKind::Redis, dialect: None, instance: None, service: None };
        let broken: [(&str, &[u8]); 1] = [("event_type", b"\xff")];
        let error = read_stream_entry(broken, &source, Timestamp::from_unix_seconds(1e9)).unwrap_err();
        assert!(error.to_string().contains("`event_type` is no UTF-8"));
    }
}
