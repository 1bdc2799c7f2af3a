//! Which dialect a span is in: the first of the list that has a sign of it.

use super::{
    Dialect, Spot, claude_code, codex, copilot, gemini_cli, genai, goose, langchain_rust, mcp, opencode, otel_genai,
    qwen_code, rig, spanlight, swiftide,
};

/// All dialects, the most specific first. One line adds one.
pub static DIALECTS: &[&Dialect] = &[
    &spanlight::DIALECT,
    &claude_code::DIALECT,
    &codex::DIALECT,
    &gemini_cli::DIALECT,
    &qwen_code::DIALECT,
    &copilot::DIALECT,
    &opencode::DIALECT,
    &langchain_rust::DIALECT,
    &swiftide::DIALECT,
    &goose::DIALECT,
    &rig::DIALECT,
    &genai::DIALECT,
    &otel_genai::DIALECT,
    &mcp::DIALECT,
];

/// The dialect of a span; nothing for spans of other kinds of software.
#[inline]
pub fn detect(spot: &Spot<'_, '_>) -> Option<&'static Dialect> {
    spoken(spot).next()
}

/// All dialects that a span speaks, the one that it is in first.
#[inline]
pub fn spoken(spot: &Spot<'_, '_>) -> impl Iterator<Item = &'static Dialect> {
    spot.marks.places().map(|place| DIALECTS[place]).filter(|dialect| (dialect.signs.only_if)(spot))
}
