//! The pieces of a message as providers and frameworks write them, as parts of the conventions.

use serde_json::{Map, Value, json};

/// The parts of a content: a text, a list of blocks, or one block.
pub(super) fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![json!({"type": "text", "content": text})],
        Value::Array(blocks) => blocks
            .iter()
            .flat_map(|block| match block {
                Value::Array(_) => Vec::new(),
                block => parts(block),
            })
            .collect(),
        Value::Object(object) => match object.get("parts") {
            Some(within) => parts(within),
            None => vec![part(object)],
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Whether a content is a list of blocks that say themselves what they are.
pub(super) fn is_parts(content: &Value) -> bool {
    let Value::Array(blocks) = content else { return false };
    blocks.iter().any(|block| {
        let Value::Object(object) = block else { return false };
        matches!(part(object)["type"].as_str(), Some("tool_call_response"))
    })
}

/// What a tool answered: texts in blocks become one text.
fn result(content: &Value) -> Value {
    if let (Some(value), Some(_)) = (content.get("value"), content.get("type")) {
        return value.clone();
    }
    let Value::Array(blocks) = content else { return content.clone() };
    let texts: Option<Vec<&str>> = blocks.iter().map(|block| block.get("text")?.as_str()).collect();
    texts.filter(|texts| !texts.is_empty()).map_or_else(|| content.clone(), |texts| texts.join("\n").into())
}

/// A call of a tool in a list of calls.
pub(super) fn call(call: &Value) -> Option<Value> {
    let object = call.as_object()?;
    let function = object.get("function").filter(|function| function.is_object()).unwrap_or(call);
    let name = first(function, &["name", "tool_name", "toolName"])?;
    let arguments = first(function, &["arguments", "args", "input", "parameters"]);
    Some(tool_call(first(call, &["id", "call_id", "toolCallId", "tool_call_id"]), name, arguments))
}

/// An item of a conversation that is no message by itself, such as a call of a tool.
pub(super) fn item(object: &Map<String, Value>) -> Option<Value> {
    let part = match object.get("type")?.as_str()? {
        "function_call" | "custom_tool_call" | "tool_call" if object.contains_key("name") => part(object),
        "function_call_output" | "custom_tool_call_output" => part(object),
        "reasoning" if !object.contains_key("role") => part(object),
        _ => return None,
    };
    let role = if part["type"] == "tool_call_response" { "tool" } else { "assistant" };
    Some(json!({"role": role, "parts": [part]}))
}

/// One block. What is not known stays as it is.
fn part(object: &Map<String, Value>) -> Value {
    let block = &Value::Object(object.clone());
    let kind = first(block, &["type", "block_type"]).and_then(Value::as_str);
    let known = match kind {
        Some("text" | "input_text" | "output_text") => first(block, &["content", "text"]).map(text),
        Some("refusal") => first(block, &["refusal"]).map(text),
        Some("reasoning" | "thinking") => reasoning(block),
        Some("tool_use" | "tool-call" | "tool_call" | "function_call" | "custom_tool_call") => used(block),
        Some(
            "tool_result" | "tool-result" | "tool_call_response" | "function_call_output" | "custom_tool_call_output",
        ) => answered(block),
        Some("image_url" | "input_image") => image(block),
        Some(_) => None,
        None => untyped(block),
    };
    known.unwrap_or_else(|| block.clone())
}

/// Blocks that are known by what they hold.
fn untyped(block: &Value) -> Option<Value> {
    if let Some(said) = block.get("text").filter(|said| said.is_string()) {
        let is_thought = block.get("thought").is_some_and(|thought| *thought == true);
        return Some(if is_thought { json!({"type": "reasoning", "content": said}) } else { text(said) });
    }
    if let Some(call) = first(block, &["functionCall", "function_call", "toolUse", "toolRequest", "tool_call"]) {
        return used(call);
    }
    const ANSWERS: &[&str] =
        &["functionResponse", "function_response", "toolResult", "toolResponse", "tool_call_result"];
    if let Some(answer) = first(block, ANSWERS) {
        return answered(answer);
    }
    let thought = block.get("reasoningContent")?;
    let said = thought.get("reasoningText").and_then(|within| within.get("text")).or_else(|| thought.get("text"))?;
    Some(json!({"type": "reasoning", "content": said}))
}

fn text(content: &Value) -> Value {
    json!({"type": "text", "content": content})
}

fn reasoning(block: &Value) -> Option<Value> {
    if let Some(summary) = block.get("summary").and_then(Value::as_array) {
        let texts: Vec<&str> = summary.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        return Some(json!({"type": "reasoning", "content": texts.join("\n")}));
    }
    first(block, &["content", "thinking", "text", "reasoning"])
        .map(|said| json!({"type": "reasoning", "content": said}))
}

fn used(block: &Value) -> Option<Value> {
    let name = first(block, &["name", "tool_name", "toolName", "tool"])?;
    let id = first(block, &["call_id", "tool_call_id", "toolUseId", "toolCallId", "ref", "id"]);
    Some(tool_call(id, name, first(block, &["arguments", "input", "args", "tool_kwargs"])))
}

fn answered(block: &Value) -> Option<Value> {
    let id = first(block, &["tool_use_id", "call_id", "tool_call_id", "toolUseId", "toolCallId", "ref", "id"])
        .or_else(|| block.get("origin")?.get("id"));
    let response = first(block, &["response", "content", "output", "result"])?;
    Some(tool_call_response(id, response))
}

fn image(block: &Value) -> Option<Value> {
    let place = block.get("image_url")?;
    let uri = place.get("url").unwrap_or(place).as_str()?;
    Some(json!({"type": "uri", "modality": "image", "uri": uri}))
}

/// A call of a tool. Arguments that are JSON in a text are what the JSON says.
fn tool_call(id: Option<&Value>, name: &Value, arguments: Option<&Value>) -> Value {
    let mut part = json!({"type": "tool_call", "name": name});
    if let Some(arguments) = arguments {
        let read = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        part["arguments"] = read.unwrap_or_else(|| arguments.clone());
    }
    with_id(part, id)
}

/// What a tool answered to a call.
pub(super) fn tool_call_response(id: Option<&Value>, content: &Value) -> Value {
    with_id(json!({"type": "tool_call_response", "response": result(content)}), id)
}

fn with_id(mut part: Value, id: Option<&Value>) -> Value {
    if let Some(id) = id {
        part["id"] = id.clone();
    }
    part
}

/// The first of these members that is there and says anything.
fn first<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().find_map(|key| value.get(*key).filter(|value| !value.is_null()))
}
