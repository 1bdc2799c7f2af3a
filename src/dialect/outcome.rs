//! How a span ended: well, badly, or called off.

use super::{Attributes, FieldKeys, Spot, generic};
use crate::otlp::view::{AnyValue, Span, StatusCode};
use crate::semconv::Key;

/// How a span failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure<'a> {
    /// The kind of error.
    pub error_type: Option<&'a str>,
    /// What went wrong.
    pub message: Option<&'a str>,
}

/// How it failed, and whether it was called off. What the author of the span says of its outcome goes before
/// everything that was recorded on the way.
pub(super) fn read<'a>(spot: &Spot<'a, '_>, own: &FieldKeys) -> (Option<Failure<'a>>, bool) {
    let is_told = spot.span.status_code == StatusCode::Error || spot.span.has_events;
    if !is_told && !spot.attributes.fillable().has_outcome() {
        return (None, false);
    }
    if let Some(said) = spot.word(Key::SPANLIGHT_OUTCOME) {
        let is = |word: &str| said.eq_ignore_ascii_case(word);
        if is("canceled") || is("cancelled") {
            return (None, true);
        }
        if is("completed") {
            return (None, false);
        }
        if is("failed") {
            return (Some(details(spot, own, exception(spot.span))), false);
        }
    }
    match failure(spot, own) {
        Some(failure) if failure.is_calling_off() => (None, true),
        Some(failure) if failure.is_passing_on() => (None, false),
        failure => (failure, false),
    }
}

/// How the last exception on a span says that it failed, whatever its status.
pub(super) fn of_exception<'a>(span: &Span<'a>) -> Option<Failure<'a>> {
    let failure = exception(span).filter(|failure| !failure.is_calling_off() && !failure.is_passing_on())?;
    Some(Failure { message: failure.message.map(without_traceback), ..failure })
}

/// The OTLP status decides; where it is unset, an `error.type`, a recorded exception, or a word of the emitter.
fn failure<'a>(spot: &Spot<'a, '_>, own: &FieldKeys) -> Option<Failure<'a>> {
    let attributes = spot.attributes;
    if spot.span.status_code == StatusCode::Ok {
        return None;
    }
    let exception = exception(spot.span);
    let failed = spot.span.status_code == StatusCode::Error
        || attributes.text(own.error_type).is_some()
        || attributes.text(generic::FIELDS.error_type).is_some()
        || exception.is_some()
        || own.failure.iter().any(|key| speaks_of_failure(attributes, *key))
        || generic::says_failed(attributes);
    failed.then(|| details(spot, own, exception))
}

fn details<'a>(spot: &Spot<'a, '_>, own: &FieldKeys, exception: Option<Failure<'a>>) -> Failure<'a> {
    let attributes = spot.attributes;
    let first =
        |own: &'static [Key], generic: &'static [Key]| attributes.text(own).or_else(|| attributes.text(generic));
    let exception = exception.unwrap_or_default();
    let status = Some(spot.span.status_message.as_str()).filter(|message| !message.is_empty());
    let said = || attributes.text(own.failure).filter(|text| !matches!(*text, "true" | "false" | "None"));
    Failure {
        error_type: first(own.error_type, generic::FIELDS.error_type).or(exception.error_type),
        message: status
            .or(exception.message)
            .or_else(said)
            .or_else(|| first(own.error_message, generic::FIELDS.error_message))
            .map(without_traceback),
    }
}

/// What went wrong, of a text that goes on with where: Python's tracers put both into one.
fn without_traceback(message: &str) -> &str {
    let before =
        message.split_once("Traceback (most recent call last)").map_or(message, |(before, _)| before.trim_end());
    if before.is_empty() { message } else { before }
}

/// Whether a field for errors holds one: `error = false`, and `error = ?nothing`, are said by who did not fail.
fn speaks_of_failure(attributes: &Attributes<'_>, key: Key) -> bool {
    match attributes.get(key) {
        Some(AnyValue::Bool(failed)) => failed,
        Some(AnyValue::String(text)) => !matches!(text.as_str().trim(), "" | "false" | "None"),
        _ => false,
    }
}

/// The last exception recorded on a span: earlier ones may have been caught.
fn exception<'a>(span: &Span<'a>) -> Option<Failure<'a>> {
    if !span.has_events {
        return None;
    }
    let event = span.events().filter(|event| event.name == *"exception").last()?;
    let mut failure = Failure::default();
    for attribute in event.attributes() {
        let text = attribute.value.text().map(|text| text.as_str()).filter(|text| !text.is_empty());
        match attribute.key.as_str() {
            name if name == Key::EXCEPTION_TYPE.name() => failure.error_type = text,
            name if name == Key::EXCEPTION_MESSAGE.name() => failure.message = text,
            _ => {}
        }
    }
    Some(failure)
}

impl Failure<'_> {
    /// Whether it is an exception that only passes control on: graphs leave their nodes by it, and wait for people. Some
    /// call every kind an exception, and print what it was.
    fn is_passing_on(&self) -> bool {
        const EXCEPTIONS: &[&str] = &["ParentCommand", "GraphInterrupt", "NodeInterrupt", "GraphBubbleUp"];
        let class = |path: &'_ str| EXCEPTIONS.iter().any(|name| path.rsplit('.').next() == Some(name));
        let printed = |message: &str| {
            let exception = message.strip_prefix("Exception: ").unwrap_or(message);
            exception.split_once('(').is_some_and(|(name, _)| class(name))
        };
        match self.error_type {
            Some("Exception") | None => self.message.is_some_and(printed),
            Some(error_type) => class(error_type),
        }
    }

    /// Whether the kind of error is that the work was called off, and the message has nothing else to say.
    fn is_calling_off(&self) -> bool {
        self.error_type.is_some_and(calls_off) && self.message.is_none_or(calls_off)
    }
}

/// The words for it in the languages that agents are written in, with or without the module they come from.
fn calls_off(words: &str) -> bool {
    const WORDS: &[&str] = &["CancelledError", "cancelled", "canceled", "context canceled"];
    // A status made of type and message ends with the colon between them where there is no message.
    let words = words.trim_end_matches([':', ' ']);
    let name = words.rsplit(['.', ':']).next().unwrap_or(words);
    WORDS.iter().any(|word| name.eq_ignore_ascii_case(word))
}
