//! Rates: what a token of each kind costs, where that is from, and what the tokens of a call come to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::price::PriceSource;
use crate::dialect::Usage;
use crate::event::Timestamp;

/// What is paid for. The kinds of tokens are disjoint: every token is of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Input that no cache served or took.
    UncachedInput,
    /// Input from a cache.
    CacheRead,
    /// Input to a cache, for nobody says how long.
    CacheWrite,
    /// Input to a cache for five minutes.
    CacheWrite5m,
    /// Input to a cache for an hour.
    CacheWrite1h,
    /// Audio input.
    InputAudio,
    /// Output that is neither reasoning nor audio.
    Output,
    /// Reasoning.
    Reasoning,
    /// Audio output.
    OutputAudio,
    /// The call itself, whatever its tokens.
    Request,
}

/// How much of each part there is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Amounts([u64; Part::COUNT]);

/// A number for each part.
pub type PerPart<T> = [T; Part::COUNT];

/// What a model costs at one tier and time, and where that is from. Calls that cost the same share it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Rates {
    /// What kind of source they are from.
    pub source: PriceSource,
    /// Of the table its version; of a file its name and what its content hashes to.
    pub version: Arc<str>,
    /// The model's name in the source.
    pub model: Arc<str>,
    /// The tier at which the provider served, unless it is the usual one.
    pub service_tier: Option<Arc<str>>,
    /// The source has no price for that tier, so that these are the usual ones.
    pub tier_is_unknown: bool,
    /// They hold for inputs of more tokens than this.
    pub above: Option<u64>,
    /// Since when they hold, where the source says so.
    #[serde(with = "super::saved::micros")]
    pub from: Option<Timestamp>,
    /// US dollars for a million of each.
    pub per_million: PerPart<f64>,
    /// The source has no price of its own for the part, which goes by that of plain input or output.
    pub assumed: PerPart<bool>,
}

/// One part of what a call cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// What was paid for.
    pub part: Part,
    /// How many tokens, or requests.
    pub amount: u64,
    /// US dollars for a million.
    pub per_million: f64,
    /// US dollars for all of them.
    pub usd: f64,
    /// The rate is that of plain input or output, for want of one of its own.
    pub is_assumed: bool,
}

/// What a million cost of which one costs so much: price lists have a few digits, and what is behind them comes of
/// computing in binary.
pub fn per_million_of(usd: f64) -> f64 {
    const DIGITS: f64 = 1e9;
    (usd * 1e6 * DIGITS).round() / DIGITS
}

impl Part {
    /// How many there are.
    pub const COUNT: usize = 10;
    /// All of them, in the order in which bills have them.
    pub const ALL: [Part; Part::COUNT] = [
        Part::UncachedInput,
        Part::CacheRead,
        Part::CacheWrite,
        Part::CacheWrite5m,
        Part::CacheWrite1h,
        Part::InputAudio,
        Part::Output,
        Part::Reasoning,
        Part::OutputAudio,
        Part::Request,
    ];

    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::UncachedInput => "uncached_input",
            Part::CacheRead => "cache_read",
            Part::CacheWrite => "cache_write",
            Part::CacheWrite5m => "cache_write_5m",
            Part::CacheWrite1h => "cache_write_1h",
            Part::InputAudio => "input_audio",
            Part::Output => "output",
            Part::Reasoning => "reasoning",
            Part::OutputAudio => "output_audio",
            Part::Request => "request",
        }
    }
}

impl Amounts {
    /// What a call is billed for.
    pub fn of(usage: &Usage) -> Amounts {
        let count = |count: Option<u64>| count.unwrap_or(0);
        let (short, long) = (count(usage.cache_write_5m), count(usage.cache_write_1h));
        let unspecified = count(usage.cache_write).saturating_sub(short).saturating_sub(long);
        let cached = [unspecified, short, long].into_iter().fold(count(usage.cache_read), u64::saturating_add);
        let (audio_in, audio_out) = (count(usage.input_audio), count(usage.output_audio));
        Amounts(Part::ALL.map(|part| match part {
            Part::UncachedInput => count(usage.input).saturating_sub(cached).saturating_sub(audio_in),
            Part::CacheRead => count(usage.cache_read),
            Part::CacheWrite => unspecified,
            Part::CacheWrite5m => short,
            Part::CacheWrite1h => long,
            Part::InputAudio => audio_in,
            Part::Output => count(usage.output).saturating_sub(count(usage.reasoning)).saturating_sub(audio_out),
            Part::Reasoning => count(usage.reasoning),
            Part::OutputAudio => audio_out,
            Part::Request => 1,
        }))
    }

    /// Adds others.
    pub fn add(&mut self, other: &Amounts) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }
}

impl Rates {
    /// What so much costs.
    pub fn total(&self, amounts: &Amounts) -> f64 {
        let millionths: f64 = amounts.0.iter().zip(self.per_million).map(|(amount, usd)| *amount as f64 * usd).sum();
        // Divided last: price lists are in millions, and so these are sums of numbers with few digits.
        millionths / 1e6
    }

    /// The same part by part. Parts of which there is nothing are left out, and requests that cost nothing.
    pub fn items(&self, amounts: &Amounts) -> impl Iterator<Item = Item> {
        let items = Part::ALL.into_iter().zip(amounts.0).zip(self.per_million).zip(self.assumed);
        let items = items.map(|(((part, amount), per_million), is_assumed)| Item {
            part,
            amount,
            per_million,
            usd: amount as f64 * per_million / 1e6,
            is_assumed,
        });
        items.filter(|item| item.amount > 0 && (item.part != Part::Request || item.per_million > 0.0))
    }

    /// Whether the price of so much rests on an assumption.
    pub fn is_approximate(&self, amounts: &Amounts) -> bool {
        self.tier_is_unknown || self.items(amounts).any(|item| item.is_assumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn usages()(
            input in proptest::option::of(0u64..1_000_000),
            output in proptest::option::of(0u64..100_000),
            cached in proptest::collection::vec(proptest::option::of(0u64..1_000_000), 4),
            parts in proptest::collection::vec(proptest::option::of(0u64..100_000), 3),
        ) -> Usage {
            Usage {
                input,
                output,
                cache_read: cached[0],
                cache_write: cached[1],
                cache_write_5m: cached[2],
                cache_write_1h: cached[3],
                reasoning: parts[0],
                input_audio: parts[1],
                output_audio: parts[2],
                ..Usage::default()
            }
        }
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_total(usage in usages(), per_million in proptest::array::uniform10(0.0f64..100.0)) {
            let rates = Rates {
                source: PriceSource::Table,
                version: "1".into(),
                model: "m".into(),
                service_tier: None,
                tier_is_unknown: false,
                above: None,
                from: None,
                per_million,
                assumed: [false; Part::COUNT],
            };
            let amounts = Amounts::of(&usage.normalised(Default::default()));
            let sum: f64 = rates.items(&amounts).map(|item| item.usd).sum();
            prop_assert!((sum - rates.total(&amounts)).abs() < 1e-7);
        }

        #[test]
        fn every_token_is_of_one_part(usage in usages()) {
            let usage = Usage { input_audio: None, output_audio: None, ..usage }.normalised(Default::default());
            let amounts = Amounts::of(&usage);
            if let (Some(input), Some(output)) = (usage.input, usage.output) {
                prop_assert_eq!(amounts.0.iter().sum::<u64>(), input + output + 1);
            }
        }
    }
}
