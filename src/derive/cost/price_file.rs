//! The layout of our own price files: a list of lines, each with the prices of a model since a time, at a tier, above
//! a size.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::overrides::{Key, Overrides, Row, complete};
use super::rates::Part;
use super::tier::service_tier;
use crate::event::Timestamp;

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// Its lines.
    pub prices: Vec<PriceLine>,
}

/// The prices of a model, in US dollars per million tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceLine {
    /// The model, as telemetry names it.
    pub model: String,
    /// Whose model it is; without it any provider's.
    #[serde(default)]
    pub provider: Option<String>,
    /// Since when; without it since ever.
    #[serde(default)]
    pub from: Option<Date>,
    /// At which tier the provider serves; without it the usual one.
    #[serde(default)]
    pub service_tier: Option<String>,
    /// For inputs of more tokens than this.
    #[serde(default)]
    pub above: Option<u64>,
    /// Of input that no cache serves or takes.
    pub input: Usd,
    /// Of output.
    pub output: Usd,
    /// Of input from a cache.
    #[serde(default)]
    pub cache_read: Option<Usd>,
    /// Of input to a cache, for five minutes or for nobody says how long.
    #[serde(default)]
    pub cache_write: Option<Usd>,
    /// Of input to a cache for an hour.
    #[serde(default)]
    pub cache_write_1h: Option<Usd>,
    /// Of reasoning.
    #[serde(default)]
    pub reasoning: Option<Usd>,
    /// Of audio input.
    #[serde(default)]
    pub input_audio: Option<Usd>,
    /// Of audio output.
    #[serde(default)]
    pub output_audio: Option<Usd>,
    /// Of a call, whatever its tokens; per call, not per million.
    #[serde(default)]
    pub request: Option<Usd>,
}

/// An amount in US dollars, 0 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usd(pub f64);

/// The beginning of a day in UTC, such as `2026-10-01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date(pub Timestamp);

impl PriceFile {
    /// Lists all of it.
    pub fn list(&self, overrides: &mut Overrides) -> Result<(), String> {
        if self.prices.is_empty() {
            return Err("`prices` is empty; write a line such as {model: my-model, input: 1.5, output: 6}".into());
        }
        let mut models: BTreeMap<(&str, &str), Vec<Row>> = BTreeMap::new();
        for line in &self.prices {
            let rows = models.entry((line.provider.as_deref().unwrap_or(""), &line.model)).or_default();
            let row = line.row();
            let same = |known: &&Row| {
                (known.from, &known.service_tier, known.above) == (row.from, &row.service_tier, row.above)
            };
            if rows.iter().find(same).is_some() {
                return Err(format!(
                    "`{}` has two lines for the same time, tier and size; take one out, or give it a `from`, a \
                     `service_tier` or an `above`",
                    line.model
                ));
            }
            rows.push(row);
        }
        for ((provider, model), rows) in models {
            let usual = |row: &Row| rows.iter().any(|other| is_usual(other) && other.from == row.from);
            if !rows.iter().all(usual) {
                return Err(format!(
                    "`{model}` has a line with an `above` or a `service_tier`, and none without for the same `from`; \
                     add one with the usual prices"
                ));
            }
            let provider = Some(provider).filter(|provider| !provider.is_empty());
            let key = if provider.is_some() { Key::ModelOfProvider } else { Key::Model };
            overrides.list(provider, key, model, model, rows.into());
        }
        Ok(())
    }
}

fn is_usual(row: &Row) -> bool {
    row.above.is_none() && row.service_tier.is_none()
}

impl PriceLine {
    fn row(&self) -> Row {
        let price = |usd: Option<Usd>| usd.map(|usd| usd.0);
        let given = Part::ALL.map(|part| match part {
            Part::UncachedInput => Some(self.input.0),
            Part::CacheRead => price(self.cache_read),
            Part::CacheWrite | Part::CacheWrite5m => price(self.cache_write),
            Part::CacheWrite1h => price(self.cache_write_1h),
            Part::InputAudio => price(self.input_audio),
            Part::Output => Some(self.output.0),
            Part::Reasoning => price(self.reasoning),
            Part::OutputAudio => price(self.output_audio),
            Part::Request => self.request.map(|usd| usd.0 * 1e6),
        });
        let (per_million, assumed) = complete(&given).unwrap_or_default();
        Row {
            from: self.from.map(|date| date.0),
            service_tier: self.service_tier.as_deref().and_then(service_tier).map(|tier| tier.into_owned().into()),
            above: self.above.filter(|above| *above > 0),
            per_million,
            assumed,
        }
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        let is_price = usd.is_finite() && usd >= 0.0;
        let wrong = || de::Error::custom(format_args!("`{usd}` is no price; write US dollars, 0 or more"));
        if is_price { Ok(Usd(usd)) } else { Err(wrong()) }
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&format!("{text}T00:00:00Z"))
            .map(Date)
            .ok_or_else(|| de::Error::custom(format_args!("`{text}` is no day such as 2026-10-01")))
    }
}
