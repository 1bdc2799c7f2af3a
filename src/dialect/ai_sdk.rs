//! Vercel's AI SDK from version 7 on: the GenAI conventions, with operations and settings of its own.

use super::{Dialect, FieldKeys, Op, Signs, UsageKeys};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "ai_sdk",
    signs: Signs { scopes: &["gen_ai"], ..Signs::NONE },
    kinds: &[(
        Key::GEN_AI_OPERATION_NAME,
        &[
            ("decide", Op::Chat),
            ("ai.generatespeech", Op::GenerateContent),
            ("ai.transcribe", Op::Transcription),
            ("ai.streamtranscribe", Op::Transcription),
            ("ai.generateimage", Op::Image),
        ],
    )],
    fields: FieldKeys {
        conversation_id: &[Key::AI_CONTEXT_CONVERSATION_ID, Key::AI_CONTEXT_CHAT_ID, Key::AI_CONTEXT_THREAD_ID],
        session_id: &[Key::AI_CONTEXT_SESSION_ID, Key::AI_CONTEXT_SESSION_ID_SNAKE],
        user_id: &[Key::AI_CONTEXT_USER_ID, Key::AI_CONTEXT_USER_ID_SNAKE],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys { reasoning: &[Key::AI_USAGE_OUTPUT_REASONING], ..UsageKeys::NONE }),
    amend: |spot, meaning| match meaning.op {
        // Where nobody named the agent its span is called by the model, which is no name of an agent.
        Op::InvokeAgent => {
            let operation = || spot.span.name.as_str().split(' ').next();
            meaning.agent_name = meaning.agent_name.or_else(operation);
        }
        // Functions that speak and listen have names too, and are no agents.
        _ => meaning.agent_name = None,
    },
    ..Dialect::BASE
};
