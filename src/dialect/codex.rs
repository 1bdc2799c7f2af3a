//! Codex: hundreds of spans of its own workings for every turn, and log events that tell what happened.
//!
//! Of its spans those are read that are the turn, the tools, and the ends of answers.

use super::{About, Aside, Dialect, FieldKeys, LogDialect, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Decision;
use crate::semconv::Key;

/// What the agent is called.
const AGENT: &str = "codex";

pub(super) static DIALECT: Dialect = Dialect {
    name: "codex",
    // Its programs name the scope after the service.
    signs: Signs { scopes: &["codex_*", "codex-*"], ..Signs::NONE },
    op,
    fields: FIELDS,
    usage: Some(&UsageKeys { reasoning: &[Key::CODEX_REASONING_OUTPUT_TOKENS], ..UsageKeys::NONE }),
    coding_agent: true,
    amend,
    ..Dialect::BASE
};

pub(super) static LOGS: LogDialect = LogDialect {
    scopes: &[],
    prefix: "codex.",
    events: &[
        ("conversation_starts", About::SessionBegins),
        ("user_prompt", About::Prompt),
        ("api_request", About::CallBegins),
        ("websocket_request", About::CallBegins),
        ("sse_event", About::Call),
        ("websocket_event", About::Call),
        ("tool_result", About::Tool),
        ("tool_decision", About::Decision),
    ],
    reading: Dialect {
        name: "codex",
        fields: FIELDS,
        usage: Some(&UsageKeys {
            input: &[Key::INPUT_TOKEN_COUNT],
            output: &[Key::OUTPUT_TOKEN_COUNT],
            cache_read: &[Key::CACHED_TOKEN_COUNT],
            cache_write: &[Key::CACHE_WRITE_TOKEN_COUNT],
            reasoning: &[Key::REASONING_TOKEN_COUNT],
            ..UsageKeys::NONE
        }),
        coding_agent: true,
        amend: amend_log,
        ..Dialect::BASE
    },
    refine,
    agent: Some(AGENT),
    prompt_has_its_span: false,
    names_tools: true,
};

const FIELDS: FieldKeys = FieldKeys {
    request_model: &[Key::PLAIN_MODEL],
    conversation_id: &[Key::CONVERSATION_ID],
    session_id: &[Key::CONVERSATION_ID],
    tool_name: &[Key::PLAIN_TOOL_NAME],
    tool_call_id: &[Key::PLAIN_CALL_ID],
    ttft_ms: &[Key::PLAIN_TTFT_MS],
    error_type: &[Key::HTTP_RESPONSE_STATUS_CODE],
    input: &[Key::PLAIN_PROMPT, Key::PLAIN_ARGUMENTS],
    ..FieldKeys::NONE
};

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let attributes = spot.attributes;
    if spot.span.name == *"session_task.turn" {
        return Some(Op::InvokeAgent);
    }
    if spot.span.name == *"turn/start" {
        // A turn that nobody asked for: the interface wants a title.
        let is_own = spot.word(Key::RPC_REQUEST_ID).is_some_and(|id| id.starts_with("temporary-"));
        return is_own.then_some(Op::Step);
    }
    if attributes.has(Key::TOOL_SOURCE) && attributes.has(Key::PLAIN_TOOL_NAME) && attributes.has(Key::PLAIN_CALL_ID) {
        return Some(Op::ExecuteTool);
    }
    // The last event of a stream has the tokens.
    attributes.has(Key::GEN_AI_USAGE_INPUT_TOKENS).then_some(Op::Chat)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::InvokeAgent => meaning.agent_name = Some(AGENT),
        Op::Step => meaning.own_request = true,
        Op::ExecuteTool => meaning.canceled = spot.attributes.truth(&[Key::ABORTED]) == Some(true),
        _ => {}
    }
}

/// Of the requests only those that failed, and of the events of a stream only its end: the others tell nothing more.
fn refine(spot: &Spot<'_, '_>, about: About) -> Option<About> {
    let failed = spot.attributes.has(Key::ERROR_MESSAGE)
        || spot.attributes.count(&[Key::HTTP_RESPONSE_STATUS_CODE]).is_some_and(|status| status >= 400);
    match about {
        About::CallBegins if failed => Some(About::FailedCall),
        About::Call if failed => Some(About::FailedCall),
        About::Call => spot.attributes.has(Key::INPUT_TOKEN_COUNT).then_some(About::Call),
        // The interface asks for a title in a conversation of its own, which may do nothing.
        About::SessionBegins => {
            let is_own = spot.word(Key::ORIGINATOR).is_some_and(|originator| originator.ends_with("tui"))
                && spot.word(Key::SANDBOX_POLICY) == Some("read-only")
                && spot.word(Key::MCP_SERVERS).is_none();
            is_own.then_some(About::SessionBegins)
        }
        about => Some(about),
    }
}

fn amend_log<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let Some(said) = spot.word(Key::PLAIN_DECISION) else { return };
    let decision = if said.starts_with("approved") { Decision::Approved } else { Decision::Rejected };
    let by_user = spot.word(Key::PLAIN_SOURCE).is_some_and(|source| source.eq_ignore_ascii_case("user"));
    meaning.aside = Some(Aside::decided(by_user, decision, meaning.tool_name));
}
