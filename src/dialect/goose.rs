//! goose: the GenAI conventions on some spans, and generations with fields for an observation layer on others.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, details, otel_genai};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "goose",
    signs: Signs {
        scopes: &["goose*"],
        keys: &[
            Key::OBSERVATION_TYPE,
            Key::SESSION_AGENT_TYPE,
            Key::TARGET,
            Key::CODE_MODULE_NAME,
            Key::CODE_NAMESPACE,
        ],
        only_if: is_goose,
        ..Signs::NONE
    },
    op,
    fields: FieldKeys {
        provider: &[Key::PLAIN_PROVIDER],
        request_model: &[Key::PLAIN_MODEL],
        failure: &[Key::STATUS_MESSAGE],
        input: &[Key::INPUT_JSON, Key::TRACE_INPUT],
        output: &[Key::OUTPUT_JSON, Key::TRACE_OUTPUT],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// The part of a reply that streams.
const REPLY_STREAM: &str = "reply_stream";

fn is_goose(spot: &Spot<'_, '_>) -> bool {
    let has_meaning = spot.attributes.has_gen_ai() || spot.attributes.has(Key::SESSION_AGENT_TYPE);
    is_generation(spot) || (has_meaning && spot.is_written_in(&["goose"]))
}

/// Both fields, because others observe things of their own types.
fn is_generation(spot: &Spot<'_, '_>) -> bool {
    spot.word(Key::OBSERVATION_TYPE) == Some("GENERATION") && spot.attributes.has(Key::PLAIN_MODEL)
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if is_generation(spot) {
        return Some(Op::Chat);
    }
    if spot.span.name == *REPLY_STREAM && spot.attributes.has(Key::SESSION_AGENT_TYPE) {
        // Where it says that it is the agent at work, so does the reply around it: one run, which counts once.
        let is_named = spot.attributes.has(Key::GEN_AI_OPERATION_NAME);
        return Some(if is_named { Op::Step } else { Op::InvokeAgent });
    }
    if spot.attributes.has_gen_ai() { otel_genai::op(spot) } else { None }
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op == Op::InvokeAgent && meaning.agent_name.is_none() {
        meaning.agent_name = spot.word(Key::SESSION_AGENT_TYPE).or(Some("goose"));
    }
    if !meaning.usage.is_known()
        && let Some(usage) = details::usage(spot, Key::USAGE_DETAILS_JSON, DIALECT.convention)
    {
        meaning.usage = usage;
    }
    if meaning.reported_usd.is_none() {
        meaning.reported_usd = details::usd(spot, Key::COST_DETAILS_JSON);
    }
    if meaning.ttft_s.is_none() {
        meaning.ttft_s = details::since_start(spot, Key::COMPLETION_START_TIME);
    }
}
