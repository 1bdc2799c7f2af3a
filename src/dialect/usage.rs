//! Token usage: read from any generation of keys, and brought under one definition.
//!
//! Afterwards `input` includes what was read from and written to caches, and `output` includes reasoning
//! (OTel's definition). What was not reported stays absent: absent is not 0.

use super::UsageKeys;
use super::attributes::Attributes;
use super::fields::Count;
use crate::semconv::Key;

/// Tokens of one call, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read by the model, cached ones included.
    pub input: Option<u64>,
    /// Tokens written by the model, reasoning included.
    pub output: Option<u64>,
    /// Of the input, read from a cache.
    pub cache_read: Option<u64>,
    /// Of the input, written to a cache.
    pub cache_write: Option<u64>,
    /// Of what was written to a cache, with a life of five minutes.
    pub cache_write_5m: Option<u64>,
    /// Of what was written to a cache, with a life of an hour.
    pub cache_write_1h: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning: Option<u64>,
    /// Of the input, audio.
    pub input_audio: Option<u64>,
    /// Of the output, audio.
    pub output_audio: Option<u64>,
    /// The counts contradicted one another under the emitter's convention and were read under the other.
    pub repaired: bool,
    /// What the emitter's counts leave out; here they are whole.
    pub convention: Convention,
}

/// What an emitter's counts leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Convention {
    /// Its input is without what caches served and took.
    pub input_excludes_cache: bool,
    /// Its output is without reasoning.
    pub output_excludes_reasoning: bool,
}

impl Convention {
    /// This convention, unless the emitter's own total is the sum of what this one takes for parts of one another.
    pub(super) fn or_told_by(self, total: u64, usage: &Usage) -> Convention {
        let (Some(input), Some(output)) = (usage.input, usage.output) else { return self };
        let (cached, reasoning) = (usage.cached(), usage.reasoning.unwrap_or(0));
        let sum =
            |parts: &[u64]| parts.iter().fold(input.saturating_add(output), |sum, part| sum.saturating_add(*part));
        let apart = |input_excludes_cache, output_excludes_reasoning| Convention {
            input_excludes_cache: self.input_excludes_cache || input_excludes_cache,
            output_excludes_reasoning: self.output_excludes_reasoning || output_excludes_reasoning,
        };
        match total {
            _ if total <= sum(&[]) || cached == reasoning => self,
            _ if total == sum(&[cached]) => apart(true, false),
            _ if total == sum(&[reasoning]) => apart(false, true),
            _ if total == sum(&[cached, reasoning]) => apart(true, true),
            _ => self,
        }
    }
}

/// The keys of the OTel GenAI conventions, newest first, and of those who write in their name space.
pub static GEN_AI: UsageKeys = UsageKeys {
    input: &[Key::GEN_AI_USAGE_INPUT_TOKENS, Key::GEN_AI_USAGE_PROMPT_TOKENS, Key::GEN_AI_RESPONSE_PROMPT_TOKENS],
    output: &[
        Key::GEN_AI_USAGE_OUTPUT_TOKENS,
        Key::GEN_AI_USAGE_COMPLETION_TOKENS,
        Key::GEN_AI_RESPONSE_COMPLETION_TOKENS,
    ],
    cache_read: &[
        Key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
        Key::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS_FLAT,
        Key::GEN_AI_USAGE_DETAILS_CACHE_READ_TOKENS,
        Key::GEN_AI_USAGE_CACHE_READ_TOKENS,
        Key::GEN_AI_USAGE_PROMPT_DETAILS_CACHED,
    ],
    cache_write: &[
        Key::GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
        Key::GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
        Key::GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS_FLAT,
        Key::GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS_FLAT,
        Key::GEN_AI_USAGE_DETAILS_CACHE_WRITE_TOKENS,
        Key::GEN_AI_USAGE_CACHE_CREATION_TOKENS,
        Key::GEN_AI_USAGE_PROMPT_DETAILS_CACHE_CREATION,
    ],
    cache_write_5m: &[Key::ANTHROPIC_USAGE_CACHE_CREATION_5M, Key::GEN_AI_USAGE_CACHE_CREATION_5M],
    cache_write_1h: &[Key::ANTHROPIC_USAGE_CACHE_CREATION_1H, Key::GEN_AI_USAGE_CACHE_CREATION_1H],
    reasoning: &[
        Key::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
        Key::GEN_AI_USAGE_REASONING_TOKENS,
        Key::GEN_AI_USAGE_DETAILS_REASONING_TOKENS,
        Key::GEN_AI_USAGE_COMPLETION_DETAILS_REASONING,
        Key::GEN_AI_USAGE_THINKING_TOKENS,
    ],
    input_audio: &[Key::GEN_AI_USAGE_AUDIO_INPUT_TOKENS, Key::GEN_AI_USAGE_INPUT_AUDIO_TOKENS],
    output_audio: &[Key::GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS, Key::GEN_AI_USAGE_OUTPUT_AUDIO_TOKENS],
    total: &[Key::GEN_AI_USAGE_TOTAL_TOKENS],
};

