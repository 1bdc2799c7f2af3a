//! Domain events as log records, and back: an event that crosses OTLP is the same event afterwards.
//!
//! `event_name` is the event's name, the body its payload. Fields that the conventions have a name for stand
//! under it (`gen_ai.*`, `session.id`, …), all others under `spanlight.*`.

use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::batch::{Batch, Signal};
use super::check::MAX_DEPTH;
use super::view::{AnyValue, Group, KeyValue, LogRecord};
use super::wire::{put_bytes, put_f64, put_fixed64, put_message, put_u64};
use crate::event::figures::{LONGEST_MS, MOST_USD, is_possible};
use crate::event::{
    ComponentId, Data, Event, EventId, EventName, EventType, NO_REASON, Priority, Scope, Source, SourceKind, SpanId,
    Status, Timestamp, TraceId, catalogue, message,
};
use crate::semconv::{Key, resource, spanlight};

/// The scope under which Spanlight's own records go out.
const SCOPE_NAME: &str = "spanlight";

/// Severity numbers of the log data model.
const INFO: u64 = 9;
const ERROR: u64 = 17;

/// The events as one batch of log records, those of one emitter together.
pub fn to_batch<'e>(events: impl IntoIterator<Item = &'e Event>) -> Batch {
    let mut emitters: Vec<(&Source, Vec<&Event>)> = Vec::new();
    for event in events {
        let same = |source: &Source| source.service == event.source.service && source.instance == event.source.instance;
        match emitters.iter_mut().find(|(source, _)| same(source)) {
            Some((_, events)) => events.push(event),
            None => emitters.push((&event.source, vec![event])),
        }
    }
    let mut out = Vec::new();
    for (source, events) in &emitters {
        put_message(&mut out, 1, |out| {
            put_message(out, 1, |out| {
                put_opt_text(out, 1, resource::SERVICE_NAME, source.service.as_deref());
                put_opt_text(out, 1, resource::SERVICE_INSTANCE_ID, source.instance.as_deref());
            });
            put_message(out, 2, |out| {
                put_message(out, 1, |out| {
                    put_bytes(out, 1, SCOPE_NAME.as_bytes());
                    put_bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                events.iter().for_each(|event| put_message(out, 2, |out| put_record(out, event)));
            });
        });
    }
    Batch::encoded(Signal::Logs, out, emitters.iter().map(|(_, events)| events.len()).sum())
}

fn put_record(out: &mut Vec<u8>, event: &Event) {
    put_fixed64(out, 1, event.timestamp.as_unix_nanos());
    let (severity, text) = if event.status == Status::Failed { (ERROR, "ERROR") } else { (INFO, "INFO") };
    put_u64(out, 2, severity);
    put_bytes(out, 3, text.as_bytes());
    put_message(out, 5, |out| put_json(out, &Value::Object(event.data.to_map()), DEEPEST));
    put_attributes(out, event);
    if let Some(id) = event.trace_id {
        put_bytes(out, 9, id.as_bytes());
    }
    if let Some(id) = event.span_id {
        put_bytes(out, 10, id.as_bytes());
    }
    put_fixed64(out, 11, event.observed_at.as_unix_nanos());
    put_bytes(out, 12, event.name.as_str().as_bytes());
}

/// The number of a log record's attributes.
const ATTRIBUTES: u32 = 6;

fn put_attributes(out: &mut Vec<u8>, event: &Event) {
    let mut text = |key: &str, value: Option<&str>| put_opt_text(out, ATTRIBUTES, key, value);
    text(spanlight::EVENT_ID, Some(&event.event_id.to_string()));
    text(spanlight::SCOPE, Some(event.scope.as_str()));
    text(spanlight::TYPE, Some(event.event_type.as_str()));
    text(spanlight::STATUS, Some(event.status.as_str()));
    text(spanlight::COMPONENT_ID, Some(&event.component_id.to_string()));
    text(spanlight::MESSAGE, event.message.as_deref());
    text(spanlight::PARENT_SPAN_ID, event.parent_span_id.map(|id| id.to_string()).as_deref());
    text(spanlight::SOURCE_KIND, Some(event.source.kind.as_str()));
    text(spanlight::SOURCE_DIALECT, event.source.dialect.as_deref());
    for (key, get, _) in TEXT_FIELDS {
        text(key, get(event).as_deref());
    }
    if event.priority != Priority::default() {
        put_number(out, spanlight::PRIORITY, u64::from(event.priority.get()));
    }
    if let Some(ttl) = event.ttl_s {
        put_number(out, spanlight::TTL_S, ttl);
    }
    if !event.tags.is_empty() {
        let tags = event.tags.iter().map(|tag| Value::String(tag.to_string())).collect();
        put_value(out, spanlight::TAGS, &Value::Array(tags));
    }
    let performance = &event.performance;
    for (key, count) in [
        (Key::GEN_AI_USAGE_INPUT_TOKENS.name(), performance.input_tokens),
        (Key::GEN_AI_USAGE_OUTPUT_TOKENS.name(), performance.output_tokens),
        (Key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS.name(), performance.cache_read_tokens),
        (Key::GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS.name(), performance.cache_write_tokens),
        (Key::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS.name(), performance.reasoning_tokens),
    ] {
        if let Some(count) = count {
            put_number(out, key, count);
        }
    }
    for (key, number) in [
        (spanlight::DURATION_MS, performance.duration_ms),
        (spanlight::COST_USD, performance.cost_usd),
        (spanlight::TTFT_MS, performance.ttft_ms),
        (spanlight::CONFIDENCE, performance.confidence),
    ] {
        if let Some(number) = number.and_then(Number::from_f64) {
            put_value(out, key, &Value::Number(number));
        }
    }
    if let Some(success) = performance.success {
        put_value(out, spanlight::SUCCESS, &Value::Bool(success));
    }
}

/// A field of an event that is text: its attribute, how it is read, and how it is set.
type TextField = (&'static str, fn(&Event) -> &Option<Arc<str>>, fn(&mut Event) -> &mut Option<Arc<str>>);

macro_rules! text_field {
    ($key:expr, $group:ident.$field:ident) => {
        ($key, |event| &event.$group.$field, |event| &mut event.$group.$field)
    };
}

const TEXT_FIELDS: &[TextField] = &[
    text_field!(spanlight::WORKFLOW_ID, identity.workflow_id),
    text_field!(spanlight::PARENT_WORKFLOW_ID, identity.parent_workflow_id),
    text_field!(spanlight::EXECUTION_ID, identity.execution_id),
    text_field!("gen_ai.conversation.id", identity.conversation_id),
    text_field!("session.id", identity.session_id),
    text_field!("user.id", identity.user_id),
    text_field!(spanlight::CORRELATION_ID, identity.correlation_id),
    text_field!(spanlight::TASK_ID, identity.task_id),
    text_field!(spanlight::FEATURE, dimensions.feature),
    text_field!("gen_ai.agent.name", dimensions.agent),
    text_field!("gen_ai.response.model", dimensions.model),
    text_field!("gen_ai.provider.name", dimensions.provider),
    text_field!("gen_ai.tool.name", dimensions.tool),
];

fn put_opt_text(out: &mut Vec<u8>, number: u32, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        put_message(out, number, |out| {
            put_bytes(out, 1, key.as_bytes());
            put_message(out, 2, |out| put_bytes(out, 1, value.as_bytes()));
        });
    }
}

fn put_number(out: &mut Vec<u8>, key: &str, number: u64) {
    put_value(out, key, &Value::Number(number.into()));
}

fn put_value(out: &mut Vec<u8>, key: &str, value: &Value) {
    put_message(out, ATTRIBUTES, |out| {
        put_bytes(out, 1, key.as_bytes());
        put_message(out, 2, |out| put_json(out, value, DEEPEST));
    });
}

/// How many messages may be nested in a value of a record, which is in five messages itself at most.
const DEEPEST: u32 = MAX_DEPTH - 5;

/// Appends the fields of the `AnyValue` of a JSON value. What would be nested deeper than `depth` messages goes as
/// JSON text: a reader that refuses it would refuse the whole batch.
fn put_json(out: &mut Vec<u8>, value: &Value, depth: u32) {
    match value {
        // Three messages are between an object and its members, two between an array and its items.
        Value::Array(_) | Value::Object(_) if depth < 3 => put_bytes(out, 1, value.to_string().as_bytes()),
        Value::Null => {}
        Value::Bool(truth) => put_u64(out, 2, u64::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => put_u64(out, 3, number as u64),
            (None, number) => put_f64(out, 4, number.unwrap_or(f64::NAN)),
        },
        Value::String(text) => put_bytes(out, 1, text.as_bytes()),
        Value::Array(items) => put_message(out, 5, |out| {
            items.iter().for_each(|item| put_message(out, 1, |out| put_json(out, item, depth - 2)));
        }),
        Value::Object(map) => put_message(out, 6, |out| {
            for (key, value) in map {
                put_message(out, 1, |out| {
                    put_bytes(out, 1, key.as_bytes());
                    put_message(out, 2, |out| put_json(out, value, depth - 3));
                });
            }
        }),
    }
}

/// The event that a log record is, if it is one: its name is in the catalogue, or it carries our id.
pub fn to_event(group: &Group<'_>, record: &LogRecord<'_>, now: Timestamp) -> Option<Event> {
    if !may_be_event(record) {
        return None;
    }
    let mut attributes: Map<String, Value> =
        record.attributes().map(|KeyValue { key, value }| (key.to_string(), from_any(value))).collect();
    let name = match record.event_name.as_str() {
        "" => attributes.get("event.name")?.as_str().and_then(EventName::parse)?,
        name => EventName::parse(name)?,
    };
    let id = attributes.remove(spanlight::EVENT_ID);
    let id = id.as_ref().and_then(Value::as_str).and_then(EventId::parse);
    if id.is_none() && catalogue::entry(name.as_str()).is_none() {
        return None;
    }
    let nanos = if record.time_unix_nano > 0 { record.time_unix_nano } else { record.observed_time_unix_nano };
    let timestamp = if nanos > 0 { Timestamp::from_unix_nanos(nanos) } else { now };
    let mut event = Event::named(name, timestamp);
    event.event_id = id.unwrap_or(event.event_id);
    event.observed_at = match record.observed_time_unix_nano {
        0 => now,
        nanos => Timestamp::from_unix_nanos(nanos),
    };
    event.trace_id = TraceId::from_bytes(record.trace_id);
    event.span_id = SpanId::from_bytes(record.span_id);
    read_kind(&mut event, &mut attributes);
    read_texts(&mut event, &mut attributes);
    read_performance(&mut event, &mut attributes);
    event.source = source_of(group, &mut attributes);
    event.data = data_of(record, attributes);
    Some(event)
}

/// Whether a record may be an event of ours, without a copy of all that it says: most are not.
fn may_be_event(record: &LogRecord<'_>) -> bool {
    let said = |key: &str| record.attributes().find(|attribute| attribute.key == *key);
    let named = || said("event.name").and_then(|attribute| attribute.value.text());
    let name = if record.event_name.is_empty() { named() } else { Some(record.event_name) };
    let is_known = name.is_some_and(|name| catalogue::entry(name.as_str()).is_some());
    is_known || said(spanlight::EVENT_ID).is_some()
}

fn read_kind(event: &mut Event, attributes: &mut Map<String, Value>) {
    let mut take = |key: &str| match attributes.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    event.scope = take(spanlight::SCOPE).and_then(|word| Scope::parse(&word)).unwrap_or(event.scope);
    event.event_type = take(spanlight::TYPE).and_then(|word| EventType::parse(&word)).unwrap_or(event.event_type);
    event.status = take(spanlight::STATUS).and_then(|word| Status::parse(&word)).unwrap_or(event.status);
    event.message = take(spanlight::MESSAGE).map(|text| message(&text));
    event.parent_span_id = take(spanlight::PARENT_SPAN_ID).and_then(|id| SpanId::from_hex(&id));
    let component = take(spanlight::COMPONENT_ID).map(|id| ComponentId::parse(event.scope, &id));
    if event.message.is_none() && event.status == Status::Failed {
        event.message = Some(NO_REASON.into());
    }
    let priority = attributes.remove(spanlight::PRIORITY).and_then(|value| value.as_u64());
    event.priority = priority.and_then(|number| Priority::new(number.min(255) as u8)).unwrap_or_default();
    event.ttl_s = attributes.remove(spanlight::TTL_S).and_then(|value| value.as_u64());
    if let Some(Value::Array(tags)) = attributes.remove(spanlight::TAGS) {
        event.tags = tags.iter().filter_map(Value::as_str).map(Arc::from).collect();
    }
    if let Some(component) = component {
        event.component_id = component;
    }
}

fn read_texts(event: &mut Event, attributes: &mut Map<String, Value>) {
    for (key, _, set) in TEXT_FIELDS {
        match attributes.remove(*key) {
            Some(Value::String(text)) => *set(event) = Some(text.into()),
            Some(other) => {
                attributes.insert((*key).to_owned(), other);
            }
            None => {}
        }
    }
    let request_model = Key::GEN_AI_REQUEST_MODEL.name();
    if event.dimensions.model.is_none()
        && let Some(Value::String(model)) = attributes.remove(request_model)
    {
        event.dimensions.model = Some(model.into());
    }
    let own = match event.scope {
        Scope::Agent => event.dimensions.agent.clone().map(ComponentId::Agent),
        Scope::Tool => event.dimensions.tool.clone().map(|name| ComponentId::Tool { name, number: None }),
        _ => None,
    };
    if let (ComponentId::System(_), Some(own)) = (&event.component_id, own) {
        event.component_id = own;
    }
}

fn read_performance(event: &mut Event, attributes: &mut Map<String, Value>) {
    let performance = &mut event.performance;
    let mut count = |key: Key| attributes.remove(key.name()).and_then(|value| value.as_u64());
    performance.input_tokens = count(Key::GEN_AI_USAGE_INPUT_TOKENS);
    performance.output_tokens = count(Key::GEN_AI_USAGE_OUTPUT_TOKENS);
    performance.cache_read_tokens = count(Key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS);
    performance.cache_write_tokens = count(Key::GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS);
    performance.reasoning_tokens = count(Key::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS);
    let mut number = |key: &str| attributes.remove(key).and_then(|value| value.as_f64());
    // A record is taken without figures that cannot be: its other attributes may be another program's.
    let mut figure = |key: &str, most: f64| number(key).filter(|figure| is_possible(*figure, most));
    performance.duration_ms = figure(spanlight::DURATION_MS, LONGEST_MS);
    performance.cost_usd = figure(spanlight::COST_USD, MOST_USD);
    performance.ttft_ms = figure(spanlight::TTFT_MS, LONGEST_MS);
    performance.confidence = number(spanlight::CONFIDENCE);
    performance.success = attributes.remove(spanlight::SUCCESS).and_then(|value| value.as_bool());
}

fn source_of(group: &Group<'_>, attributes: &mut Map<String, Value>) -> Source {
    let of_resource = |key: &str| {
        let text = group.resource.get(key).and_then(AnyValue::text).map(|text| text.as_str());
        text.filter(|text| !text.is_empty()).map(Arc::from)
    };
    let kind = attributes.remove(spanlight::SOURCE_KIND);
    let dialect = attributes.remove(spanlight::SOURCE_DIALECT);
    Source {
        kind: kind.as_ref().and_then(Value::as_str).and_then(SourceKind::parse).unwrap_or(SourceKind::Otlp),
        dialect: dialect.as_ref().and_then(Value::as_str).map(|name| name.to_owned().into()),
        instance: of_resource(resource::SERVICE_INSTANCE_ID),
        service: of_resource(resource::SERVICE_NAME),
    }
}

/// The body if it is a map, else the body as `body`, and whatever attributes nobody else has taken.
fn data_of(record: &LogRecord<'_>, attributes: Map<String, Value>) -> Data {
    let mut data = match from_any(record.body) {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        body => Map::from_iter([("body".to_owned(), body)]),
    };
    for (key, value) in attributes.into_iter().filter(|(key, _)| key != "event.name") {
        data.entry(key).or_insert(value);
    }
    Data::from_map(&data)
}

/// A received value as JSON.
fn from_any(value: AnyValue<'_>) -> Value {
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::String(text) => Value::String(text.to_string()),
        AnyValue::Bool(truth) => Value::Bool(truth),
        AnyValue::Int(number) => Value::Number(number.into()),
        AnyValue::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        AnyValue::Bytes(bytes) => {
            use base64::Engine;
            Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        AnyValue::Array(array) => Value::Array(array.values().map(from_any).collect()),
        AnyValue::Map(map) => {
            Value::Object(map.entries().map(|entry| (entry.key.to_string(), from_any(entry.value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SourceKind, read_events};

    fn back(event: &Event) -> Event {
        let batch = to_batch([event]);
        let checked = Batch::read(Signal::Logs, batch.bytes().clone()).unwrap().batch;
        assert_eq!(checked.items(), batch.items());
        let group = checked.groups().next().unwrap();
        to_event(&group, &group.log_records().next().unwrap(), Timestamp::default()).unwrap()
    }

    #[test]
    fn an_event_that_crosses_otlp_is_the_same_event() {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let bodies = [
            r#"{"name":"tool.failed","component_id":"search:2","timestamp":"2026-11-21T06:28:00.000001Z","message":"timed out","trace_id":"000102030405060708090a0b0c0d0e0f","span_id":"0001020304050607","parent_span_id":"0001020304050608","workflow_id":"w","parent_workflow_id":"pw","execution_id":"e","conversation_id":"c","session_id":"s","user_id":"u","correlation_id":"k","task_id":"t","feature":"f","agent":"a","model":"m","provider":"p","tool":"search","priority":1,"ttl_s":60,"tags":["x","y"],"performance":{"duration_ms":12.5,"cost_usd":0.001,"input_tokens":5,"output_tokens":6,"cache_read_tokens":1,"cache_write_tokens":2,"reasoning_tokens":3,"ttft_ms":1.5,"success":false,"confidence":0.5},"data":{"error_code":"TIMEOUT","n":[1,2.5,null,{"a":true}]},"source":{"kind":"http","dialect":"d","instance":"i","service":"s"}}"#,
            r#"{"name":"custom.thing"}"#,
            r#"{"name":"agent.started","agent":"scribe"}"#,
        ];
        for body in bodies {
            let event =
                read_events(body.as_bytes(), &source, Timestamp::from_unix_seconds(1e9)).remove(0).unwrap().remove(0);
            assert_eq!(back(&event), event);
        }
    }

    #[test]
    fn data_of_any_depth_makes_a_record_that_can_be_read() {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        for depth in 1..120 {
            for (open, close) in [("[", "]"), (r#"{"x":"#, "}"), (r#"[{"x":"#, "}]"), (r#"{"x":["#, "]}"), ("[[", "]]")]
            {
                let data = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let body = format!(r#"{{"name":"custom.deep","data":{{"a":{data}}}}}"#);
                let Ok(mut events) = read_events(body.as_bytes(), &source, Timestamp::default()).remove(0) else {
                    continue;
                };
                let event = events.remove(0);
                let read = back(&event);
                assert!(depth > 15 || read == event, "{body}");
                assert!(!read.data.is_empty(), "{body}");
            }
        }
    }

    #[test]
    fn a_record_of_another_program_is_an_event_by_its_name_only() {
        let record = |name: &str| {
            let mut out = Vec::new();
            put_message(&mut out, 1, |out| {
                put_message(out, 2, |out| {
                    put_message(out, 2, |out| {
                        put_bytes(out, 12, name.as_bytes());
                        put_opt_text(out, ATTRIBUTES, "gen_ai.agent.name", Some("critic"));
                        put_opt_text(out, ATTRIBUTES, "decision", Some("rejected"));
                    });
                });
            });
            let batch = Batch::read(Signal::Logs, out.into()).unwrap().batch;
            let group = batch.groups().next().unwrap();
            to_event(&group, &group.log_records().next().unwrap(), Timestamp::default())
        };
        let event = record("review.decided").unwrap();
        assert_eq!(event.component_id.to_string(), "critic");
        assert_eq!(event.data.get("decision"), Some("rejected".into()));
        assert!(record("device.app.lifecycle").is_none());
        assert!(record("").is_none());
    }
}
