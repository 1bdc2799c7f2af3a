//! Logfire: what its own instrumentations of models write, and its logs, which are spans without length.

use super::usage::GEN_AI;
use super::{Attributes, Convention, Dialect, FieldKeys, Meaning, Op, Signs, Spot, details};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "logfire",
    signs: Signs { scopes: &["logfire.*"], only_if: |spot| spot.attributes.has_gen_ai(), ..Signs::NONE },
    // Spans are called by a template; this has it filled in.
    fields: FieldKeys { step_name: &[Key::LOGFIRE_MSG], ..FieldKeys::NONE },
    amend,
    ..Dialect::BASE
};

/// Whether a span is a log. The one that says at the end of a stream what it cost is the only one that knows.
#[inline]
pub(super) fn is_mere_log(attributes: &Attributes<'_>) -> bool {
    attributes.has(Key::LOGFIRE_SPAN_TYPE)
        && attributes.text(&[Key::LOGFIRE_SPAN_TYPE]) == Some("log")
        && !attributes.has_any(GEN_AI.input)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    // What the provider said of its caches and of thinking is nowhere else.
    if let Some(raw) = details::usage(spot, Key::GEN_AI_USAGE_RAW, Convention::default()) {
        meaning.usage = meaning.usage.or(raw);
    }
    let is_answered = spot.attributes.has_any(&[Key::GEN_AI_RESPONSE_ID, Key::GEN_AI_OUTPUT_MESSAGES]);
    let is_over = !spot.is_open() && meaning.failure.is_none() && !meaning.canceled;
    // A call that streams has ended when the stream begins; the log at the end of the stream is the call.
    if meaning.op == Op::Chat && is_over && !is_answered && !meaning.usage.is_known() {
        meaning.op = Op::Step;
    }
}