impl Usage {
    /// Reads the counts, each under the emitter's own keys or else those of the conventions, and brings them
    /// under OTel's definition.
    pub fn read(attributes: &Attributes<'_>, own: Option<&UsageKeys>, convention: Convention) -> Usage {
        if !attributes.fillable().has_counts() {
            return Usage { convention, ..Usage::default() };
        }
        let usage = Usage::told_by(attributes, own);
        let total = own.and_then(|own| attributes.count(own.total)).or_else(|| attributes.count(GEN_AI.total));
        usage.normalised(total.map_or(convention, |total| convention.or_told_by(total, &usage)))
    }

    /// With what a total has beyond input and output as thoughts, where nothing else is told of them: Gemini's answers are
    /// counted without.
    #[must_use]
    pub(super) fn with_thoughts_up_to(self, total: u64) -> Usage {
        let (Some(input), Some(output), None) = (self.input, self.output, self.reasoning) else { return self };
        match total.checked_sub(input.saturating_add(output)) {
            None | Some(0) => self,
            Some(thoughts) => Usage { output: Some(output + thoughts), reasoning: Some(thoughts), ..self },
        }
    }

    /// What of a sum is not in an earlier one of the same kind; nothing if the earlier one is no part of it.
    pub fn without(&self, earlier: &Usage) -> Option<Usage> {
        let rest = |all: Option<u64>, part: Option<u64>| match (all, part) {
            (Some(all), Some(part)) => all.checked_sub(part).map(Some),
            (all, None | Some(0)) => Some(all),
            (None, Some(_)) => None,
        };
        Some(Usage {
            input: rest(self.input, earlier.input)?,
            output: rest(self.output, earlier.output)?,
            cache_read: rest(self.cache_read, earlier.cache_read)?,
            cache_write: rest(self.cache_write, earlier.cache_write)?,
            cache_write_5m: rest(self.cache_write_5m, earlier.cache_write_5m)?,
            cache_write_1h: rest(self.cache_write_1h, earlier.cache_write_1h)?,
            reasoning: rest(self.reasoning, earlier.reasoning)?,
            input_audio: rest(self.input_audio, earlier.input_audio)?,
            output_audio: rest(self.output_audio, earlier.output_audio)?,
            ..*self
        })
    }

    /// The counts as they are told.
    #[inline]
    pub(super) fn told_by(attributes: &Attributes<'_>, own: Option<&UsageKeys>) -> Usage {
        let conventional = Usage::told(attributes, &GEN_AI);
        own.map_or(conventional, |own| Usage::told(attributes, own).or(conventional))
    }

    #[inline]
    fn told(attributes: &Attributes<'_>, keys: &UsageKeys) -> Usage {
        let fillable = attributes.fillable();
        let told = |count: Count| if fillable.counts(count) { attributes.count(keys.of(count)) } else { None };
        Usage {
            input: told(Count::input),
            output: told(Count::output),
            cache_read: told(Count::cache_read),
            cache_write: told(Count::cache_write),
            cache_write_5m: told(Count::cache_write_5m),
            cache_write_1h: told(Count::cache_write_1h),
            reasoning: told(Count::reasoning),
            input_audio: told(Count::input_audio),
            output_audio: told(Count::output_audio),
            repaired: false,
            convention: Convention::default(),
        }
    }

