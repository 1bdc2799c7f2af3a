//! Messages in events of the span or in log records, one in each, as the conventions had them before there were attributes
//! for all.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Matter, Side, list};
use crate::dialect::content::is_empty;
use crate::dialect::{Spot, json};
use crate::otlp::view::{AnyValue, LogRecord, Span};

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
    let events = spot.span.events().filter_map(|event| {
        let (_, role) = speaker(event.name.as_str()).filter(|(of, _)| *of == side)?;
        let members = event.attributes().map(|member| (Cow::Borrowed(member.key.as_str()), json::parsed(member.value)));
        Some(message(members, role))
    });
    list::messages(events.collect(), side).map(Matter::Built)
}

/// The message that a log record of this name is, and its side; none where nothing is said because nobody wants it recorded.
pub fn of_record(name: &str, record: &LogRecord<'_>) -> Option<(Side, Value)> {
    let (side, role) = speaker(name)?;
    let body = match json::parsed(record.body) {
        Value::Object(body) => body,
        Value::Null => Map::new(),
        said => Map::from_iter([("content".to_owned(), said)]),
    };
    let beside = record.attributes().filter(|member| member.key == *BODY);
    let beside = beside.map(|member| (Cow::Borrowed(BODY), json::parsed(member.value)));
    let members = body.into_iter().map(|(key, value)| (Cow::Owned(key), value)).chain(beside);
    let Value::Array(mut said) = list::messages(message(members, role), side)? else { return None };
    let says_something = |message: &Value| message["parts"].as_array().is_some_and(|parts| !parts.is_empty());
    said.pop().filter(says_something).map(|message| (side, message))
}

/// On which side an event is, and who speaks in it.
fn speaker(name: &str) -> Option<(Side, &'static str)> {
    let said = || SAID.iter().find(|(known, _)| *known == name).map(|(_, role)| (Side::Input, *role));
    if name == CHOICE { Some((Side::Output, "assistant")) } else { said() }
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

/// An event's members as providers write messages.
fn message<'m>(members: impl Iterator<Item = (Cow<'m, str>, Value)>, role: &str) -> Value {
    let mut told = Map::new();
    for (key, value) in members {
        match (&*key, value) {
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
