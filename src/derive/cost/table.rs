//! The price table of the `genai-prices` crate, read by asking it.
//!
//! Within one tier a price is linear in each kind of token, so a handful of answers give the rates.

use std::sync::{Arc, LazyLock};

use genai_prices::{Calculator, Error, ErrorKind, PriceRequest, Usage as TableUsage, UsageKey};

use super::price::{PriceSource, Unpriced};
use super::prices::Call;
use super::rates::{Part, PerPart, Rates, per_million_of};
use crate::event::Timestamp;

/// A model at a tier and time, as the table is asked about it.
#[derive(Clone, Debug)]
pub struct Question {
    provider: Option<String>,
    model: String,
    service_tier: Option<String>,
    at: Timestamp,
}

/// Its version, as far as it can be told: the crate does not say, but its data does.
static VERSION: LazyLock<Arc<str>> = LazyLock::new(|| {
    let models = Calculator::bundled().providers().map(|provider| provider.models().count()).sum();
    match models {
        2267 => "0.2.1".into(),
        models => format!("0.2 with {models} models").into(),
    }
});

/// The question under which the table knows the call's model: its own names first, then without what
/// frameworks and clouds put in front.
pub fn find(call: &Call<'_>) -> Result<Question, Unpriced> {
    let own = call.provider.map(provider_in_table);
    let mut unpriced = Unpriced::UnknownModel;
    for model in [call.response_model, call.request_model].into_iter().flatten() {
        let bare = model.strip_prefix("models/").unwrap_or(model);
        let prefixed = bare.split_once('/');
        let candidates = [Some((own, bare)), prefixed.map(|(provider, model)| (Some(provider), model))];
        for (provider, model) in candidates.into_iter().flatten() {
            let question = Question::new(provider, model, call.service_tier, call.at);
            match question.per_million(1) {
                Ok(_) => return Ok(question),
                Err(error) if error.kind() == ErrorKind::ProviderNotFound && provider.is_some() => {
                    let by_model_alone = Question::new(None, model, call.service_tier, call.at);
                    if by_model_alone.per_million(1).is_ok() {
                        return Ok(by_model_alone);
                    }
                    unpriced = Unpriced::UnknownProvider;
                }
                Err(_) => {}
            }
        }
    }
    Err(unpriced)
}

/// The price table's name for a provider of the conventions.
pub fn provider_in_table(provider: &str) -> &str {
    match provider {
        "aws.bedrock" => "aws",
        "x_ai" => "x-ai",
        "mistral_ai" => "mistral",
        "moonshot_ai" => "moonshotai",
        provider if provider.starts_with("azure.ai.") => "azure",
        provider if provider.starts_with("gcp.") => "google",
        provider => provider,
    }
}

/// Whether the table knows whose models these are.
pub fn knows_provider(provider: &str) -> bool {
    Calculator::bundled().providers().any(|known| known.id() == provider)
}

/// Whether a snapshot of a model costs what the model does, as far as the table knows.
pub fn is_priced_alike(provider: Option<&str>, snapshot: &str, model: &str, at: Timestamp) -> bool {
    let known_as = |name: &str| {
        let of = |provider: Option<&str>| Question::new(provider, name, None, at).ask(TableUsage::new());
        let answer = of(provider.map(provider_in_table)).or_else(|_| of(None));
        answer.ok().map(|(_, known)| known)
    };
    known_as(snapshot).is_none_or(|snapshot| Some(snapshot) == known_as(model))
}

impl Question {
    /// About a model at a tier and time; without a provider the table goes by the model's name.
    fn new(provider: Option<&str>, model: &str, service_tier: Option<&str>, at: Timestamp) -> Question {
        Question {
            provider: provider.map(str::to_owned),
            model: model.to_owned(),
            service_tier: service_tier.map(str::to_owned),
            at,
        }
    }

    /// The rates for an input of so many tokens.
    pub fn rates(&self, input: u64) -> Result<Rates, Error> {
        let (per_million, model) = self.per_million(input)?;
        let usual = match &self.service_tier {
            Some(_) => Some(Question { service_tier: None, ..self.clone() }.per_million(input)?.0),
            None => None,
        };
        let of = |part: Part| per_million[part as usize];
        let plain = |part: Part| match part {
            Part::CacheRead | Part::CacheWrite | Part::CacheWrite5m | Part::InputAudio => Some(Part::UncachedInput),
            Part::CacheWrite1h => Some(Part::CacheWrite5m),
            Part::OutputAudio => Some(Part::Output),
            // Reasoning is billed as output unless a price says otherwise, and so are the others as themselves.
            Part::UncachedInput | Part::Output | Part::Reasoning | Part::Request => None,
        };
        Ok(Rates {
            source: PriceSource::Table,
            version: VERSION.clone(),
            model,
            service_tier: self.service_tier.as_deref().map(Arc::from),
            tier_is_unknown: usual.is_some_and(|usual| usual == per_million),
            above: self.tier_above(input, of(Part::UncachedInput))?,
            from: None,
            assumed: Part::ALL.map(|part| plain(part).is_some_and(|plain| of(plain) > 0.0 && of(part) == of(plain))),
            per_million,
        })
    }