    /// These counts, and those of the other that are missing here.
    #[must_use]
    pub(super) fn or(self, other: Usage) -> Usage {
        Usage {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write: self.cache_write.or(other.cache_write),
            cache_write_5m: self.cache_write_5m.or(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
            reasoning: self.reasoning.or(other.reasoning),
            input_audio: self.input_audio.or(other.input_audio),
            output_audio: self.output_audio.or(other.output_audio),
            repaired: self.repaired || other.repaired,
            convention: self.convention,
        }
    }

    /// These counts, completed by the details of another that counts as many tokens.
    #[must_use]
    pub fn detailed_by(self, other: &Usage) -> Usage {
        let agrees = self.input == other.input && self.output == other.output;
        if agrees { self.or(*other) } else { self }
    }

    /// What caches served and took.
    pub fn cached(&self) -> u64 {
        self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0))
    }

    /// The same usage under OTel's definition.
    pub fn normalised(mut self, convention: Convention) -> Usage {
        self.convention = convention;
        if self.cache_write_5m.is_some() || self.cache_write_1h.is_some() {
            let parts = self.cache_write_5m.unwrap_or(0).saturating_add(self.cache_write_1h.unwrap_or(0));
            // What was written cannot be less than what was written for five minutes and for an hour.
            self.cache_write = Some(self.cache_write.unwrap_or(0).max(parts));
        }
        let cached = self.cached();
        if let Some(input) = self.input {
            let contradicts = !convention.input_excludes_cache && cached > input;
            self.repaired |= contradicts;
            if convention.input_excludes_cache || contradicts {
                self.input = Some(input.saturating_add(cached));
            }
        }
        let reasoning = self.reasoning.unwrap_or(0);
        if let Some(output) = self.output {
            let contradicts = !convention.output_excludes_reasoning && reasoning > output;
            self.repaired |= contradicts;
            if convention.output_excludes_reasoning || contradicts {
                self.output = Some(output.saturating_add(reasoning));
            }
        }
        self
    }

    /// How much of it is told: of two reports of one call the one that tells more was nearer to it.
    pub fn details(&self) -> usize {
        let parts = [self.input, self.output, self.cache_read, self.cache_write, self.reasoning];
        let more = [self.cache_write_5m, self.cache_write_1h, self.input_audio, self.output_audio];
        parts.iter().chain(&more).flatten().count()
    }

    /// Input and output together, as far as they are known.
    pub fn total(&self) -> Option<u64> {
        self.is_known().then(|| self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0)))
    }

    /// Whether anything was reported.
    pub fn is_known(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inclusive_counts_stay() {
        let usage = Usage {
            input: Some(130_213),
            cache_read: Some(128_955),
            cache_write: Some(1253),
            output: Some(10),
            ..Usage::default()
        };
        assert_eq!(usage.normalised(Convention::default()), usage);
    }

    #[test]
    fn exclusive_counts_are_added_up() {
        let usage = Usage {
            input: Some(2),
            output: Some(1200),
            cache_read: Some(84_562),
            cache_write: Some(7096),
            ..Usage::default()
        };
        let convention = Convention { input_excludes_cache: true, output_excludes_reasoning: false };
        assert_eq!(usage.normalised(convention).input, Some(91_660));
        let usage = Usage { output: Some(50), reasoning: Some(30), ..Usage::default() };
        let convention = Convention { input_excludes_cache: false, output_excludes_reasoning: true };
        assert_eq!(usage.normalised(convention).output, Some(80));
    }

    #[test]
    fn what_contradicts_itself_is_repaired_and_said_so() {
        let usage = Usage { input: Some(5), cache_read: Some(100), ..Usage::default() };
        let usage = usage.normalised(Convention::default());
        assert_eq!((usage.input, usage.repaired), (Some(105), true));
    }

    #[test]
    fn what_was_written_to_caches_is_at_least_its_parts() {
        let written = |cache_write, cache_write_5m, cache_write_1h| {
            let usage = Usage { cache_write, cache_write_5m, cache_write_1h, ..Usage::default() };
            usage.normalised(Convention::default()).cache_write
        };
        assert_eq!(written(Some(10), Some(30), Some(40)), Some(70));
        assert_eq!(written(Some(100), Some(30), Some(40)), Some(100));
        assert_eq!(written(None, None, Some(40)), Some(40));
        assert_eq!(written(Some(0), None, None), Some(0));
        assert_eq!(written(None, Some(u64::MAX), Some(1)), Some(u64::MAX));
    }

    #[test]
    fn absent_stays_absent() {
        assert_eq!(Usage::default().normalised(Convention::default()), Usage::default());
        assert!(!Usage::default().is_known());
    }
}
