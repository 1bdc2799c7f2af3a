//! Messages under one form, wherever a dialect puts them and however it writes them: those of the conventions,
//! `[{role, parts: [{type, …}], finish_reason?}]`.
//!
//! One file per family of formats; [`PLACES`] says which of them is believed first.

mod ai_sdk;
mod answers;
mod block;
mod conventions;
pub(super) mod events;
mod flat;
mod gemini;
mod list;
mod older;
mod pydantic_ai;
mod recorded;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::fields::Fillable;
use super::{Spot, lenient, put_value};
use crate::event::JsonObject;
use crate::otlp::view::AnyValue;
use crate::semconv::Key;

pub use recorded::Recorded;

/// Which end of a piece of work content is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What went in.
    Input,
    /// What came out.
    Output,
}

/// Content on its way into an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Matter<'a> {
    /// As the span says it.
    Said(AnyValue<'a>),
    /// Put together, or brought into the form of the conventions.
    Built(Value),
}

/// Where messages may be, read for one side of a span.
type Place = for<'a> fn(&Spot<'a, '_>, Side) -> Option<Matter<'a>>;

/// In order of preference.
static PLACES: &[Place] = &[
    answers::of_tools,
    conventions::attributes,
    conventions::details,
    events::messages,
    flat::openinference,
    flat::openllmetry,
    older::attribute,
    ai_sdk::messages,
    gemini::adk,
    older::content_event,
    pydantic_ai::messages,
];

/// The attributes in which these look, besides those with numbers in their names. In events of a span they look where it
/// has any.
const KEYS: &[&[Key]] =
    &[conventions::KEYS, older::KEYS, ai_sdk::PROMPT, ai_sdk::ANSWER, gemini::KEYS, pydantic_ai::KEYS];

/// Whether messages may be under a key.
pub(super) fn may_be_under(key: Key) -> bool {
    KEYS.iter().any(|keys| keys.contains(&key))
}

/// Whether messages may be anywhere in a span.
pub(super) fn may_be_in(spot: &Spot<'_, '_>) -> bool {
    let attributes = spot.attributes;
    spot.span.has_events || attributes.has_numbered() || attributes.fillable().holds(Fillable::MESSAGES)
}

/// The messages of one side of a span.
pub(super) fn read<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if !may_be_in(spot) {
        return None;
    }
    let mut found = PLACES.iter().filter_map(|place| place(spot, side));
    let first = found.next()?;
    if !first.says_nothing() {
        return Some(first);
    }
    // LiteLLM writes calls of tools elsewhere than the message that they are of.
    let fuller = found.find(|other| matches!(other, Matter::Built(_)) && !other.says_nothing());
    Some(fuller.unwrap_or(first))
}

/// What the model was told before the messages.
pub(super) fn system<'a>(spot: &Spot<'a, '_>) -> Option<Matter<'a>> {
    conventions::system(spot)
}

