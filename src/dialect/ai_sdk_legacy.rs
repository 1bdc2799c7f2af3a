//! Vercel's AI SDK in its own words: versions 3 to 6, and later ones that are asked for them.

use serde::Deserialize;

use super::{Convention, Dialect, FieldKeys, Meaning, Op, Signs, Spot, Usage, UsageKeys, details};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "ai_sdk_legacy",
    signs: Signs { scopes: &["ai"], keys: &[Key::AI_OPERATION_ID], ..Signs::NONE },
    op,
    fields: FieldKeys {
        provider: &[Key::AI_MODEL_PROVIDER],
        request_model: &[Key::AI_MODEL_ID],
        response_model: &[Key::AI_RESPONSE_MODEL],
        response_id: &[Key::AI_RESPONSE_ID],
        conversation_id: &[Key::AI_TELEMETRY_CONVERSATION_ID, Key::AI_TELEMETRY_CHAT_ID, Key::AI_TELEMETRY_THREAD_ID],
        session_id: &[Key::AI_TELEMETRY_SESSION_ID, Key::AI_TELEMETRY_SESSION_ID_SNAKE],
        user_id: &[Key::AI_TELEMETRY_USER_ID, Key::AI_TELEMETRY_USER_ID_SNAKE],
        agent_name: &[Key::AI_TELEMETRY_FUNCTION_ID, Key::RESOURCE_NAME],
        tool_name: &[Key::AI_TOOL_CALL_NAME],
        tool_call_id: &[Key::AI_TOOL_CALL_ID],
        finish_reason: &[Key::AI_RESPONSE_FINISH_REASON, Key::AI_FINISH_REASON],
        ttft_ms: &[Key::AI_RESPONSE_MS_TO_FIRST_CHUNK, Key::AI_STREAM_MS_TO_FIRST_CHUNK],
        input: &[Key::AI_TOOL_CALL_ARGS, Key::AI_PROMPT_MESSAGES, Key::AI_PROMPT],
        output: &[Key::AI_TOOL_CALL_RESULT, Key::AI_RESPONSE_TEXT, Key::AI_RESPONSE_OBJECT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::AI_USAGE_INPUT_TOKENS, Key::AI_USAGE_PROMPT_TOKENS, Key::AI_USAGE_TOKENS],
        output: &[Key::AI_USAGE_OUTPUT_TOKENS, Key::AI_USAGE_COMPLETION_TOKENS],
        cache_read: &[Key::AI_USAGE_INPUT_CACHE_READ, Key::AI_USAGE_CACHED_INPUT_TOKENS],
        cache_write: &[Key::AI_USAGE_INPUT_CACHE_WRITE],
        reasoning: &[Key::AI_USAGE_OUTPUT_REASONING, Key::AI_USAGE_REASONING_TOKENS],
        total: &[Key::AI_USAGE_TOTAL_TOKENS],
        ..UsageKeys::NONE
    }),
    amend,
    ..Dialect::BASE
};

/// What each operation does. What is not here, and is named as an operation of the SDK, is a step.
const OPERATIONS: &[(&str, Op)] = &[
    ("ai.generateText", Op::InvokeAgent),
    ("ai.streamText", Op::InvokeAgent),
    ("ai.generateObject", Op::InvokeAgent),
    ("ai.streamObject", Op::InvokeAgent),
    ("ai.workflowAgent.stream", Op::InvokeAgent),
    ("ai.generateText.doGenerate", Op::Chat),
    ("ai.streamText.doStream", Op::Chat),
    ("ai.generateObject.doGenerate", Op::Chat),
    ("ai.streamObject.doStream", Op::Chat),
    ("ai.toolCall", Op::ExecuteTool),
    ("ai.embed.doEmbed", Op::Embeddings),
    ("ai.embedMany.doEmbed", Op::Embeddings),
    ("ai.rerank.doRerank", Op::Rerank),
];

