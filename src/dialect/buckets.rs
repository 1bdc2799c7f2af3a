//! Token counts and costs in buckets that anybody may name: one JSON object, with the provider's own names or with
//! names whose parts say what they count.

use serde_json::{Map, Value};

use super::{Convention, Spot, Usage, details};
use crate::semconv::Key;

/// Names of providers for the whole of a direction. Next to these, details are parts of it.
const WHOLES: [&[&str]; 2] = [&["prompt_tokens", "input_tokens"], &["completion_tokens", "output_tokens"]];

/// Where providers put the parts of a direction.
const PARTS: [&[&str]; 2] = [
    &["prompt_tokens_details", "input_tokens_details", "prompt_token_details"],
    &["completion_tokens_details", "output_tokens_details", "completion_token_details"],
];

/// The tokens that an attribute counts.
pub(super) fn usage(spot: &Spot<'_, '_>, key: Key) -> Option<Usage> {
    let told: Map<String, Value> = details::json(spot, key)?;
    let by_provider = PARTS.iter().flat_map(|names| names.iter()).any(|name| told.contains_key(*name));
    let counted_by_name = told.contains_key("prompt_tokens") || told.contains_key("completion_tokens");
    let usage = if by_provider || counted_by_name { provided(&told) } else { summed(&told) };
    usage.is_known().then_some(usage)
}

/// The cost in US dollars that an attribute names: its total, or else the sum of its parts.
pub(super) fn usd(spot: &Spot<'_, '_>, key: Key) -> Option<f64> {
    let told: Map<String, Value> = details::json(spot, key)?;
    let amount = |value: &Value| value.as_f64().filter(|usd| usd.is_finite() && *usd >= 0.0);
    let total = ["total", "total_cost"].into_iter().find_map(|name| amount(told.get(name)?));
    total.or_else(|| told.values().filter_map(amount).reduce(|sum, usd| sum + usd))
}

fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)?;
    Some(value.as_u64().unwrap_or(number as u64))
}

/// As providers count: a whole, and beside it or within it what is part of it.
fn provided(told: &Map<String, Value>) -> Usage {
    let whole = |direction: usize| WHOLES[direction].iter().find_map(|name| count(told.get(*name)?));
    let mut usage = Usage { input: whole(0), output: whole(1), ..Usage::default() };
    for (direction, names) in PARTS.iter().enumerate() {
        for (name, part) in names.iter().filter_map(|name| told.get(*name)?.as_object()).flatten() {
            sort_in(&mut usage, direction == 0, name, count(part));
        }
    }
    usage.normalised(Convention::default())
}

/// As Langfuse counts: every bucket of a direction is apart from the others, and the direction is their sum.
fn summed(told: &Map<String, Value>) -> Usage {
    let mut usage = Usage::default();
    let mut sums: [Option<u64>; 2] = [None, None];
    for (name, bucket) in told {
        let name = name.to_ascii_lowercase();
        let (Some(tokens), Some(direction)) = (count(bucket), direction(&name)) else { continue };
        sums[direction] = Some(sums[direction].unwrap_or(0).saturating_add(tokens));
        sort_in(&mut usage, direction == 0, &name, Some(tokens));
    }
    let plain = |names: [&str; 2]| names.into_iter().find_map(|name| count(told.get(name)?));
    let wholes = [plain(["input", "input_tokens"]), plain(["output", "output_tokens"])];
    let is_whole = match (wholes, plain(["total", "total_tokens"])) {
        // Somebody who counts the parts within the whole has a total that is less than the sum of the buckets.
        ([Some(input), Some(output)], Some(total)) => input.saturating_add(output) == total,
        _ => false,
    };
    [usage.input, usage.output] = if is_whole { wholes } else { sums };
    usage.convention = Convention { input_excludes_cache: !is_whole, output_excludes_reasoning: !is_whole };
    usage
}

/// Which direction a bucket is of, input first.
fn direction(name: &str) -> Option<usize> {
    ["input", "output"].into_iter().position(|direction| name.contains(direction))
}

/// Adds a part to where its name says that it belongs.
fn sort_in(usage: &mut Usage, of_input: bool, name: &str, tokens: Option<u64>) {
    let has = |part: &str| name.contains(part);
    let slot = if of_input && has("cach") {
        let written = has("creat") || has("write");
        match (written, has("5m"), has("1h")) {
            (true, true, _) => &mut usage.cache_write_5m,
            (true, _, true) => &mut usage.cache_write_1h,
            (true, ..) => &mut usage.cache_write,
            _ => &mut usage.cache_read,
        }
    } else if has("audio") {
        if of_input { &mut usage.input_audio } else { &mut usage.output_audio }
    } else if !of_input && (has("reason") || has("thought") || has("thinking")) {
        &mut usage.reasoning
    } else {
        return;
    };
    *slot = slot.or(Some(0)).zip(tokens).map(|(sum, tokens)| sum.saturating_add(tokens)).or(*slot);
}
