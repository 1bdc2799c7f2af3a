//! Rates per token, read off the price table by asking it.
//!
//! Within one tier a price is linear in each kind of token, so a handful of answers give the rates. Tiers go by
//! the size of the input and are told apart by asking again wherever an input lies outside of what is known.

use std::sync::Arc;

use genai_prices::{Calculator, Error, PriceRequest, Usage as TableUsage, UsageKey};

use crate::dialect::Usage;
use crate::event::Timestamp;

/// A model at a tier and time, as the table is asked about it.
#[derive(Clone, Debug)]
pub struct Question {
    provider: Option<String>,
    model: String,
    service_tier: Option<String>,
    at: Timestamp,
}

/// The rates of one model by size of the input.
#[derive(Clone, Debug)]
pub struct Brackets {
    question: Question,
    brackets: Vec<Bracket>,
    model: Arc<str>,
}

/// Rates that hold for inputs of `from` to `to` tokens. Both ends were asked for; no other tier lies in
/// between, because a price that goes up with the size of the input does not come back down.
#[derive(Clone, Debug)]
struct Bracket {
    from: u64,
    to: u64,
    rates: Rates,
}

/// US dollars per token of each kind; the kinds are disjoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// For the call itself, whatever its tokens.
    pub per_call: f64,
    /// Input that no cache served or took.
    pub input: f64,
    /// Input from a cache.
    pub cache_read: f64,
    /// Input to a cache, for no known time.
    pub cache_write: f64,
    /// Input to a cache for five minutes.
    pub cache_write_5m: f64,
    /// Input to a cache for an hour.
    pub cache_write_1h: f64,
    /// Audio input.
    pub input_audio: f64,
    /// Output that is neither reasoning nor audio.
    pub output: f64,
    /// Reasoning.
    pub reasoning: f64,
    /// Audio output.
    pub output_audio: f64,
    /// The table's model.
    pub model: Arc<str>,
}

impl Brackets {
    /// Nothing known yet.
    pub fn of(question: Question) -> Brackets {
        Brackets { question, brackets: Vec::new(), model: "".into() }
    }

    /// The table's model, once it was asked.
    pub fn model(&self) -> Arc<str> {
        self.model.clone()
    }

    /// The rates for an input of so many tokens.
    pub fn rates(&mut self, input: u64) -> Result<&Rates, Error> {
        let known = self.brackets.iter().position(|bracket| (bracket.from..=bracket.to).contains(&input));
        let index = match known {
            Some(index) => index,
            None => {
                let rates = self.question.ask_rates(input)?;
                self.model = rates.model.clone();
                self.remember(input, rates)
            }
        };
        Ok(&self.brackets[index].rates)
    }

    fn remember(&mut self, input: u64, rates: Rates) -> usize {
        match self.brackets.iter().position(|bracket| bracket.rates == rates) {
            Some(index) => {
                let bracket = &mut self.brackets[index];
                (bracket.from, bracket.to) = (bracket.from.min(input), bracket.to.max(input));
                index
            }
            None => {
                self.brackets.push(Bracket { from: input, to: input, rates });
                self.brackets.len() - 1
            }
        }
    }
}

impl Question {
    /// About a model at a tier and time; without a provider the table goes by the model's name.
    pub fn new(provider: Option<&str>, model: &str, service_tier: Option<&str>, at: Timestamp) -> Question {
        Question {
            provider: provider.map(str::to_owned),
            model: model.to_owned(),
            service_tier: service_tier.map(str::to_owned),
            at,
        }
    }

    /// The rates for an input of so many tokens.
    pub fn ask_rates(&self, input: u64) -> Result<Rates, Error> {
        /// Enough to leave no rounding in the rate of a single token.
        const MANY: f64 = 1e6;
        let all = input.max(1) as f64;
        let read = (UsageKey::INPUT_TOKENS, all);
        let (nothing, model) = self.ask(TableUsage::new())?;
        let of_input = |more: &[UsageKey]| -> Result<f64, Error> {
            let mut usage = TableUsage::from([read.clone()]);
            more.iter().for_each(|key| {
                usage.insert(key.clone(), all);
            });
            Ok((self.ask(usage)?.0 - nothing) / all)
        };
        let (only_input, _) = self.ask(TableUsage::from([read.clone()]))?;
        let of_output = |more: &[UsageKey]| -> Result<f64, Error> {
            let mut usage = TableUsage::from([read.clone(), (UsageKey::OUTPUT_TOKENS, MANY)]);
            more.iter().for_each(|key| {
                usage.insert(key.clone(), MANY);
            });
            Ok((self.ask(usage)?.0 - only_input) / MANY)
        };
        Ok(Rates {
            per_call: nothing,
            input: of_input(&[])?,
            cache_read: of_input(&[UsageKey::CACHE_READ_TOKENS])?,
            cache_write: of_input(&[UsageKey::CACHE_WRITE_TOKENS])?,
            cache_write_5m: of_input(&[UsageKey::CACHE_WRITE_TOKENS, UsageKey::CACHE_WRITE_5M_TOKENS])?,
            cache_write_1h: of_input(&[UsageKey::CACHE_WRITE_TOKENS, UsageKey::CACHE_WRITE_1H_TOKENS])?,
            input_audio: of_input(&[UsageKey::INPUT_AUDIO_TOKENS])?,
            output: of_output(&[])?,
            reasoning: of_output(&[UsageKey::OUTPUT_REASONING_TOKENS])?,
            output_audio: of_output(&[UsageKey::OUTPUT_AUDIO_TOKENS])?,
            model,
        })
    }

