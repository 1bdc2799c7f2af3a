//! Anthropic's SDKs, and the platform behind them.

use super::{Dialect, FieldKeys, Op, Signs, Spot};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "anthropic_sdk",
    signs: Signs { scopes: &["com.anthropic.sdk.*", "com.anthropic.claude-platform*"], ..Signs::NONE },
    op,
    fields: FieldKeys {
        session_id: &[Key::SESSION_ID, Key::ANTHROPIC_SESSION_ID],
        finish_reason: &[Key::ANTHROPIC_STOP_REASON],
        output: &[Key::ANTHROPIC_TOOL_RESULT_CONTENT],
        ..FieldKeys::NONE
    },
    amend: |spot, meaning| {
        if meaning.op == Op::InvokeAgent && meaning.agent_name.is_none() {
            // It is a loop around calls, and what it is called is all that there is.
            meaning.agent_name = spot.span.name.as_str().rsplit('.').next().filter(|name| !name.is_empty());
        }
    },
    ..Dialect::BASE
};

/// What spans do that do not say it, by what their names begin with. The rest are steps: they wait, list and fetch.
const NAMES: &[(&str, Op)] = &[
    ("anthropic.messages.create", Op::Chat),
    ("anthropic.messages.stream", Op::Chat),
    ("anthropic.messages.tool_runner", Op::InvokeAgent),
    ("anthropic.tool_use", Op::ExecuteTool),
    ("anthropic.mcp_tool_use", Op::ExecuteTool),
    ("anthropic.custom_tool_use", Op::ExecuteTool),
    ("anthropic.agents.create", Op::CreateAgent),
];

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if let Some(name) = spot.word(Key::GEN_AI_OPERATION_NAME) {
        return Some(Op::of_operation_name(name));
    }
    let first_word = spot.span.name.as_str().split(' ').next().unwrap_or_default();
    let named = NAMES.iter().find(|(known, _)| *known == first_word).map(|(_, op)| *op);
    Some(named.unwrap_or(Op::Step))
}
