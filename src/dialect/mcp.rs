//! The Model Context Protocol's own spans: those of clients and servers that say nothing of GenAI.

use super::{Dialect, Op, Signs, Spot};
use crate::otlp::view::StatusCode;
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "mcp",
    signs: Signs { keys: &[Key::MCP_METHOD_NAME], ..Signs::NONE },
    op,
    // A client that leaves open how it went has its answer all the same; the server below it knows.
    amend: |spot, meaning| meaning.is_silent = meaning.op == Op::Mcp && spot.span.status_code == StatusCode::Unset,
    ..Dialect::BASE
};

/// `tools/call` runs a tool; every other method is a step.
pub(super) fn op(spot: &Spot<'_, '_>) -> Option<Op> {
    let method = spot.attributes.text(&[Key::MCP_METHOD_NAME])?;
    Some(if method == "tools/call" { Op::Mcp } else { Op::Step })
}

/// The target in the span's name, which is `{mcp.method.name} {target}`, and has a word or two in front of that where
/// an SDK tells its sending from its serving: of `tools/call` the tool.
pub(super) fn target<'a>(spot: &Spot<'a, '_>) -> Option<&'a str> {
    let method = spot.attributes.text(&[Key::MCP_METHOD_NAME])?;
    let (_, target) = spot.span.name.as_str().split_once(method)?;
    let target = target.strip_prefix(' ')?.trim();
    (!target.is_empty()).then_some(target)
}
