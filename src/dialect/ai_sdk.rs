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
    amend: |spot, meaning| {
        let model = meaning.request_model;
        // Where nobody named the agent its span is called by the model, which is no name of an agent.
        if meaning.op == Op::InvokeAgent && meaning.agent_name.is_none() && model.is_some() {
            meaning.agent_name = spot.span.name.as_str().split(' ').next();
        }
    },
    ..Dialect::BASE
};
