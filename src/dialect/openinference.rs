//! OpenInference: a kind on every span. Its instrumentations differ in what they make agents of, and in where they
//! say whose run it is.

use serde::Deserialize;

use super::langgraph::Metadata;
use super::lenient::Word;
use super::{Aside, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "openinference",
    signs: Signs { keys: &[Key::OPENINFERENCE_SPAN_KIND], ..Signs::NONE },
    op,
    fields: FieldKeys {
        provider: &[Key::LLM_PROVIDER, Key::LLM_SYSTEM, Key::DECISION_PROVIDER, Key::DECISION_SYSTEM],
        request_model: &[
            Key::LLM_REQUEST_MODEL_NAME,
            Key::LLM_MODEL_NAME,
            Key::EMBEDDING_MODEL_NAME,
            Key::RERANKER_MODEL_NAME,
            Key::DECISION_REQUEST_MODEL_NAME,
            Key::DECISION_MODEL_NAME,
        ],
        response_model: &[Key::LLM_RESPONSE_MODEL_NAME, Key::DECISION_RESPONSE_MODEL_NAME],
        agent_name: &[Key::AGENT_NAME],
        tool_name: &[Key::TOOL_NAME],
        tool_call_id: &[Key::TOOL_ID, Key::TOOL_CALL_ID],
        finish_reason: &[Key::LLM_FINISH_REASON],
        input: &[Key::INPUT_VALUE],
        output: &[Key::OUTPUT_VALUE],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::LLM_TOKEN_COUNT_PROMPT, Key::DECISION_TOKEN_COUNT_INPUT],
        output: &[Key::LLM_TOKEN_COUNT_COMPLETION, Key::DECISION_TOKEN_COUNT_OUTPUT],
        // What BeeAI says of caches is beside the counts.
        cache_read: &[
            Key::LLM_TOKEN_COUNT_CACHE_READ,
            Key::LLM_TOKEN_COUNT_CACHE_INPUT,
            Key::METADATA_USAGE_CACHED_PROMPT_TOKENS,
        ],
        cache_write: &[Key::LLM_TOKEN_COUNT_CACHE_WRITE, Key::METADATA_USAGE_CACHED_CREATION_TOKENS],
        reasoning: &[Key::LLM_TOKEN_COUNT_REASONING],
        input_audio: &[Key::LLM_TOKEN_COUNT_PROMPT_AUDIO],
        output_audio: &[Key::LLM_TOKEN_COUNT_COMPLETION_AUDIO],
        ..UsageKeys::NONE
    }),
    amend,
    ..Dialect::BASE
};

const KINDS: &[(&str, Op)] = &[
    ("LLM", Op::Chat),
    ("TOOL", Op::ExecuteTool),
    ("AGENT", Op::InvokeAgent),
    ("CHAIN", Op::Step),
    ("EMBEDDING", Op::Embeddings),
    ("RERANKER", Op::Rerank),
    ("RETRIEVER", Op::Retrieval),
    ("GUARDRAIL", Op::Guardrail),
    ("EVALUATOR", Op::Evaluate),
    ("PROMPT", Op::Step),
    ("DECISION", Op::Chat),
];

/// What the names of spans end in that are called by a method: who has it is what people know.
const METHODS: &[&str] = &[
    "._execute_core",
    ".on_messages_stream",
    ".run_stream",
    ".kickoff",
    ".execute",
    ".arun",
    ".run",
    ".__call__",
    ".acall",
    ".forward",
    ".aforward",
];

/// What its instrumentations write when the first piece of a streamed answer has come.
const FIRST_TOKEN: &str = "First Token Stream Event";

/// In Python and in JavaScript.
const LANGCHAIN: &[&str] =
    &["openinference.instrumentation.langchain", "@arizeai/openinference-instrumentation-langchain"];
const LLAMA_INDEX: &str = "openinference.instrumentation.llama_index";
const SMOLAGENTS: &str = "openinference.instrumentation.smolagents";
/// In Python and in JavaScript.
const OPENAI_AGENTS: &[&str] =
    &["openinference.instrumentation.openai_agents", "@arizeai/openinference-instrumentation-openai-agents"];
