//! MLflow, which writes every value as JSON.

use serde::Deserialize;

use super::langgraph::Metadata;
use super::lenient::Word;
use super::{Aside, Convention, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, buckets, details, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "mlflow",
    signs: Signs { keys: &[Key::MLFLOW_SPAN_TYPE], ..Signs::NONE },
    kinds: &[(
        Key::MLFLOW_SPAN_TYPE,
        &[
            ("llm", Op::Chat),
            ("chat_model", Op::Chat),
            ("embedding", Op::Embeddings),
            ("reranker", Op::Rerank),
            ("agent", Op::InvokeAgent),
            ("tool", Op::ExecuteTool),
            ("workflow", Op::InvokeWorkflow),
            ("chain", Op::Step),
            ("task", Op::Task),
            ("parser", Op::Step),
            ("memory", Op::Memory),
            ("retriever", Op::Retrieval),
            ("guardrail", Op::Guardrail),
            ("evaluator", Op::Evaluate),
        ],
    )],
    op,
    fields: FieldKeys {
        provider: &[Key::MLFLOW_LLM_PROVIDER],
        request_model: &[Key::PLAIN_MODEL, Key::MLFLOW_LLM_MODEL],
        response_model: &[Key::MLFLOW_LLM_MODEL],
        session_id: &[Key::MLFLOW_TRACE_SESSION],
        user_id: &[Key::MLFLOW_TRACE_USER],
        stream: &[Key::PLAIN_STREAM],
        input: &[Key::MLFLOW_SPAN_INPUTS],
        output: &[Key::MLFLOW_SPAN_OUTPUTS],
        ..FieldKeys::NONE
    },
    texts_are_json: true,
    amend,
    ..Dialect::BASE
};

/// A type of the author's own is a step; none at all says nothing.
fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let has_type = spot.word(Key::MLFLOW_SPAN_TYPE).is_some_and(|word| !word.eq_ignore_ascii_case("UNKNOWN"));
    otel_genai::op(spot).or(has_type.then_some(Op::Step))
}

/// What runs OpenAI's agents, which it calls an agent as well.
const RUNNER_OF_OPENAI_AGENTS: &str = "AgentRunner.run";

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = Some(spot.span.name.as_str()).filter(|name| !name.is_empty());
    match meaning.op {
        // The agents of it have spans of their own.
        Op::InvokeAgent if name == Some(RUNNER_OF_OPENAI_AGENTS) => {
            (meaning.op, meaning.workflow_name) = (Op::InvokeWorkflow, name);
        }
        Op::Step
            if name == Some("Handoff")
                && let Some(aside) = handoff(spot) =>
        {
            (meaning.op, meaning.aside) = (Op::Handoff, Some(aside));
        }
        Op::InvokeAgent => meaning.agent_name = meaning.agent_name.or(name),
        Op::ExecuteTool => meaning.tool_name = meaning.tool_name.or(name),
        Op::Step => meaning.hint = Some(Hint::WorkflowIfOutermost),
        _ => {}
    }
    if meaning.op.scope() == Scope::LlmRequest
        && let Some(usage) = details::usage(spot, Key::MLFLOW_CHAT_TOKEN_USAGE, Convention::default())
    {
        meaning.usage = usage.or(meaning.usage);
    }
    // Its recorder of LangChain passes on what LangGraph says of each run.
    if let Some(metadata) = spot.word(Key::METADATA).and_then(|json| serde_json::from_str::<Metadata<'_>>(json).ok()) {
        metadata.add_to(spot.span.name.as_str(), meaning);
    }
    meaning.reported_usd = buckets::usd(spot, Key::MLFLOW_LLM_COST).or(meaning.reported_usd);
}

/// Who handed the work on, and to whom, as its recorder of OpenAI's agents says it.
fn handoff<'a>(spot: &Spot<'a, '_>) -> Option<Aside<'a>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Agents<'a> {
        #[serde(borrow)]
        from_agent: Word<'a>,
        #[serde(borrow)]
        to_agent: Word<'a>,
    }
    let agents =
        |key| spot.word(key).and_then(|json| serde_json::from_str::<Agents<'a>>(json).ok()).unwrap_or_default();
    let to = agents(Key::MLFLOW_SPAN_OUTPUTS).to_agent.text?;
    Some(Aside::HandedOff { from: agents(Key::MLFLOW_SPAN_INPUTS).from_agent.text, to })
}
