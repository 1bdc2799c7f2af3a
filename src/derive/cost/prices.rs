//! What a call costs, from the price table of the `genai-prices` crate.
//!
//! The crate finds a model by rules and adds a call up in microseconds, which is too slow for every call of a
//! busy collector. So its answers are turned into rates per token ([`super::rates`]) and kept for as long as
//! they hold: for one model, one tier and one half hour, since prices may change by the date and by the time
//! of day.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use genai_prices::ErrorKind;

use super::rates::{Brackets, Question};
use crate::dialect::Usage;
use crate::event::Timestamp;

/// Prices of models.
#[derive(Default)]
pub struct Prices {
    known: HashMap<Box<[u8]>, Result<Brackets, Unpriced>, RandomState>,
    /// The key of the call at hand, kept to spare an allocation per call.
    key: Vec<u8>,
}

/// Why a call has no price. An unknown price is never shown as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unpriced {
    /// Neither the call nor its surroundings name a model.
    NoModel,
    /// The table does not know the provider, nor the model by itself.
    UnknownProvider,
    /// The table does not know the model.
    UnknownModel,
    /// The emitter reported no tokens.
    NoUsage,
    /// The reported tokens contradict one another.
    InvalidUsage,
}

/// What a call costs, and how that was made out.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// US dollars.
    pub usd: f64,
    /// Where the price comes from.
    pub source: PriceSource,
    /// The model of the price table that was taken.
    pub model: Arc<str>,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PriceSource {
    /// The price table of the `genai-prices` crate.
    Table,
    /// An explicit cost of the emitter.
    Reported,
}

/// One call as the price table needs it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whose model it is, under its well-known name.
    pub provider: Option<&'a str>,
    /// The model that answered.
    pub response_model: Option<&'a str>,
    /// The model asked for.
    pub request_model: Option<&'a str>,
    /// At which tier it was served.
    pub service_tier: Option<&'a str>,
    /// When: prices change.
    pub at: Timestamp,
    /// The tokens.
    pub usage: &'a Usage,
}

impl Prices {
    /// More models and half hours than a process sees at a time; beyond it the rates are worked out anew.
    const MOST_KNOWN: usize = 4096;

    /// What a call costs. The price table is read with the first call that has a model and tokens.
    pub fn price(&mut self, call: &Call<'_>) -> Result<Price, Unpriced> {
        if call.response_model.or(call.request_model).is_none() {
            return Err(Unpriced::NoModel);
        }
        if !call.usage.is_known() {
            return Err(Unpriced::NoUsage);
        }
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
                self.known.entry(self.key.as_slice().into()).or_insert_with(|| find(call).map(Brackets::of))
            }
        };
        let brackets = brackets.as_mut().map_err(|unpriced| *unpriced)?;
        let rates = brackets.rates(call.usage.input.unwrap_or(0)).map_err(|_| Unpriced::InvalidUsage)?;
        let usd = rates.total(call.usage);
        Ok(Price { usd, source: PriceSource::Table, model: brackets.model() })
    }
}

/// The question under which the table knows the call's model: its own names first, then without what
/// frameworks and clouds put in front.
fn find(call: &Call<'_>) -> Result<Question, Unpriced> {
    let own = call.provider.map(table_provider);
    let mut unpriced = Unpriced::UnknownModel;
    for model in [call.response_model, call.request_model].into_iter().flatten() {
        let bare = model.strip_prefix("models/").unwrap_or(model);
        let prefixed = bare.split_once('/');
        let candidates = [Some((own, bare)), prefixed.map(|(provider, model)| (Some(provider), model))];
        for (provider, model) in candidates.into_iter().flatten() {
            let question = Question::new(provider, model, call.service_tier, call.at);
            match question.ask_rates(1) {
                Ok(_) => return Ok(question),
                Err(error) if error.kind() == ErrorKind::ProviderNotFound && provider.is_some() => {
                    let by_model_alone = Question::new(None, model, call.service_tier, call.at);
                    if by_model_alone.ask_rates(1).is_ok() {
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
fn table_provider(provider: &str) -> &str {
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

// === impl Unpriced, PriceSource ===

impl Unpriced {
    /// The word for it in metrics and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Unpriced::NoModel => "no_model",
            Unpriced::UnknownProvider => "unknown_provider",
            Unpriced::UnknownModel => "unknown_model",
            Unpriced::NoUsage => "no_usage",
            Unpriced::InvalidUsage => "invalid_usage",
        }
    }
}

impl PriceSource {
    /// The word for it in metrics and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            PriceSource::Table => "genai-prices",
            PriceSource::Reported => "reported",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(provider: Option<&str>, model: &str, usage: Usage) -> Result<f64, Unpriced> {
        let call = Call {
            provider,
            response_model: Some(model),
            request_model: None,
            service_tier: None,
            at: Timestamp::parse("2026-11-01T12:00:00Z").unwrap(),
            usage: &usage,
        };
        Prices::default().price(&call).map(|price| price.usd)
    }

    #[test]
    fn the_conformance_vector_for_cached_input() {
        let usage = Usage {
            input: Some(130_213),
            cache_read: Some(128_955),
            cache_write: Some(1253),
            output: Some(10),
            ..Usage::default()
        };
        let usd = price(Some("anthropic"), "claude-sonnet-4-5", usage).unwrap();
        assert!((usd - 0.04355025).abs() < 1e-9, "{usd}");
    }

    #[test]
    fn models_are_found_under_the_names_that_emitters_use() {
        let usage = Usage { input: Some(1000), output: Some(100), ..Usage::default() };
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
}
