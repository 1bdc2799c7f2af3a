//! The OpenTelemetry GenAI conventions, all generations: any span with a key that begins with `gen_ai.`.

use super::usage::GEN_AI;
use super::{About, Aside, Dialect, LogDialect, Meaning, Op, Signs, Spot, mcp};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "otel_genai",
    signs: Signs { families: &["gen_ai."], ..Signs::NONE },
    // The generic keys are this dialect's own.
    amend: |spot, meaning| {
        if meaning.op == Op::Handoff {
            meaning.aside = handoff(spot);
        }
        match spot.instrumentation {
            OPENAI_AGENTS => of_openai_agents(spot, meaning),
            GEMINI => {
                let total = spot.attributes.count(&[Key::GEN_AI_USAGE_TOTAL_TOKENS]);
                meaning.usage = meaning.usage.with_thoughts_up_to(total.unwrap_or(0));
            }
            _ => {}
        }
    },
    ..Dialect::BASE
};

/// OpenLLMetry's, whose answers are without thoughts, which only the total has.
const GEMINI: &str = "opentelemetry.instrumentation.google_generativeai";
/// It calls whatever is no agent's run itself by one name for all agents, and the trace an agent without a name.
pub(super) const OPENAI_AGENTS: &str = "opentelemetry.instrumentation.openai_agents";

fn of_openai_agents<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op.scope() != Scope::Agent {
        meaning.agent_name = None;
    } else if meaning.agent_name.is_none() && spot.span.parent_span_id.is_empty() {
        (meaning.op, meaning.workflow_name) = (Op::InvokeWorkflow, Some(spot.span.name.as_str()));
        meaning.is_silent = true;
    }
}

/// Who handed the work on, and to whom.
pub(super) fn handoff<'a>(spot: &Spot<'a, '_>) -> Option<Aside<'a>> {
    let from = spot.word(Key::GEN_AI_HANDOFF_FROM_AGENT).map(Into::into);
    spot.word(Key::GEN_AI_HANDOFF_TO_AGENT).map(|to| Aside::HandedOff { from, to: to.into() })
}

/// The events of the conventions. Whoever makes spans tells of his calls in these as well.
pub(super) static LOGS: LogDialect = LogDialect {
    scopes: &[],
    prefix: "gen_ai.",
    events: &[
        ("client.inference.operation.details", About::Call),
        ("evaluation.result", About::Evaluation),
        ("system.message", About::Message),
        ("user.message", About::Message),
        ("assistant.message", About::Message),
        ("tool.message", About::Message),
        ("choice", About::Message),
    ],
    reading: Dialect { name: "otel_genai", ..Dialect::BASE },
    refine: |_, about| Some(about),
    agent: None,
    prompt_has_its_span: false,
    names_tools: false,
};

/// What only the answer of a model has.
const RESPONSE: &[Key] = &[
    Key::GEN_AI_RESPONSE_ID,
    Key::GEN_AI_RESPONSE_MODEL,
    Key::GEN_AI_RESPONSE_FINISH_REASONS,
    Key::GEN_AI_RESPONSE_FINISH_REASON,
    Key::GEN_AI_RESPONSE_STOP_REASON,
    Key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
    Key::GEN_AI_RESPONSE_SERVICE_TIER,
];

/// The operation that is named, else the one that the attributes and the span's name give away. A model name
/// alone makes no call of a model.
pub(super) fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let attributes = spot.attributes;
    if let Some(name) = attributes.text(&[Key::GEN_AI_OPERATION_NAME]) {
        return Some(Op::of_operation_name(name));
    }
    if let Some(op) = mcp::op(spot) {
        return Some(op);
    }
    if attributes.has_any(&[Key::GEN_AI_TOOL_NAME, Key::GEN_AI_TOOL_CALL_ID, Key::GEN_AI_TOOL_CALL_ID_FLAT]) {
        return Some(Op::ExecuteTool);
    }
    if attributes.has(Key::GEN_AI_WORKFLOW_NAME) {
        return Some(Op::InvokeWorkflow);
    }
    let usage = attributes.has_any(GEN_AI.input) || attributes.has_any(GEN_AI.output);
    if attributes.has(Key::GEN_AI_AGENT_NAME) && !usage {
        return Some(Op::InvokeAgent);
    }
    if usage || attributes.has_any(RESPONSE) {
        return Some(Op::Chat);
    }
    Op::known(spot.span.name.as_str().split(' ').next().unwrap_or_default())
}
