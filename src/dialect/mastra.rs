//! Mastra: the GenAI conventions where they have a word, and types of its own for every span.

use super::{Dialect, FieldKeys, Op, Signs, Spot, UsageKeys, details, mcp};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "mastra",
    signs: Signs {
        scopes: &["@mastra*"],
        keys: &[Key::MASTRA_SPAN_TYPE],
        only_if: |spot| spot.attributes.has(Key::MASTRA_SPAN_TYPE),
        ..Signs::NONE
    },
    // A generation is a call where its exporter knows nothing finer, and holds several where it does.
    kinds: &[
        (Key::GEN_AI_OPERATION_NAME, &[("chat", Op::Chat)]),
        (
            Key::MASTRA_SPAN_TYPE,
            &[
                ("agent_run", Op::InvokeAgent),
                ("workflow_run", Op::InvokeWorkflow),
                ("tool_call", Op::ExecuteTool),
                ("mcp_tool_call", Op::ExecuteTool),
                ("provider_tool_call", Op::ExecuteTool),
                ("model_inference", Op::Chat),
                ("llm_generation", Op::Chat),
                ("rag_embedding", Op::Embeddings),
                ("rag_vector_operation", Op::Retrieval),
                ("memory_operation", Op::Memory),
                ("workflow_step", Op::Task),
                ("scorer_run", Op::Evaluate),
                ("scorer_step", Op::Evaluate),
            ],
        ),
    ],
    op,
    fields: FieldKeys {
        conversation_id: &[Key::GEN_AI_CONVERSATION_ID, Key::MASTRA_THREAD_ID],
        session_id: &[Key::MASTRA_SESSION_ID],
        user_id: &[Key::MASTRA_USER_ID, Key::MASTRA_RESOURCE_ID],
        // The first exporters told the id of an agent only, which is the name that its author gave it.
        agent_name: &[Key::GEN_AI_AGENT_NAME, Key::GEN_AI_AGENT_ID],
        step_name: &[Key::MASTRA_STEP_ID],
        input: &[Key::MASTRA_AGENT_INPUT, Key::MASTRA_WORKFLOW_INPUT, Key::MASTRA_STEP_INPUT, Key::PLAIN_INPUT],
        output: &[Key::MASTRA_AGENT_OUTPUT, Key::MASTRA_WORKFLOW_OUTPUT, Key::MASTRA_STEP_OUTPUT, Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        cache_read: &[Key::GEN_AI_USAGE_CACHED_INPUT_TOKENS],
        cache_write_5m: &[Key::GEN_AI_USAGE_CACHE_CREATION_5M_INPUT],
        cache_write_1h: &[Key::GEN_AI_USAGE_CACHE_CREATION_1H_INPUT],
        input_audio: &[Key::GEN_AI_USAGE_AUDIO_INPUT_TOKENS_FLAT],
        output_audio: &[Key::GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS_FLAT],
        ..UsageKeys::NONE
    }),
    amend: |spot, meaning| {
        if let Some(failure) = &mut meaning.failure {
            // Its word for errors that have no id.
            failure.error_type = failure.error_type.filter(|kind| *kind != "unknown");
        }
        // A call that fails ends well, and has this for its reason to stop.
        let finish = || spot.word(Key::GEN_AI_RESPONSE_FINISH_REASONS).unwrap_or_default();
        if meaning.op == Op::Chat && !meaning.usage.is_known() && finish().contains("\"error\"") {
            meaning.failure.get_or_insert_default();
        }
        if meaning.op == Op::InvokeWorkflow && meaning.workflow_name.is_none() {
            meaning.workflow_name = spot.span.name.as_str().strip_prefix("workflow.");
        }
        meaning.ttft_s = meaning.ttft_s.or_else(|| details::since_start(spot, Key::MASTRA_COMPLETION_START_TIME));
    },
    ..Dialect::BASE
};

/// Pieces of an answer are no work of their own; what else has a type is a step.
fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    match spot.word(Key::MASTRA_SPAN_TYPE)? {
        "model_chunk" | "llm_chunk" => None,
        "mcp_server_request" => mcp::op(spot),
        _ => Some(Op::Step),
    }
}
