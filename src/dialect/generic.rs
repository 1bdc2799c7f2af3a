//! The generic keys: what every dialect falls back on for fields that its own keys left empty.

use super::{Attributes, FieldKeys};
use crate::otlp::view::AnyValue;
use crate::semconv::Key;

/// In order of preference, for every dialect last.
pub static FIELDS: FieldKeys = FieldKeys {
    provider: &[Key::GEN_AI_PROVIDER_NAME, Key::GEN_AI_SYSTEM],
    request_model: &[Key::GEN_AI_REQUEST_MODEL],
    response_model: &[Key::GEN_AI_RESPONSE_MODEL],
    response_id: &[Key::GEN_AI_RESPONSE_ID],
    conversation_id: &[Key::GEN_AI_CONVERSATION_ID, Key::TRACELOOP_CONVERSATION_ID, Key::TRACELOOP_THREAD_ID],
    session_id: &[
        Key::SESSION_ID,
        Key::TRACELOOP_SESSION_ID,
        Key::LMNR_SESSION_ID,
        Key::GEN_AI_CONVERSATION_ID,
        Key::TRACELOOP_THREAD_ID,
    ],
    user_id: &[
        Key::USER_ID,
        Key::ENDUSER_ID,
        Key::GEN_AI_USER_ID,
        Key::GEN_AI_USER,
        Key::GEN_AI_REQUEST_USER,
        Key::TRACELOOP_USER_ID,
        Key::LMNR_USER_ID,
    ],
    prompt_id: &[],
    agent_name: &[Key::GEN_AI_AGENT_NAME],
    agent_id: &[Key::GEN_AI_AGENT_ID],
    workflow_name: &[Key::GEN_AI_WORKFLOW_NAME, Key::WORKFLOW_NAME, Key::TRACELOOP_WORKFLOW_NAME],
    step_name: &[Key::GEN_AI_TASK_NAME, Key::EXECUTOR_ID, Key::GRAPH_NODE_ID],
    tool_name: &[Key::GEN_AI_TOOL_NAME, Key::MCP_TOOL_NAME],
    tool_call_id: &[Key::GEN_AI_TOOL_CALL_ID, Key::GEN_AI_TOOL_CALL_ID_FLAT],
    finish_reason: &[
        Key::GEN_AI_RESPONSE_FINISH_REASONS,
        Key::GEN_AI_RESPONSE_FINISH_REASON,
        Key::GEN_AI_RESPONSE_STOP_REASON,
    ],
    stream: &[Key::GEN_AI_REQUEST_STREAM, Key::GEN_AI_IS_STREAMING],
    ttft_s: &[Key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, Key::GEN_AI_CLIENT_TIME_TO_FIRST_CHUNK],
    ttft_ms: &[],
    service_tier: &[
        Key::OPENAI_RESPONSE_SERVICE_TIER,
        Key::ANTHROPIC_RESPONSE_SERVICE_TIER,
        Key::GEN_AI_RESPONSE_SERVICE_TIER,
        Key::GEN_AI_OPENAI_RESPONSE_SERVICE_TIER,
    ],
    cost: &[
        Key::LITELLM_COST_TOTAL,
        Key::GEN_AI_COST_TOTAL_COST,
        Key::LLM_COST_TOTAL,
        Key::OPERATION_COST,
        Key::GEN_AI_USAGE_COST,
        Key::MLFLOW_LLM_COST_TOTAL_COST,
    ],
    error_type: &[Key::ERROR_TYPE, Key::GEN_AI_TOOL_ERROR_TYPE],
    error_message: &[Key::ERROR_MESSAGE],
    failure: &[],
    input: &[Key::GEN_AI_TOOL_CALL_ARGUMENTS, Key::GEN_AI_TOOL_INPUT, Key::GEN_AI_TOOL_ARGS],
    output: &[Key::GEN_AI_TOOL_CALL_RESULT, Key::GEN_AI_TOOL_OUTPUT],
};

/// What [`says_failed`] reads.
pub const FAILURE_WORDS: &[Key] = &[
    Key::SUCCESS,
    Key::GEN_AI_TOOL_STATUS,
    Key::GEN_AI_TOOL_CALL_OUTCOME,
    Key::GEN_AI_TASK_STATUS,
    Key::LANGFUSE_OBSERVATION_LEVEL,
    Key::HTTP_RESPONSE_STATUS_CODE,
    Key::HTTP_STATUS_CODE,
];

/// Whether the emitter says in words that it failed.
pub fn says_failed(attributes: &Attributes<'_>) -> bool {
    let is = |key: Key, word: &str| attributes.get(key).and_then(AnyValue::text).is_some_and(|text| text == *word);
    attributes.truth(&[Key::SUCCESS]) == Some(false)
        || is(Key::GEN_AI_TOOL_STATUS, "error")
        || is(Key::GEN_AI_TOOL_CALL_OUTCOME, "failure")
        || is(Key::GEN_AI_TOOL_CALL_OUTCOME, "error")
        || is(Key::GEN_AI_TASK_STATUS, "failure")
        || is(Key::LANGFUSE_OBSERVATION_LEVEL, "ERROR")
        || attributes.count(&[Key::HTTP_RESPONSE_STATUS_CODE, Key::HTTP_STATUS_CODE]).is_some_and(|code| code >= 400)
}
