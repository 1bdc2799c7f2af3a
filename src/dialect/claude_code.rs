//! Claude Code: spans in words of its own, and log events that say more than the spans do.
//!
//! Its input is what no cache served or took. The span of a tool holds the time that the user took to allow it, and its
//! failure is on the span of its execution.

use serde::Deserialize;

use super::{About, Aside, Convention, Dialect, FieldKeys, LogDialect, Meaning, Op, Signs, Spot, UsageKeys};
use crate::event::Decision;
use crate::semconv::Key;

/// What the agent is called.
const AGENT: &str = "claude-code";

pub(super) static DIALECT: Dialect = Dialect {
    name: "claude_code",
    signs: Signs { scopes: &["com.anthropic.claude_code*"], names: &["claude_code."], ..Signs::NONE },
    kinds: &[(
        Key::SPAN_TYPE,
        &[
            ("interaction", Op::InvokeAgent),
            ("llm_request", Op::Chat),
            ("tool", Op::ExecuteTool),
            ("tool.execution", Op::ToolPhase),
            ("tool.blocked_on_user", Op::ToolPhase),
            ("hook", Op::Hook),
        ],
    )],
    op,
    fields: FIELDS,
    usage: Some(&USAGE),
    convention: Convention { input_excludes_cache: true, output_excludes_reasoning: false },
    coding_agent: true,
    amend,
    ..Dialect::BASE
};

pub(super) static LOGS: LogDialect = LogDialect {
    scopes: &["com.anthropic.claude_code*"],
    prefix: "claude_code.",
    events: &[
        ("user_prompt", About::Prompt),
        ("api_request", About::Call),
        ("api_error", About::FailedCall),
        ("tool_result", About::Tool),
        ("tool_decision", About::Decision),
        ("subagent_completed", About::Agent),
    ],
    reading: Dialect {
        name: "claude_code",
        fields: FieldKeys {
            // It names the model that answered.
            request_model: &[],
            response_model: &[Key::PLAIN_MODEL],
            ..FIELDS
        },
        usage: Some(&USAGE),
        convention: Convention { input_excludes_cache: true, output_excludes_reasoning: false },
        coding_agent: true,
        amend: amend_log,
        ..Dialect::BASE
    },
    refine: |_, about| Some(about),
    agent: Some(AGENT),
    prompt_has_its_span: true,
    names_tools: false,
};

const FIELDS: FieldKeys = FieldKeys {
    request_model: &[Key::GEN_AI_REQUEST_MODEL, Key::PLAIN_MODEL],
    response_id: &[Key::GEN_AI_RESPONSE_ID, Key::PLAIN_REQUEST_ID],
    // What it calls the conversation of an agent below is that agent.
    conversation_id: &[Key::SESSION_ID],
    session_id: &[Key::SESSION_ID],
    prompt_id: &[Key::PROMPT_ID],
    agent_name: &[Key::AGENT_NAME, Key::AGENT_TYPE],
    agent_id: &[Key::PLAIN_AGENT_ID],
    tool_name: &[Key::GEN_AI_TOOL_NAME, Key::PLAIN_TOOL_NAME],
    tool_call_id: &[Key::TOOL_USE_ID],
    finish_reason: &[Key::STOP_REASON],
    ttft_ms: &[Key::PLAIN_TTFT_MS],
    cost: &[Key::PLAIN_COST_USD],
    error_type: &[Key::PLAIN_ERROR_TYPE, Key::ERROR_TYPE, Key::PLAIN_STATUS_CODE],
    error_message: &[Key::PLAIN_ERROR],
    input: &[Key::USER_PROMPT, Key::PLAIN_PROMPT, Key::TOOL_INPUT],
    ..FieldKeys::NONE
};

static USAGE: UsageKeys = UsageKeys {
    input: &[Key::PLAIN_INPUT_TOKENS],
    output: &[Key::PLAIN_OUTPUT_TOKENS],
    cache_read: &[Key::PLAIN_CACHE_READ_TOKENS],
    cache_write: &[Key::CACHE_CREATION_TOKENS],
    cache_write_5m: &[Key::CACHE_CREATION_5M_TOKENS],
    cache_write_1h: &[Key::CACHE_CREATION_1H_TOKENS],
    ..UsageKeys::NONE
};

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let kind = spot.span.name.as_str().strip_prefix("claude_code.")?;
    // Those that name themselves are in the table; all others are steps.
    let words = DIALECT.kinds.iter().flat_map(|(_, words)| words.iter());
    Some(words.into_iter().find(|(word, _)| *word == kind).map_or(Op::Step, |(_, op)| *op))
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op {
        Op::InvokeAgent => meaning.agent_name = Some(AGENT),
        // The agent is named by where the request came from: `agent.builtin.general-purpose`.
        Op::Chat if meaning.agent_name.is_none() => {
            let source = spot.word(Key::QUERY_SOURCE_SAFE).filter(|source| source.starts_with("agent."));
            meaning.agent_name = source.and_then(|source| source.rsplit('.').next());
        }
        Op::ToolPhase => meaning.aside = decided(spot, None),
        _ => {}
    }
}

fn amend_log<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    /// What the parameters of a tool say of one that is not its own.
    #[derive(Deserialize)]
    struct Parameters<'p> {
        mcp_tool_name: Option<&'p str>,
    }
    if meaning.tool_name == Some("mcp_tool") {
        let parameters = spot.word(Key::PLAIN_TOOL_PARAMETERS);
        let parameters = parameters.and_then(|text| serde_json::from_str::<Parameters<'a>>(text).ok());
        meaning.tool_name = parameters.and_then(|parameters| parameters.mcp_tool_name).or(meaning.tool_name);
    }
    meaning.aside = decided(spot, meaning.tool_name);
}

/// Who allowed a tool to run, or did not.
fn decided<'a>(spot: &Spot<'a, '_>, target: Option<&'a str>) -> Option<Aside<'a>> {
    let decision = match spot.word(Key::PLAIN_DECISION)? {
        "accept" => Decision::Approved,
        "reject" => Decision::Rejected,
        _ => return None,
    };
    let by_user = spot.word(Key::PLAIN_SOURCE).is_some_and(|source| source.starts_with("user"));
    Some(Aside::decided(by_user, decision, target))
}
