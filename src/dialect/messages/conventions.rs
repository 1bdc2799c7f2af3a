//! Messages as today's conventions have them, on the span or in the event that has the details of a call.

use super::{Matter, Side, of_value};
use crate::dialect::Spot;
use crate::dialect::content::is_empty;
use crate::otlp::view::{AnyValue, Span};
use crate::semconv::Key;

/// The span event that carries what the attributes of a call would.
const DETAILS: &str = "gen_ai.client.inference.operation.details";

/// The attributes that have messages, and what comes before them.
pub(super) const KEYS: &[Key] =
    &[Key::GEN_AI_INPUT_MESSAGES, Key::GEN_AI_OUTPUT_MESSAGES, Key::GEN_AI_SYSTEM_INSTRUCTIONS];

fn key(side: Side) -> Key {
    match side {
        Side::Input => Key::GEN_AI_INPUT_MESSAGES,
        Side::Output => Key::GEN_AI_OUTPUT_MESSAGES,
    }
}

/// Those in attributes of the span, where some write messages as their provider has them.
pub(super) fn attributes<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let value = spot.attributes.get(key(side)).filter(|value| !is_empty(*value))?;
    let text = value.text().map_or("", |text| text.as_str());
    let is_of_conventions = text.contains("\"parts\"") && text.contains("\"type\"");
    Some(if is_of_conventions { Matter::Said(value) } else { of_value(value, side) })
}

/// Those in an event of the span.
pub(super) fn details<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    of_event(spot.span, DETAILS, key(side)).map(Matter::Said)
}

/// What the model was told before all messages, where it is not the first of them.
pub(super) fn system<'a>(spot: &Spot<'a, '_>) -> Option<Matter<'a>> {
    let key = Key::GEN_AI_SYSTEM_INSTRUCTIONS;
    let said = spot.attributes.get(key).filter(|value| !is_empty(*value));
    said.or_else(|| of_event(spot.span, DETAILS, key)).map(Matter::Said)
}

/// An attribute of the last such event that has it: of several, earlier ones were written before the answer.
pub(super) fn of_event<'a>(span: &Span<'a>, name: &str, key: Key) -> Option<AnyValue<'a>> {
    if !span.has_events {
        return None;
    }
    let events = span.events().filter(|event| event.name == *name);
    let values = events.flat_map(|event| event.attributes()).filter(|attribute| attribute.key == *key.name());
    values.map(|attribute| attribute.value).filter(|value| !is_empty(*value)).last()
}
