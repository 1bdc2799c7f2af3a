//! The content of a span: what went in and what came out, as JSON. Read only when an event is built.

use std::borrow::Cow;

use serde_json::Value;

use super::messages::{self, Matter, Side};
use super::{Field, Op, Spot, detect, generic, provider};
use crate::event::Scope;
use crate::otlp::view::AnyValue;
use crate::semconv::Key;

/// What a span says beyond its meaning.
#[derive(Clone, Debug, Default)]
pub struct Content<'a> {
    /// What a model was told before the messages.
    pub system: Option<Matter<'a>>,
    /// Messages, or a tool's arguments.
    pub input: Option<Matter<'a>>,
    /// Messages, or a tool's result.
    pub output: Option<Matter<'a>>,
    /// The id that the model gave its call of the tool.
    pub tool_call_id: Option<&'a str>,
    /// The answer's id at its provider.
    pub response_id: Option<&'a str>,
    /// Whether the answer was streamed.
    pub stream: Option<bool>,
    /// When a span that was kept for longer than its work was left last, in milliseconds after its start.
    pub last_exit_ms: Option<f64>,
    /// Why the model stopped, as the conventions spell it.
    pub finish_reason: Option<Cow<'a, str>>,
}

impl<'a> Content<'a> {
    /// Whether a span may have any. Most spans of steps and agents have none, and need not be read again for it.
    pub fn may_be_in(spot: &Spot<'_, '_>) -> bool {
        const FIELDS: &[Field] = &[
            Field::input,
            Field::output,
            Field::tool_call_id,
            Field::response_id,
            Field::stream,
            Field::finish_reason,
        ];
        let fillable = spot.attributes.fillable();
        messages::may_be_in(spot)
            || FIELDS.iter().any(|field| fillable.has(*field))
            || spot.attributes.has(Key::SPANLIGHT_LAST_EXIT_MS)
    }

    /// The content of a span in which [`super::read`] found that it does this.
    pub fn read(spot: &Spot<'a, '_>, op: Op) -> Content<'a> {
        let dialect = detect::detect(spot);
        let told = dialect.and_then(|dialect| dialect.told(spot));
        let spot = &Spot { attributes: told.as_ref().unwrap_or(spot.attributes), ..*spot };
        let own = dialect.map(|dialect| &dialect.fields);
        let keys = |field: Field| own.map_or(&[][..], |own| own.of(field)).iter().chain(generic::FIELDS.of(field));
        // What cannot be there is not looked for.
        let may_have = |field: Field| spot.attributes.fillable().has(field);
        let value = |field: Field| {
            let mut keys = may_have(field).then(|| keys(field)).into_iter().flatten();
            keys.find_map(|key| spot.attributes.get(*key).filter(|value| !is_empty(*value)))
        };
        let text = |field: Field| value(field)?.text().map(|text| text.as_str());
        let is_json = dialect.is_some_and(|dialect| dialect.texts_are_json);
        let said =
            |value: AnyValue<'a>| text_in_json(value).filter(|_| is_json).map_or(Matter::Said(value), Matter::Built);
        let matter = |field: Field, side: Side| match op.scope() {
            // What a tool takes and gives is what it is, and no message even where it looks like one.
            Scope::Tool => {
                let told = || messages::events::of_tool(spot, side).or_else(|| messages::read(spot, side));
                let shown = |value| match said(value) {
                    Matter::Said(value) => messages::of_tool(value),
                    built => built,
                };
                value(field).map(shown).or_else(told)
            }
            _ => messages::read(spot, side).or_else(|| match said(value(field)?) {
                Matter::Said(value) => Some(messages::of_value(value, side)),
                built => Some(built),
            }),
        };
        let output = matter(Field::output, Side::Output);
        let finish_reason = value(Field::finish_reason).and_then(first_word).map(Cow::Borrowed);
        let last = output.as_ref().filter(|_| op.scope() != Scope::Tool);
        Content {
            system: Some(op.scope()).filter(|scope| *scope == Scope::LlmRequest).and_then(|_| messages::system(spot)),
            input: matter(Field::input, Side::Input),
            // Some list with a call of a model the ids of the calls of tools that it asked for.
            tool_call_id: text(Field::tool_call_id).filter(|_| op.scope() == Scope::Tool),
            response_id: text(Field::response_id),
            stream: may_have(Field::stream)
                .then(|| keys(Field::stream))
                .into_iter()
                .flatten()
                .find_map(|key| spot.attributes.truth(&[*key])),
            last_exit_ms: spot.attributes.amount(&[Key::SPANLIGHT_LAST_EXIT_MS]),
            finish_reason: finish_reason.or_else(|| last?.finish_reason()).map(|reason| match reason {
                Cow::Borrowed(reason) => Cow::Borrowed(provider::finish_reason(reason)),
                Cow::Owned(reason) => Cow::Owned(provider::finish_reason(&reason).to_owned()),
            }),
            output,
        }
    }
}

/// The text in a JSON that is no more than a text. What it says may be JSON itself.
fn text_in_json(value: AnyValue<'_>) -> Option<Value> {
    let json = value.text()?.as_str();
    let text: String = json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten()?;
    let inner = || serde_json::from_str(&text).ok().filter(|_| text.starts_with(['{', '[']));
    Some(inner().unwrap_or_else(|| text.into()))
}

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
