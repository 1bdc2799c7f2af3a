//! The content of a span: what went in and what came out, as JSON. Read only when an event is built.

use super::{FieldKeys, Spot, detect, generic, messages, provider};
use crate::otlp::view::AnyValue;
use crate::semconv::Key;

/// What a span says beyond its meaning.
#[derive(Clone, Debug, Default)]
pub struct Content<'a> {
    /// Messages, or a tool's arguments.
    pub input: Option<AnyValue<'a>>,
    /// Messages, or a tool's result.
    pub output: Option<AnyValue<'a>>,
    /// The id that the model gave its call of the tool.
    pub tool_call_id: Option<&'a str>,
    /// The answer's id at its provider.
    pub response_id: Option<&'a str>,
    /// Whether the answer was streamed.
    pub stream: Option<bool>,
    /// When a span that was kept for longer than its work was left last, in milliseconds after its start.
    pub last_exit_ms: Option<f64>,
    /// Why the model stopped, as the conventions spell it.
    pub finish_reason: Option<&'a str>,
}

impl<'a> Content<'a> {
    /// The content of a span that [`super::read`] found a meaning in.
    pub fn read(spot: &Spot<'a, '_>) -> Content<'a> {
        let dialect = detect::detect(spot);
        let told = dialect.and_then(|dialect| dialect.told(spot));
        let spot = &Spot { attributes: told.as_ref().unwrap_or(spot.attributes), ..*spot };
        let own = dialect.map(|dialect| &dialect.fields);
        let keys =
            |pick: fn(&FieldKeys) -> &'static [Key]| own.map_or(&[][..], pick).iter().chain(pick(&generic::FIELDS));
        let value = |pick: fn(&FieldKeys) -> &'static [Key]| {
            keys(pick).find_map(|key| spot.attributes.get(*key)).filter(|value| !is_empty(*value))
        };
        let text = |pick: fn(&FieldKeys) -> &'static [Key]| value(pick)?.text().map(|text| text.as_str());
        let output = value(|fields| fields.output).or_else(|| messages::output(spot));
        let finish_reason = value(|fields| fields.finish_reason)
            .and_then(first_word)
            .or_else(|| output.filter(|_| !spot.attributes.has_any(TOOL_RESULTS)).and_then(messages::finish_reason));
        Content {
            input: value(|fields| fields.input).or_else(|| messages::input(spot)),
            output,
            tool_call_id: text(|fields| fields.tool_call_id),
            response_id: text(|fields| fields.response_id),
            stream: keys(|fields| fields.stream).find_map(|key| spot.attributes.truth(&[*key])),
            last_exit_ms: spot.attributes.amount(&[Key::SPANLIGHT_LAST_EXIT_MS]),
            finish_reason: finish_reason.map(provider::finish_reason),
        }
    }
}

/// Where these are, the output is a tool's and no message.
const TOOL_RESULTS: &[Key] = &[Key::GEN_AI_TOOL_CALL_RESULT, Key::GEN_AI_TOOL_OUTPUT];

/// The first of a list of words, which may come as the JSON of a list or of a word.
fn first_word(value: AnyValue<'_>) -> Option<&str> {
    let text = match value {
        AnyValue::String(text) => text.as_str().trim(),
        AnyValue::Array(array) => array.values().find_map(AnyValue::text)?.as_str().trim(),
        _ => return None,
    };
    let word = match text.as_bytes().first()? {
        b'[' => serde_json::from_str::<Vec<Option<&str>>>(text).ok()?.into_iter().flatten().next()?,
        b'"' => serde_json::from_str(text).unwrap_or(text),
        _ => text,
    };
    (!word.is_empty()).then_some(word)
}

pub(super) fn is_empty(value: AnyValue<'_>) -> bool {
    match value {
        AnyValue::Empty => true,
        AnyValue::String(text) => text.is_empty() || super::is_redacted(text.as_str()),
        _ => false,
    }
}
