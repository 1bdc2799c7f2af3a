//! Our own dialect: spans whose author says what they are, in fields with plain names.
//!
//! `spanlight.scope`, or `scope`, is one of a few words; any other word makes a span none of ours, because `scope`
//! means many things elsewhere.

use super::{Dialect, FieldKeys, Op, Signs, Spot, UsageKeys};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "spanlight",
    signs: Signs {
        keys: &[Key::SPANLIGHT_SCOPE, Key::PLAIN_SCOPE],
        only_if: |spot| scope(spot).is_some(),
        ..Signs::NONE
    },
    op,
    fields: FieldKeys {
        provider: &[Key::PLAIN_PROVIDER],
        request_model: &[Key::PLAIN_MODEL],
        conversation_id: &[Key::PLAIN_CONVERSATION_ID],
        session_id: &[Key::PLAIN_SESSION_ID, Key::SESSION_ID, Key::PLAIN_CONVERSATION_ID],
        user_id: &[Key::PLAIN_USER_ID],
        agent_name: &[Key::PLAIN_AGENT],
        workflow_name: &[Key::PLAIN_WORKFLOW],
        step_name: &[Key::PLAIN_STEP],
        tool_name: &[Key::PLAIN_TOOL, Key::PLAIN_TOOL_NAME],
        tool_call_id: &[Key::PLAIN_CALL_ID],
        finish_reason: &[Key::PLAIN_FINISH_REASON],
        stream: &[Key::PLAIN_STREAM],
        ttft_ms: &[Key::PLAIN_TTFT_MS],
        cost: &[Key::PLAIN_COST_USD],
        error_type: &[Key::PLAIN_ERROR_TYPE, Key::PLAIN_ERROR_CODE],
        failure: &[Key::PLAIN_ERROR],
        input: &[Key::PLAIN_MESSAGES, Key::PLAIN_ARGUMENTS, Key::PLAIN_INPUT],
        output: &[Key::PLAIN_RESPONSE, Key::PLAIN_RESULT, Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::PLAIN_INPUT_TOKENS],
        output: &[Key::PLAIN_OUTPUT_TOKENS],
        cache_read: &[Key::PLAIN_CACHE_READ_TOKENS],
        cache_write: &[Key::PLAIN_CACHE_WRITE_TOKENS],
        reasoning: &[Key::PLAIN_REASONING_TOKENS],
        ..UsageKeys::NONE
    }),
    ..Dialect::BASE
};

/// The words for scopes, and what a span of each does if nothing finer is said.
const SCOPES: &[(&str, Op)] = &[
    ("workflow", Op::InvokeWorkflow),
    ("step", Op::Step),
    ("workflow_step", Op::Step),
    ("agent", Op::InvokeAgent),
    ("llm", Op::Chat),
    ("llm_request", Op::Chat),
    ("tool", Op::ExecuteTool),
];

/// The operation that is named, if it is one, because that is finer than a scope.
fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let named = spot.word(Key::GEN_AI_OPERATION_NAME);
    named.and_then(|name| Op::known(name).or_else(|| Op::known(&name.to_ascii_lowercase()))).or_else(|| scope(spot))
}

fn scope(spot: &Spot<'_, '_>) -> Option<Op> {
    let word = spot.attributes.text(&[Key::SPANLIGHT_SCOPE, Key::PLAIN_SCOPE])?;
    SCOPES.iter().find(|(scope, _)| scope.eq_ignore_ascii_case(word)).map(|(_, op)| *op)
}