/// What happens while something works is a span that is called what that is: an agent, a call or a tool.
const BEEAI: &str = "openinference.instrumentation.beeai";
/// What hears and what speaks is called a model by it too, and only of those that answer it says that they do.
const PIPECAT: &str = "openinference.instrumentation.pipecat";
/// It has no tools: what it does to a client is called so.
const INSTRUCTOR: &str = "openinference.instrumentation.instructor";
/// Its tools answer an error with a text, and end well.
const AUTOGEN_AGENTCHAT: &str = "openinference.instrumentation.autogen_agentchat";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let said = spot.word(Key::OPENINFERENCE_SPAN_KIND)?;
    let (_, op) = KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(said))?;
    let attributes = spot.attributes;
    let names_agent = || attributes.has_any(&[Key::AGENT_NAME, Key::GRAPH_NODE_ID, Key::GRAPH_NODE_NAME]);
    Some(match (op, spot.instrumentation) {
        (_, BEEAI) if is_moment(spot) => Op::Step,
        // It calls whatever has "agent" in its name an agent, tools and models too.
        (Op::InvokeAgent, scope) if LANGCHAIN.contains(&scope) && attributes.has(Key::TOOL_NAME) => Op::ExecuteTool,
        (Op::InvokeAgent, scope) if LANGCHAIN.contains(&scope) && attributes.has(Key::LLM_INVOCATION_PARAMETERS) => {
            Op::Chat
        }
        // The run as a whole is called an agent, and so is every agent in it.
        (Op::InvokeAgent, scope) if OPENAI_AGENTS.contains(&scope) && !names_agent() => Op::InvokeWorkflow,
        (Op::ExecuteTool, scope) if OPENAI_AGENTS.contains(&scope) && is_handoff(spot) => Op::Handoff,
        // With its answer an agent ends, and runs no tool that anybody gave it.
        (Op::ExecuteTool, SMOLAGENTS) if spot.span.name == *"FinalAnswerTool" => Op::Step,
        (Op::ExecuteTool, BEEAI) if spot.span.name == *"final_answer" => Op::Step,
        (Op::ExecuteTool, INSTRUCTOR) => Op::Step,
        (Op::Chat, PIPECAT) if !attributes.has(Key::GEN_AI_OPERATION_NAME) => Op::Step,
        // What only puts the request together.
        (Op::Chat, LLAMA_INDEX) if method(spot).is_some_and(|method| method.starts_with("_prepare")) => Op::Step,
        (op, _) => *op,
    })
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    name(spot, meaning);
    if meaning.op == Op::Step {
        meaning.hint = Some(Hint::WorkflowIfOutermost);
    }
    match spot.instrumentation {
        scope if OPENAI_AGENTS.contains(&scope) && meaning.op == Op::Handoff => meaning.aside = handoff(spot),
        scope if OPENAI_AGENTS.contains(&scope) => meaning.is_silent = meaning.op == Op::InvokeWorkflow,
        AUTOGEN_AGENTCHAT => meaning.is_silent = meaning.op == Op::ExecuteTool,
        LLAMA_INDEX if meaning.op == Op::Step => llama_index(spot, meaning),
        _ => {}
    }
    if meaning.op.scope() == Scope::LlmRequest {
        models(spot, meaning);
        meaning.response_id = meaning.response_id.or_else(|| answer_id(spot));
        meaning.ttft_s = meaning.ttft_s.or_else(|| first_token(spot));
    }
    let metadata = spot.word(Key::METADATA).and_then(|json| serde_json::from_str::<Metadata<'_>>(json).ok());
    if LANGCHAIN.contains(&spot.instrumentation) {
        metadata.unwrap_or_default().add_to(spot.span.name.as_str(), meaning);
    } else if let Some(metadata) = metadata {
        metadata.say_whose(meaning);
    }
}

/// Calls the work by its name, where only the name of the span has it.
fn name<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = spot.span.name.as_str();
    let owner = METHODS.iter().find_map(|method| name.strip_suffix(method)).filter(|owner| !owner.is_empty());
    match meaning.op.scope() {
        Scope::Agent if meaning.agent_name.is_none() => {
            // Some write the name of the agent there, and others an id.
            let node = || spot.word(Key::GRAPH_NODE_ID).filter(|node| name.starts_with(node));
            meaning.agent_name = spot.word(Key::GRAPH_NODE_NAME).or_else(node).or(owner);
        }
        Scope::Tool if meaning.tool_name.is_none() => meaning.tool_name = owner,
        Scope::WorkflowStep if spot.instrumentation == BEEAI && is_moment(spot) => meaning.step_name = Some(name),
        Scope::WorkflowStep => meaning.step_name = meaning.tool_name.or(owner).or(meaning.step_name),
        _ => {}
    }
}

