//! Which attributes hold content: what people and models said, and what tools were given and gave.

use serde::Deserialize;

/// A class of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Prompts and completions.
    Messages,
    /// System prompts and tool definitions.
    Instructions,
    /// What tools were called with and what they returned.
    Tools,
}

/// What to do with content of a class.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It stays.
    #[default]
    Keep,
    /// Its SHA-256 takes its place, so that equal content can still be told.
    Hash,
    /// It goes.
    Drop,
}

/// The class of an attribute by its key, if it holds content.
pub fn class_of(key: &str) -> Option<Class> {
    let exact = |keys: &[&str]| keys.contains(&key);
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    if exact(TOOLS) || begins(TOOL_PREFIXES) {
        return Some(Class::Tools);
    }
    if exact(INSTRUCTIONS) || begins(INSTRUCTION_PREFIXES) {
        return Some(Class::Instructions);
    }
    // `gen_ai.prompt.name` is the name of a template, `gen_ai.prompt.0.content` a message.
    let indexed = |prefix: &str| {
        key.strip_prefix(prefix).is_some_and(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()))
    };
    let messages =
        exact(MESSAGES) || begins(MESSAGE_PREFIXES) || indexed("gen_ai.prompt.") || indexed("gen_ai.completion.");
    messages.then_some(Class::Messages)
}

/// Members of the payload of events that hold content.
pub fn class_of_member(key: &str) -> Option<Class> {
    match key {
        "messages" | "response" | "input" | "output" | "chunk" => Some(Class::Messages),
        "arguments" | "result" => Some(Class::Tools),
        "system_instructions" => Some(Class::Instructions),
        _ => None,
    }
}

const MESSAGES: &[&str] = &[
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.evaluation.explanation",
    "input.value",
    "output.value",
    "ai.prompt",
    "ai.prompt.messages",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.toolCalls",
    "pydantic_ai.all_messages",
    "all_messages_events",
    "final_result",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "lmnr.span.input",
    "lmnr.span.output",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "agentops.entity.input",
    "agentops.entity.output",
    "agentops.workflow.input",
    "agentops.workflow.output",
    "agentops.task.input",
    "agentops.task.output",
    "agentops.agent.input",
    "agentops.agent.output",
    "agentops.operation.input",
    "agentops.operation.output",
    "gen_ai.task.input",
    "gen_ai.task.output",
    "crewai.crew.inputs",
    "crewai.crew.output",
    "crewai.flow.inputs",
    "crewai.flow.result",
    "crewai.task.description",
    "crewai.task.output",
    "haystack.agent.step.llm.input",
    "haystack.agent.step.llm.output",
    "haystack.agent.input",
    "haystack.agent.output",
    "haystack.component.input",
    "haystack.component.output",
    "haystack.pipeline.input_data",
    "haystack.pipeline.output_data",
    "litellm.guardrail.response",
    "guardrail_response",
    "messages",
    "response.raw.choices",
    "llamaindex.step.input_summary",
    "tags.llamaindex.step.input_summary",
    "input",
    "output",
    "prompt",
    "response",
    "user_prompt",
];
const MESSAGE_PREFIXES: &[&str] =
    &["llm.input_messages.", "llm.output_messages.", "llm.prompts.", "llm.choices.", "response.message."];
const INSTRUCTIONS: &[&str] =
    &["gen_ai.system_instructions", "gen_ai.tool.definitions", "gen_ai.agent.tools", "ai.prompt.tools"];
const INSTRUCTION_PREFIXES: &[&str] = &["llm.tools.", "llm.request.functions."];
const TOOLS: &[&str] = &[
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.input",
    "gen_ai.tool.args",
    "gen_ai.tool.output",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "tool_arguments",
    "tool_response",
    "tool_input",
    "tool_parameters",
    "full_command",
    "gcp.vertex.agent.tool_call_args",
    "gcp.vertex.agent.tool_response",
    "mcp.request.argument",
    "mcp.response.value",
    "haystack.agent.step.tool.input",
    "haystack.agent.step.tool.output",
    "agentops.tool.input",
    "agentops.tool.output",
    "tool.parameters",
    "tool.result",
    "function.args",
    "function.kwargs",
];
const TOOL_PREFIXES: &[&str] = &["gen_ai.tool.call.arguments.", "gen_ai.tool.call.result."];
