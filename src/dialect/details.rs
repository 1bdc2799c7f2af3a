//! Token counts and costs that come as one JSON object in an attribute.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Convention, Spot, Usage};
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

/// Counts under the names that are in use; a name that nobody here knows is left out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(alias = "prompt_tokens", alias = "input_tokens")]
    input: Option<f64>,
    #[serde(alias = "completion_tokens", alias = "output_tokens")]
    output: Option<f64>,
    #[serde(alias = "cache_read_input_tokens")]
    cache_read: Option<f64>,
    #[serde(alias = "cache_write_input_tokens", alias = "cache_creation_input_tokens")]
    cache_write: Option<f64>,
    #[serde(alias = "cache_creation_input_tokens_above_1hr")]
    cache_write_1h: Option<f64>,
    #[serde(alias = "reasoning_tokens")]
    reasoning: Option<f64>,
}

/// The tokens that an attribute counts.
pub(super) fn usage(spot: &Spot<'_, '_>, key: Key, convention: Convention) -> Option<Usage> {
    let counts: Counts = json(spot, key)?;
    let count = |number: Option<f64>| number.filter(|n| n.is_finite() && *n >= 0.0).map(|n| n as u64);
    let usage = Usage {
        input: count(counts.input),
        output: count(counts.output),
        cache_read: count(counts.cache_read),
        cache_write: count(counts.cache_write),
        cache_write_1h: count(counts.cache_write_1h),
        reasoning: count(counts.reasoning),
        ..Usage::default()
    };
    Some(usage.normalised(convention))
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
