//! Token counts and costs that come as one JSON object in an attribute.

use serde::Deserialize;

use super::{Convention, Spot, Usage};
use crate::semconv::Key;

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
    #[serde(alias = "cache_write_input_tokens")]
    cache_write: Option<f64>,
    #[serde(alias = "reasoning_tokens")]
    reasoning: Option<f64>,
}

/// The tokens that an attribute counts.
pub(super) fn usage(spot: &Spot<'_, '_>, key: Key, convention: Convention) -> Option<Usage> {
    let counts: Counts = serde_json::from_str(spot.word(key)?).ok()?;
    let count = |number: Option<f64>| number.filter(|n| n.is_finite() && *n >= 0.0).map(|n| n as u64);
    let usage = Usage {
        input: count(counts.input),
        output: count(counts.output),
        cache_read: count(counts.cache_read),
        cache_write: count(counts.cache_write),
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
    let costs: Costs = serde_json::from_str(spot.word(key)?).ok()?;
    Some(costs.total).filter(|usd| usd.is_finite() && *usd >= 0.0)
}
