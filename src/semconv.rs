//! Names of semantic conventions, each spelled once: the attributes that are understood, and the metrics.

/// An attribute key that some dialect reads, as a small number.
///
/// The keys of this module have their constants here; a [`KeyTable`] may add the keys that a configuration
/// names (the dimensions of metrics).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u16);

macro_rules! keys {
    ($($constant:ident = $name:expr),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "these only number the constants")]
        enum Number { $($constant),* }

        #[allow(missing_docs, reason = "the value is the documentation: the conventions define the name")]
        impl Key {
            $(pub const $constant: Key = Key(Number::$constant as u16);)*
        }

        /// The names of all keys, by number.
        static NAMES: &[&str] = &[$($name),*];
    };
}

keys! {
    // OTel GenAI, all generations (semantic-conventions-genai, semantic-conventions 1.27 to 1.41).
    GEN_AI_OPERATION_NAME = "gen_ai.operation.name",
    GEN_AI_PROVIDER_NAME = "gen_ai.provider.name",
    GEN_AI_SYSTEM = "gen_ai.system",
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model",
    GEN_AI_REQUEST_STREAM = "gen_ai.request.stream",
    GEN_AI_IS_STREAMING = "gen_ai.is_streaming",
    GEN_AI_REQUEST_USER = "gen_ai.request.user",
    GEN_AI_RESPONSE_MODEL = "gen_ai.response.model",
    GEN_AI_RESPONSE_ID = "gen_ai.response.id",
    GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons",
    GEN_AI_RESPONSE_FINISH_REASON = "gen_ai.response.finish_reason",
    GEN_AI_RESPONSE_STOP_REASON = "gen_ai.response.stop_reason",
    GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk",
    GEN_AI_RESPONSE_SERVICE_TIER = "gen_ai.response.service_tier",
    OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier",
    GEN_AI_OPENAI_RESPONSE_SERVICE_TIER = "gen_ai.openai.response.service_tier",
    ANTHROPIC_RESPONSE_SERVICE_TIER = "anthropic.response.service_tier",
    GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens",
    GEN_AI_USAGE_PROMPT_TOKENS = "gen_ai.usage.prompt_tokens",
    GEN_AI_RESPONSE_PROMPT_TOKENS = "gen_ai.response.prompt_tokens",
    GEN_AI_RESPONSE_COMPLETION_TOKENS = "gen_ai.response.completion_tokens",
    GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens",
    GEN_AI_USAGE_COMPLETION_TOKENS = "gen_ai.usage.completion_tokens",
    GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens",
    GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS_FLAT = "gen_ai.usage.cache_read_input_tokens",
    GEN_AI_USAGE_CACHE_READ_TOKENS = "gen_ai.usage.cache_read_tokens",
    GEN_AI_USAGE_DETAILS_CACHE_READ_TOKENS = "gen_ai.usage.details.cache_read_tokens",
    GEN_AI_USAGE_PROMPT_DETAILS_CACHED = "gen_ai.usage.prompt_tokens_details.cached_tokens",
    GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens",
    GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens",
    GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS_FLAT = "gen_ai.usage.cache_creation_input_tokens",
    GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS_FLAT = "gen_ai.usage.cache_write_input_tokens",
    GEN_AI_USAGE_CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation_tokens",
    GEN_AI_USAGE_DETAILS_CACHE_WRITE_TOKENS = "gen_ai.usage.details.cache_write_tokens",
    GEN_AI_USAGE_PROMPT_DETAILS_CACHE_CREATION = "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
    ANTHROPIC_USAGE_CACHE_CREATION_5M = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    ANTHROPIC_USAGE_CACHE_CREATION_1H = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    GEN_AI_USAGE_CACHE_CREATION_5M = "gen_ai.usage.cache_creation.input_tokens.ephemeral_5m",
    GEN_AI_USAGE_CACHE_CREATION_1H = "gen_ai.usage.cache_creation.input_tokens.ephemeral_1h",
    GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens",
    GEN_AI_USAGE_REASONING_TOKENS = "gen_ai.usage.reasoning_tokens",
    GEN_AI_USAGE_DETAILS_REASONING_TOKENS = "gen_ai.usage.details.reasoning_tokens",
    GEN_AI_USAGE_COMPLETION_DETAILS_REASONING = "gen_ai.usage.completion_tokens_details.reasoning_tokens",
    GEN_AI_USAGE_THINKING_TOKENS = "gen_ai.usage.thinking_tokens",
    GEN_AI_USAGE_AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens",
    GEN_AI_USAGE_INPUT_AUDIO_TOKENS = "gen_ai.usage.input_audio_tokens",
    GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens",
    GEN_AI_USAGE_OUTPUT_AUDIO_TOKENS = "gen_ai.usage.output_audio_tokens",
    GEN_AI_USAGE_COST = "gen_ai.usage.cost",
    GEN_AI_COST_TOTAL_COST = "gen_ai.cost.total_cost",
    GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id",
    GEN_AI_USER_ID = "gen_ai.user.id",
    GEN_AI_USER = "gen_ai.user",
    GEN_AI_AGENT_NAME = "gen_ai.agent.name",
    GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name",
    GEN_AI_TASK_NAME = "gen_ai.task.name",
    GEN_AI_TASK_STATUS = "gen_ai.task.status",
    GEN_AI_TOOL_NAME = "gen_ai.tool.name",
    GEN_AI_TOOL_STATUS = "gen_ai.tool.status",
    GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id",
    GEN_AI_TOOL_CALL_ID_FLAT = "gen_ai.tool.call_id",
    GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments",
    GEN_AI_TOOL_CALL_OUTCOME = "gen_ai.tool.call.outcome",
    GEN_AI_TOOL_INPUT = "gen_ai.tool.input",
    GEN_AI_TOOL_ARGS = "gen_ai.tool.args",
    GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result",
    GEN_AI_TOOL_OUTPUT = "gen_ai.tool.output",
    GEN_AI_TOOL_ERROR_TYPE = "gen_ai.tool.error.type",
    GEN_AI_PROMPT = "gen_ai.prompt",
    GEN_AI_COMPLETION = "gen_ai.completion",
    GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages",
    GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages",
    // MCP.
    MCP_METHOD_NAME = "mcp.method.name",
    MCP_TOOL_NAME = "mcp.tool.name",
    // General conventions.
    ERROR_TYPE = "error.type",
    ERROR_MESSAGE = "error.message",
    EXCEPTION_TYPE = "exception.type",
    EXCEPTION_MESSAGE = "exception.message",
    SESSION_ID = "session.id",
    USER_ID = "user.id",
    ENDUSER_ID = "enduser.id",
    SERVER_ADDRESS = "server.address",
    SUCCESS = "success",
    // Costs in US dollars that emitters report.
    LITELLM_COST_TOTAL = "litellm.cost.total",
    LLM_COST_TOTAL = "llm.cost.total",
    OPERATION_COST = "operation.cost",
    MLFLOW_LLM_COST_TOTAL_COST = "mlflow.llm.cost.total_cost",
    // Names that several frameworks share.
    WORKFLOW_NAME = "workflow.name",
    EXECUTOR_ID = "executor.id",
    GRAPH_NODE_ID = "graph.node.id",
    // From here on, what no convention has: see `is_unconventional`.
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

impl Key {
    /// The name of a key of this module; keys of a configuration have none here.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether it is one of those of the second half, which people and crates use who follow no convention.
    #[inline]
    pub(crate) fn is_unconventional(self) -> bool {
        (Key::SPANLIGHT_SCOPE.index()..NAMES.len()).contains(&self.index())
    }
}

/// Finds the [`Key`] of an attribute's name without allocating: one hash and one comparison.
#[derive(Clone, Debug)]
pub struct KeyTable {
    names: Vec<Box<str>>,
    slots: Box<[u16]>,
}

impl KeyTable {
    const EMPTY: u16 = u16::MAX;

    /// All keys of this module, and `more` that get numbers of their own.
    pub fn with<'a>(more: impl IntoIterator<Item = &'a str>) -> KeyTable {
        let mut names: Vec<Box<str>> = NAMES.iter().map(|name| Box::from(*name)).collect();
        for name in more {
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        let mut slots = vec![KeyTable::EMPTY; (names.len() * 4).next_power_of_two()].into_boxed_slice();
        for (number, name) in names.iter().enumerate() {
            let mut slot = hash(name.as_bytes()) as usize & (slots.len() - 1);
            while slots[slot] != KeyTable::EMPTY {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = number as u16;
        }
        KeyTable { names, slots }
    }

    /// The key of a name, if anyone reads it.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Key> {
        let mut slot = hash(name) as usize & (self.slots.len() - 1);
        loop {
            let number = self.slots[slot];
            let known = self.names.get(usize::from(number))?;
            if same(known.as_bytes(), name) {
                return Some(Key(number));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Whether two names are one, by words of eight bytes: names are too short for a call of `memcmp` to pay.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words =
        a.iter().zip(b).fold(0, |difference, (a, b)| difference | u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b));
    words == 0 && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

/// Multiply and fold over words of eight bytes. The table is fixed, so nobody gains by finding collisions.
#[inline]
fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_chunks::<8>();
    let mut state = name.len() as u64;
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        state ^= state >> 32;
    }
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    state = (state ^ u64::from_le_bytes(tail)).wrapping_mul(FACTOR);
    state ^ state >> 32
}

/// Resource attributes.
pub mod resource {
    /// What emits the telemetry.
    pub const SERVICE_NAME: &str = "service.name";
    /// Which instance of it.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    /// On metrics of the library: whether the events that they were counted from go to the same receiver.
    pub const EVENTS_SENT: &str = "spanlight.events.sent";
    /// Its version.
    pub const SERVICE_VERSION: &str = "service.version";
}

/// Attributes of our own, on log records that are events and on spans.
#[allow(missing_docs, reason = "the names are those of the event's fields")]
pub mod spanlight {
    pub const EVENT_ID: &str = "spanlight.event.id";
    pub const SCOPE: &str = "spanlight.scope";
    pub const OUTCOME: &str = "spanlight.outcome";
    pub const LAST_EXIT_MS: &str = "spanlight.last_exit_ms";
    pub const TYPE: &str = "spanlight.type";
    pub const STATUS: &str = "spanlight.status";
    pub const COMPONENT_ID: &str = "spanlight.component.id";
    pub const MESSAGE: &str = "spanlight.message";
    pub const PARENT_SPAN_ID: &str = "spanlight.parent_span.id";
    pub const WORKFLOW_ID: &str = "spanlight.workflow.id";
    pub const PARENT_WORKFLOW_ID: &str = "spanlight.parent_workflow.id";
    pub const EXECUTION_ID: &str = "spanlight.execution.id";
    pub const CORRELATION_ID: &str = "spanlight.correlation.id";
    pub const TASK_ID: &str = "spanlight.task.id";
    pub const FEATURE: &str = "spanlight.feature";
    pub const PRIORITY: &str = "spanlight.priority";
    pub const TTL_S: &str = "spanlight.ttl_s";
    pub const TAGS: &str = "spanlight.tags";
    pub const DURATION_MS: &str = "spanlight.duration_ms";
    pub const COST_USD: &str = "spanlight.cost.usd";
    pub const TTFT_MS: &str = "spanlight.ttft_ms";
    pub const SUCCESS: &str = "spanlight.success";
    pub const CONFIDENCE: &str = "spanlight.confidence";
    pub const SOURCE_KIND: &str = "spanlight.source.kind";
    pub const SOURCE_DIALECT: &str = "spanlight.source.dialect";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_nothing_else() {
        let table = KeyTable::with(["app.feature", "gen_ai.system", "app.feature"]);
        for (number, name) in NAMES.iter().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(Key(number as u16)), "{name}");
        }
        assert_eq!(table.find(b"app.feature").map(Key::index), Some(NAMES.len()));
        for name in ["", "gen_ai", "gen_ai.usage.input_token", "gen_ai.usage.input_tokens ", "app.other"] {
            assert_eq!(table.find(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Key::ERROR_TYPE.name(), "error.type");
    }

    #[test]
    fn names_stand_once() {
        for (index, name) in NAMES.iter().enumerate() {
            assert!(!NAMES[index + 1..].contains(name), "{name}");
        }
    }
}
