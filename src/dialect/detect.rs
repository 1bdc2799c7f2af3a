//! Which dialect a span is in: the first of the list that fits.

use super::{Dialect, Spot, genai, goose, langchain_rust, mcp, otel_genai, rig, spanlight, swiftide};

/// All dialects, the most specific first. One line adds one.
pub static DIALECTS: &[&Dialect] = &[
    &spanlight::DIALECT,
    &langchain_rust::DIALECT,
    &swiftide::DIALECT,
    &goose::DIALECT,
    &rig::DIALECT,
    &genai::DIALECT,
    &otel_genai::DIALECT,
    &mcp::DIALECT,
];

/// The dialect of a span; nothing for spans of other kinds of software.
pub fn detect(spot: &Spot<'_, '_>) -> Option<&'static Dialect> {
    DIALECTS.iter().copied().find(|dialect| (dialect.detect)(spot))
}
