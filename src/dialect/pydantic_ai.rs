//! Pydantic AI: the GenAI conventions, in formats that differ in the names of spans and of a few attributes.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, UsageKeys, otel_genai};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "pydantic_ai",
    signs: Signs { scopes: &["pydantic-ai"], ..Signs::NONE },
    op,
    fields: FieldKeys {
        request_model: &[Key::GEN_AI_REQUEST_MODEL, Key::MODEL_NAME_FLAT],
        agent_name: &[Key::GEN_AI_AGENT_NAME, Key::AGENT_NAME_FLAT],
        input: &[Key::TOOL_ARGUMENTS_FLAT],
        output: &[Key::TOOL_RESPONSE_FLAT, Key::FINAL_RESULT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input_audio: &[Key::GEN_AI_USAGE_DETAILS_INPUT_AUDIO],
        output_audio: &[Key::GEN_AI_USAGE_DETAILS_OUTPUT_AUDIO],
        ..UsageKeys::NONE
    }),
    amend,
    ..Dialect::BASE
};

/// What spans do that were named before they said so, and what never says it.
const NAMES: &[(&str, Op)] = &[
    ("agent run", Op::InvokeAgent),
    ("running tool", Op::ExecuteTool),
    ("running output function", Op::ExecuteTool),
    ("running tools", Op::Step),
];

/// What the span of one attempt begins with. The call above it tells of the one that was answered.
const ATTEMPT: &str = "model request attempt ";

/// What a tool raises that is to run elsewhere, and one that somebody has to approve first.
const DEFERRED: &str = "CallDeferred";
const TO_BE_APPROVED: &str = "ApprovalRequired";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let name = spot.span.name.as_str();
    if name.starts_with(ATTEMPT) {
        return Some(Op::Step);
    }
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, op)| *op);
    let op = if spot.attributes.has(Key::GEN_AI_OPERATION_NAME) { None } else { named };
    op.or_else(|| otel_genai::op(spot))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op != Op::ExecuteTool {
        return;
    }
    if spot.word(Key::PYDANTIC_AI_FAILURE_STAGE) == Some("validation") {
        // The arguments were wrong: the tool has not run.
        meaning.op = Op::ToolPhase;
        return;
    }
    let raised = meaning.failure.as_ref().and_then(|failure| failure.error_type);
    let raised = raised.and_then(|kind| kind.rsplit('.').next());
    match spot.word(Key::PYDANTIC_AI_DEFERRAL).or(raised) {
        Some(DEFERRED) => meaning.failure = None,
        Some(TO_BE_APPROVED) => (meaning.failure, meaning.op) = (None, Op::ToolPhase),
        _ => say_what_failed(spot, meaning),
    }
}

/// A tool that asks the model to try again says why in what it gives back, and its exception may say nothing.
fn say_what_failed<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let says_nothing = |message: &str| message.trim_end().ends_with(':');
    if let Some(failure) = meaning.failure.as_mut().filter(|failure| failure.message.is_none_or(says_nothing)) {
        failure.message = spot.attributes.text(&[Key::GEN_AI_TOOL_CALL_RESULT, Key::TOOL_RESPONSE_FLAT]);
    }
}
