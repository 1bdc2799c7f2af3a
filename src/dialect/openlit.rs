//! OpenLIT: the conventions, except for what it adds up, guesses or does not know.

use super::langgraph::Metadata;
use super::{Aside, Convention, Dialect, Hint, Meaning, Op, Signs, Spot, Usage, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "openlit",
    signs: Signs {
        scopes: &["openlit*"],
        keys: &[Key::TELEMETRY_SDK_NAME],
        resource: &[("telemetry.sdk.name", "openlit")],
        only_if: is_openlit,
        ..Signs::NONE
    },
    kinds: &[(Key::GEN_AI_OPERATION_NAME, KINDS)],
    op,
    amend,
    ..Dialect::BASE
};

const KINDS: &[(&str, Op)] = &[
    ("image", Op::Image),
    ("audio", Op::GenerateContent),
    ("text_to_speech", Op::GenerateContent),
    ("speech_to_text", Op::Transcription),
    ("speech_to_text_translate", Op::Transcription),
    ("vectordb", Op::Retrieval),
];

/// Whose token counts it passes on as they are, and they leave out what caches served and took.
const EXCLUSIVE: &[&str] = &["anthropic", "aws.bedrock"];

/// Its resource is that of the whole program, whose other spans it is no sign of.
fn is_openlit(spot: &Spot<'_, '_>) -> bool {
    let is_its_own = spot.instrumentation.starts_with("openlit");
    is_its_own || (spot.attributes.has_gen_ai() && spot.word(Key::TELEMETRY_SDK_NAME) == Some("openlit"))
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    // What its decorator is around says no more than how it was called.
    let is_decorated = || spot.attributes.has_any(&[Key::FUNCTION_ARGS, Key::FUNCTION_KWARGS]);
    otel_genai::op(spot).or_else(|| is_decorated().then_some(Op::Step))
}

/// It calls everything an agent of which it does not know what else it is.
const OPENAI_AGENTS: &str = "openlit.instrumentation.openai_agents";
/// It calls all nodes of graphs agents.
const LANGGRAPH: &str = "openlit.instrumentation.langgraph";

/// It calls the machine within each agent a workflow, and its parts agents without a name.
const CREWAI: &str = "openlit.instrumentation.crewai";

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match spot.instrumentation {
        OPENAI_AGENTS if meaning.op == Op::InvokeAgent => of_openai_agents(spot, meaning),
        OPENAI_AGENTS => meaning.is_silent = meaning.op == Op::InvokeWorkflow,
        LANGGRAPH => of_langgraph(meaning),
        CREWAI => of_crewai(spot.span.name.as_str(), meaning),
        _ => {}
    }
    if meaning.op == Op::Step && !spot.attributes.has(Key::GEN_AI_OPERATION_NAME) {
        meaning.hint = Some(Hint::WorkflowIfOutermost);
    }
    if meaning.op.scope() != Scope::LlmRequest {
        return;
    }
    if meaning.provider.as_deref().is_some_and(|provider| EXCLUSIVE.contains(&provider)) {
        let convention = Convention { input_excludes_cache: true, ..DIALECT.convention };
        meaning.usage = Usage::read(spot.attributes, None, convention);
    }
    // A model that its price list does not have costs nothing.
    meaning.reported_usd = meaning.reported_usd.filter(|usd| *usd > 0.0);
    if meaning.ttft_s.is_none() && spot.attributes.truth(&[Key::GEN_AI_REQUEST_STREAM]) == Some(true) {
        meaning.ttft_s = spot.attributes.amount(&[Key::GEN_AI_SERVER_TIME_TO_FIRST_TOKEN]);
    }
}

/// Only agents have an id: tasks and turns have not even a name, handoffs say from whom, and guardrails and what else a
/// program tells have the name of an agent.
fn of_openai_agents<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.agent_id.is_some() {
        return;
    }
    let name = meaning.agent_name.take();
    if let Some(from) = spot.word(Key::GEN_AI_AGENT_SOURCE) {
        meaning.op = Op::Handoff;
        meaning.aside = name.map(|to| Aside::HandedOff { from: Some(from.into()), to: to.into() });
        return;
    }
    let is_guardrail = spot.attributes.has(Key::GEN_AI_GUARDRAIL_TRIGGERED);
    meaning.op = if is_guardrail { Op::Guardrail } else { Op::Step };
    meaning.step_name = meaning.step_name.or(name);
}

fn of_langgraph(meaning: &mut Meaning<'_>) {
    let (name, metadata) = match meaning.op {
        Op::InvokeWorkflow => {
            (meaning.workflow_name, Metadata { integration: Some("langgraph").into(), ..Metadata::default() })
        }
        Op::InvokeAgent => {
            let node = meaning.agent_name.take();
            meaning.step_name = node;
            (node, Metadata { node: node.into(), ..Metadata::default() })
        }
        _ => return,
    };
    if let Some(name) = name {
        metadata.add_to(name, meaning);
    }
}

fn of_crewai<'a>(name: &'a str, meaning: &mut Meaning<'a>) {
    let is_part = match meaning.op {
        Op::InvokeAgent => meaning.agent_name.is_none(),
        Op::InvokeWorkflow => meaning.workflow_name == Some("AgentExecutor"),
        _ => false,
    };
    if is_part {
        (meaning.op, meaning.step_name) = (Op::Step, name.split_once(' ').map(|(_, part)| part));
    }
}
