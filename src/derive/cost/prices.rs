//! What a call costs: prices of files first, then those of the `genai-prices` crate.
//!
//! The crate finds a model by rules and adds a call up in microseconds, which is too slow for every call of a
//! busy collector. So its answers are turned into rates per token ([`super::table`]) and kept for as long as
//! they hold: for one model, one tier and one half hour, since prices may change by the date and by the time
//! of day.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::overrides::{Found, Overrides};
use super::price::{Computed, Policy, Price, Unpriced};
use super::rates::{Amounts, Rates};
use super::table::{self, Question};
use super::tier::service_tier;
use crate::dialect::Usage;
use crate::event::Timestamp;

/// Prices of models.
#[derive(Default)]
pub struct Prices {
    settings: PriceSettings,
    known: HashMap<Box<[u8]>, Result<Brackets, Unpriced>, RandomState>,
    /// The key of the call at hand, kept to spare an allocation per call.
    key: Vec<u8>,
}

/// How prices are made out.
#[derive(Clone, Debug, Default)]
pub struct PriceSettings {
    /// Prices that go before those of the table.
    pub overrides: Option<Arc<Overrides>>,
    /// Which cost counts where the emitter reports one.
    pub policy: Policy,
}

/// One call as a price is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whose model it is, under its well-known name.
    pub provider: Option<&'a str>,
    /// The model that answered.
    pub response_model: Option<&'a str>,
    /// The model asked for.
    pub request_model: Option<&'a str>,
    /// At which tier it was served, as the provider says it.
    pub service_tier: Option<&'a str>,
    /// When: prices change.
    pub at: Timestamp,
    /// The tokens.
    pub usage: &'a Usage,
}

/// The rates of one model by size of the input.
#[derive(Clone, Debug)]
struct Brackets {
    source: Source,
    known: Vec<Bracket>,
}

/// Where the rates of a model are found.
#[derive(Clone, Debug)]
enum Source {
    Table(Question),
    File(Found),
}

/// Rates that hold for inputs of `from` to `to` tokens. Both ends were asked for; no other tier lies in between,
/// because tiers follow one another.
#[derive(Clone, Debug)]
struct Bracket {
    from: u64,
    to: u64,
    rates: Arc<Rates>,
}

impl Prices {
    /// More models and half hours than a process sees at a time; beyond it the rates are worked out anew.
    const MOST_KNOWN: usize = 4096;

    /// That go by these settings.
    pub fn new(settings: PriceSettings) -> Prices {
        Prices { settings, ..Prices::default() }
    }

    /// What is known of the price of a call of which the emitter reports a cost, or none.
    pub fn price(&mut self, call: &Call<'_>, reported_usd: Option<f64>) -> Price {
        Price::of_call(self.compute(call), reported_usd, self.settings.policy)
    }

    /// What a call comes to. The price table is read with the first call that has a model and tokens.
    fn compute(&mut self, call: &Call<'_>) -> Result<Computed, Unpriced> {
        if call.response_model.or(call.request_model).is_none() {
            return Err(Unpriced::NoModel);
        }
        if !call.usage.is_known() {
            return Err(Unpriced::NoUsage);
        }
        let tier = call.service_tier.and_then(service_tier);
        let call = &Call { service_tier: tier.as_deref(), ..*call };
        self.key.clear();
        for text in [call.provider, call.response_model, call.request_model, call.service_tier] {
            self.key.extend_from_slice(text.unwrap_or_default().as_bytes());
            self.key.push(0);
        }
        self.key.extend_from_slice(&call.at.as_seconds().div_euclid(1800).to_le_bytes());
        let brackets = match self.known.get_mut(self.key.as_slice()) {
            Some(known) => known,
            None => {
                if self.known.len() >= Prices::MOST_KNOWN {
                    self.known.clear();
                }
                let overrides = self.settings.overrides.as_deref();
                self.known.entry(self.key.as_slice().into()).or_insert_with(|| Brackets::find(call, overrides))
            }
        };
        let brackets = brackets.as_mut().map_err(|unpriced| *unpriced)?;
        let rates = brackets.rates(call.usage.input.unwrap_or(0))?;
        Ok(Computed { usd: rates.total(&Amounts::of(call.usage)), rates: rates.clone() })
    }
}

impl Brackets {
    fn find(call: &Call<'_>, overrides: Option<&Overrides>) -> Result<Brackets, Unpriced> {
        let source = match overrides.and_then(|overrides| overrides.find(call)) {
            Some(found) => Source::File(found),
            None => Source::Table(table::find(call)?),
        };
        Ok(Brackets { source, known: Vec::new() })
    }

    /// The rates for an input of so many tokens.
    fn rates(&mut self, input: u64) -> Result<&Arc<Rates>, Unpriced> {
        let known = self.known.iter().position(|bracket| (bracket.from..=bracket.to).contains(&input));
        let index = match known {
            Some(index) => index,
            None => {
                let rates = match &self.source {
                    Source::Table(question) => question.rates(input).ok(),
                    Source::File(found) => found.rates(input),
                };
                self.remember(input, rates.ok_or(Unpriced::InvalidUsage)?)
            }
        };
        Ok(&self.known[index].rates)
    }

