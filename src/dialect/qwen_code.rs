//! Qwen Code, a fork of Gemini CLI: spans of the conventions in words of its own, and Gemini's log events.

use super::gemini_cli::{LOG_FIELDS, USAGE};
use super::{About, Dialect, Failure, FieldKeys, LogDialect, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Decision;
use crate::semconv::Key;

/// What the agent is called.
const AGENT: &str = "qwen-code";

pub(super) static DIALECT: Dialect = Dialect {
    name: "qwen_code",
    signs: Signs { scopes: &["qwen-code"], names: &["qwen-code."], ..Signs::NONE },
    op,
    fields: FieldKeys {
        prompt_id: &[Key::QWEN_PROMPT_ID],
        agent_name: &[Key::SUBAGENT_NAME, Key::AGENT_NAME_FLAT],
        tool_call_id: &[Key::GEN_AI_TOOL_CALL_ID, Key::TOOL_CALL_ID_FLAT],
        error_message: &[Key::PLAIN_ERROR],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys { reasoning: &[Key::THOUGHTS_TOKEN_COUNT], ..UsageKeys::NONE }),
    coding_agent: true,
    amend,
    ..Dialect::BASE
};

pub(super) static LOGS: LogDialect = LogDialect {
    scopes: &["qwen-code"],
    prefix: "qwen-code.",
    events: &[
        ("user_prompt", About::Prompt),
        ("api_request", About::CallBegins),
        ("api_response", About::Call),
        ("api_error", About::FailedCall),
        ("tool_call", About::Tool),
        ("session.end", About::SessionEnds),
    ],
    reading: Dialect {
        name: "qwen_code",
        fields: LOG_FIELDS,
        usage: Some(&USAGE),
        coding_agent: true,
        amend: amend_log,
        ..Dialect::BASE
    },
    refine: |_, about| Some(about),
    agent: Some(AGENT),
    prompt_has_its_span: false,
    names_tools: false,
};

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    Some(match spot.span.name.as_str().strip_prefix("qwen-code.")? {
        "interaction" => Op::InvokeAgent,
        "llm_request" => Op::Chat,
        "tool" => Op::ExecuteTool,
        "hook" => Op::Hook,
        name if name.starts_with("tool.") => Op::ToolPhase,
        _ => Op::Step,
    })
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::InvokeAgent => {
            meaning.agent_name = meaning.agent_name.or(Some(AGENT));
            match spot.word(Key::QWEN_TURN_STATUS) {
                Some("error") if meaning.failure.is_none() => meaning.failure = Some(Failure::default()),
                Some("cancelled" | "canceled") => (meaning.canceled, meaning.failure) = (true, None),
                _ => {}
            }
        }
        // It says of hooks that are not there that they failed.
        Op::Hook => meaning.failure = None,
        _ => {}
    }
}

fn amend_log<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.tool_name.is_none() {
        return;
    }
    let denied = spot.word(Key::EXECUTION_STATUS) == Some("not_started")
        && spot.word(Key::PLAIN_ERROR_TYPE) == Some("execution_denied");
    let (by_user, decision) = match spot.word(Key::PLAIN_DECISION) {
        Some("reject") => (true, Decision::Rejected),
        Some("accept" | "modify") => (true, Decision::Approved),
        Some("auto_accept") => (false, Decision::Approved),
        _ if denied => (false, Decision::Rejected),
        _ => return,
    };
    meaning.decided(by_user, decision);
}
