//! CrewAI's own tracing: the conventions, with its own words where those have none. Where they want an agent's name it
//! writes a hash; the role is what people call it.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "crewai",
    signs: Signs { keys: &[Key::CREWAI_EVENT_NAME], ..Signs::NONE },
    op,
    fields: FieldKeys {
        agent_name: &[Key::CREWAI_AGENT_ROLE],
        workflow_name: &[Key::CREWAI_CREW_NAME, Key::CREWAI_FLOW_NAME],
        step_name: &[Key::CREWAI_TASK_NAME, Key::CREWAI_METHOD_NAME],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// What the names of spans mean that have no operation.
const NAMES: &[(&str, Op)] = &[
    ("agent reasoning", Op::Plan),
    ("evaluate guardrail", Op::Guardrail),
    ("query memory", Op::Memory),
    ("retrieve memory", Op::Memory),
    ("save memory", Op::Memory),
    ("query knowledge", Op::Retrieval),
    ("search knowledge", Op::Retrieval),
];

/// It tells of a tool's failure once more, after the tool has.
const FAILURE_AGAIN: &str = "tool_failure_detected";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if spot.word(Key::CREWAI_EVENT_NAME) == Some(FAILURE_AGAIN) {
        return Some(Op::Step);
    }
    let named = || NAMES.iter().find(|(name, _)| spot.span.name == **name).map(|(_, op)| *op);
    if spot.attributes.has(Key::GEN_AI_OPERATION_NAME) {
        return otel_genai::op(spot);
    }
    named().or(Some(Op::Step))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    // It was told by the tool's own span, and a step that tells of it did not fail itself.
    if spot.word(Key::CREWAI_EVENT_NAME) == Some(FAILURE_AGAIN) {
        (meaning.failure, meaning.step_name) = (None, None);
    }
    if meaning.op.scope() == Scope::Workflow && meaning.workflow_name.is_none() {
        meaning.workflow_name = spot.word(Key::CREWAI_SUBJECT);
    }
}