/// Whether the span is what BeeAI emitted at one moment: only that has a path.
fn is_moment(spot: &Spot<'_, '_>) -> bool {
    spot.attributes.has(Key::METADATA_PATH)
}

/// What the span of a handoff is named by.
const HANDOFF: &str = "handoff to ";

fn is_handoff(spot: &Spot<'_, '_>) -> bool {
    spot.span.name.as_str().starts_with(HANDOFF) || !spot.attributes.has(Key::TOOL_NAME)
}

/// Who handed the work on, and to whom: what went in and what came out, or, in JavaScript, what is said there.
fn handoff<'a>(spot: &Spot<'a, '_>) -> Option<Aside<'a>> {
    #[derive(Deserialize)]
    struct From<'f> {
        #[serde(borrow)]
        from_agent: &'f str,
    }
    let to = spot.span.name.as_str().strip_prefix(HANDOFF).or_else(|| spot.word(Key::OUTPUT_VALUE))?;
    let from = spot.word(Key::INPUT_VALUE);
    let from = from.map(|said| serde_json::from_str::<From<'_>>(said).map_or(said, |said| said.from_agent));
    Some(Aside::HandedOff { from: from.map(Into::into), to: to.into() })
}

/// A step of an agent of LlamaIndex prints the event that asked for it, and the agent's name with that. The run around
/// such steps is an agent itself only where no step is.
fn llama_index<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    const RUNS: &[&str] = &["Agent.run", "AgentWorkflow.run"];
    if RUNS.iter().any(|run| spot.span.name.as_str().ends_with(run)) {
        (meaning.op, meaning.hint) = (Op::InvokeWorkflow, Some(Hint::AgentIfItCalls));
        meaning.workflow_name = meaning.step_name.take();
    }
    if method(spot) != Some("run_agent_step") {
        return;
    }
    let asked = spot.word(Key::INPUT_VALUE).unwrap_or_default();
    let named = asked.rsplit_once("current_agent_name='").and_then(|(_, rest)| rest.split_once('\''));
    if let Some((agent, _)) = named.filter(|(agent, _)| !agent.is_empty() && !agent.contains('\\')) {
        (meaning.agent_name, meaning.hint) = (Some(agent), Some(Hint::AgentIfItCalls));
    }
}

/// The method that a span is named by.
fn method<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    spot.span.name.as_str().rsplit_once('.').map(|(_, method)| method)
}

/// `llm.model_name` is the model that answered where it is known, and the one asked for is among the parameters.
fn models<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    #[derive(Deserialize)]
    struct Parameters<'p> {
        #[serde(borrow, default)]
        model: Word<'p>,
    }
    if meaning.response_model.is_some() || spot.attributes.has(Key::LLM_REQUEST_MODEL_NAME) {
        return;
    }
    let Some(parameters) = spot.word(Key::LLM_INVOCATION_PARAMETERS) else { return };
    let Ok(Parameters { model }) = serde_json::from_str(parameters) else { return };
    if let Some(asked_for) = model.borrowed("") {
        meaning.response_model = meaning.request_model.filter(|answered| *answered != asked_for);
        meaning.request_model = Some(asked_for);
    }
}

/// The id of an answer that was written down as it came, which says it first. That is all that is read of it.
fn answer_id<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    let rest = spot.word(Key::OUTPUT_VALUE)?.strip_prefix("{\"id\":")?.trim_start();
    let (id, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(id).filter(|id| !id.is_empty() && !id.contains('\\'))
}

fn first_token(spot: &Spot<'_, '_>) -> Option<f64> {
    if !spot.span.has_events {
        return None;
    }
    let first = spot.span.events().find(|event| event.name == *FIRST_TOKEN)?;
    let nanos = first.time_unix_nano.checked_sub(spot.span.start_time_unix_nano)?;
    Some(nanos as f64 / 1e9)
}
