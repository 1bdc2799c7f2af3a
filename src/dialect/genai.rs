//! The crate genai with its feature `otel`: the GenAI conventions, and results of evaluations as spans.

use super::{Dialect, Op, Signs, Spot, otel_genai};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "genai",
    signs: Signs {
        scopes: &["genai*"],
        names: &["genai."],
        keys: Spot::WHERE_WRITTEN,
        only_if: |spot| spot.attributes.has_gen_ai() && is_genai(spot),
        ..Signs::NONE
    },
    op,
    ..Dialect::BASE
};

/// Its spans are called by what they do; in process, where a name cannot change, they are `genai.…`.
fn is_genai(spot: &Spot<'_, '_>) -> bool {
    spot.is_written_in(&["genai"]) || spot.span.name.as_str().starts_with("genai.")
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if spot.attributes.has(Key::GEN_AI_EVALUATION_NAME) {
        return Some(Op::Evaluate);
    }
    otel_genai::op(spot)
}
