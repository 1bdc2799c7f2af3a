//! LlamaIndex's own tracing: spans are named by class and method, and what they did is in their events.

use super::{Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "llama_index",
    signs: Signs { scopes: &["llamaindex.opentelemetry*"], families: &["llamaindex."], ..Signs::NONE },
    op,
    fields: FieldKeys {
        request_model: &[Key::LLAMA_INDEX_REQUEST_MODEL],
        response_model: &[Key::LLAMA_INDEX_MODEL],
        response_id: &[Key::LLAMA_INDEX_RESPONSE_ID],
        input: &[Key::PLAIN_MESSAGES, Key::LLAMA_INDEX_QUERY, Key::LLAMA_INDEX_SUMMARY],
        output: &[Key::LLAMA_INDEX_CHOICES, Key::LLAMA_INDEX_BLOCKS, Key::PLAIN_RESPONSE, Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::LLAMA_INDEX_PROMPT_TOKENS, Key::LLAMA_INDEX_INPUT_TOKENS, Key::LLAMA_INDEX_ADDED_PROMPT_TOKENS],
        output: &[
            Key::LLAMA_INDEX_COMPLETION_TOKENS,
            Key::LLAMA_INDEX_OUTPUT_TOKENS,
            Key::LLAMA_INDEX_ADDED_COMPLETION_TOKENS,
        ],
        cache_read: &[Key::LLAMA_INDEX_CACHED_TOKENS, Key::LLAMA_INDEX_INPUT_CACHED_TOKENS],
        cache_write: &[Key::LLAMA_INDEX_CACHE_WRITE_TOKENS],
        reasoning: &[Key::LLAMA_INDEX_REASONING_TOKENS],
        ..UsageKeys::NONE
    }),
    told_in_events: &[
        Key::PLAIN_MESSAGES,
        Key::PLAIN_RESPONSE,
        Key::PLAIN_OUTPUT,
        Key::LLAMA_INDEX_QUERY,
        Key::LLAMA_INDEX_REQUEST_MODEL,
        Key::LLAMA_INDEX_MODEL,
        Key::LLAMA_INDEX_RESPONSE_ID,
        Key::LLAMA_INDEX_CHOICES,
        Key::LLAMA_INDEX_BLOCKS,
        Key::LLAMA_INDEX_PROMPT_TOKENS,
        Key::LLAMA_INDEX_COMPLETION_TOKENS,
        Key::LLAMA_INDEX_INPUT_TOKENS,
        Key::LLAMA_INDEX_OUTPUT_TOKENS,
        Key::LLAMA_INDEX_CACHED_TOKENS,
        Key::LLAMA_INDEX_INPUT_CACHED_TOKENS,
        Key::LLAMA_INDEX_CACHE_WRITE_TOKENS,
        Key::LLAMA_INDEX_REASONING_TOKENS,
        Key::LLAMA_INDEX_ADDED_PROMPT_TOKENS,
        Key::LLAMA_INDEX_ADDED_COMPLETION_TOKENS,
    ],
    amend,
    ..Dialect::BASE
};

/// What spans do in which events of these classes happened.
const EVENTS: &[(&str, Op)] = &[
    ("LLMChat", Op::Chat),
    ("LLMCompletion", Op::TextCompletion),
    ("LLMPredict", Op::Step),
    ("Embedding", Op::Embeddings),
    ("SparseEmbedding", Op::Embeddings),
    ("ReRank", Op::Rerank),
    ("Retrieval", Op::Retrieval),
];

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if is_tool(spot) {
        return Some(Op::ExecuteTool);
    }
    let of_event = |name: &str| {
        let class = name.strip_suffix("Event")?;
        EVENTS.iter().find(|(beginning, _)| class.starts_with(beginning)).map(|(_, op)| *op)
    };
    let told =
        if spot.span.has_events { spot.span.events().find_map(|event| of_event(event.name.as_str())) } else { None };
    Some(told.unwrap_or(Op::Step))
}

/// The call itself; the step around it does not fail when the tool does.
fn is_tool(spot: &Spot<'_, '_>) -> bool {
    let of_class = spot.span.name.as_str().rsplit_once('.');
    spot.word(Key::LLAMA_INDEX_INPUT_EVENT) == Some("ToolCall")
        && of_class.is_some_and(|(class, method)| class.ends_with("Tool") && matches!(method, "call" | "acall"))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op.scope() {
        Scope::Tool => {
            let asked = spot.word(Key::LLAMA_INDEX_SUMMARY).unwrap_or_default();
            meaning.tool_name = printed(asked, "tool_name='").or(meaning.tool_name);
            meaning.tool_call_id = printed(asked, "tool_id='").or(meaning.tool_call_id);
        }
        Scope::WorkflowStep if meaning.op == Op::Step => {
            let class = spot.span.name.as_str().strip_suffix(".run");
            meaning.hint = Some(Hint::WorkflowIfOutermost);
            // An agent that runs alone is its own workflow, and is called by its class.
            if class.is_some_and(|class| class.ends_with("Agent")) {
                (meaning.agent_name, meaning.hint) = (class, Some(Hint::AgentIfItCalls));
            } else if class.is_some() {
                meaning.step_name = class;
            }
        }
        _ => {}
    }
}

/// A field of what Python printed of an event.
fn printed<'a>(event: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = event.split_once(field)?;
    rest.split_once('\'').map(|(value, _)| value).filter(|value| !value.is_empty())
}
