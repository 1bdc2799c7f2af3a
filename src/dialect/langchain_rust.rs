//! langchain-rust: spans with names of its own, known by what is in them too, because the names are anybody's.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, UsageKeys};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "langchain_rust",
    signs: Signs {
        names: &["llm.generate", "embed.", "chain.call", "agent.run", "agent.plan", "tool.call"],
        only_if: |spot| kind(spot).is_some(),
        ..Signs::NONE
    },
    op: kind,
    fields: FieldKeys {
        provider: &[Key::PLAIN_PROVIDER],
        request_model: &[Key::PLAIN_MODEL],
        workflow_name: &[Key::PLAIN_CHAIN],
        step_name: &[Key::PLAIN_CHAIN],
        tool_name: &[Key::PLAIN_TOOL],
        stream: &[Key::PLAIN_STREAM],
        failure: &[Key::PLAIN_ERROR],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::PLAIN_PROMPT_TOKENS],
        output: &[Key::PLAIN_COMPLETION_TOKENS],
        ..UsageKeys::NONE
    }),
    amend,
    ..Dialect::BASE
};

/// What each span does, and the fields that it has from its beginning.
const KINDS: &[(&str, &[Key], Op)] = &[
    ("llm.generate", &[Key::PLAIN_PROVIDER, Key::PLAIN_MODEL, Key::PLAIN_STREAM], Op::Chat),
    ("embed.documents", &[Key::PLAIN_PROVIDER, Key::PLAIN_MODEL], Op::Embeddings),
    ("embed.query", &[Key::PLAIN_PROVIDER, Key::PLAIN_MODEL], Op::Embeddings),
    ("chain.call", &[Key::PLAIN_CHAIN], Op::Step),
    ("agent.run", &[Key::PLAIN_MAX_ITERATIONS], Op::InvokeAgent),
    ("agent.plan", &[Key::PLAIN_STEP], Op::Plan),
    ("tool.call", &[Key::PLAIN_TOOL], Op::ExecuteTool),
];

/// The error of a run whose token was cancelled.
const CANCELLED: &str = "agent run cancelled";

fn kind(spot: &Spot<'_, '_>) -> Option<Op> {
    let name = spot.span.name.as_str();
    let (_, fields, op) = KINDS.iter().find(|(known, ..)| *known == name)?;
    let has_fields = fields.iter().all(|key| spot.attributes.has(*key));
    // A name and one field are little where the conventions, or another crate, say what the span is.
    let is_its_own = has_fields && (spot.is_written_in(&["langchain_rust"]) || !spot.attributes.has_gen_ai());
    let is_outermost = spot.span.parent_span_id.is_empty();
    is_its_own.then_some(if *op == Op::Step && is_outermost { Op::InvokeWorkflow } else { *op })
}

fn amend<'a>(_: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let message = meaning.failure.as_ref().and_then(|failure| failure.message);
    if meaning.op == Op::InvokeAgent && message.is_some_and(|message| message.ends_with(CANCELLED)) {
        (meaning.failure, meaning.canceled) = (None, true);
    }
}
