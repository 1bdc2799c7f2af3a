//! Messages that are spread over attributes with numbers in their names, such as `gen_ai.prompt.0.content`.

use serde_json::{Map, Value};

use super::{Matter, Side, list, of_text};
use crate::dialect::{Spot, json};
use crate::otlp::view::Span;

/// OpenInference: `llm.input_messages.0.message.content`, and texts for completion models.
pub(super) fn openinference<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if !spot.attributes.has_numbered() {
        return None;
    }
    let (messages, texts) = match side {
        Side::Input => ("llm.input_messages.", "llm.prompts."),
        Side::Output => ("llm.output_messages.", "llm.choices."),
    };
    if let Some(tree) = tree(spot.span, messages) {
        let each = tree.into_iter().filter_map(|one| within(one, "message")).map(unwrapped);
        return list::messages(each.collect(), side).map(Matter::Built);
    }
    let each = tree(spot.span, texts)?.into_iter();
    let texts = each.filter_map(|one| {
        let said = ["prompt", "completion"].iter().find_map(|key| one.get(*key)?.get("text")?.as_str());
        said.or(one.as_str()).map(|text| of_text(side.speaker(), text))
    });
    Some(Matter::Built(texts.collect()))
}

/// A message whose parts and calls are not wrapped in what they are.
fn unwrapped(mut message: Value) -> Value {
    for list in ["contents", "tool_calls"] {
        if let Some(Value::Array(all)) = message.get_mut(list) {
            *all = std::mem::take(all).into_iter().filter_map(piece).collect();
        }
    }
    message
}

/// A part, or a call of a tool; where it is both, the part has no more than the kind.
fn piece(mut value: Value) -> Option<Value> {
    let object = value.as_object_mut()?;
    let Some(mut call) = object.remove("tool_call") else { return object.remove("message_content") };
    // As providers write it, so that it is known for one in either list.
    if let Some(function) = call.get_mut("function").map(Value::take) {
        call["type"] = "tool_call".into();
        for member in ["name", "arguments"] {
            call[member] = function.get(member).cloned().unwrap_or_default();
        }
    }
    Some(call)
}

fn within(value: Value, member: &str) -> Option<Value> {
    match value {
        Value::Object(mut object) => object.remove(member),
        _ => None,
    }
}

/// OpenLLMetry of old and LiteLLM: `gen_ai.prompt.0.content`.
pub(super) fn openllmetry<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if !spot.attributes.has_numbered() {
        return None;
    }
    let mut all = match side {
        Side::Input => tree(spot.span, "gen_ai.prompt.")?,
        Side::Output => tree(spot.span, "gen_ai.completion.")?,
    };
    for message in all.iter_mut().filter_map(Value::as_object_mut) {
        message.entry("role").or_insert_with(|| side.speaker().into());
        if let Some(content) = message.get_mut("content")
            && let Some(blocks) = blocks(content)
        {
            *content = blocks;
        }
    }
    list::messages(Value::Array(all), side).map(Matter::Built)
}

/// The blocks of a content that is the JSON of a list of them.
fn blocks(content: &Value) -> Option<Value> {
    let text = content.as_str().filter(|text| text.starts_with('['))?;
    let read: Value = serde_json::from_str(text).ok()?;
    read.as_array().is_some_and(|blocks| blocks.iter().all(Value::is_object)).then_some(read)
}

/// What is under names that begin so and go on with a number, as a list in the order of the numbers.
fn tree(span: &Span<'_>, prefix: &str) -> Option<Vec<Value>> {
    let mut root = Map::new();
    for attribute in span.attributes() {
        let path =
            attribute.key.as_str().strip_prefix(prefix).filter(|path| path.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(path) = path {
            plant(&mut root, path, json::value(attribute.value));
        }
    }
    match listed(Value::Object(root)) {
        Value::Array(values) => Some(values).filter(|values| !values.is_empty()),
        _ => None,
    }
}

/// Puts a value under a name whose parts lead through objects.
fn plant(root: &mut Map<String, Value>, path: &str, value: Value) {
    /// No convention has longer names.
    const LONGEST: usize = 12;
    let mut parts = path.splitn(LONGEST, '.').peekable();
    let mut at = root;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            return;
        }
        let within = at.entry(part).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(within) = within else { return };
        at = within;
    }
}

/// Objects whose members have numbers for names, as lists in the order of the numbers.
fn listed(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let mut numbered: Vec<(Option<u32>, String, Value)> =
        object.into_iter().map(|(key, value)| (key.parse().ok(), key, listed(value))).collect();
    if numbered.is_empty() || numbered.iter().any(|(number, ..)| number.is_none()) {
        return Value::Object(numbered.into_iter().map(|(_, key, value)| (key, value)).collect());
    }
    numbered.sort_by_key(|(number, ..)| *number);
    numbered.into_iter().map(|(_, _, value)| value).collect()
}
