//! AgentScope: the GenAI conventions, with caches and failed tools in its own words, up to version 1 as Python prints them.

use serde::Deserialize;

use super::lenient::Word;
use super::{Convention, Dialect, Failure, FieldKeys, Meaning, Op, Signs, Spot, Usage, details};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "agentscope",
    signs: Signs { scopes: &["agentscope"], families: &["agentscope."], ..Signs::NONE },
    kinds: &[(Key::GEN_AI_OPERATION_NAME, &[("format", Op::Step), ("invoke_generic_function", Op::Step)])],
    fields: FieldKeys {
        input: &[Key::GEN_AI_TOOL_CALL_ARGUMENTS, Key::AGENTSCOPE_FUNCTION_INPUT],
        output: &[Key::GEN_AI_TOOL_CALL_RESULT, Key::AGENTSCOPE_FUNCTION_OUTPUT],
        ..FieldKeys::NONE
    },
    texts_are_json: true,
    amend,
    ..Dialect::BASE
};

/// A whole answer: version 1 has tokens of caches nowhere else.
#[derive(Deserialize)]
struct Answer {
    usage: Counts,
}

/// The provider's own counts, printed.
#[derive(Deserialize)]
struct Counts {
    metadata: Option<String>,
}

/// What a tool gave back, as version 2 says it.
#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow, default)]
    state: Word<'a>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Word<'a>,
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    match meaning.op.scope() {
        Scope::LlmRequest if meaning.usage.is_known() => {
            // Each provider's own counts are told.
            let input_excludes_cache = meaning.provider.as_deref() == Some("anthropic");
            let convention = Convention { input_excludes_cache, ..Convention::default() };
            meaning.usage = meaning.usage.or(caches(spot)).normalised(convention);
        }
        Scope::Tool => outcome(spot, meaning),
        _ => {}
    }
}

/// What caches served and took. Version 1 keeps what Anthropic says of it to itself.
fn caches(spot: &Spot<'_, '_>) -> Usage {
    let count = |key| spot.attributes.count(&[key]);
    let printed = || {
        let answer: Answer = details::json(spot, Key::AGENTSCOPE_FUNCTION_OUTPUT)?;
        let (_, count) = answer.usage.metadata.as_deref()?.split_once("cached_tokens=")?;
        count.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
    };
    Usage {
        cache_read: count(Key::AGENTSCOPE_USAGE_CACHE_INPUT_TOKENS).or_else(printed),
        cache_write: count(Key::AGENTSCOPE_USAGE_CACHE_CREATION_INPUT_TOKENS),
        ..Usage::default()
    }
}

/// What a tool raised is in what it gave back, and its span is as good as any.
fn outcome<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    let Some(result) = spot.word(Key::GEN_AI_TOOL_CALL_RESULT) else { return };
    let failed = |message| Failure { error_type: Some("tool_error"), message };
    if let Some(message) = printed_error(result) {
        meaning.failure = Some(failed(Some(message)));
        return;
    }
    let Ok(given) = serde_json::from_str::<Given<'a>>(result) else { return };
    if given.state.is("error") {
        let said = given.content.into_iter().find_map(|block| block.text.borrowed(""));
        meaning.failure = Some(failed(said.or(Some(result))));
    } else if given.state.is("interrupted") {
        (meaning.failure, meaning.canceled) = (None, true);
    }
}

/// What went wrong, of a result as version 1 prints it; the quotes around what is said are those of Python, in JSON.
fn printed_error(result: &str) -> Option<&str> {
    let said = result.strip_prefix("ToolResponse(content=[{'type': 'text', 'text': ")?;
    [("'Error: ", "'}"), ("\\\"Error: ", "\\\"}")].into_iter().find_map(|(before, after)| {
        let (message, _) = said.strip_prefix(before)?.split_once(after)?;
        Some(message)
    })
}
