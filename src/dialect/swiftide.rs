//! swiftide: agents, steps, tools and hooks by the names of their spans, calls of models by the fields for its
//! Langfuse layer, which come in events rather than in attributes.

use super::{Dialect, FieldKeys, Meaning, Op, Signs, Spot, UsageKeys, details};
use crate::event::Scope;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "swiftide",
    signs: Signs {
        scopes: &["swiftide*"],
        keys: &[Key::LANGFUSE_TYPE, Key::TARGET, Key::CODE_MODULE_NAME, Key::CODE_NAMESPACE],
        only_if: |spot| spot.attributes.has(Key::LANGFUSE_TYPE) || spot.is_written_in(CRATES),
        ..Signs::NONE
    },
    op,
    fields: FieldKeys {
        request_model: &[Key::LANGFUSE_MODEL],
        tool_name: &[Key::PLAIN_TOOL_NAME],
        error_message: &[Key::LANGFUSE_STATUS_MESSAGE],
        input: &[Key::LANGFUSE_INPUT],
        output: &[Key::LANGFUSE_OUTPUT, Key::PLAIN_OUTPUT],
        ..FieldKeys::NONE
    },
    usage: Some(&UsageKeys {
        input: &[Key::SWIFTIDE_USAGE_PROMPT_TOKENS],
        output: &[Key::SWIFTIDE_USAGE_COMPLETION_TOKENS],
        ..UsageKeys::NONE
    }),
    told_in_events: &[
        Key::LANGFUSE_MODEL,
        Key::LANGFUSE_INPUT,
        Key::LANGFUSE_OUTPUT,
        Key::LANGFUSE_USAGE,
        Key::LANGFUSE_STATUS_MESSAGE,
        Key::PLAIN_TOOL_NAME,
        Key::PLAIN_OUTPUT,
    ],
    amend,
    ..Dialect::BASE
};

/// What spans do, by name.
const NAMES: &[(&str, Op)] = &[
    ("agent.query", Op::InvokeAgent),
    ("agent.query_once", Op::InvokeAgent),
    ("agent.run", Op::InvokeAgent),
    ("agent.run_once", Op::InvokeAgent),
    ("step", Op::Step),
    ("tool", Op::ExecuteTool),
    ("hook", Op::Hook),
    ("task.run", Op::InvokeWorkflow),
    ("task.resume", Op::InvokeWorkflow),
    ("task.step", Op::Task),
];

/// What spans do whose name goes on with what they do it with.
const PREFIXES: &[(&str, Op)] = &[("step-", Op::Step), (TOOL, Op::ExecuteTool), ("hook.", Op::Hook)];

const CRATES: &[&str] = &["swiftide_agents", "swiftide_integrations", "swiftide_core", "swiftide"];

const TOOL: &str = "tool.";

fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    if let Some(kind) = spot.word(Key::LANGFUSE_TYPE) {
        return Some(if kind.eq_ignore_ascii_case("GENERATION") { Op::Chat } else { Op::Step });
    }
    let name = spot.span.name.as_str();
    let named = NAMES.iter().find(|(known, _)| *known == name);
    named.or_else(|| PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix))).map(|(_, op)| *op)
}

fn amend<'a>(spot: &Spot<'a, '_>, meaning: &mut Meaning<'a>) {
    if meaning.op.scope() == Scope::Tool && meaning.tool_name.is_none() {
        meaning.tool_name = spot.span.name.as_str().strip_prefix(TOOL).filter(|name| !name.is_empty());
    }
    if !meaning.usage.is_known()
        && let Some(usage) = details::usage(spot, Key::LANGFUSE_USAGE, DIALECT.convention)
    {
        meaning.usage = usage;
    }
}
