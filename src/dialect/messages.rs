//! Messages where older generations of the conventions put them: in events of the span, or in one attribute.

use serde::Deserialize;

use super::Spot;
use super::content::is_empty;
use crate::otlp::view::{AnyValue, Span};
use crate::semconv::Key;

/// The span event that carries what the attributes of a call would.
const DETAILS: &str = "gen_ai.client.inference.operation.details";

/// What went in, for spans that do not say it in today's attributes.
pub(super) fn input<'a>(spot: &Spot<'a, '_>) -> Option<AnyValue<'a>> {
    of_event(spot.span, DETAILS, Key::GEN_AI_INPUT_MESSAGES)
        .or_else(|| spot.attributes.get(Key::GEN_AI_PROMPT).filter(|value| !is_empty(*value)))
        .or_else(|| of_event(spot.span, "gen_ai.content.prompt", Key::GEN_AI_PROMPT))
}

/// What came out, for spans that do not say it in today's attributes.
pub(super) fn output<'a>(spot: &Spot<'a, '_>) -> Option<AnyValue<'a>> {
    of_event(spot.span, DETAILS, Key::GEN_AI_OUTPUT_MESSAGES)
        .or_else(|| spot.attributes.get(Key::GEN_AI_COMPLETION).filter(|value| !is_empty(*value)))
        .or_else(|| of_event(spot.span, "gen_ai.content.completion", Key::GEN_AI_COMPLETION))
}

/// An attribute of the last such event that has it: of several, earlier ones were written before the answer.
fn of_event<'a>(span: &Span<'a>, name: &str, key: Key) -> Option<AnyValue<'a>> {
    if !span.has_events {
        return None;
    }
    let events = span.events().filter(|event| event.name == *name);
    let values = events.flat_map(|event| event.attributes()).filter(|attribute| attribute.key == *key.name());
    values.map(|attribute| attribute.value).filter(|value| !is_empty(*value)).last()
}

/// Why the model stopped, as the last of the output messages says.
pub(super) fn finish_reason(messages: AnyValue<'_>) -> Option<&str> {
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
