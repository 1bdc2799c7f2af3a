//! Answers of tools that are told as if the user had said them.

use serde_json::Value;

use super::{Matter, Side, conventions, list};
use crate::dialect::Spot;

/// The messages that went in, with a message of its own for each answer of a tool among those of the user. Nothing if
/// there are none, and the messages are as they are to be.
pub(super) fn of_tools<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if side != Side::Input {
        return None;
    }
    let said = conventions::attributes(spot, side).or_else(|| conventions::details(spot, side))?;
    let text = said.said()?.text()?.as_str();
    let may_be = text.contains("\"tool_call_response\"") && text.contains("\"user\"");
    let messages: Vec<Value> = may_be.then(|| serde_json::from_str(text).ok()).flatten()?;
    if !messages.iter().any(|message| message["role"] == "user" && parts(message).any(is_answer)) {
        return None;
    }
    let apart: Value = messages.into_iter().flat_map(apart).collect();
    Some(Matter::Built(list::messages(apart.clone(), side).unwrap_or(apart)))
}

/// A message of the user as what tools answered and what the user said.
fn apart(mut message: Value) -> Vec<Value> {
    if message["role"] != "user" {
        return vec![message];
    }
    let (answers, said): (Vec<Value>, Vec<Value>) = parts(&message).cloned().partition(is_answer);
    let has_said = !said.is_empty() || answers.is_empty();
    message["parts"] = Value::Array(said);
    let answers = (!answers.is_empty()).then(|| serde_json::json!({"role": "tool", "parts": answers}));
    answers.into_iter().chain(has_said.then_some(message)).collect()
}

fn parts(message: &Value) -> impl Iterator<Item = &Value> {
    message["parts"].as_array().into_iter().flatten()
}

fn is_answer(part: &Value) -> bool {
    part["type"] == "tool_call_response"
}
