//! Gemini CLI: log events that tell everything, and spans that tell where it happened.
//!
//! Its output is without thoughts. Without a terminal every call is a trace of its own, so that only the prompt's id
//! says what belongs together.

use super::{About, Convention, Dialect, FieldKeys, LogDialect, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Decision;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "gemini_cli",
    signs: Signs { scopes: &["gemini-cli"], resource: &[("service.name", "gemini-cli")], ..Signs::NONE },
    kinds: &[(
        Key::GEN_AI_OPERATION_NAME,
        &[
            ("user_prompt", Op::InvokeAgent),
            ("llm_call", Op::Chat),
            ("tool_call", Op::ExecuteTool),
            ("schedule_tool_calls", Op::Step),
            ("agent_call", Op::InvokeAgent),
            ("system_prompt", Op::Step),
        ],
    )],
    op: |_| None,
    fields: FieldKeys {
        prompt_id: &[Key::GEN_AI_PROMPT_NAME],
        session_id: &[Key::SESSION_ID, Key::GEN_AI_CONVERSATION_ID],
        ..FieldKeys::NONE
    },
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: true },
    coding_agent: true,
    ..Dialect::BASE
};

pub(super) static LOGS: LogDialect = LogDialect {
    scopes: &["gemini-cli"],
    prefix: "gemini_cli.",
    events: &[
        ("user_prompt", About::Prompt),
        ("api_request", About::CallBegins),
        ("api_response", About::Call),
        ("api_error", About::FailedCall),
        ("tool_call", About::Tool),
        ("agent.finish", About::Agent),
        // It is written when the program ends.
        ("plan.approval_mode_duration", About::SessionEnds),
    ],
    reading: Dialect {
        name: "gemini_cli",
        fields: LOG_FIELDS,
        usage: Some(&USAGE),
        convention: Convention { input_excludes_cache: false, output_excludes_reasoning: true },
        coding_agent: true,
        amend: amend_log,
        ..Dialect::BASE
    },
    refine: |_, about| Some(about),
    agent: Some("gemini-cli"),
    prompt_has_its_span: false,
    names_tools: false,
};

pub(super) const LOG_FIELDS: FieldKeys = FieldKeys {
    request_model: &[Key::PLAIN_MODEL],
    response_id: &[Key::PLAIN_RESPONSE_ID],
    conversation_id: &[Key::SESSION_ID],
    session_id: &[Key::SESSION_ID],
    prompt_id: &[Key::PLAIN_PROMPT_ID],
    agent_name: &[Key::SUBAGENT_NAME, Key::AGENT_NAME_FLAT],
    agent_id: &[Key::PLAIN_AGENT_ID],
    tool_name: &[Key::FUNCTION_NAME],
    tool_call_id: &[Key::PLAIN_CALL_ID],
    ttft_ms: &[Key::PLAIN_TTFT_MS],
    error_type: &[Key::PLAIN_ERROR_TYPE],
    error_message: &[Key::PLAIN_ERROR],
    input: &[Key::PLAIN_PROMPT, Key::PLAIN_FUNCTION_ARGS],
    ..FieldKeys::NONE
};

pub(super) static USAGE: UsageKeys = UsageKeys {
    input: &[Key::INPUT_TOKEN_COUNT],
    output: &[Key::OUTPUT_TOKEN_COUNT],
    cache_read: &[Key::CACHED_CONTENT_TOKEN_COUNT],
    reasoning: &[Key::THOUGHTS_TOKEN_COUNT],
    ..UsageKeys::NONE
};

/// The tools that change or reach something, about which a user in a terminal is asked.
const ASKS: &[&str] = &["replace", "write_file", "run_shell_command", "web_fetch", "save_memory"];

fn amend_log<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let Some(tool) = meaning.tool_name else { return };
    let in_terminal = spot.attributes.truth(&[Key::INTERACTIVE]) == Some(true);
    let asks = ASKS.contains(&tool) || spot.word(Key::TOOL_TYPE) == Some("mcp");
    let (by_user, decision) = match spot.word(Key::PLAIN_DECISION) {
        // What is not there cannot be allowed.
        _ if spot.word(Key::PLAIN_ERROR_TYPE) == Some("tool_not_registered") => return,
        Some("reject") => (true, Decision::Rejected),
        Some("accept" | "modify" | "auto_accept") => (in_terminal && asks, Decision::Approved),
        _ => return,
    };
    meaning.decided(by_user, decision);
}
