//! Laminar: types of spans, and the conventions on calls of models.

use super::{Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "laminar",
    signs: Signs { keys: &[Key::LMNR_SPAN_TYPE], ..Signs::NONE },
    kinds: &[(Key::LMNR_SPAN_TYPE, KINDS)],
    op: |spot| otel_genai::op(spot).or(Some(Op::Step)),
    fields: FieldKeys {
        stream: &[Key::LLM_IS_STREAMING],
        input: &[Key::LMNR_SPAN_INPUT],
        output: &[Key::LMNR_SPAN_OUTPUT],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// `DEFAULT` is what says nothing.
const KINDS: &[(&str, Op)] = &[
    ("llm", Op::Chat),
    ("cached", Op::Chat),
    ("tool", Op::ExecuteTool),
    ("executor", Op::InvokeAgent),
    ("evaluator", Op::Evaluate),
    ("human_evaluator", Op::Evaluate),
    ("evaluation", Op::InvokeWorkflow),
    ("pipeline", Op::InvokeWorkflow),
];

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = spot.span.name.as_str();
    match meaning.op.scope() {
        Scope::Tool => meaning.tool_name = meaning.tool_name.or(Some(name)),
        Scope::Agent => meaning.agent_name = meaning.agent_name.or(Some(name)),
        Scope::WorkflowStep if meaning.op == Op::Step => meaning.hint = Some(Hint::WorkflowIfOutermost),
        _ => {}
    }
}
