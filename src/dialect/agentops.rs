//! AgentOps: kinds of spans on what decorators and instrumentations of frameworks make.

use super::{Aside, Dialect, FieldKeys, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "agentops",
    signs: Signs { keys: &[Key::AGENTOPS_SPAN_KIND], ..Signs::NONE },
    op,
    fields: FieldKeys {
        agent_name: &[Key::AGENT_NAME],
        step_name: &[Key::OPERATION_NAME, Key::AGENTOPS_ENTITY_NAME],
        workflow_name: &[Key::WORKFLOW_NAME, Key::OPERATION_NAME, Key::AGENTOPS_ENTITY_NAME],
        tool_name: &[Key::TOOL_NAME, Key::OPERATION_NAME, Key::AGENTOPS_ENTITY_NAME],
        tool_call_id: &[Key::TOOL_ID],
        stream: &[Key::GEN_AI_REQUEST_STREAMING],
        input: &[
            Key::TOOL_PARAMETERS,
            Key::AGENTOPS_ENTITY_INPUT,
            Key::AGENTOPS_TOOL_INPUT,
            Key::AGENTOPS_TASK_INPUT,
            Key::AGENTOPS_WORKFLOW_INPUT,
            Key::AGENTOPS_AGENT_INPUT,
        ],
        output: &[
            Key::TOOL_RESULT,
            Key::AGENTOPS_ENTITY_OUTPUT,
            Key::AGENTOPS_TOOL_OUTPUT,
            Key::AGENTOPS_TASK_OUTPUT,
            Key::AGENTOPS_WORKFLOW_OUTPUT,
            Key::AGENTOPS_AGENT_OUTPUT,
        ],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

const KINDS: &[(&str, Op)] = &[
    ("session", Op::InvokeWorkflow),
    ("workflow", Op::InvokeWorkflow),
    ("task", Op::Task),
    ("operation", Op::Step),
    ("chain", Op::Step),
    ("guardrail", Op::Guardrail),
    ("agent", Op::InvokeAgent),
    ("tool", Op::ExecuteTool),
    ("llm", Op::Chat),
];

/// Below a call of a model it tells which tools were asked for. Nothing of that says that they ran.
const REQUEST: &str = "tool_call.";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if spot.span.name.as_str().starts_with(REQUEST) {
        return Some(Op::Step);
    }
    // In some places it prints the member of its enumeration.
    let said = spot.word(Key::AGENTOPS_SPAN_KIND)?.rsplit('.').next()?;
    let known = KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(said)).map(|(_, op)| *op);
    known.or_else(|| otel_genai::op(spot))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op.scope() == Scope::Agent && meaning.agent_name.is_none() {
        let named = spot.attributes.text(&[Key::OPERATION_NAME, Key::AGENTOPS_ENTITY_NAME]);
        meaning.agent_name = named.or_else(|| spot.span.name.as_str().strip_suffix(".agent"));
    }
    if let Some(to) = spot.word(Key::TO_AGENT) {
        meaning.aside = Some(Aside::HandedOff { from: spot.word(Key::FROM_AGENT).map(Into::into), to: to.into() });
    }
}
