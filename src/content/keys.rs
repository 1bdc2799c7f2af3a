//! Which attributes hold content, by their keys.
//!
//! Emitters have hundreds of keys for it, and new ones with every release. So what is fixed is the namespaces that only
//! telemetry of agents has, and the words that say what a value is: within such a namespace a key whose last word is
//! `messages`, `output` or `arguments` holds content, whoever invented it. Words alone, and namespaces that others have
//! as well, count only where the emitter is known to be one of agents.

use super::Class;

/// What a key says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is content, whoever sent it.
    Content(Class),
    /// It is content if it is of an agent, or of what agents are made with.
    OfAgents(Class),
}

/// What a key says; nothing where there is no content behind it.
pub fn find(key: &str) -> Option<Found> {
    if let Some(rest) = key.strip_prefix("genkit:") {
        return word(rest).map(Found::Content);
    }
    let Some((namespace, rest)) = key.split_once('.') else {
        return plain(key).or_else(|| word(key)).map(Found::OfAgents);
    };
    if is_of_agents(namespace, rest) {
        return own(namespace, rest).or_else(|| path(rest)).map(Found::Content);
    }
    match namespace {
        // Conventions that have no prefix of their own.
        "input" | "output" if rest == "value" => Some(Found::Content(Class::Messages)),
        "retrieval" | "reranker" if last(rest) == "metadata" => Some(Found::Content(Class::Messages)),
        "retrieval" | "reranker" | "embedding" => path(rest).map(Found::Content),
        "process" => matches!(rest, "command_args" | "command_line").then_some(Found::OfAgents(Class::Messages)),
        // Whole objects of a framework, a value at a time: what is inside of content is content.
        "metadata" => within(rest).map(Found::OfAgents),
        _ if OF_OTHERS.contains(&namespace) => None,
        _ => path(key).map(Found::OfAgents),
    }
}

/// Whether a namespace is one that only telemetry of agents has.
pub fn is_of_agents(namespace: &str, rest: &str) -> bool {
    match namespace {
        "gcp" => rest.starts_with("vertex.agent."),
        "github" => rest.starts_with("copilot."),
        "mcp" | "ai" | "llm" | "gen_ai" | "openinference" | "traceloop" | "mlflow" | "langfuse" | "langsmith"
        | "lmnr" | "agentops" | "crewai" | "haystack" | "mastra" | "pydantic_ai" | "smolagents" | "litellm"
        | "swiftide" | "claude_code" | "codex" | "gemini_cli" | "qwen-code" | "copilot_chat" | "openlit"
        | "autogen" | "ag2" | "agno" | "dspy" | "strands" | "semantic_kernel" | "llama_index" | "llamaindex"
        | "langgraph" | "langchain" | "voltagent" | "lk" | "agentscope" => true,
        _ => false,
    }
}

/// The class of a member of an event's payload, if it holds content.
pub fn class_of_member(event: &str, key: &str) -> Option<Class> {
    // What a validation came to is a verdict, and counts.
    let is_verdict = key == "result" && event.starts_with("validation.");
    if is_verdict { None } else { word(key).or_else(|| plain(key)) }
}

/// Members of a message that say what it is, and not what is in it.
pub fn is_label(key: &str) -> bool {
    matches!(
        key,
        "role" | "id" | "name" | "type" | "index" | "finish_reason" | "tool_call_id" | "mime_type" | "toolCallId"
    )
}

/// Namespaces of other conventions, in which the words mean other things also where an agent uses them.
const OF_OTHERS: &[&str] = &[
    "client",
    "cloud",
    "code",
    "container",
    "db",
    "error",
    "event",
    "exception",
    "faas",
    "feature_flag",
    "host",
    "http",
    "k8s",
    "log",
    "logfire",
    "messaging",
    "net",
    "network",
    "os",
    "otel",
    "peer",
    "rpc",
    "server",
    "service",
    "session",
    "spanlight",
    "telemetry",
    "thread",
    "url",
    "user",
    "user_agent",
];

