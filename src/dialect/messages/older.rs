//! Messages in one attribute for all that went in and one for all that came out, and in the events that had them
//! before there were attributes.

use super::conventions::of_event;
use super::{Matter, Side, of_value};
use crate::dialect::Spot;
use crate::dialect::content::is_empty;
use crate::semconv::Key;

/// The attributes that have messages.
pub(super) const KEYS: &[Key] = &[Key::GEN_AI_PROMPT, Key::GEN_AI_COMPLETION];

fn place(side: Side) -> (Key, &'static str) {
    match side {
        Side::Input => (Key::GEN_AI_PROMPT, "gen_ai.content.prompt"),
        Side::Output => (Key::GEN_AI_COMPLETION, "gen_ai.content.completion"),
    }
}

/// All of a side in one attribute.
pub(super) fn attribute<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let value = spot.attributes.get(place(side).0).filter(|value| !is_empty(*value))?;
    Some(of_value(value, side))
}

/// All of a side in an event.
pub(super) fn content_event<'a>(spot: &Spot<'a, '_>, side: Side) -> Option<Matter<'a>> {
    let (key, event) = place(side);
    of_event(spot.span, event, key).map(|value| of_value(value, side))
}
