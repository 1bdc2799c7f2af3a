//! Strands: the GenAI conventions with the framework as the provider, and messages in events of the span.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "strands",
    signs: Signs {
        scopes: &["strands*"],
        keys: &[Key::GEN_AI_SYSTEM, Key::GEN_AI_PROVIDER_NAME],
        only_if: |spot| [Key::GEN_AI_SYSTEM, Key::GEN_AI_PROVIDER_NAME].into_iter().any(|key| is_strands(spot, key)),
        ..Signs::NONE
    },
    kinds: &[(
        Key::GEN_AI_OPERATION_NAME,
        &[
            ("invoke_graph", Op::InvokeWorkflow),
            ("invoke_swarm", Op::InvokeWorkflow),
            ("memory.search", Op::Memory),
            ("memory.add", Op::Memory),
            ("memory.inject", Op::Memory),
            ("memory.extract", Op::Memory),
        ],
    )],
    // Milliseconds, whatever the convention of that name says.
    fields: FieldKeys { ttft_ms: &[Key::GEN_AI_SERVER_TIME_TO_FIRST_TOKEN], ..FieldKeys::NONE },
    amend,
    ..Dialect::BASE
};

fn is_strands(spot: &Spot<'_, '_>, key: Key) -> bool {
    spot.word(key) == Some("strands-agents")
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if spot.attributes.has(Key::STRANDS_CANCELLATION_TYPE) {
        (meaning.failure, meaning.canceled) = (None, true);
    }
    if meaning.op == Op::InvokeWorkflow {
        // The kind of it is its name: the framework has no other.
        meaning.workflow_name = meaning.workflow_name.or(spot.span.name.as_str().strip_prefix("invoke_"));
    }
}
