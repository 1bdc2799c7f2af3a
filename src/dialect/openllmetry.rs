//! OpenLLMetry, of Traceloop, in Python and in Node: kinds of its own on what decorators and instrumentations of
//! frameworks make, and numbered attributes for messages until it took up those of the conventions.

use serde::Deserialize;

use super::langgraph::Metadata;
use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, UsageKeys, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "openllmetry",
    signs: Signs {
        scopes: &["opentelemetry.instrumentation.crewai*"],
        keys: &[
            Key::TRACELOOP_SPAN_KIND,
            Key::TRACELOOP_ENTITY_NAME,
            Key::LLM_REQUEST_TYPE,
            Key::GEN_AI_WORKFLOW_NODES,
        ],
        families: NUMBERED,
        ..Signs::NONE
    },
    op,
    fields: FieldKeys {
        request_model: &[Key::GEN_AI_REQUEST_MODEL, Key::LLM_REQUEST_MODEL],
        response_model: &[Key::GEN_AI_RESPONSE_MODEL, Key::LLM_RESPONSE_MODEL],
        workflow_name: &[Key::GEN_AI_WORKFLOW_NAME, Key::TRACELOOP_WORKFLOW_NAME, Key::CREWAI_CREW_NAME],
        step_name: &[Key::GEN_AI_TASK_NAME, Key::TRACELOOP_ENTITY_NAME],
        tool_name: &[Key::GEN_AI_TOOL_NAME, Key::TOOL_NAME],
        stream: &[Key::LLM_IS_STREAMING],
        input: &[Key::GEN_AI_TOOL_CALL_ARGUMENTS, Key::TRACELOOP_ENTITY_INPUT, Key::MCP_REQUEST_ARGUMENT],
        output: &[Key::GEN_AI_TOOL_CALL_RESULT, Key::TRACELOOP_ENTITY_OUTPUT, Key::MCP_RESPONSE_VALUE],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::GEN_AI_USAGE_INPUT_TOKENS, Key::GEN_AI_USAGE_PROMPT_TOKENS, Key::LLM_USAGE_PROMPT_TOKENS],
        output: &[
            Key::GEN_AI_USAGE_OUTPUT_TOKENS,
            Key::GEN_AI_USAGE_COMPLETION_TOKENS,
            Key::LLM_USAGE_COMPLETION_TOKENS,
        ],
        reasoning: &[Key::LLM_USAGE_REASONING_TOKENS],
        ..UsageKeys::NONE
    }),
    amend,
    ..Dialect::BASE
};

/// What the names of numbered messages begin with. `gen_ai.prompt.name` is the name of a template.
const NUMBERED: &[&str] = &[
    "gen_ai.prompt.0",
    "gen_ai.prompt.1",
    "gen_ai.prompt.2",
    "gen_ai.prompt.3",
    "gen_ai.prompt.4",
    "gen_ai.prompt.5",
    "gen_ai.prompt.6",
    "gen_ai.prompt.7",
    "gen_ai.prompt.8",
    "gen_ai.prompt.9",
    "gen_ai.completion.0",
    "gen_ai.completion.1",
    "gen_ai.completion.2",
];

const KINDS: &[(&str, Op)] = &[
    ("workflow", Op::InvokeWorkflow),
    ("task", Op::Task),
    ("agent", Op::InvokeAgent),
    ("tool", Op::ExecuteTool),
    ("handoff", Op::Handoff),
    ("session", Op::Step),
    ("server", Op::Step),
];

const REQUESTS: &[(&str, Op)] =
    &[("chat", Op::Chat), ("completion", Op::TextCompletion), ("rerank", Op::Rerank), ("embedding", Op::Embeddings)];

/// A crew of CrewAI, which it calls an agent in the words of the conventions.
const CREW: &str = "crewai.workflow";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let said = |key: Key, words: &[(&str, Op)]| {
        let said = spot.word(key)?;
        words.iter().find(|(word, _)| word.eq_ignore_ascii_case(said)).map(|(_, op)| *op)
    };
    if spot.span.name == *CREW {
        return Some(Op::InvokeWorkflow);
    }
    // Around every graph of LangGraph it says that an agent of its name is invoked, and again beside it.
    if spot.attributes.has(Key::GEN_AI_WORKFLOW_NODES) && !spot.attributes.has(Key::TRACELOOP_SPAN_KIND) {
        return Some(if spot.span.parent_span_id.is_empty() { Op::InvokeWorkflow } else { Op::Step });
    }
    let named = spot.word(Key::GEN_AI_OPERATION_NAME).map(Op::of_operation_name);
    match (said(Key::TRACELOOP_SPAN_KIND, KINDS), named) {
        // What is a task there may well have a name in the conventions.
        (Some(Op::Task), Some(op @ (Op::Retrieval | Op::Rerank | Op::Embeddings | Op::ExecuteTool))) => Some(op),
        // The steps of LlamaIndex that run tools.
        (Some(Op::Task), _) if spot.attributes.has(Key::TOOL_NAME) => Some(Op::ExecuteTool),
        (Some(op), _) => Some(op),
        (None, Some(op)) if op != Op::Step => Some(op),
        (None, named) => said(Key::LLM_REQUEST_TYPE, REQUESTS)
            .or_else(|| said(Key::GEN_AI_REQUEST_TYPE, REQUESTS))
            .or(named)
            .or_else(|| otel_genai::op(spot)),
    }
}

/// The tool that a message of LangChain in JavaScript is of, where its span is called by its class.
fn of_tool_message<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    #[derive(Deserialize)]
    struct Message<'m> {
        #[serde(borrow)]
        kwargs: Named<'m>,
    }
    #[derive(Deserialize)]
    struct Named<'m> {
        name: &'m str,
    }
    let class = spot.word(Key::TRACELOOP_ENTITY_NAME).filter(|class| class.ends_with("StructuredTool"))?;
    let message = serde_json::from_str::<Message<'_>>(spot.word(Key::TRACELOOP_ENTITY_OUTPUT)?).ok()?;
    Some(message.kwargs.name).filter(|name| *name != class)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let entity = || spot.word(Key::TRACELOOP_ENTITY_NAME);
    match meaning.op.scope() {
        Scope::Agent if meaning.agent_name.is_none() => meaning.agent_name = entity(),
        Scope::Workflow if meaning.op == Op::InvokeWorkflow => {
            meaning.workflow_name = entity().or(meaning.workflow_name).or(meaning.agent_name.take());
            meaning.is_silent = spot.instrumentation == otel_genai::OPENAI_AGENTS;
        }
        Scope::Tool if meaning.tool_name.is_none() => {
            let told = || of_tool_message(spot).or_else(entity);
            meaning.tool_name = told().or_else(|| spot.span.name.as_str().strip_suffix(".tool"));
        }
        _ => {}
    }
    if meaning.op == Op::Handoff {
        meaning.aside = otel_genai::handoff(spot);
    }
    if spot.instrumentation.ends_with("langchain") {
        // It is the id of the run.
        meaning.agent_id = None;
        let word = |key: Key| spot.word(key).into();
        let metadata = Metadata {
            node: word(Key::TRACELOOP_LANGGRAPH_NODE),
            agent: word(Key::TRACELOOP_LC_AGENT_NAME),
            integration: word(Key::TRACELOOP_LS_INTEGRATION),
            ..Metadata::default()
        };
        let name = entity().unwrap_or(spot.span.name.as_str());
        metadata.add_to(name, meaning);
    }
}