    /// Above how many tokens of input a rate begins, if it is not that of small inputs. A price that went up with the
    /// size of the input does not come back down.
    fn tier_above(&self, input: u64, rate: f64) -> Result<Option<u64>, Error> {
        let (mut below, mut within) = (1, input);
        if self.input_rate(below)? == rate {
            return Ok(None);
        }
        while within - below > 1 {
            let middle = below.midpoint(within);
            match self.input_rate(middle)? == rate {
                true => within = middle,
                false => below = middle,
            }
        }
        Ok(Some(below))
    }

    fn input_rate(&self, input: u64) -> Result<f64, Error> {
        let input = input.max(1) as f64;
        let (with, _) = self.ask(TableUsage::from([(UsageKey::INPUT_TOKENS, input)]))?;
        let (without, _) = self.ask(TableUsage::new())?;
        Ok(per_million_of((with - without) / input))
    }

    /// US dollars for a million of each part, for an input of so many tokens, and the table's model.
    fn per_million(&self, input: u64) -> Result<(PerPart<f64>, Arc<str>), Error> {
        /// Enough to leave no rounding in the rate of a single token.
        const MANY: f64 = 1e6;
        let all = input.max(1) as f64;
        let read = (UsageKey::INPUT_TOKENS, all);
        let (per_call, model) = self.ask(TableUsage::new())?;
        let (only_input, _) = self.ask(TableUsage::from([read.clone()]))?;
        let of_input = |keys: &[UsageKey]| -> Result<f64, Error> {
            let usage: TableUsage =
                [read.clone()].into_iter().chain(keys.iter().map(|key| (key.clone(), all))).collect();
            Ok((self.ask(usage)?.0 - per_call) / all)
        };
        let of_output = |keys: &[UsageKey]| -> Result<f64, Error> {
            let written = keys.iter().map(|key| (key.clone(), MANY));
            let plain = [read.clone(), (UsageKey::OUTPUT_TOKENS, MANY)];
            let usage: TableUsage = plain.into_iter().chain(written).collect();
            Ok((self.ask(usage)?.0 - only_input) / MANY)
        };
        let mut per_million = [0.0; Part::COUNT];
        for part in Part::ALL {
            per_million[part as usize] = per_million_of(match part {
                Part::UncachedInput => of_input(&[])?,
                Part::CacheRead => of_input(&[UsageKey::CACHE_READ_TOKENS])?,
                Part::CacheWrite => of_input(&[UsageKey::CACHE_WRITE_TOKENS])?,
                Part::CacheWrite5m => of_input(&[UsageKey::CACHE_WRITE_TOKENS, UsageKey::CACHE_WRITE_5M_TOKENS])?,
                Part::CacheWrite1h => of_input(&[UsageKey::CACHE_WRITE_TOKENS, UsageKey::CACHE_WRITE_1H_TOKENS])?,
                Part::InputAudio => of_input(&[UsageKey::INPUT_AUDIO_TOKENS])?,
                Part::Output => of_output(&[])?,
                Part::Reasoning => of_output(&[UsageKey::OUTPUT_REASONING_TOKENS])?,
                Part::OutputAudio => of_output(&[UsageKey::OUTPUT_AUDIO_TOKENS])?,
                Part::Request => per_call,
            });
        }
        Ok((per_million, model))
    }

    fn ask(&self, usage: TableUsage) -> Result<(f64, Arc<str>), Error> {
        let mut request = PriceRequest::new(&self.model, &usage).with_timestamp(self.at.to_system_time());
        if let Some(provider) = &self.provider {
            request = request.with_provider_id(provider);
        }
        match self.service_tier.as_deref() {
            Some("batch") => request = request.with_price_context("processing", "batch"),
            Some(tier) => request = request.with_price_context("service_tier", tier),
            None => {}
        }
        let answer = Calculator::bundled().calculate(&request)?;
        Ok((answer.total_price, answer.model_id.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::cost::Amounts;
    use crate::dialect::Usage;
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
            calls in proptest::collection::vec((0u64..400_000, 0.0f64..1.0, 0.0f64..1.0, 0u64..10_000, 0.0f64..1.0), 1..4),
            model in proptest::sample::select(MODELS),
        ) {
            let at = Timestamp::parse("2026-11-01T12:00:00Z").unwrap();
            let question = Question::new(Some(model.0), model.1, None, at);
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
                let ours = question.rates(input).unwrap().total(&Amounts::of(&usage));
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
    fn the_version_is_that_of_the_crate() {
        let lock = include_str!("../../../Cargo.lock");
        let version = lock.split("name = \"genai-prices\"\nversion = \"").nth(1).unwrap();
        assert_eq!(&**VERSION, version.split('"').next().unwrap());
    }
}
