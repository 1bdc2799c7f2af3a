//! LiveKit Agents: sessions of voice agents. Versions up to 1.3 say what a span does by its name alone, later ones
//! speak the GenAI conventions as well.

use serde::Deserialize;

use super::{Aside, Dialect, FieldKeys, Meaning, Op, Signs, Spot, details};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "livekit",
    signs: Signs { scopes: &["livekit-agents"], ..Signs::NONE },
    op,
    fields: FieldKeys {
        tool_name: &[Key::LK_FUNCTION_TOOL_NAME],
        tool_call_id: &[Key::LK_FUNCTION_TOOL_ID],
        failure: &[Key::LK_FUNCTION_TOOL_IS_ERROR],
        error_message: &[Key::LK_PII_FUNCTION_TOOL_OUTPUT, Key::LK_FUNCTION_TOOL_OUTPUT],
        input: &[
            Key::LK_PII_USER_INPUT,
            Key::LK_PII_FUNCTION_TOOL_ARGUMENTS,
            Key::LK_USER_INPUT,
            Key::LK_FUNCTION_TOOL_ARGUMENTS,
        ],
        output: &[
            Key::LK_PII_RESPONSE_TEXT,
            Key::LK_PII_FUNCTION_TOOL_OUTPUT,
            Key::LK_RESPONSE_TEXT,
            Key::LK_FUNCTION_TOOL_OUTPUT,
        ],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// What a call of a model took, as versions say it that have no attributes for all of it.
#[derive(Deserialize)]
struct Metrics {
    prompt_cached_tokens: Option<u64>,
    ttft: Option<f64>,
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    Some(match spot.span.name.as_str() {
        "agent_session" => Op::InvokeWorkflow,
        "agent_turn" => Op::InvokeAgent,
        "llm_request" => Op::Chat,
        "function_tool" => Op::ExecuteTool,
        "update_agent" => Op::Step,
        _ => return None,
    })
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        // All sessions have this name, so it may as well be that of those that say none.
        Op::InvokeWorkflow => meaning.workflow_name = meaning.workflow_name.or(Some(spot.span.name.as_str())),
        Op::Step => {
            meaning.agent_name = spot.word(Key::LK_PREVIOUS_AGENT_LABEL);
            let from = meaning.agent_name.map(Into::into);
            meaning.aside = spot.word(Key::LK_AGENT_LABEL).map(|to| Aside::HandedOff { from, to: to.into() });
        }
        Op::Chat if meaning.usage.is_known() && meaning.usage.cache_read.is_none() => {
            if let Some(told) = details::json::<Metrics>(spot, Key::LK_LLM_METRICS) {
                meaning.usage.cache_read =
                    told.prompt_cached_tokens.filter(|cached| Some(*cached) <= meaning.usage.input);
                meaning.ttft_s = meaning.ttft_s.or(told.ttft.filter(|seconds| *seconds > 0.0));
            }
        }
        _ => {}
    }
}
