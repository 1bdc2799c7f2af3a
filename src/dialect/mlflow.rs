//! MLflow, which writes every value as JSON.

use super::langgraph::Metadata;
use super::{Convention, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, buckets, details, otel_genai};
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

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = Some(spot.span.name.as_str()).filter(|name| !name.is_empty());
    match meaning.op {
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
