//! rig: the GenAI conventions, except that failed calls and runs say nothing of it and have to be told by what is
//! missing.
//!
//! Within a span of the application there is no `invoke_agent`: the agent is only a name on its calls of models.

use super::{Dialect, Failure, Meaning, Op, Signs, Spot, otel_genai};
use crate::otlp::view::StatusCode;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "rig",
    signs: Signs {
        scopes: &["rig*"],
        keys: &[
            Key::RIG_COMPLETION_PARENT,
            Key::RIG_PROVIDER_REQUEST_ID,
            Key::TARGET,
            Key::CODE_MODULE_NAME,
            Key::CODE_NAMESPACE,
        ],
        only_if: |spot| spot.attributes.has_gen_ai() && is_rig(spot),
        ..Signs::NONE
    },
    op,
    amend,
    ..Dialect::BASE
};

/// What its agent logs into the span of a run when a turn begins, and when the run has come to its end.
const TURN_BEGINS: &str = "Current conversation Turns:";
const RUN_ENDS: &str = "Agent run finished";

const NO_ANSWER: &str = "the model gave no answer (inferred: the call ended without a response id and without usage)";
const NO_END: &str = "the run broke off (inferred: a turn began, and the run did not come to its end)";

fn is_rig(spot: &Spot<'_, '_>) -> bool {
    spot.attributes.has_any(&[Key::RIG_COMPLETION_PARENT, Key::RIG_PROVIDER_REQUEST_ID])
        || spot.is_written_in(&["rig", "rig_agent", "rig_core"])
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    match spot.word(Key::GEN_AI_OPERATION_NAME) {
        // The conventions have no word for it, and it is a model that speaks.
        Some("audio_generation") => Some(Op::GenerateContent),
        _ => otel_genai::op(spot),
    }
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op == Op::ExecuteTool && matches!(spot.word(Key::GEN_AI_TOOL_CALL_OUTCOME), Some("denied" | "skipped")) {
        (meaning.failure, meaning.canceled) = (None, true);
    }
    let is_told = meaning.failure.is_some() || meaning.canceled || spot.attributes.has(Key::SPANLIGHT_OUTCOME);
    // What goes on has no answer yet.
    if is_told || spot.is_open() || spot.span.status_code == StatusCode::Ok {
        return;
    }
    let message = match spot.word(Key::GEN_AI_OPERATION_NAME) {
        Some("chat" | "generate_content") if !is_answered(spot, meaning) => NO_ANSWER,
        Some("invoke_agent") if !meaning.usage.is_known() && broke_off(spot) => NO_END,
        _ => return,
    };
    meaning.failure = Some(Failure { error_type: None, message: Some(message) });
}

fn is_answered(spot: &Spot<'_, '_>, meaning: &Meaning<'_>) -> bool {
    const ANSWER: &[Key] = &[Key::GEN_AI_RESPONSE_ID, Key::GEN_AI_RESPONSE_MODEL, Key::GEN_AI_OUTPUT_MESSAGES];
    meaning.usage.is_known() || spot.attributes.has_any(ANSWER)
}

/// Whether the span has the beginning of a turn and no end of the run. Where its logs are not in it, nobody knows.
fn broke_off(spot: &Spot<'_, '_>) -> bool {
    if !spot.span.has_events {
        return false;
    }
    let names = || spot.span.events().map(|event| event.name.as_str());
    names().any(|name| name.starts_with(TURN_BEGINS)) && !names().any(|name| name == RUN_ENDS)
}
