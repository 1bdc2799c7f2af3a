//! LangSmith's export over OpenTelemetry. Its names of operations say `chat` of prompts and `embeddings` of
//! retrievers, so its own kinds go first; what it calls a session is the project.

use super::langgraph::Metadata;
use super::{Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, details, lenient, outcome};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "langsmith",
    signs: Signs { scopes: &["langsmith"], keys: &[Key::LANGSMITH_SPAN_KIND], ..Signs::NONE },
    kinds: &[(Key::LANGSMITH_SPAN_KIND, KINDS)],
    fields: FieldKeys {
        provider: &[Key::LANGSMITH_PROVIDER],
        stream: &[Key::LANGSMITH_REQUEST_STREAMING, Key::LANGSMITH_STREAM],
        input: &[Key::GEN_AI_PROMPT],
        output: &[Key::GEN_AI_COMPLETION],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

const KINDS: &[(&str, Op)] = &[
    ("llm", Op::Chat),
    ("tool", Op::ExecuteTool),
    ("retriever", Op::Retrieval),
    ("embedding", Op::Embeddings),
    ("chain", Op::Step),
    ("prompt", Op::Step),
    ("parser", Op::Step),
];

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let word = |key: Key| spot.word(key).into();
    let metadata = Metadata {
        node: word(Key::LANGSMITH_LANGGRAPH_NODE),
        agent: word(Key::LANGSMITH_AGENT_NAME),
        integration: word(Key::LANGSMITH_INTEGRATION),
        thread_id: word(Key::LANGSMITH_THREAD_ID),
        conversation_id: word(Key::LANGSMITH_CONVERSATION_ID),
        session_id: word(Key::LANGSMITH_SESSION_ID),
        user_id: word(Key::LANGSMITH_USER_ID),
    };
    if meaning.op == Op::Step {
        meaning.hint = Some(Hint::WorkflowIfOutermost);
    }
    // It says that all is well when work begins, and OpenTelemetry lets nobody take that back.
    if !meaning.canceled {
        meaning.failure = meaning.failure.take().or_else(|| outcome::of_exception(spot.span));
    }
    metadata.add_to(spot.span.name.as_str(), meaning);
    if meaning.op.scope() == Scope::LlmRequest {
        if meaning.op == Op::Chat && spot.word(Key::LANGSMITH_MODEL_TYPE) == Some("llm") {
            meaning.op = Op::TextCompletion;
        }
        count_details(spot, meaning);
    }
}

/// Details of token counts are in the metadata, or are printed as Python prints a dict.
fn count_details(spot: &Spot<'_, '_>, meaning: &mut Meaning<'_>) {
    let printed = |key: Key| spot.word(key).and_then(lenient::parse).unwrap_or_default();
    let input = printed(Key::GEN_AI_USAGE_INPUT_TOKEN_DETAILS);
    let usage = meaning.usage.or(details::of_details(&input, &printed(Key::GEN_AI_USAGE_OUTPUT_TOKEN_DETAILS)));
    let in_metadata = details::usage(spot, Key::LANGSMITH_USAGE_METADATA, DIALECT.convention).unwrap_or_default();
    meaning.usage = usage.or(in_metadata).normalised(DIALECT.convention);
}
