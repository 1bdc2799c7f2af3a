//! The observations of Langfuse's SDKs from version 3 on.

use super::langgraph::Metadata;
use super::{Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, buckets, details, otel_genai};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "langfuse",
    signs: Signs { scopes: &["langfuse-sdk"], keys: &[Key::LANGFUSE_OBSERVATION_TYPE], ..Signs::NONE },
    kinds: &[(
        Key::LANGFUSE_OBSERVATION_TYPE,
        &[
            ("generation", Op::Chat),
            ("embedding", Op::Embeddings),
            ("agent", Op::InvokeAgent),
            ("tool", Op::ExecuteTool),
            ("chain", Op::Step),
            ("retriever", Op::Retrieval),
            ("evaluator", Op::Evaluate),
            ("guardrail", Op::Guardrail),
        ],
    )],
    // What only the name of a span says is nothing: programs call their steps by any.
    op: |spot| otel_genai::op(spot).filter(|_| spot.attributes.has_gen_ai()).or(Some(Op::Step)),
    fields: FieldKeys {
        request_model: &[Key::LANGFUSE_OBSERVATION_MODEL_NAME],
        session_id: &[Key::SESSION_ID, Key::LANGFUSE_SESSION_ID],
        user_id: &[Key::USER_ID, Key::LANGFUSE_USER_ID],
        error_message: &[Key::LANGFUSE_OBSERVATION_STATUS_MESSAGE],
        finish_reason: &[Key::LANGFUSE_OBSERVATION_FINISH_REASON],
        input: &[Key::LANGFUSE_OBSERVATION_INPUT],
        output: &[Key::LANGFUSE_OBSERVATION_OUTPUT],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = Some(spot.span.name.as_str()).filter(|name| !name.is_empty());
    match meaning.op {
        // Observations are called by what they are of.
        Op::InvokeAgent => meaning.agent_name = meaning.agent_name.or(name),
        Op::ExecuteTool => meaning.tool_name = meaning.tool_name.or(name),
        Op::Step if spot.word(Key::LANGFUSE_OBSERVATION_TYPE) == Some("chain") => {
            meaning.hint = Some(Hint::WorkflowIfOutermost);
            meaning.workflow_name = name;
        }
        Op::InvokeWorkflow => meaning.workflow_name = meaning.workflow_name.or(spot.word(Key::LANGFUSE_TRACE_NAME)),
        _ => {}
    }
    let of_langchain = [Key::LANGFUSE_LANGGRAPH_NODE, Key::LANGFUSE_LC_AGENT_NAME, Key::LANGFUSE_LS_INTEGRATION];
    if spot.attributes.has_any(&of_langchain) {
        let [node, agent, integration] = of_langchain.map(|key| spot.word(key).into());
        let thread_id = spot.word(Key::LANGFUSE_THREAD_ID).into();
        Metadata { node, agent, integration, thread_id, ..Metadata::default() }
            .add_to(spot.span.name.as_str(), meaning);
    }
    if meaning.op == Op::Chat && meaning.request_model.is_some_and(|model| model.starts_with("text-embedding")) {
        // It wraps OpenAI's client, and calls whatever that does a generation.
        meaning.op = Op::Embeddings;
    }
    if let Some(usage) = buckets::usage(spot, Key::LANGFUSE_OBSERVATION_USAGE_DETAILS) {
        meaning.usage = usage.or(meaning.usage);
    }
    meaning.reported_usd = buckets::usd(spot, Key::LANGFUSE_OBSERVATION_COST_DETAILS).or(meaning.reported_usd);
    meaning.ttft_s = details::since_start(spot, Key::LANGFUSE_OBSERVATION_COMPLETION_START_TIME).or(meaning.ttft_s);
}