/// What a namespace has of its own, beside the words.
fn own(namespace: &str, rest: &str) -> Option<Class> {
    match namespace {
        "gen_ai" => match rest {
            "memory.records" => Some(Class::Messages),
            _ if rest.starts_with("prompt.variable.") => Some(Class::Messages),
            _ if rest.starts_with("tool.call.arguments.") || rest.starts_with("tool.call.result.") => {
                Some(Class::Tools)
            }
            _ => None,
        },
        "ai" => match rest {
            "value" | "values" | "embedding" => Some(Class::Messages),
            "schema" => Some(Class::Instructions),
            _ => None,
        },
        "llm" => match rest {
            _ if rest.starts_with("prompt_template.variables.") => Some(Class::Messages),
            _ if rest.starts_with("request.functions.") && last(rest) != "name" => Some(Class::Instructions),
            _ => None,
        },
        "mcp" => matches!(rest, "request.argument" | "response.value").then_some(Class::Tools),
        "gcp" => matches!(last(rest), "llm_request" | "llm_response").then_some(Class::Messages),
        "github" => rest.starts_with("copilot.tool.parameters.").then_some(Class::Tools),
        "crewai" => match last(rest) {
            "backstory" | "goal" | "agents" => Some(Class::Instructions),
            "description" | "expected_output" | "tasks" | "context" => Some(Class::Messages),
            _ => None,
        },
        "traceloop" => (last(rest) == "template_variables").then_some(Class::Messages),
        "mlflow" => match rest {
            "spanInputs" | "spanOutputs" | "traceInputs" | "traceOutputs" | "chunk.value" => Some(Class::Messages),
            _ => None,
        },
        // What it marks as personal is what was said.
        "lk" => match rest {
            _ if rest.starts_with("pii.function_tool.") => Some(Class::Tools),
            _ if rest.starts_with("pii.") && rest != "pii.instructions" => Some(Class::Messages),
            "user_input" | "user_transcript" | "input_text" | "chat_ctx" | "response.function_calls" => {
                Some(Class::Messages)
            }
            _ => None,
        },
        // Whole objects of the framework, with the messages that were in them.
        "mastra" => (rest.starts_with("log.") || last(rest) == "providerMetadata").then_some(Class::Messages),
        _ => None,
    }
}

/// What the first part of a path says that leads to content, wherever the path goes from there.
fn within(whole: &str) -> Option<Class> {
    let ends = whole.match_indices('.').map(|(end, _)| end).chain([whole.len()]);
    ends.map(|end| &whole[..end]).find_map(path)
}

/// What the last word of a path says, in the light of those before it.
fn path(path: &str) -> Option<Class> {
    let leaf = last(path);
    let holds = |part: &str| path.contains(part);
    let class = match leaf {
        "parameters" => (holds("tool") || holds("function")).then_some(Class::Instructions),
        // Images are sent as links that hold all of them.
        "url" => holds("content").then_some(Class::Messages),
        // Once more, as pages show them.
        "ui" => holds("messages").then_some(Class::Messages),
        _ => word(leaf),
    }?;
    // `usage.prompt`, `token_count.completion` and `cost.output` are figures.
    if holds("token") || holds("usage") || holds("cost") {
        return None;
    }
    let is_in_message = || holds("message") || path.starts_with("prompt.") || path.starts_with("completion.");
    Some(match class {
        Class::Tools if is_in_message() => Class::Messages,
        Class::Messages if holds("tool") && !is_in_message() => Class::Tools,
        _ => class,
    })
}

/// The last word of a path that is no number.
fn last(path: &str) -> &str {
    let is_word = |word: &&str| !word.bytes().all(|byte| byte.is_ascii_digit());
    path.rsplit('.').find(is_word).unwrap_or_default()
}

