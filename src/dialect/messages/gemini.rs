//! Requests and answers of Gemini as Google's ADK keeps them on its spans.

use serde_json::Value;

use super::{Matter, Side, list};
use crate::dialect::Spot;
use crate::semconv::Key;

/// The attributes that have messages.
pub(super) const KEYS: &[Key] = &[Key::ADK_LLM_REQUEST, Key::ADK_LLM_RESPONSE];

/// The messages of one side.
pub(super) fn adk<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let key = match side {
        Side::Input => Key::ADK_LLM_REQUEST,
        Side::Output => Key::ADK_LLM_RESPONSE,
    };
    let mut said: Value = serde_json::from_str(spot.attributes.text(&[key])?).ok()?;
    let instruction = said.get_mut("config").and_then(|config| config.get_mut("system_instruction")).map(Value::take);
    if let (Some(instruction), Some(request)) = (instruction, said.as_object_mut()) {
        request.insert("system_instruction".into(), instruction);
    }
    list::messages(said, side).map(Matter::Built)
}
