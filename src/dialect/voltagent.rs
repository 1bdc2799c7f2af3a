//! VoltAgent: types of spans, and the name of the agent or workflow on everything that is done in it.

use super::{Dialect, FieldKeys, Op, Signs, Spot, UsageKeys};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "voltagent",
    signs: Signs {
        scopes: &["@voltagent*"],
        keys: &[Key::VOLTAGENT_CONVERSATION_ID, Key::VOLTAGENT_LABEL],
        only_if: |spot| spot.attributes.has(Key::ENTITY_TYPE),
        ..Signs::NONE
    },
    kinds: &[(
        Key::SPAN_TYPE,
        &[
            ("llm", Op::Chat),
            ("tool", Op::ExecuteTool),
            ("memory", Op::Memory),
            ("retriever", Op::Retrieval),
            ("embedding", Op::Embeddings),
            ("guardrail", Op::Guardrail),
            ("workflow-step", Op::Task),
        ],
    )],
    op,
    fields: FieldKeys {
        conversation_id: &[Key::VOLTAGENT_CONVERSATION_ID, Key::CONVERSATION_ID],
        request_model: &[Key::LLM_MODEL, Key::AI_MODEL_NAME],
        step_name: &[Key::WORKFLOW_STEP_NAME, Key::SPAN_LABEL],
        tool_name: &[Key::TOOL_NAME],
        tool_call_id: &[Key::TOOL_CALL_ID_DOTTED],
        finish_reason: &[Key::LLM_FINISH_REASON, Key::AI_RESPONSE_FINISH_REASON_FLAT],
        stream: &[Key::LLM_STREAM],
        input: &[Key::LLM_MESSAGES, Key::PLAIN_INPUT],
        output: &[Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::LLM_USAGE_PROMPT_TOKENS, Key::USAGE_PROMPT_TOKENS],
        output: &[Key::LLM_USAGE_COMPLETION_TOKENS, Key::USAGE_COMPLETION_TOKENS],
        cache_read: &[Key::LLM_USAGE_CACHED_TOKENS, Key::USAGE_CACHED_TOKENS],
        reasoning: &[Key::LLM_USAGE_REASONING_TOKENS, Key::USAGE_REASONING_TOKENS],
        ..UsageKeys::NONE
    }),
    amend: |spot, meaning| match meaning.op {
        Op::InvokeAgent => {
            // What is done by a subagent has its supervisor as the entity.
            meaning.agent_name = spot.attributes.text(&[Key::VOLTAGENT_SUBAGENT_NAME, Key::ENTITY_NAME]);
            // All turns with tools are one call, which has the tokens of the last.
            meaning.tells_of_calls = true;
        }
        Op::InvokeWorkflow => meaning.workflow_name = spot.word(Key::ENTITY_NAME),
        _ => {}
    },
    ..Dialect::BASE
};

/// What has no type is the agent or the workflow itself, which has a state.
fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let attributes = spot.attributes;
    Some(match spot.word(Key::ENTITY_TYPE)? {
        _ if attributes.has(Key::SPAN_TYPE) => Op::Step,
        "agent" if attributes.has(Key::AGENT_STATE) || spot.span.end_time_unix_nano == 0 => Op::InvokeAgent,
        "workflow" if attributes.has(Key::WORKFLOW_STATE) => Op::InvokeWorkflow,
        _ => Op::Step,
    })
}
