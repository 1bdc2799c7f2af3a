//! What can be said of any span of ours, whether or not its callsite declares a field for it.

use crate::semconv::{Key, spanlight};

/// A field that is set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Settable {
    /// Tokens read.
    InputTokens,
    /// Tokens written.
    OutputTokens,
    /// Of the tokens read, those from a cache.
    CacheReadTokens,
    /// Of the tokens read, those written to a cache.
    CacheWriteTokens,
    /// Of the tokens written, those of reasoning.
    ReasoningTokens,
    /// US dollars.
    Cost,
    /// What came out.
    Output,
    /// What went wrong.
    Error,
    /// How it ended.
    Outcome,
    /// The model that answered.
    ResponseModel,
}

/// Tokens of one call of a model, for [`crate::SpanExt::record_usage`]. What is not known is left out.
///
/// ```
/// let usage = spanlight::Usage::new(1840, 95).cache_read(1024).reasoning(40);
/// assert_eq!(usage.input, Some(1840));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, those from a cache and those written to one included.
    pub input: Option<u64>,
    /// Tokens written, reasoning included.
    pub output: Option<u64>,
    /// Of the input, tokens read from a cache.
    pub cache_read: Option<u64>,
    /// Of the input, tokens written to a cache.
    pub cache_write: Option<u64>,
    /// Of the output, tokens of reasoning.
    pub reasoning: Option<u64>,
}

impl Settable {
    const ALL: [Settable; 10] = [
        Settable::InputTokens,
        Settable::OutputTokens,
        Settable::CacheReadTokens,
        Settable::CacheWriteTokens,
        Settable::ReasoningTokens,
        Settable::Cost,
        Settable::Output,
        Settable::Error,
        Settable::Outcome,
        Settable::ResponseModel,
    ];

    /// The field of a number.
    pub fn of(number: u16) -> Option<Settable> {
        Settable::ALL.get(usize::from(number)).copied()
    }

    /// The attribute that it is, on a tool or on anything else.
    pub fn name(self, of_tool: bool) -> &'static str {
        let key = match self {
            Settable::InputTokens => Key::GEN_AI_USAGE_INPUT_TOKENS,
            Settable::OutputTokens => Key::GEN_AI_USAGE_OUTPUT_TOKENS,
            Settable::CacheReadTokens => Key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
            Settable::CacheWriteTokens => Key::GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
            Settable::ReasoningTokens => Key::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
            Settable::Cost => Key::GEN_AI_USAGE_COST,
            Settable::Output if of_tool => Key::GEN_AI_TOOL_CALL_RESULT,
            Settable::Output => Key::GEN_AI_OUTPUT_MESSAGES,
            Settable::ResponseModel => Key::GEN_AI_RESPONSE_MODEL,
            Settable::Error => return super::callsite::field::ERROR,
            Settable::Outcome => return spanlight::OUTCOME,
        };
        key.name()
    }
}

impl Usage {
    /// Tokens read, those of a cache included, and tokens written, reasoning included.
    pub fn new(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    /// Of the input, these were read from a cache.
    pub fn cache_read(self, tokens: u64) -> Usage {
        Usage { cache_read: Some(tokens), ..self }
    }

    /// Of the input, these were written to a cache.
    pub fn cache_write(self, tokens: u64) -> Usage {
        Usage { cache_write: Some(tokens), ..self }
    }

    /// Of the output, these were reasoning.
    pub fn reasoning(self, tokens: u64) -> Usage {
        Usage { reasoning: Some(tokens), ..self }
    }
}
