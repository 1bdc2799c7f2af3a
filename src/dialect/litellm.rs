//! LiteLLM, as a library and as a proxy. Its older spans are named by what they are and its newer ones by the
//! conventions; details of token counts are a Python dict, printed.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, details, otel_genai};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "litellm",
    signs: Signs { scopes: &["litellm"], keys: &[Key::LITELLM_USAGE_OBJECT], families: &["litellm."], ..Signs::NONE },
    kinds: &[(Key::GEN_AI_OPERATION_NAME, CALLS), (Key::LLM_REQUEST_TYPE, CALLS), (Key::LITELLM_CALL_TYPE, CALLS)],
    op,
    fields: FieldKeys {
        user_id: &[
            Key::LITELLM_END_USER_ID,
            Key::LITELLM_USER_API_KEY_END_USER_ID,
            Key::LLM_USER,
            Key::LITELLM_USER_API_KEY_USER_ID,
        ],
        stream: &[Key::LITELLM_REQUEST_STREAMING, Key::LLM_IS_STREAMING],
        step_name: &[Key::LITELLM_GUARDRAIL_NAME, Key::GUARDRAIL_NAME],
        error_message: &[Key::LITELLM_EXCEPTION],
        input: &[Key::LITELLM_GUARDRAIL_MODE],
        output: &[Key::LITELLM_GUARDRAIL_RESPONSE, Key::GUARDRAIL_RESPONSE],
        ..FieldKeys::NONE
    },
    amend,
    ..Dialect::BASE
};

/// The names of its functions, which it writes for operations. What begins with `a` is the same, awaited.
const CALLS: &[(&str, Op)] = &[
    ("completion", Op::Chat),
    ("acompletion", Op::Chat),
    ("chat", Op::Chat),
    ("responses", Op::Chat),
    ("aresponses", Op::Chat),
    ("anthropic_messages", Op::Chat),
    ("text_completion", Op::TextCompletion),
    ("atext_completion", Op::TextCompletion),
    ("generate_content", Op::GenerateContent),
    ("agenerate_content", Op::GenerateContent),
    ("generate_content_stream", Op::GenerateContent),
    ("agenerate_content_stream", Op::GenerateContent),
    ("embedding", Op::Embeddings),
    ("aembedding", Op::Embeddings),
    ("rerank", Op::Rerank),
    ("arerank", Op::Rerank),
    ("moderation", Op::Moderation),
    ("amoderation", Op::Moderation),
    ("litellm.moderation", Op::Moderation),
    ("transcription", Op::Transcription),
    ("atranscription", Op::Transcription),
    ("image_generation", Op::Image),
    ("aimage_generation", Op::Image),
    ("speech", Op::GenerateContent),
    ("aspeech", Op::GenerateContent),
    ("call_mcp_tool", Op::Mcp),
];

const NAMES: &[(&str, Op)] = &[
    ("litellm_request", Op::Chat),
    ("raw_gen_ai_request", Op::Step),
    ("Received Proxy Server Request", Op::InvokeWorkflow),
    ("guardrail", Op::Guardrail),
];

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let name = spot.span.name.as_str();
    if name.starts_with("execute_guardrail") || spot.attributes.has(Key::LITELLM_GUARDRAIL_NAME) {
        return Some(Op::Guardrail);
    }
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, op)| *op);
    let is_service = || spot.attributes.has(Key::LITELLM_SERVICE_NAME) || name.starts_with("route ");
    named.or_else(|| otel_genai::op(spot)).or_else(|| is_service().then_some(Op::Step))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op.scope() != Scope::LlmRequest {
        // A proxy says on the spans around a call what it cost, too.
        meaning.reported_usd = None;
        return;
    }
    if let Some(usage) = details::usage(spot, Key::LITELLM_USAGE_OBJECT, DIALECT.convention) {
        meaning.usage = meaning.usage.or(usage).normalised(DIALECT.convention);
    }
    // What failed cost nothing because nobody knows what it cost.
    meaning.reported_usd = meaning.reported_usd.filter(|_| meaning.usage.is_known());
}