/// What a word means as the name of a value.
fn word(word: &str) -> Option<Class> {
    match word {
        "message" | "messages" | "content" | "contents" | "blocks" | "text" | "prompt" | "prompts" | "completion"
        | "completions" | "response" | "input" | "inputs" | "output" | "outputs" | "chunk" | "chunks" | "choices"
        | "reasoning" | "reasoning_content" | "thinking" | "thought" | "thoughts" | "query" | "question" | "answer"
        | "document" | "documents" | "explanation" | "object" | "body" | "data" | "transcript" | "summary"
        | "template" | "variables" | "vector" | "embeddings" | "files" | "input_data" | "output_data"
        | "input_summary" | "input_messages" | "output_messages" | "all_messages" | "final_result" | "user_prompt"
        | "model_output" | "revised_prompt" | "stateSnapshot" => Some(Class::Messages),
        "arguments"
        | "args"
        | "kwargs"
        | "function_call"
        | "function_call_arguments_json"
        | "function_args"
        | "tool_calls"
        | "toolCalls"
        | "tool_call_args"
        | "tool_arguments"
        | "tool_args"
        | "tool_input"
        | "tool_parameters"
        | "tool_output"
        | "tool_response"
        | "tool_result"
        | "toolResults"
        | "result"
        | "results" => Some(Class::Tools),
        "instructions"
        | "system_instructions"
        | "system_prompt"
        | "definitions"
        | "tool_definitions"
        | "json_schema"
        | "input_schema"
        | "tools"
        | "functions"
        | "function_tools"
        | "definition"
        | "invocation_parameters" => Some(Class::Instructions),
        _ => None,
    }
}

