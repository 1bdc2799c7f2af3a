//! The layout of LiteLLM's `model_prices_and_context_window.json`: an object of models, US dollars per token under
//! keys whose endings are tiers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::overrides::{Key, Overrides, Row, complete};
use super::rates::{Part, PerPart, per_million_of};

/// Keys of prices without endings. The longer of two that begin alike comes first.
const KEYS: &[(&str, Part)] = &[
    ("cache_creation_input_token_cost_above_1hr", Part::CacheWrite1h),
    ("cache_creation_input_token_cost", Part::CacheWrite),
    ("cache_read_input_token_cost", Part::CacheRead),
    ("input_cost_per_token", Part::UncachedInput),
    ("input_cost_per_audio_token", Part::InputAudio),
    ("input_cost_per_request", Part::Request),
    ("output_cost_per_token", Part::Output),
    ("output_cost_per_reasoning_token", Part::Reasoning),
    ("output_cost_per_audio_token", Part::OutputAudio),
];

/// Kinds of models that read tokens and write none.
const WRITE_NOTHING: &[&str] = &["embedding", "rerank", "moderation"];

/// The warnings that are worth reading; of the rest there is a number.
const MOST_WARNINGS: usize = 10;

/// A price under its tier and size.
struct Price {
    part: Part,
    tier: Option<&'static str>,
    above: Option<u64>,
    per_million: f64,
}

/// Reads all models. Entries that cannot be used are left out with a warning.
pub fn read(models: &Map<String, Value>, overrides: &mut Overrides) -> Result<(), String> {
    let is_ours = |entry: &Value| {
        let keys = entry.as_object().into_iter().flat_map(Map::keys);
        keys.map(String::as_str).any(|key| key == "litellm_provider" || KEYS.iter().any(|(known, _)| key == *known))
    };
    if !models.values().any(is_ours) {
        return Err("this is neither LiteLLM's layout (models by name, each with `input_cost_per_token`) nor ours (a \
                    list `prices`); docs/cost.md shows both"
            .into());
    }
    let mut bad = Vec::new();
    for (name, entry) in models.iter().filter(|(name, _)| *name != "sample_spec") {
        match rows(entry) {
            Ok(Some(rows)) => list(overrides, name, entry["litellm_provider"].as_str(), rows),
            // Models of images and the like have no price by the token.
            Ok(None) => {}
            Err(problem) => bad.push(format!("{}: `{name}` is left out: {problem}", overrides.name)),
        }
    }
    if bad.len() > MOST_WARNINGS {
        let more = bad.len() - MOST_WARNINGS;
        bad.truncate(MOST_WARNINGS);
        bad.push(format!("{}: {more} more entries are left out", overrides.name));
    }
    overrides.warnings = bad;
    Ok(())
}

fn list(overrides: &mut Overrides, name: &str, provider: Option<&str>, rows: Vec<Row>) {
    let rows: Arc<[Row]> = rows.into();
    let prefixed =
        name.split_once('/').filter(|(prefix, _)| provider.is_none_or(|provider| provider.starts_with(prefix)));
    match prefixed {
        Some((prefix, rest)) => {
            let provider = Some(prefix);
            overrides.list(provider, Key::ProviderAndModel, name, name, rows.clone());
            overrides.list(provider, Key::ModelOfProvider, rest, name, rows);
        }
        None => overrides.list(provider, Key::Model, name, name, rows),
    }
}

/// The prices of an entry; nothing if it has none by the token.
fn rows(entry: &Value) -> Result<Option<Vec<Row>>, String> {
    let entry = entry.as_object().ok_or("it is no object")?;
    let mut prices = prices(entry)?;
    for tier in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        prices.extend(tiered(tier)?);
    }
    let writes_nothing = || entry.get("mode").and_then(Value::as_str).is_some_and(|mode| WRITE_NOTHING.contains(&mode));
    let tiers: BTreeSet<Option<&str>> = prices.iter().map(|price| price.tier).chain([None]).collect();
    let sizes: BTreeSet<Option<u64>> = prices.iter().map(|price| price.above).chain([None]).collect();
    let mut rows = Vec::new();
    for tier in &tiers {
        for above in &sizes {
            let mut given = given(&prices, *tier, *above);
            let output = &mut given[Part::Output as usize];
            if output.is_none() && writes_nothing() {
                *output = Some(0.0);
            }
            let Some((per_million, assumed)) = complete(&given) else { return Ok(None) };
            rows.push(Row { from: None, service_tier: tier.map(Into::into), above: *above, per_million, assumed });
        }
    }
    Ok(Some(rows))
}

/// What holds at a tier and above a size: prices for just that, else those of the size, the tier, or neither.
fn given(prices: &[Price], tier: Option<&str>, above: Option<u64>) -> PerPart<Option<f64>> {
    Part::ALL.map(|part| {
        let at = |tier: Option<&str>, above: Option<u64>| {
            let mut fitting = prices.iter().filter(|price| price.part == part);
            fitting.find(|price| price.tier == tier && price.above == above).map(|price| price.per_million)
        };
        at(tier, above).or_else(|| at(None, above)).or_else(|| at(tier, None)).or_else(|| at(None, None))
    })
}

fn prices(entry: &Map<String, Value>) -> Result<Vec<Price>, String> {
    let mut prices = Vec::new();
    for (key, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
        let known = KEYS.iter().find_map(|(known, part)| Some((*part, endings(key.strip_prefix(known)?)?)));
        let Some((part, (tier, above))) = known else { continue };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let usd = number.filter(|usd| usd.is_finite() && *usd >= 0.0);
        let usd = usd.ok_or_else(|| format!("its `{key}` is {value}, not US dollars per token"))?;
        prices.push(Price { part, tier, above, per_million: per_million_of(usd) });
    }
    Ok(prices)
}

/// The tier and the size in what follows a key: `_above_200k_tokens`, `_priority`, or both.
fn endings(mut rest: &str) -> Option<(Option<&'static str>, Option<u64>)> {
    const TIERS: &[(&str, &str)] =
        &[("_batches", "batch"), ("_flex", "flex"), ("_priority", "priority"), ("_fast", "fast")];
    let (mut tier, mut above) = (None, None);
    while !rest.is_empty() {
        if let Some((ending, word)) = TIERS.iter().find(|(ending, _)| rest.starts_with(ending)) {
            (tier, rest) = (Some(*word), &rest[ending.len()..]);
        } else {
            let (size, after) = rest.strip_prefix("_above_")?.split_once("_tokens")?;
            let thousands: u64 = size.strip_suffix('k')?.parse().ok()?;
            (above, rest) = (Some(thousands.checked_mul(1000)?), after);
        }
    }
    Some((tier, above))
}

/// The prices of inputs of a range: more than its first, and no more than its last.
fn tiered(tier: &Value) -> Result<Vec<Price>, String> {
    let entry = tier.as_object().ok_or("its `tiered_pricing` is no list of objects")?;
    let from = tier["range"][0].as_f64().filter(|from| *from >= 0.0);
    let from = from.ok_or("a `range` of its `tiered_pricing` is no list of two numbers")? as u64;
    let mut prices = prices(entry)?;
    prices.iter_mut().for_each(|price| price.above = Some(from).filter(|from| *from > 0));
    Ok(prices)
}