    fn ask(&self, usage: TableUsage) -> Result<(f64, Arc<str>), Error> {
        let mut request = PriceRequest::new(&self.model, &usage).with_timestamp(self.at.to_system_time());
        if let Some(provider) = &self.provider {
            request = request.with_provider_id(provider);
        }
        if let Some(tier) = &self.service_tier {
            request = request.with_price_context("service_tier", tier);
        }
        let answer = Calculator::bundled().calculate(&request)?;
        Ok((answer.total_price, answer.model_id.into()))
    }
}

impl Rates {
    /// The price of a call of this size.
    pub fn total(&self, usage: &Usage) -> f64 {
        let count = |count: Option<u64>| count.unwrap_or(0);
        let of = |tokens: u64, rate: f64| tokens as f64 * rate;
        let (short, long) = (count(usage.cache_write_5m), count(usage.cache_write_1h));
        let unspecified = count(usage.cache_write).saturating_sub(short).saturating_sub(long);
        let cached = [unspecified, short, long].into_iter().fold(count(usage.cache_read), u64::saturating_add);
        let fresh = count(usage.input).saturating_sub(cached).saturating_sub(count(usage.input_audio));
        let plain =
            count(usage.output).saturating_sub(count(usage.reasoning)).saturating_sub(count(usage.output_audio));
        self.per_call
            + of(fresh, self.input)
            + of(count(usage.cache_read), self.cache_read)
            + of(unspecified, self.cache_write)
            + of(short, self.cache_write_5m)
            + of(long, self.cache_write_1h)
            + of(count(usage.input_audio), self.input_audio)
            + of(plain, self.output)
            + of(count(usage.reasoning), self.reasoning)
            + of(count(usage.output_audio), self.output_audio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODELS: &[(&str, &str)] = &[
        ("openai", "gpt-4o"),
        ("openai", "o3"),
        ("openai", "gpt-5.4"),
        ("anthropic", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-pro"),
        ("google", "gemini-1.5-flash"),
        ("deepseek", "deepseek-chat"),
        ("perplexity", "sonar"),
    ];

    proptest! {
        #[test]
        fn rates_give_the_prices_of_the_table(
            calls in proptest::collection::vec((0u64..400_000, 0.0f64..1.0, 0.0f64..1.0, 0u64..10_000, 0.0f64..1.0), 1..12),
            model in proptest::sample::select(MODELS),
        ) {
            let at = Timestamp::parse("2026-11-01T12:00:00Z").unwrap();
            let question = Question::new(Some(model.0), model.1, None, at);
            let mut brackets = Brackets::of(question.clone());
            for (input, read, written, output, reasoning) in calls {
                let cache_read = (input as f64 * read) as u64;
                let cache_write = ((input - cache_read) as f64 * written) as u64;
                let reasoning = (output as f64 * reasoning) as u64;
                let usage = Usage {
                    input: Some(input),
                    output: Some(output),
                    cache_read: Some(cache_read),
                    cache_write: Some(cache_write),
                    reasoning: Some(reasoning),
                    ..Usage::default()
                };
                let ours = brackets.rates(input).unwrap().total(&usage);
                let table = TableUsage::from([
                    (UsageKey::INPUT_TOKENS, input as f64),
                    (UsageKey::OUTPUT_TOKENS, output as f64),
                    (UsageKey::CACHE_READ_TOKENS, cache_read as f64),
                    (UsageKey::CACHE_WRITE_TOKENS, cache_write as f64),
                    (UsageKey::OUTPUT_REASONING_TOKENS, reasoning as f64),
                ]);
                let theirs = question.ask(table).unwrap().0;
                prop_assert!((ours - theirs).abs() <= 1e-9 * theirs.max(1.0), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn tiers_of_long_prompts_are_told_apart() {
        let at = Timestamp::parse("2026-11-01T12:00:00Z").unwrap();
        let mut brackets = Brackets::of(Question::new(Some("google"), "gemini-2.5-pro", None, at));
        let short = brackets.rates(1_000).unwrap().input;
        let long = brackets.rates(300_000).unwrap().input;
        assert!(long > short);
        assert_eq!(brackets.rates(150_000).unwrap().input, short);
        assert_eq!(brackets.rates(250_000).unwrap().input, long);
    }
}
