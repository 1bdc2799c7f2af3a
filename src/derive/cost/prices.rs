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
