//! opencode: hundreds of spans of its own workings, and those of the AI SDK within them.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, UsageKeys};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "opencode",
    signs: Signs { scopes: &["opencode"], resource: &[("service.name", "opencode")], ..Signs::NONE },
    op,
    fields: FieldKeys {
        provider: &[Key::AI_MODEL_PROVIDER],
        request_model: &[Key::AI_MODEL_ID],
        response_model: &[Key::AI_RESPONSE_MODEL],
        response_id: &[Key::AI_RESPONSE_ID],
        user_id: &[Key::AI_TELEMETRY_USER_ID],
        tool_name: &[Key::AI_TOOL_CALL_NAME, Key::TOOL_NAME],
        tool_call_id: &[Key::AI_TOOL_CALL_ID, Key::TOOL_CALL_ID_FLAT],
        ttft_ms: &[Key::AI_RESPONSE_MS_TO_FIRST_CHUNK],
        input: &[Key::AI_PROMPT_MESSAGES, Key::AI_TOOL_CALL_ARGS],
        output: &[Key::AI_RESPONSE_TEXT, Key::AI_TOOL_CALL_RESULT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::AI_USAGE_INPUT_TOKENS],
        output: &[Key::AI_USAGE_OUTPUT_TOKENS],
        cache_read: &[Key::AI_USAGE_CACHED_INPUT_TOKENS],
        reasoning: &[Key::AI_USAGE_REASONING_TOKENS],
        ..UsageKeys::NONE
    }),
    coding_agent: true,
    amend,
    ..Dialect::BASE
};

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    match spot.span.name.as_str() {
        "SessionPrompt.prompt" => Some(Op::InvokeAgent),
        // What is around these counts the same tokens once more.
        "ai.streamText.doStream" | "ai.generateText.doGenerate" | "ai.streamObject.doStream" => Some(Op::Chat),
        "ai.generateObject.doGenerate" => Some(Op::Chat),
        // Both are of one call: the one that names the tool is within the other.
        "ai.toolCall" | "Tool.execute" => Some(Op::ExecuteTool),
        _ => None,
    }
}

fn amend<'a>(_: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    // What the AI SDK calls the caller is a function.
    meaning.agent_name = Some("opencode").filter(|_| meaning.op == Op::InvokeAgent);
}
