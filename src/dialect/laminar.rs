//! Laminar: types of spans, and the conventions on calls of models.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lenient::Word;
use super::{Aside, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "laminar",
    signs: Signs { keys: &[Key::LMNR_SPAN_TYPE], ..Signs::NONE },
    kinds: &[(Key::LMNR_SPAN_TYPE, KINDS)],
    op: |spot| otel_genai::op(spot).or(Some(Op::Step)),
    fields: FieldKeys {
        step_name: &[Key::OPENAI_AGENTS_GUARDRAIL_NAME],
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
    of_openai_agents(spot, name, meaning);
    match meaning.op.scope() {
        Scope::Tool => meaning.tool_name = meaning.tool_name.or(Some(name)),
        Scope::Agent => meaning.agent_name = meaning.agent_name.or(Some(name)),
        Scope::Workflow => meaning.workflow_name = meaning.workflow_name.or(Some(name)),
        Scope::WorkflowStep if meaning.op == Op::Step => meaning.hint = Some(Hint::WorkflowIfOutermost),
        _ => {}
    }
}

/// OpenAI's agents: an agent is what it says of itself, and handing the work on is a tool.
fn of_openai_agents<'a>(spot: &Spot<'a, '_>, name: &str, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::ExecuteTool => {
            if let Some(to) = spot.word(Key::OPENAI_AGENTS_HANDOFF_TO) {
                let from = spot.word(Key::OPENAI_AGENTS_HANDOFF_FROM).map(Into::into);
                (meaning.op, meaning.aside) = (Op::Handoff, Some(Aside::HandedOff { from, to: to.into() }));
            }
        }
        Op::Step if spot.attributes.has(Key::OPENAI_AGENTS_GUARDRAIL_NAME) => meaning.op = Op::Guardrail,
        Op::Step if is_agent(spot, name) => meaning.op = Op::InvokeAgent,
        Op::Step if spot.attributes.has(Key::OPENAI_AGENTS_TRACE_NAME) => {
            (meaning.op, meaning.is_silent) = (Op::InvokeWorkflow, true);
        }
        _ => {}
    }
}

/// Whether what went into a span is an agent of its name: that is all that tells it from other spans.
fn is_agent(spot: &Spot<'_, '_>, name: &str) -> bool {
    #[derive(Deserialize)]
    struct Agent<'a> {
        #[serde(borrow)]
        name: Word<'a>,
        output_type: Option<IgnoredAny>,
        tools: Option<IgnoredAny>,
        handoffs: Option<IgnoredAny>,
    }
    let input = spot.word(Key::LMNR_SPAN_INPUT).filter(|input| input.starts_with(r#"{"name":"#));
    let agent = input.and_then(|input| serde_json::from_str::<Agent<'_>>(input).ok());
    agent.is_some_and(|agent| {
        agent.name.is(name) && (agent.output_type.is_some() || agent.tools.is_some() || agent.handoffs.is_some())
    })
}
