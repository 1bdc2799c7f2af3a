//! What Pydantic AI says of a whole run, and how its first formats wrote the messages of a call: a list of events.

use serde_json::Value;

use super::{Matter, Side, list};
use crate::dialect::Spot;
use crate::semconv::Key;

/// The attributes that have messages.
pub(super) const KEYS: &[Key] = &[Key::PYDANTIC_AI_ALL_MESSAGES, Key::MESSAGE_EVENTS, Key::ALL_MESSAGES_EVENTS];

/// The messages of one side.
pub(super) fn messages<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    if side == Side::Input
        && let Some(all) = parsed(spot, Key::PYDANTIC_AI_ALL_MESSAGES)
    {
        return list::messages(all, side).map(Matter::Built);
    }
    let events = [Key::MESSAGE_EVENTS, Key::ALL_MESSAGES_EVENTS].into_iter().find_map(|key| parsed(spot, key))?;
    let Value::Array(events) = events else { return None };
    let of_side = events.into_iter().filter_map(|event| message(event, side));
    list::messages(of_side.collect(), side).map(Matter::Built)
}

/// The message of an event, if it is of this side.
fn message(mut event: Value, side: Side) -> Option<Value> {
    let is_choice = event.get("event.name").and_then(Value::as_str) == Some("gen_ai.choice");
    if is_choice != (side == Side::Output) {
        return None;
    }
    if event.get("role").and_then(Value::as_str) == Some("tool")
        && let Some(object) = event.as_object_mut()
        && let Some(id) = object.remove("id")
    {
        object.insert("tool_call_id".into(), id);
    }
    Some(if is_choice { event.get_mut("message")?.take() } else { event })
}

fn parsed(spot: &Spot<'_, '_>, key: Key) -> Option<Value> {
    let text = spot.attributes.text(&[key]).filter(|text| text.starts_with('['))?;
    serde_json::from_str(text).ok()
}
