//! Logfire: what its own instrumentations of models write, and its logs, which are spans without length.

use super::usage::GEN_AI;
use super::{Aside, Attributes, Convention, Dialect, FieldKeys, Meaning, Op, Signs, Spot, details, otel_genai};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "logfire",
    signs: Signs {
        scopes: &["logfire.*"],
        only_if: |spot| spot.attributes.has_gen_ai() || of_agents(spot).is_some(),
        ..Signs::NONE
    },
    op: |spot| of_agents(spot).or_else(|| otel_genai::op(spot)),
    // Spans are called by a template; this has it filled in.
    fields: FieldKeys {
        step_name: &[Key::LOGFIRE_MSG],
        input: &[Key::PLAIN_INPUT],
        output: &[Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// Whether a span is a log. The one that says at the end of a stream what it cost is the only one that knows.
#[inline]
pub(super) fn is_mere_log(attributes: &Attributes<'_>) -> bool {
    attributes.has(Key::LOGFIRE_SPAN_TYPE)
        && attributes.text(&[Key::LOGFIRE_SPAN_TYPE]) == Some("log")
        && !attributes.has_any(GEN_AI.input)
}

/// What OpenAI's agents do, by what the templates of their spans begin with.
const AGENTS: &[(&str, Op)] = &[
    ("OpenAI Agents trace", Op::InvokeWorkflow),
    ("Agent run", Op::InvokeAgent),
    ("Function", Op::ExecuteTool),
    ("Handoff", Op::Handoff),
    ("Guardrail", Op::Guardrail),
];

fn of_agents(spot: &Spot<'_, '_>) -> Option<Op> {
    let template = Some(spot.span.name.as_str()).filter(|_| spot.instrumentation == "logfire.openai_agents")?;
    AGENTS.iter().find(|(begin, _)| template.starts_with(begin)).map(|(_, op)| *op)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let name = spot.word(Key::PLAIN_NAME);
    match meaning.op {
        Op::InvokeWorkflow => {
            meaning.workflow_name = meaning.workflow_name.or(name);
            meaning.is_silent = of_agents(spot).is_some();
            meaning.conversation_id = meaning.conversation_id.take().or(spot.word(Key::PLAIN_GROUP_ID).map(Into::into));
        }
        Op::InvokeAgent => meaning.agent_name = meaning.agent_name.or(name),
        Op::ExecuteTool => meaning.tool_name = meaning.tool_name.or(name),
        Op::Handoff => {
            let from = spot.word(Key::FROM_AGENT).map(Into::into);
            meaning.aside = spot.word(Key::TO_AGENT).map(|to| Aside::HandedOff { from, to: to.into() });
        }
        _ => {}
    }
    // What the provider said of its caches and of thinking is nowhere else.
    let raw = |key| details::usage(spot, key, Convention::default());
    let in_agents = || if meaning.op == Op::Chat { raw(Key::PLAIN_USAGE) } else { None };
    if let Some(raw) = raw(Key::GEN_AI_USAGE_RAW).or_else(in_agents) {
        meaning.usage = meaning.usage.or(raw);
    }
    let is_answered = spot.attributes.has_any(&[Key::GEN_AI_RESPONSE_ID, Key::GEN_AI_OUTPUT_MESSAGES]);
    let is_over = !spot.is_open() && meaning.failure.is_none() && !meaning.canceled;
    // A call that streams has ended when the stream begins; the log at the end of the stream is the call.
    if meaning.op == Op::Chat && is_over && !is_answered && !meaning.usage.is_known() {
        meaning.op = Op::Step;
    }
}
