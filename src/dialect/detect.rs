//! Which dialect a span is in: the first of the list that has a sign of it.

use super::{
    Dialect, Spot, ag2, agentops, agentscope, ai_sdk, ai_sdk_legacy, anthropic_sdk, claude_code, codex, copilot,
    crewai, gemini_cli, genai, genkit, google_adk, goose, haystack, laminar, langchain_rust, langfuse, langsmith,
    litellm, livekit, llama_index, logfire, mastra, mcp, mlflow, msft, opencode, openinference, openlit, openllmetry,
    otel_genai, pydantic_ai, qwen_code, rig, spanlight, spring_ai, strands, swiftide, voltagent,
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
    &anthropic_sdk::DIALECT,
    &ai_sdk_legacy::DIALECT,
    &ai_sdk::DIALECT,
    &mastra::DIALECT,
    &voltagent::DIALECT,
    &livekit::DIALECT,
    &agentscope::DIALECT,
    &genkit::DIALECT,
    &spring_ai::DIALECT,
    &pydantic_ai::DIALECT,
    &logfire::DIALECT,
    &google_adk::DIALECT,
    &strands::DIALECT,
    &langsmith::DIALECT,
    &langfuse::DIALECT,
    &mlflow::DIALECT,
    &openinference::DIALECT,
    &laminar::DIALECT,
    &agentops::DIALECT,
    &ag2::DIALECT,
    &crewai::DIALECT,
    // It has signs of OpenLLMetry too.
    &litellm::DIALECT,
    &openllmetry::DIALECT,
    &haystack::DIALECT,
    &msft::DIALECT,
    &llama_index::DIALECT,
    &openlit::DIALECT,
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
