//! The fields of a meaning and the counts of tokens: under which keys each is found, and which of them a span may
//! fill at all.
//!
//! Every emitter has keys of its own for each field, and a span has but a few of all of them. So the fields that a key
//! is of are worked out once, and collected while attributes are read: what cannot be there is never looked for.

use super::usage::GEN_AI;
use super::{DIALECTS, generic, logs, messages};
use crate::semconv::Key;

/// Makes a table of keys, and the names of its columns.
macro_rules! keys_of {
    ($(#[doc = $doc:literal])+ $table:ident, $column:ident; $($(#[doc = $help:literal])+ $field:ident,)*) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $table {
            $($(#[doc = $help])+ pub $field: &'static [Key],)*
        }

        impl $table {
            /// No keys of its own: the common ones serve. A dialect names those in which it differs.
            pub const NONE: $table = $table { $($field: &[],)* };

            /// The keys of one of them.
            #[inline]
            pub(super) fn of(&self, column: $column) -> &'static [Key] {
                match column {
                    $($column::$field => self.$field,)*
                }
            }
        }

        #[allow(missing_docs, non_camel_case_types, reason = "they are called as the fields are")]
        #[derive(Clone, Copy, Debug)]
        pub(super) enum $column { $($field),* }

        impl $column {
            const ALL: &'static [$column] = &[$($column::$field),*];
        }
    };
}

keys_of! {
    /// The source keys of each field, in order of preference.
    FieldKeys, Field;
    /// Whose model it is.
    provider,
    /// The model asked for.
    request_model,
    /// The model that answered.
    response_model,
    /// The answer's id at its provider.
    response_id,
    /// The conversation.
    conversation_id,
    /// The session.
    session_id,
    /// The user.
    user_id,
    /// The user's prompt that it was done for.
    prompt_id,
    /// The agent.
    agent_name,
    /// What tells it from others of its name.
    agent_id,
    /// The workflow.
    workflow_name,
    /// The step; the span's name where there is none.
    step_name,
    /// The tool.
    tool_name,
    /// The id that the model gave its call of the tool.
    tool_call_id,
    /// Why the model stopped.
    finish_reason,
    /// Whether the answer was streamed.
    stream,
    /// Seconds until the first piece of the answer.
    ttft_s,
    /// Milliseconds until then.
    ttft_ms,
    /// At which tier the provider served the call.
    service_tier,
    /// What the call cost, in US dollars.
    cost,
    /// The kind of error.
    error_type,
    /// What went wrong.
    error_message,
    /// What went wrong, said by nobody who did not fail.
    failure,
    /// What went in where no messages are said in one of the known ways: whatever it is, or a tool's arguments.
    input,
    /// What came out where no messages are said in one of the known ways: whatever it is, or a tool's result.
    output,
}

keys_of! {
    /// The keys of each count of tokens, in order of preference.
    UsageKeys, Count;
    /// Of the input.
    input,
    /// Of the output.
    output,
    /// Of what was read from a cache.
    cache_read,
    /// Of what was written to a cache.
    cache_write,
    /// Of what was written for five minutes.
    cache_write_5m,
    /// Of what was written for an hour.
    cache_write_1h,
    /// Of reasoning.
    reasoning,
    /// Of audio input.
    input_audio,
    /// Of audio output.
    output_audio,
    /// Of everything, by which the emitter's own sum tells what its counts leave out.
    total,
}

/// Fields and counts, a bit each, and what else names say, so that those of all attributes are taken together by one `or`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fillable(u64);

impl Fillable {
    /// None at all.
    pub const NONE: Fillable = Fillable(0);
    /// All fields and counts.
    pub const ALL: Fillable = Fillable(!(Fillable::GEN_AI.0 | Fillable::NUMBERED.0 | Fillable::DIMENSION.0));
    /// A name under which some dialect has messages.
    pub const MESSAGES: Fillable = Fillable(1 << 59);
    /// A name that begins with `gen_ai.`.
    pub const GEN_AI: Fillable = Fillable(1 << 62);
    /// A name that may be of a piece of a message that is spread over many attributes, with numbers in their names.
    pub const NUMBERED: Fillable = Fillable(1 << 61);
    /// A name that a configuration has for a dimension of metrics.
    pub const DIMENSION: Fillable = Fillable(1 << 60);
    /// Counts have the upper half.
    const COUNTS: u32 = 32;
    const OF_COUNTS: u64 = ((1 << Count::ALL.len()) - 1) << Fillable::COUNTS;
    /// Whatever tells how the work ended has the last bit.
    const OUTCOME: u64 = 1 << 63;

    /// What a key may fill, in whatever dialect.
    pub fn by(key: Key) -> Fillable {
        let logs = logs::readings();
        let readings = || DIALECTS.iter().copied().chain(logs.clone());
        let fields = || readings().map(|dialect| &dialect.fields).chain([&generic::FIELDS]);
        let counts = || readings().filter_map(|dialect| dialect.usage).chain([&GEN_AI]);
        let fills = |field: &&Field| fields().any(|keys| keys.of(**field).contains(&key));
        let is_of = |count: &&Count| counts().any(|keys| keys.of(**count).contains(&key));
        let of_fields = Field::ALL.iter().filter(fills).map(|field| 1 << *field as u32);
        let of_counts = Count::ALL.iter().filter(is_of).map(|count| 1 << (Fillable::COUNTS + *count as u32));
        let bits = of_fields.chain(of_counts).fold(0, |bits, bit| bits | bit);
        let of_errors =
            [Field::error_type, Field::error_message, Field::failure].iter().any(|f| Fillable(bits).has(*f));
        let is_outcome = of_errors || key == Key::SPANLIGHT_OUTCOME || generic::FAILURE_WORDS.contains(&key);
        let outcome = if is_outcome { Fillable::OUTCOME } else { 0 };
        let messages = if messages::KEYS.contains(&key) { Fillable::MESSAGES.0 } else { 0 };
        Fillable(bits | outcome | messages)
    }

    /// Both.
    #[must_use]
    #[inline]
    pub fn and(self, other: Fillable) -> Fillable {
        Fillable(self.0 | other.0)
    }

    /// Whether the field may be there.
    #[inline]
    pub(super) fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u32 != 0
    }

    /// Whether the count may be there.
    #[inline]
    pub(super) fn counts(self, count: Count) -> bool {
        self.0 & 1 << (Fillable::COUNTS + count as u32) != 0
    }

    /// Whether any count may be there.
    #[inline]
    pub(super) fn has_counts(self) -> bool {
        self.0 & Fillable::OF_COUNTS != 0
    }

    /// Whether all of the other is in it.
    #[inline]
    pub(super) fn holds(self, other: Fillable) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there may be something that tells how the work ended.
    #[inline]
    pub(super) fn has_outcome(self) -> bool {
        self.0 & Fillable::OUTCOME != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_every_dialect_fills_its_field() {
        assert!(Field::ALL.len() <= Fillable::COUNTS as usize && Count::ALL.len() < 59 - Fillable::COUNTS as usize);
        for dialect in DIALECTS.iter().copied().chain(logs::readings()) {
            for field in Field::ALL {
                assert!(dialect.fields.of(*field).iter().all(|key| Fillable::by(*key).has(*field)), "{}", dialect.name);
            }
            let usage = dialect.usage.unwrap_or(&UsageKeys::NONE);
            for count in Count::ALL {
                assert!(usage.of(*count).iter().all(|key| Fillable::by(*key).counts(*count)), "{}", dialect.name);
            }
        }
        assert_eq!(Fillable::by(Key::SPANLIGHT_OUTCOME), Fillable(Fillable::OUTCOME));
        assert_eq!(Fillable::by(Key::LOGFIRE_SPAN_TYPE), Fillable::default());
    }
}
