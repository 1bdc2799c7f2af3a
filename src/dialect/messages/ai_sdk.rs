//! Vercel's AI SDK in its own words: a prompt of messages, and an answer spread over attributes.

use serde_json::{Map, Value};

use super::{Matter, Side, list};
use crate::dialect::Spot;
use crate::semconv::Key;

/// The messages of one side.
pub(super) fn messages<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let said = match side {
        Side::Input => prompt(spot)?,
        Side::Output => answer(spot)?,
    };
    list::messages(said, side).map(Matter::Built)
}

fn prompt(spot: &Spot<'_, '_>) -> Option<Value> {
    if let Some(messages) = parsed(spot, &[Key::AI_PROMPT_MESSAGES]) {
        return Some(messages);
    }
    let mut prompt = parsed(spot, &[Key::AI_PROMPT])?;
    if let Some(object) = prompt.as_object_mut()
        && let Some(asked) = object.remove("prompt")
    {
        object.entry("messages").or_insert(asked);
    }
    Some(prompt)
}

/// Where a prompt is.
pub(super) const PROMPT: &[Key] = &[Key::AI_PROMPT_MESSAGES, Key::AI_PROMPT];

/// Where the pieces of an answer are.
pub(super) const ANSWER: &[Key] = &[
    Key::AI_RESPONSE_REASONING,
    Key::AI_RESPONSE_TEXT,
    Key::AI_RESULT_TEXT,
    Key::AI_RESPONSE_OBJECT,
    Key::AI_RESULT_OBJECT,
    Key::AI_RESPONSE_TOOL_CALLS,
    Key::AI_RESULT_TOOL_CALLS,
];

/// What the model answered, as one message.
fn answer(spot: &Spot<'_, '_>) -> Option<Value> {
    if !spot.attributes.has_any(ANSWER) {
        return None;
    }
    let text = |keys: &[Key]| spot.attributes.text(keys).map(Value::from);
    let members = [
        ("reasoning", text(&[Key::AI_RESPONSE_REASONING])),
        (
            "content",
            text(&[Key::AI_RESPONSE_TEXT, Key::AI_RESULT_TEXT, Key::AI_RESPONSE_OBJECT, Key::AI_RESULT_OBJECT]),
        ),
        ("toolCalls", parsed(spot, &[Key::AI_RESPONSE_TOOL_CALLS, Key::AI_RESULT_TOOL_CALLS])),
    ];
    let mut message: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if message.is_empty() {
        return None;
    }
    message.insert("role".into(), "assistant".into());
    let reason = text(&[Key::AI_RESPONSE_FINISH_REASON, Key::AI_FINISH_REASON]);
    message.extend(reason.map(|reason| ("finish_reason".to_owned(), reason)));
    Some(Value::Object(message))
}

fn parsed(spot: &Spot<'_, '_>, keys: &[Key]) -> Option<Value> {
    serde_json::from_str(spot.attributes.text(keys)?).ok()
}