    fn remember(&mut self, input: u64, rates: Rates) -> usize {
        match self.known.iter().position(|bracket| *bracket.rates == rates) {
            Some(index) => {
                let bracket = &mut self.known[index];
                (bracket.from, bracket.to) = (bracket.from.min(input), bracket.to.max(input));
                index
            }
            None => {
                self.known.push(Bracket { from: input, to: input, rates: rates.into() });
                self.known.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::cost::PriceSource;

    fn computed(
        provider: Option<&str>,
        model: &str,
        tier: Option<&str>,
        at: &str,
        usage: Usage,
    ) -> Result<Computed, Unpriced> {
        let call = Call {
            provider,
            response_model: Some(model),
            request_model: None,
            service_tier: tier,
            at: Timestamp::parse(at).unwrap(),
            usage: &usage,
        };
        Prices::default().price(&call, None).computed
    }

    fn price(provider: Option<&str>, model: &str, usage: Usage) -> Result<f64, Unpriced> {
        computed(provider, model, None, "2026-11-01T12:00:00Z", usage).map(|computed| computed.usd)
    }

    fn tokens(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    #[test]
    fn the_conformance_vector_for_cached_input() {
        let usage = Usage { cache_read: Some(128_955), cache_write: Some(1253), ..tokens(130_213, 10) };
        let usd = price(Some("anthropic"), "claude-sonnet-4-5", usage).unwrap();
        assert!((usd - 0.04355025).abs() < 1e-9, "{usd}");
    }

    #[test]
    fn models_are_found_under_the_names_that_emitters_use() {
        let usage = tokens(1000, 100);
        let openai = price(Some("openai"), "gpt-4o-2024-08-06", usage).unwrap();
        assert!((openai - (1000.0 * 2.5 + 100.0 * 10.0) / 1e6).abs() < 1e-12);
        assert_eq!(price(Some("azure.ai.openai"), "gpt-4o", usage).map(|usd| usd > 0.0), Ok(true));
        assert_eq!(price(Some("gcp.gemini"), "models/gemini-2.5-flash", usage).map(|usd| usd > 0.0), Ok(true));
        assert_eq!(price(Some("my-proxy"), "gpt-4o", usage), Ok(openai));
        assert_eq!(price(Some("openai"), "anthropic/claude-sonnet-4-5", usage).map(|usd| usd > 0.0), Ok(true));
        assert_eq!(price(None, "gpt-4o", usage), Ok(openai));
    }

    #[test]
    fn what_is_not_known_has_a_reason_and_no_price() {
        let usage = Usage { input: Some(1000), ..Usage::default() };
        assert_eq!(price(Some("openai"), "my-finetune-of-nothing", usage), Err(Unpriced::UnknownModel));
        assert_eq!(price(Some("openai"), "gpt-4o", Usage::default()), Err(Unpriced::NoUsage));
        assert_eq!(price(Some("nobody"), "nothing", usage), Err(Unpriced::UnknownProvider));
    }

    #[test]
    fn the_price_is_that_of_the_time_of_the_call() {
        let at = |at: &str| computed(Some("openai"), "o3", None, at, tokens(1_000_000, 0)).unwrap().usd;
        assert_eq!((at("2025-06-09T23:59:59Z"), at("2025-06-10T00:00:00Z")), (10.0, 2.0));
    }

    #[test]
    fn the_tier_at_which_it_was_served_counts() {
        let at = |tier: Option<&str>| {
            computed(Some("openai"), "gpt-5", tier, "2026-11-01T12:00:00Z", tokens(1000, 100)).unwrap()
        };
        let usual = at(None);
        assert_eq!((usual.rates.service_tier.as_deref(), usual.rates.tier_is_unknown), (None, false));
        assert_eq!(at(Some("default")), usual);
        for tier in ["batch", "flex", "FLEX", "priority"] {
            let other = at(Some(tier));
            assert!(other.usd != usual.usd && !other.rates.tier_is_unknown, "{tier}");
        }
        let unheard_of = at(Some("scale"));
        assert_eq!((unheard_of.usd, unheard_of.rates.tier_is_unknown), (usual.usd, true));
    }

    #[test]
    fn the_size_of_the_input_chooses_the_price_of_all_tokens() {
        let mut prices = Prices::default();
        let mut at = |input: u64| {
            let usage = tokens(input, 0);
            let call = Call {
                provider: Some("google"),
                response_model: Some("gemini-2.5-pro"),
                request_model: None,
                service_tier: None,
                at: Timestamp::parse("2026-11-01T12:00:00Z").unwrap(),
                usage: &usage,
            };
            let computed = prices.price(&call, None).computed.unwrap();
            (computed.usd / input as f64 * 1e6, computed.rates.above)
        };
        let close = |(rate, above): (f64, Option<u64>), expected: f64| ((rate - expected).abs() < 1e-9, above);
        assert_eq!(close(at(1000), 1.25), (true, None));
        assert_eq!(close(at(300_000), 2.5), (true, Some(200_000)));
        assert_eq!(close(at(150_000), 1.25), (true, None));
        assert_eq!(close(at(250_000), 2.5), (true, Some(200_000)));
    }

    #[test]
    fn what_has_no_price_of_its_own_is_said() {
        let usage = Usage { cache_write_1h: Some(10), cache_write: Some(10), ..tokens(100, 10) };
        let known = computed(Some("anthropic"), "claude-sonnet-4-5", None, "2026-11-01T12:00:00Z", usage).unwrap();
        assert_eq!(known.rates.source, PriceSource::Table);
        assert!(!known.rates.is_approximate(&Amounts::of(&usage)));
        let usage = Usage { cache_read: Some(50), ..tokens(100, 10) };
        let unknown = computed(Some("openai"), "gpt-4o-2024-05-13", None, "2026-11-01T12:00:00Z", usage).unwrap();
        assert!(unknown.rates.is_approximate(&Amounts::of(&usage)));
    }
}