/// What whole keys mean that are no words.
fn plain(key: &str) -> Option<Class> {
    match key {
        "prompt_text"
        | "request_text"
        | "response_text"
        | "request"
        | "request_data"
        | "response_data"
        | "new_context"
        | "all_messages_events"
        | "events"
        | "raw_input"
        | "input_json"
        | "output_json"
        | "trace_input"
        | "trace_output"
        | "crew_tasks"
        | "last_message"
        | "user_message"
        | "assistant_message"
        | "user_input"
        | "final_output" => Some(Class::Messages),
        "full_command" | "bash_command" | "command" | "file_path" | "diff" | "stdout" | "stderr" => Some(Class::Tools),
        "system_prompt_preview" | "system_reminders" | "model_request_parameters" | "crew_agents" => {
            Some(Class::Instructions)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Instructions, Messages, Tools};

    #[test]
    fn content_is_found_under_the_keys_of_every_emitter() {
        for (class, keys) in [
            (
                Messages,
                "gen_ai.input.messages gen_ai.output.messages gen_ai.prompt gen_ai.completion gen_ai.prompt.0.content \
                 gen_ai.prompt.12.tool_calls.0.arguments gen_ai.completion.0.reasoning gen_ai.prompt.variable.city \
                 gen_ai.evaluation.explanation gen_ai.retrieval.query.text gen_ai.retrieval.documents \
                 gen_ai.memory.records gen_ai.content.prompt input.value output.value \
                 llm.input_messages.0.message.content llm.input_messages.0.message.contents.1.message_content.text \
                 llm.input_messages.3.message.contents.0.message_content.image.image.url \
                 llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments \
                 llm.output_messages.0.message.function_call_arguments_json llm.prompts.0.prompt.text \
                 llm.choices.0.completion.text llm.prompt_template.variables llm.openai.messages \
                 retrieval.documents.0.document.content retrieval.documents.0.document.metadata reranker.query \
                 embedding.embeddings.0.embedding.text ai.prompt ai.prompt.messages ai.response.text ai.response.object \
                 ai.response.reasoning ai.result.text ai.value ai.embedding mlflow.spanInputs mlflow.spanOutputs \
                 langfuse.observation.input langfuse.trace.output lmnr.span.input agentops.entity.output \
                 traceloop.entity.input pydantic_ai.all_messages gcp.vertex.agent.llm_request gcp.vertex.agent.data \
                 haystack.component.input mastra.model_step.output mastra.log.tracing crewai.task.description \
                 mastra.metadata.providerMetadata genkit:input genkit:output lk.pii.chat_ctx lk.pii.user_transcript \
                 lk.user_input lk.response.text lk.response.function_calls agentscope.function.input agentscope.function.output",
            ),
            (
                Instructions,
                "gen_ai.system_instructions gen_ai.tool.definitions gen_ai.agent.tools gen_ai.tool.json_schema \
                 llm.tools.0.tool.json_schema llm.request.functions.0.parameters llm.invocation_parameters ai.prompt.tools \
                 mlflow.chat.tools crewai.agent.backstory lk.pii.instructions lk.instructions",
            ),
            (
                Tools,
                "gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.tool.call.arguments.city gen_ai.tool.input \
                 gen_ai.tool.args gen_ai.tool.output ai.toolCall.args ai.toolCall.result ai.response.toolCalls \
                 gcp.vertex.agent.tool_call_args gcp.vertex.agent.tool_response mcp.request.argument mcp.response.value \
                 haystack.agent.step.tool.input github.copilot.tool.parameters.command \
                 lk.pii.function_tool.output lk.function_tool.arguments",
            ),
        ] {
            for key in keys.split_whitespace() {
                assert_eq!(find(key), Some(Found::Content(class)), "{key}");
            }
        }
    }

    #[test]
    fn words_that_others_use_count_only_where_agents_use_them() {
        for key in "prompt prompt_text response output input arguments body tool_input tool_parameters function_args \
                    request_text user_prompt new_context system_reminders response.model_output all_messages_events \
                    final_result tool.parameters tool.result full_command crew_tasks process.command_args message \
                    workflow.definition model_request_parameters request_data input_json raw_input agent.messages.ui \
                    agent.stateSnapshot agent.instructions metadata.memory.messages.0 metadata.steps.0.input.task \
                    metadata.result.response metadata.context.tool_call_msg.args metadata.steps.0.tool.input_schema.title"
            .split_whitespace()
        {
            assert!(matches!(find(key), Some(Found::OfAgents(_))), "{key} {:?}", find(key));
        }
    }

    #[test]
    fn what_only_describes_is_none() {
        for key in "gen_ai.operation.name gen_ai.request.model gen_ai.prompt.name gen_ai.prompt.version gen_ai.prompt.0.role \
                    gen_ai.completion.0.finish_reason gen_ai.usage.input_tokens gen_ai.output.type gen_ai.tool.name \
                    gen_ai.tool.description gen_ai.response.finish_reasons llm.token_count.prompt llm.cost.completion \
                    llm.input_messages.0.message.role input.mime_type ai.response.id ai.response.providerMetadata \
                    ai.usage.inputTokens ai.toolCall.name langfuse.observation.usage_details \
                    langfuse.observation.model.parameters langfuse.observation.status_message mlflow.chat.tokenUsage \
                    langsmith.metadata.thread_id metadata.user_id metadata.usage.prompt_tokens \
                    metadata.steps.0.tool.name traceloop.entity.name mcp.method.name http.request.body.size db.query.text \
                    exception.message error.message error url.query spanlight.message session.id logfire.msg \
                    gcp.vertex.agent.session_id lk.function_tool.name lk.speech_id agentscope.function.name agentscope.agent.reply_id genkit:name genkit:metadata:subtype model prompt_id tool_name duration_ms success error_type"
            .split_whitespace()
        {
            assert_eq!(find(key), None, "{key}");
        }
        assert_eq!(class_of_member("llm.started", "messages"), Some(Class::Messages));
        assert_eq!(class_of_member("tool.completed", "result"), Some(Class::Tools));
        assert_eq!(class_of_member("validation.completed", "result"), None);
        assert_eq!(class_of_member("review.decided", "decision"), None);
    }
}
