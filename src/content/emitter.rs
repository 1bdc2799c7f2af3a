//! Whether telemetry is of agents, or of what agents are made with: there `output` and `prompt` are what they say.

use super::keys;
use crate::otlp::view::{AnyValue, Group, KeyValue};
use crate::semconv::resource::SERVICE_NAME;

/// Words in the names of the scopes of agents, SDKs of models, and what instruments them.
const WORDS: &[&str] = &[
    "ag2",
    "agent",
    "agentops",
    "agents",
    "agentscope",
    "agno",
    "ai",
    "anthropic",
    "arizeai",
    "autogen",
    "bedrock",
    "claude",
    "codex",
    "cohere",
    "copilot",
    "crewai",
    "dspy",
    "gemini",
    "genai",
    "genkit",
    "goose",
    "groq",
    "haystack",
    "langchain",
    "langfuse",
    "langgraph",
    "langsmith",
    "litellm",
    "livekit",
    "llama",
    "llamaindex",
    "llm",
    "lmnr",
    "mastra",
    "mcp",
    "mistral",
    "mistralai",
    "mlflow",
    "ollama",
    "openai",
    "opencode",
    "openinference",
    "openlit",
    "qwen",
    "rig",
    "semantickernel",
    "smolagents",
    "spanlight",
    "strands",
    "swiftide",
    "traceloop",
    "vertexai",
    "voltagent",
];

/// Names of the services that are agents for writing code.
const CODING_AGENTS: &[&str] =
    &["claude-code", "codex", "copilot", "gemini-cli", "github-copilot", "goose", "opencode", "qwen-code"];

/// Where spans of Rust programs say in which crate they were written.
const TARGETS: &[&str] = &["target", "code.module.name", "code.namespace"];

/// Whether the scope, or the service, is one of agents.
pub fn is_of_agents(group: &Group<'_>) -> bool {
    let service = group.resource.get(SERVICE_NAME).and_then(AnyValue::text);
    has_word(group.scope.name.as_str()) || service.is_some_and(|name| is_coding_agent(name.as_str()))
}

/// Whether the attributes of a record have anything that only telemetry of agents has.
pub fn says_so<'a>(mut attributes: impl Iterator<Item = KeyValue<'a>>) -> bool {
    attributes.any(|KeyValue { key, value }| {
        let key = key.as_str();
        let says = |is: fn(&str) -> bool| value.text().is_some_and(|text| is(text.as_str()));
        match key.split_once('.') {
            Some((namespace, rest)) if keys::is_of_agents(namespace, rest) || namespace == "spanlight" => true,
            Some(("event", "name")) => says(is_event_of_agents),
            _ if key == "scope" => says(|word| {
                ["workflow", "step", "workflow_step", "agent", "llm", "llm_request", "tool"].contains(&word)
            }),
            _ => TARGETS.contains(&key) && says(|path| has_word(path.split("::").next().unwrap_or_default())),
        }
    })
}

/// Whether an event is one of agents by its name.
pub fn is_event_of_agents(name: &str) -> bool {
    name.split_once('.').is_some_and(|(namespace, rest)| keys::is_of_agents(namespace, rest))
}

fn is_coding_agent(service: &str) -> bool {
    CODING_AGENTS.iter().any(|name| {
        let rest = service.strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    })
}

fn has_word(name: &str) -> bool {
    let words = || name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words().any(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)))
        || name.starts_with("semantic_kernel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_services_of_agents_are_known() {
        for scope in "pydantic-ai gcp.vertex.agent opentelemetry.instrumentation.openai_v2 @traceloop/instrumentation-bedrock \
                      com.anthropic.claude_code.events codex_otel.log_only gemini-cli Experimental.Microsoft.Extensions.AI \
                      Microsoft.SemanticKernel.Connectors semantic_kernel.functions ai gen_ai strands.telemetry.tracer \
                      openinference.instrumentation.langchain autogen-core langfuse-sdk agent_framework"
            .split_whitespace()
        {
            assert!(has_word(scope), "{scope}");
        }
        for scope in
            "http @opentelemetry/instrumentation-http io.opentelemetry.jdbc mail-client aiohttp rigid.body chair"
                .split_whitespace()
        {
            assert!(!has_word(scope), "{scope}");
        }
        assert!(is_coding_agent("codex_exec") && is_coding_agent("claude-code") && !is_coding_agent("codexes"));
        assert!(is_event_of_agents("gen_ai.choice") && is_event_of_agents("codex.user_prompt"));
        assert!(!is_event_of_agents("exception") && !is_event_of_agents("http.request"));
    }
}
