//! A list of messages as providers and frameworks write it, brought into the form of the conventions: alone, or within
//! a request, a response, or what a framework keeps of either.

use serde_json::{Map, Value, json};

use super::{Side, block, of_text, role};
use crate::dialect::provider::finish_reason;

/// The messages within a value, if its shape is one of those that are known.
pub(super) fn messages(value: Value, side: Side) -> Option<Value> {
    let mut out = Vec::new();
    gather(value, side, &mut out).filter(|()| !out.is_empty()).map(|()| Value::Array(out))
}

/// Where the messages of a side are within a request, a response, or a state that holds them.
const WITHIN: &[(Side, &[&str])] = &[
    (Side::Input, &["messages", "contents", "input", "chat_history", "prompts"]),
    (Side::Output, &["choices", "generations", "candidates", "message", "messages", "output", "update", "replies"]),
];

/// How deep a list of messages may lie: a batch of lists of generations with a message each is the deepest known.
const DEEPEST: usize = 6;

fn gather(value: Value, side: Side, out: &mut Vec<Value>) -> Option<()> {
    gather_within(value, side, DEEPEST, out)
}

fn gather_within(value: Value, side: Side, levels: usize, out: &mut Vec<Value>) -> Option<()> {
    let levels = levels.checked_sub(1)?;
    match value {
        Value::Array(values) => {
            if let Some(message) = pair(&values) {
                out.push(message);
                return Some(());
            }
            values.into_iter().try_for_each(|value| gather_within(value, side, levels, out))
        }
        Value::Object(object) => {
            let object = unwrapped(object);
            if let Some(message) = message(&object, side) {
                out.push(message);
                return Some(());
            }
            of_object(object, side, levels, out)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// What LangChain writes as `["user", "text"]`.
fn pair(values: &[Value]) -> Option<Value> {
    let [Value::String(who), Value::String(text)] = values else { return None };
    let who = role(who);
    matches!(who, "user" | "assistant" | "system" | "tool").then(|| of_text(who, text))
}

/// The object itself, of one that a framework serialised with its class around it.
pub(super) fn unwrapped(mut object: Map<String, Value>) -> Map<String, Value> {
    for within in ["kwargs", "data"] {
        if object.contains_key("type")
            && let Some(Value::Object(inner)) = object.get_mut(within)
        {
            let mut inner = std::mem::take(inner);
            if !inner.contains_key("type")
                && let Some(kind) = object.remove("type")
            {
                inner.insert("type".into(), kind);
            }
            return inner;
        }
    }
    object
}

/// The messages within a request, a response or a state.
fn of_object(mut object: Map<String, Value>, side: Side, levels: usize, out: &mut Vec<Value>) -> Option<()> {
    for key in ["system", "instructions", "system_instruction"] {
        if let Some(parts) = object.get(key).filter(|_| side == Side::Input).map(block::parts)
            && !parts.is_empty()
        {
            out.push(json!({"role": "system", "parts": parts}));
        }
    }
    let reason = ["finish_reason", "finishReason", "stop_reason"].iter().find_map(|key| object.remove(*key));
    let info = object.get("generation_info").and_then(|info| info.get("finish_reason")).cloned();
    let (_, keys) = WITHIN.iter().find(|(of, _)| *of == side)?;
    // What a candidate of Gemini says is called its content, and is a message of its own.
    let candidate = object.remove("content").filter(|content| content.get("parts").is_some());
    let found = candidate.or_else(|| keys.iter().find_map(|key| object.remove(*key).filter(|v| !v.is_null())))?;
    let before = out.len();
    match found {
        Value::String(text) => out.push(of_text(side.speaker(), &text)),
        found => gather_within(found, side, levels, out)?,
    }
    let reason = reason.or(info).as_ref().and_then(Value::as_str).map(|reason| finish_reason(reason).into());
    if let (Some(reason), Some(Value::Object(last))) = (reason, out.get_mut(before..).and_then(<[Value]>::last_mut)) {
        last.entry("finish_reason").or_insert(reason);
    }
    Some(())
}

/// One message, or an item that stands for one.
fn message(object: &Map<String, Value>, side: Side) -> Option<Value> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    if let Some(item) = block::item(object) {
        return Some(item);
    }
    let kind = text("type").filter(|kind| matches!(*kind, "human" | "ai" | "system" | "tool" | "AIMessageChunk"));
    let said = text("role").or(kind)?;
    let who = role(said);
    let mut parts: Vec<Value> = Vec::new();
    for key in ["reasoning_content", "reasoning"] {
        parts.extend(
            text(key).filter(|text| !text.is_empty()).map(|text| json!({"type": "reasoning", "content": text})),
        );
    }
    let content = ["parts", "content", "contents", "blocks"].iter().find_map(|key| object.get(*key));
    let id = ["tool_call_id", "toolCallId"].iter().find_map(|key| {
        let beside = || object.get("additional_kwargs").and_then(|more| more.get(*key));
        object.get(*key).filter(|id| !id.is_null()).or_else(beside)
    });
    match content {
        Some(content) if who == "tool" && !block::is_parts(content) => {
            parts.push(block::tool_call_response(id, content));
        }
        Some(content) => parts.extend(block::parts(content)),
        None => {}
    }
    parts.extend(text("refusal").map(|text| json!({"type": "text", "content": text})));
    let calls = ["tool_calls", "toolCalls"].iter().find_map(|key| object.get(*key)?.as_array());
    let of_old = object.get("function_call").filter(|call| call.is_object());
    for call in calls.into_iter().flatten().chain(of_old).filter_map(block::call) {
        let is_new =
            !parts.iter().any(|part| part["type"] == "tool_call" && part["id"] == call["id"] && !call["id"].is_null());
        parts.extend(is_new.then_some(call));
    }
    // An object with a role that says nothing is a message only where it could be no more than that.
    if content.is_none() && parts.is_empty() && side == Side::Input {
        return None;
    }
    let mut message = json!({"role": who, "parts": parts});
    if let Some(name) = text("name").filter(|name| !name.is_empty()) {
        message["name"] = name.into();
    }
    if let Some(reason) = stopped(object) {
        message["finish_reason"] = finish_reason(reason).into();
    }
    Some(message)
}

/// Why the model stopped, where a message says so.
fn stopped(object: &Map<String, Value>) -> Option<&str> {
    let direct = ["finish_reason", "stop_reason"].iter().find_map(|key| object.get(*key));
    let within =
        || ["response_metadata", "meta", "_meta"].iter().find_map(|key| object.get(*key)?.get("finish_reason"));
    direct.or_else(within)?.as_str()
}
