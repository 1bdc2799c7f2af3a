//! Token counts and costs that come as one JSON object in an attribute.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Convention, Spot, Usage, lenient};
use crate::event::Timestamp;
use crate::semconv::Key;

/// The value of an attribute that holds JSON, if it is of this shape.
pub(super) fn json<T: DeserializeOwned>(spot: &Spot<'_, '_>, key: Key) -> Option<T> {
    serde_json::from_str(spot.word(key)?).ok()
}

/// Seconds from the start of the span to the time that an attribute holds.
pub(super) fn since_start(spot: &Spot<'_, '_>, key: Key) -> Option<f64> {
    let time = Timestamp::parse(spot.word(key)?)?;
    let start = Timestamp::from_unix_nanos(spot.span.start_time_unix_nano);
    Some(time.micros_since(start) as f64 / 1e6)
}

/// The tokens that an attribute counts.
pub(super) fn usage(spot: &Spot<'_, '_>, key: Key, convention: Convention) -> Option<Usage> {
    let counts = lenient::parse(spot.word(key)?)?;
    Some(of_counts(&counts, convention)).filter(|usage| *usage != Usage::default())
}

/// The tokens of counts under the names that are in use, in one object or with objects of details within; a name that
/// nobody here knows is left out.
pub(super) fn of_counts(counts: &Value, convention: Convention) -> Usage {
    let none = Value::Null;
    let within = |names: &[&str]| names.iter().find_map(|name| counts.get(*name)).unwrap_or(&none);
    let input = within(&["input_token_details", "input_tokens_details", "prompt_tokens_details"]);
    let output = within(&["output_token_details", "output_tokens_details", "completion_tokens_details"]);
    let usage = Usage {
        input: count(counts, &["input", "input_tokens", "prompt_tokens"]),
        output: count(counts, &["output", "output_tokens", "completion_tokens"]),
        ..Usage::default()
    };
    let usage = usage.or(of_details(input, output));
    // Those beside the totals are those of other emitters.
    let beside = Usage {
        cache_read: count(counts, &["cache_read", "cache_read_input_tokens"]),
        cache_write: count(counts, &["cache_write", "cache_write_input_tokens", "cache_creation_input_tokens"]),
        cache_write_1h: count(counts, &["cache_creation_input_tokens_above_1hr"]),
        reasoning: count(counts, &["reasoning", "reasoning_tokens"]),
        ..Usage::default()
    };
    usage.or(beside).normalised(convention)
}

/// The details of the input and of the output.
pub(super) fn of_details(input: &Value, output: &Value) -> Usage {
    Usage {
        cache_read: count(input, &["cache_read", "cached_tokens", "cache_read_tokens"]),
        cache_write: count(input, &["cache_creation", "cache_write", "cache_creation_tokens", "cache_write_tokens"]),
        cache_write_5m: count(input, &["ephemeral_5m_input_tokens"]),
        cache_write_1h: count(input, &["ephemeral_1h_input_tokens"]),
        input_audio: count(input, &["audio", "audio_tokens"]),
        reasoning: count(output, &["reasoning", "reasoning_tokens"]),
        output_audio: count(output, &["audio", "audio_tokens"]),
        ..Usage::default()
    }
}

fn count(object: &Value, names: &[&str]) -> Option<u64> {
    let number = names.iter().find_map(|name| object.get(*name)?.as_f64())?;
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

/// The cost in US dollars that an attribute names as the total.
pub(super) fn usd(spot: &Spot<'_, '_>, key: Key) -> Option<f64> {
    #[derive(Deserialize)]
    struct Costs {
        total: f64,
    }
    let costs: Costs = json(spot, key)?;
    Some(costs.total).filter(|usd| usd.is_finite() && *usd >= 0.0)
}
