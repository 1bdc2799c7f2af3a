//! Messages in events of the span, one in each, as the conventions had them before there were attributes for all.

use serde_json::{Map, Value};

use super::{Matter, Side, list};
use crate::dialect::content::is_empty;
use crate::dialect::{Spot, json};
use crate::otlp::view::{AnyValue, Span, SpanEvent};

/// The events that went in, and who speaks in each.
const SAID: &[(&str, &str)] = &[
    ("gen_ai.system.message", "system"),
    ("gen_ai.user.message", "user"),
    ("gen_ai.assistant.message", "assistant"),
    (TOOL_MESSAGE, "tool"),
];

/// The event of a tool: what it is given, on its own span, and what it gave, on that of a call of a model.
const TOOL_MESSAGE: &str = "gen_ai.tool.message";

/// The event that came out.
const CHOICE: &str = "gen_ai.choice";

/// Where some emitters put all members of a message as one JSON.
const BODY: &str = "gen_ai.event.content";

/// The messages of one side.
pub(super) fn messages<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if !spot.span.has_events {
        return None;
    }
    let role = |name: &str| match side {
        Side::Input => SAID.iter().find(|(known, _)| *known == name).map(|(_, role)| *role),
        Side::Output => (name == CHOICE).then_some("assistant"),
    };
    let events = spot.span.events().filter_map(|event| Some(message(&event, role(event.name.as_str())?)));
    list::messages(events.collect(), side).map(Matter::Built)
}

/// What a tool was given or gave, on its own span.
pub(in crate::dialect) fn of_tool<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let (event, key) = match side {
        Side::Input => (TOOL_MESSAGE, "content"),
        Side::Output => (CHOICE, "message"),
    };
    last(spot.span, event, key).map(Matter::Said)
}

fn last<'a>(span: &Span<'a>, name: &str, key: &str) -> Option<AnyValue<'a>> {
    if !span.has_events {
        return None;
    }
    let events = span.events().filter(|event| event.name == *name);
    let values = events.flat_map(|event| event.attributes()).filter(|attribute| attribute.key == *key);
    values.map(|attribute| attribute.value).filter(|value| !is_empty(*value)).last()
}

/// An event as providers write messages.
fn message(event: &SpanEvent<'_>, role: &str) -> Value {
    let mut told = Map::new();
    for attribute in event.attributes() {
        match (attribute.key.as_str(), parsed(attribute.value)) {
            // A whole message within the event, and not only what it says.
            (BODY | "message", Value::Object(within)) if is_message(&within) => told.extend(within),
            (BODY | "message", said) => drop(told.insert("content".into(), said)),
            // What an event of a tool calls its id is that of the call.
            ("id", id) if role == "tool" => drop(told.insert("tool_call_id".into(), id)),
            (key @ ("content" | "role" | "name" | "tool_calls" | "finish_reason"), value) => {
                told.insert(key.into(), value);
            }
            _ => {}
        }
    }
    // A choice whose body has the message within.
    if let Some(Value::Object(within)) = told.remove("message") {
        told.extend(within);
    }
    let said = told.get("role").and_then(Value::as_str);
    if said.is_none_or(|said| role == "tool" || said.is_empty()) {
        told.insert("role".into(), role.into());
    }
    Value::Object(told)
}

fn is_message(object: &Map<String, Value>) -> bool {
    ["role", "content", "tool_calls", "message"].iter().any(|key| object.contains_key(*key))
}

/// A value as JSON, and the JSON in a text as what it says.
fn parsed(value: AnyValue<'_>) -> Value {
    let text = value.text().map(|text| text.as_str()).filter(|text| text.starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| json::value(value))
}