/// A value that holds messages in whichever shape, if it is one that is known; else the value as it is.
pub(super) fn of_value(value: AnyValue<'_>, side: Side) -> Matter<'_> {
    let text = value.text().map(|text| text.as_str().trim()).filter(|text| text.starts_with(['{', '[']));
    let read = text.and_then(|text| serde_json::from_str(text).ok());
    read.and_then(|json| list::messages(json, side)).map_or(Matter::Said(value), Matter::Built)
}

/// What a tool takes or gives, without what it came in: decorators write how they were called in Python, LangChain a
/// message, LangSmith under which name it came, and some a text as JSON.
pub(super) fn of_tool(value: AnyValue<'_>) -> Matter<'_> {
    const WRAPPED: &[&str] =
        &["{\"args\"", "{\"kwargs\"", "{\"input\"", "{\"output\"", "{\"type\"", "{\"additional_kwargs\"", "\""];
    let text =
        value.text().map(|text| text.as_str()).filter(|text| WRAPPED.iter().any(|begin| text.starts_with(begin)));
    let read = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    read.and_then(unwrapped).map_or(Matter::Said(value), Matter::Built)
}

/// What is within; nothing if it is in nothing.
fn unwrapped(value: Value) -> Option<Value> {
    let mut object = match value {
        Value::String(text) => {
            return Some(
                lenient::parse(&text).filter(|json| json.is_object() || json.is_array()).unwrap_or(text.into()),
            );
        }
        Value::Object(object) => object,
        _ => return None,
    };
    let is_empty = |args: &Value| args.as_array().is_some_and(Vec::is_empty);
    if let Some(kwargs) = object.get("kwargs").filter(|kwargs| kwargs.is_object() && !object.contains_key("type")) {
        // Positional arguments have no names to go by.
        return object.get("args").is_none_or(is_empty).then(|| kwargs.clone());
    }
    if object.len() == 1 {
        let within = object.remove("input").or_else(|| object.remove("output"))?;
        let is_wrapped = within.as_str().is_some_and(|text| text.starts_with('{')) || within.get("content").is_some();
        return is_wrapped.then(|| unwrapped(within.clone()).unwrap_or(within));
    }
    let mut message = list::unwrapped(object);
    let is_message = message.get("type").is_some_and(|kind| kind == "tool") && message.contains_key("tool_call_id");
    let content = if is_message { message.remove("content")? } else { return None };
    Some(unwrapped(content.clone()).unwrap_or(content))
}

/// A message of one text.
fn of_text(role: &str, text: &str) -> Value {
    serde_json::json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

/// A role under its name in the conventions.
fn role(said: &str) -> &str {
    match said {
        "human" => "user",
        "ai" | "model" | "bot" | "AIMessageChunk" => "assistant",
        "developer" => "system",
        "function" => "tool",
        role => role,
    }
}

impl Side {
    /// Who speaks there, where nobody says it.
    fn speaker(self) -> &'static str {
        match self {
            Side::Input => "user",
            Side::Output => "assistant",
        }
    }
}

impl<'a> Matter<'a> {
    /// Writes it as a member of an object.
    pub fn put(&self, object: &mut JsonObject<'_>, key: &str) {
        match self {
            Matter::Said(value) => put_value(object, key, *value),
            Matter::Built(value) => object.raw(key, value.to_string().as_bytes()),
        }
    }

    /// Whether it is messages without parts.
    fn says_nothing(&self) -> bool {
        let Matter::Built(Value::Array(messages)) = self else { return false };
        messages.iter().all(|message| message["parts"].as_array().is_some_and(Vec::is_empty))
    }

    /// It, as far as the span says it just so.
    pub fn said(&self) -> Option<AnyValue<'a>> {
        match self {
            Matter::Said(said) => Some(*said),
            Matter::Built(_) => None,
        }
    }

    /// Why the model stopped, as the last message says.
    pub(super) fn finish_reason(&self) -> Option<Cow<'a, str>> {
        match self {
            Matter::Said(said) => finish_reason(*said).map(Cow::Borrowed),
            Matter::Built(built) => {
                let reason = built.as_array()?.last()?.get("finish_reason")?.as_str()?;
                Some(Cow::Owned(reason.to_owned()))
            }
        }
    }
}

fn finish_reason(messages: AnyValue<'_>) -> Option<&str> {
    #[derive(Deserialize)]
    struct Message<'m> {
        finish_reason: Option<&'m str>,
    }
    match messages {
        AnyValue::String(text) => serde_json::from_str::<Vec<Message<'_>>>(text.as_str()).ok()?.last()?.finish_reason,
        AnyValue::Array(messages) => match messages.values().last()? {
            AnyValue::Map(message) => {
                let reason = message.entries().find(|entry| entry.key == *"finish_reason")?;
                reason.value.text().map(|text| text.as_str())
            }
            _ => None,
        },
        _ => None,
    }
}