/// The operation, which stands before the name of the function in `operation.name`, and before nothing in the other.
fn operation<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    let named = || spot.word(Key::OPERATION_NAME).and_then(|name| name.split(' ').next());
    spot.word(Key::AI_OPERATION_ID).or_else(named)
}

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let operation = operation(spot).unwrap_or(spot.span.name.as_str());
    let known = OPERATIONS.iter().find(|(known, _)| *known == operation).map(|(_, op)| *op);
    known.or_else(|| operation.starts_with("ai.").then_some(Op::Step))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::Chat => meaning.usage = usage(spot, meaning),
        Op::InvokeAgent | Op::ExecuteTool => {}
        // Functions that embed and rank have names too, and are no agents.
        _ => meaning.step_name = meaning.agent_name.take(),
    }
}

/// The token counts. Before version 6 the SDK passed on what the provider counted, and Anthropic and Amazon count what
/// caches served and took apart from the input, Google its reasoning apart from the output.
fn usage(spot: &Spot<'_, '_>, meaning: &Meaning<'_>) -> Usage {
    let told = Usage::told_by(spot.attributes, DIALECT.usage);
    let metadata: Metadata = details::json(spot, Key::AI_RESPONSE_PROVIDER_METADATA).unwrap_or_default();
    let raw = metadata.usage();
    let usage = told.or(Usage { input: None, output: None, ..raw });
    let cached = raw.cached();
    let has_details = || spot.attributes.has_any(&[Key::AI_USAGE_INPUT_NO_CACHE, Key::AI_USAGE_INPUT_CACHE_READ]);
    let counts_apart = || matches!(meaning.provider.as_deref(), Some("anthropic" | "aws.bedrock"));
    let input_excludes_cache = match (usage.input, raw.input) {
        // What the provider said itself tells whether the SDK has added it up.
        (Some(input), Some(raw)) if cached > 0 => input == raw,
        _ => counts_apart() && !has_details(),
    };
    let output_excludes_reasoning = raw.output.is_some() && usage.output == raw.output;
    usage.normalised(Convention { input_excludes_cache, output_excludes_reasoning })
}

/// What providers say besides, as far as it is about tokens.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    anthropic: Option<Anthropic>,
    bedrock: Option<Bedrock>,
    openai: Option<OpenAi>,
    google: Option<Google>,
    vertex: Option<Google>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Anthropic {
    usage: Option<AnthropicUsage>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AnthropicUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bedrock {
    usage: Option<BedrockUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BedrockUsage {
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OpenAi {
    cached_prompt_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Google {
    usage_metadata: Option<GoogleUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GoogleUsage {
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

impl Metadata {
    /// The counts as the provider gave them; the output only of those who leave reasoning out of it.
    fn usage(&self) -> Usage {
        let anthropic = self.anthropic.as_ref().map(Anthropic::usage).unwrap_or_default();
        let bedrock = self.bedrock.as_ref().and_then(|bedrock| bedrock.usage.as_ref()).map(|usage| Usage {
            cache_read: usage.cache_read_input_tokens,
            cache_write: usage.cache_write_input_tokens,
            ..Usage::default()
        });
        let openai = self.openai.as_ref().map(|openai| Usage {
            cache_read: openai.cached_prompt_tokens,
            reasoning: openai.reasoning_tokens,
            ..Usage::default()
        });
        let google =
            self.google.as_ref().or(self.vertex.as_ref()).and_then(|google| google.usage_metadata.as_ref()).map(
                |usage| Usage {
                    cache_read: usage.cached_content_token_count,
                    output: usage.candidates_token_count,
                    reasoning: usage.thoughts_token_count,
                    ..Usage::default()
                },
            );
        [bedrock, openai, google].into_iter().flatten().fold(anthropic, Usage::or)
    }
}

impl Anthropic {
    fn usage(&self) -> Usage {
        let usage = self.usage.as_ref();
        let created = usage.and_then(|usage| usage.cache_creation.as_ref());
        Usage {
            input: usage.and_then(|usage| usage.input_tokens),
            cache_read: usage.and_then(|usage| usage.cache_read_input_tokens).or(self.cache_read_input_tokens),
            cache_write: usage.and_then(|usage| usage.cache_creation_input_tokens).or(self.cache_creation_input_tokens),
            cache_write_5m: created.and_then(|created| created.ephemeral_5m_input_tokens),
            cache_write_1h: created.and_then(|created| created.ephemeral_1h_input_tokens),
            ..Usage::default()
        }
    }
}
