//! Google's Agent Development Kit, whose spans follow one of two schemas.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Aside, Convention, Dialect, FieldKeys, Hint, Meaning, Op, Signs, Spot, Usage, details, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "google_adk",
    signs: Signs { scopes: &["gcp.vertex.agent"], ..Signs::NONE },
    op,
    fields: FieldKeys {
        conversation_id: &[Key::GEN_AI_CONVERSATION_ID, Key::ADK_SESSION_ID],
        session_id: &[Key::ADK_SESSION_ID],
        input: &[Key::GEN_AI_TOOL_CALL_ARGUMENTS, Key::ADK_TOOL_CALL_ARGS],
        output: &[Key::GEN_AI_TOOL_CALL_RESULT, Key::ADK_TOOL_RESPONSE],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// Spans of the first schema that say nothing of what they do, by what their names begin with.
const NAMES: &[(&str, Op)] = &[
    ("invocation", Op::InvokeWorkflow),
    (CALL, Op::Chat),
    ("agent_run", Op::InvokeAgent),
    ("invoke_agent", Op::InvokeAgent),
    ("execute_tool", Op::ExecuteTool),
];

/// The tool by which an agent passes the work on.
const TRANSFER: &str = "transfer_to_agent";

/// To whom, if content is captured.
fn passed_on(spot: &Spot<'_, '_>) -> Aside<'static> {
    #[derive(Deserialize)]
    struct Arguments {
        #[serde(alias = "agentName")]
        agent_name: String,
    }
    let keys = [Key::GEN_AI_TOOL_CALL_ARGUMENTS, Key::ADK_TOOL_CALL_ARGS];
    let arguments = keys.into_iter().find_map(|key| details::json::<Arguments>(spot, key));
    arguments.map_or(Aside::PassedOn, |said| Aside::HandedOff { from: None, to: Cow::Owned(said.agent_name) })
}

/// A call in the first schema; later versions of it have another span for the same call below.
const CALL: &str = "call_llm";

/// What stands for all tools that ran at once, each of which has a span of its own.
const MERGED: &str = "(merged tools)";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if spot.word(Key::GEN_AI_TOOL_NAME) == Some(MERGED) {
        return Some(Op::Step);
    }
    let first_word = spot.span.name.as_str().split([' ', '[']).next().unwrap_or_default();
    let named = NAMES.iter().find(|(known, _)| *known == first_word).map(|(_, op)| *op);
    let said = spot.word(Key::GEN_AI_OPERATION_NAME).map(Op::of_operation_name);
    said.or(named).or_else(|| otel_genai::op(spot))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    // An id that nobody gave.
    if meaning.op == Op::ExecuteTool && meaning.failure.is_none() && meaning.tool_name == Some(TRANSFER) {
        meaning.aside = Some(passed_on(spot));
    }
    meaning.tool_call_id = meaning.tool_call_id.filter(|id| *id != "<not specified>");
    meaning.step_name = meaning.step_name.or_else(|| spot.span.name.as_str().strip_prefix("invoke_node "));
    if meaning.op == Op::InvokeAgent && meaning.agent_name.is_none() {
        // `agent_run [name]`, as the first versions had it.
        let name = spot.span.name.as_str().split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
        meaning.agent_name = name.filter(|name| !name.is_empty());
    }
    if meaning.op.scope() != Scope::LlmRequest {
        return;
    }
    if spot.span.name == *CALL {
        (meaning.hint, meaning.step_name) = (Some(Hint::StepIfTold), Some(CALL));
    }
    if let Some(usage) = reported(spot) {
        meaning.usage = usage.or(meaning.usage);
    } else if is_behind_litellm(meaning.request_model) {
        count_reasoning_once(meaning);
    }
}

/// The counts in the answer, which the first schema has on its spans. Its first versions told their sum as the output,
/// and later ones the output without reasoning.
fn reported(spot: &Spot<'_, '_>) -> Option<Usage> {
    let answer: Answer = details::json(spot, Key::ADK_LLM_RESPONSE)?;
    let counts = answer.usage_metadata?;
    let is_behind_litellm = is_behind_litellm(spot.word(Key::GEN_AI_REQUEST_MODEL));
    let convention = Convention { output_excludes_reasoning: !is_behind_litellm, ..Convention::default() };
    let of_tools = counts.tool_use_prompt_token_count.unwrap_or(0);
    let usage = Usage {
        input: counts.prompt_token_count.map(|prompt| prompt.saturating_add(of_tools)),
        output: counts.candidates_token_count,
        cache_read: counts.cached_content_token_count,
        reasoning: counts.thoughts_token_count,
        ..Usage::default()
    };
    Some(usage.normalised(convention))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "usageMetadata")]
    usage_metadata: Option<Counts>,
}

/// As Python writes them, and as JavaScript does.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(alias = "promptTokenCount")]
    prompt_token_count: Option<u64>,
    #[serde(alias = "toolUsePromptTokenCount")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(alias = "candidatesTokenCount")]
    candidates_token_count: Option<u64>,
    #[serde(alias = "cachedContentTokenCount")]
    cached_content_token_count: Option<u64>,
    #[serde(alias = "thoughtsTokenCount")]
    thoughts_token_count: Option<u64>,
}

/// Whether a model is called through LiteLLM, whose names have the provider before the model; what has more parts is
/// the path of a resource.
fn is_behind_litellm(model: Option<&str>) -> bool {
    model.is_some_and(|model| model.matches('/').count() == 1 && !model.starts_with("models/"))
}

/// What LiteLLM counts as output holds reasoning already, and ADK adds it once more.
fn count_reasoning_once(meaning: &mut Meaning<'_>) {
    let usage = &mut meaning.usage;
    if let (Some(output), Some(reasoning)) = (usage.output, usage.reasoning) {
        usage.output = Some(output.saturating_sub(reasoning));
    }
}
