//! Attributes that one framework has, and plain words that mean something only in a dialect that is told by
//! something else.

use super::spanlight;

keys! { super::conventions::NAMES.len() as u16;
    // Our own, by which the author of a span says what it is.
    SPANLIGHT_SCOPE = spanlight::SCOPE,
    SPANLIGHT_OUTCOME = spanlight::OUTCOME,
    SPANLIGHT_LAST_EXIT_MS = spanlight::LAST_EXIT_MS,
    // Where a span of a Rust program was written: what tracing-opentelemetry says beside its fields.
    TARGET = "target",
    CODE_NAMESPACE = "code.namespace",
    CODE_MODULE_NAME = "code.module.name",
    // Fields as people and crates name them who follow no convention. They mean something only in dialects that
    // are told by something else.
    PLAIN_SCOPE = "scope",
    PLAIN_WORKFLOW = "workflow",
    PLAIN_STEP = "step",
    PLAIN_AGENT = "agent",
    PLAIN_MODEL = "model",
    PLAIN_PROVIDER = "provider",
    PLAIN_TOOL = "tool",
    PLAIN_TOOL_NAME = "tool_name",
    PLAIN_CALL_ID = "call_id",
    PLAIN_CHAIN = "chain",
    PLAIN_INPUT_TOKENS = "input_tokens",
    PLAIN_OUTPUT_TOKENS = "output_tokens",
    PLAIN_PROMPT_TOKENS = "prompt_tokens",
    PLAIN_COMPLETION_TOKENS = "completion_tokens",
    PLAIN_CACHE_READ_TOKENS = "cache_read_tokens",
    PLAIN_CACHE_WRITE_TOKENS = "cache_write_tokens",
    PLAIN_REASONING_TOKENS = "reasoning_tokens",
    PLAIN_COST_USD = "cost_usd",
    PLAIN_TTFT_MS = "ttft_ms",
    PLAIN_CONVERSATION_ID = "conversation_id",
    PLAIN_SESSION_ID = "session_id",
    PLAIN_USER_ID = "user_id",
    PLAIN_MESSAGES = "messages",
    PLAIN_ARGUMENTS = "arguments",
    PLAIN_INPUT = "input",
    PLAIN_RESPONSE = "response",
    PLAIN_RESULT = "result",
    PLAIN_OUTPUT = "output",
    PLAIN_FINISH_REASON = "finish_reason",
    PLAIN_STREAM = "stream",
    PLAIN_ERROR = "error",
    PLAIN_ERROR_TYPE = "error_type",
    PLAIN_ERROR_CODE = "error_code",
    PLAIN_MAX_ITERATIONS = "max_iterations",
    // Logfire.
    LOGFIRE_SPAN_TYPE = "logfire.span_type",
    LOGFIRE_PENDING_PARENT_ID = "logfire.pending_parent_id",
    // rig.
    RIG_COMPLETION_PARENT = "rig.completion_parent",
    RIG_PROVIDER_REQUEST_ID = "rig.provider_request_id",
    // genai.
    GEN_AI_EVALUATION_NAME = "gen_ai.evaluation.name",
    // swiftide, whose words are those of its Langfuse layer.
    LANGFUSE_TYPE = "langfuse.type",
    LANGFUSE_MODEL = "langfuse.model",
    LANGFUSE_INPUT = "langfuse.input",
    LANGFUSE_OUTPUT = "langfuse.output",
    LANGFUSE_USAGE = "langfuse.usage",
    LANGFUSE_STATUS_MESSAGE = "langfuse.status_message",
    SWIFTIDE_USAGE_PROMPT_TOKENS = "swiftide.usage.prompt_tokens",
    SWIFTIDE_USAGE_COMPLETION_TOKENS = "swiftide.usage.completion_tokens",
    // goose.
    OBSERVATION_TYPE = "observation_type",
    INPUT_JSON = "input_json",
    OUTPUT_JSON = "output_json",
    USAGE_DETAILS_JSON = "usage_details_json",
    COST_DETAILS_JSON = "cost_details_json",
    COMPLETION_START_TIME = "completion_start_time",
    STATUS_MESSAGE = "status_message",
    TRACE_INPUT = "trace_input",
    TRACE_OUTPUT = "trace_output",
    SESSION_AGENT_TYPE = "session.agent_type",
}
