//! What is known of the price of one call: what it comes to by a table, what its emitter says, and which counts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rates::{Amounts, Rates};
use crate::dialect::Usage;

/// What is known of the price of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// What it comes to by the rates of its model, or why nobody knows.
    pub computed: Result<Computed, Unpriced>,
    /// What its emitter says that it cost.
    pub reported_usd: Option<f64>,
    /// Whether that is what counts.
    pub reported_counts: bool,
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// US dollars.
    pub usd: f64,
    /// By these rates.
    pub rates: Arc<Rates>,
}

/// Why a call has no price. An unknown price is never shown as 0.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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

/// Where a price comes from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum PriceSource {
    /// The price table of the `genai-prices` crate.
    Table,
    /// A file of prices that goes before it.
    Override,
    /// An explicit cost of the emitter.
    Reported,
}

/// Which cost counts where there are both.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// What the emitter reports, which knows of discounts and contracts that no table has. Only a cost of 0 for tokens
    /// that have a price is not believed: it is what emitters write that do not know the price either.
    #[default]
    Reported,
    /// What the rates come to; what the emitter reports counts only where they are not known.
    Recompute,
}

impl Price {
    /// Of a call: what it comes to and what its emitter says, of which one counts.
    pub fn of_call(computed: Result<Computed, Unpriced>, reported_usd: Option<f64>, policy: Policy) -> Price {
        let is_believed = |reported: f64| match (policy, &computed) {
            (_, Err(_)) => true,
            (Policy::Recompute, Ok(_)) => false,
            (Policy::Reported, Ok(computed)) => reported > 0.0 || computed.usd == 0.0,
        };
        Price { reported_counts: reported_usd.is_some_and(is_believed), computed, reported_usd }
    }

    /// Of work that is no call, such as the run of an agent: there is what its emitter says, and no more.
    pub fn of_work(reported_usd: Option<f64>) -> Price {
        Price { computed: Err(Unpriced::NoUsage), reported_usd, reported_counts: reported_usd.is_some() }
    }

    /// The US dollars that count, if any are known.
    pub fn usd(&self) -> Option<f64> {
        let computed = || self.computed.as_ref().ok().map(|computed| computed.usd);
        if self.reported_counts { self.reported_usd } else { computed() }
    }

    /// Where these come from, or why there are none.
    pub fn source(&self) -> Result<PriceSource, Unpriced> {
        match &self.computed {
            _ if self.reported_counts => Ok(PriceSource::Reported),
            Ok(computed) => Ok(computed.rates.source),
            Err(unpriced) => Err(*unpriced),
        }
    }

    /// What the emitter says and what the rates come to, where there are both.
    pub fn both_usd(&self) -> Option<(f64, f64)> {
        Some((self.reported_usd?, self.computed.as_ref().ok()?.usd))
    }

    /// Whether what counts rests on an assumption about rates.
    pub fn is_approximate(&self, usage: &Usage) -> bool {
        let approximate = |computed: &Computed| computed.rates.is_approximate(&Amounts::of(usage));
        !self.reported_counts && self.computed.as_ref().is_ok_and(approximate)
    }
}

impl Unpriced {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// All of them, in order.
    pub const ALL: [Unpriced; Unpriced::COUNT] = [
        Unpriced::NoModel,
        Unpriced::UnknownProvider,
        Unpriced::UnknownModel,
        Unpriced::NoUsage,
        Unpriced::InvalidUsage,
    ];

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
            PriceSource::Override => "override",
            PriceSource::Reported => "reported",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::cost::rates::Part;

    fn computed(usd: f64) -> Result<Computed, Unpriced> {
        let rates = Rates {
            source: PriceSource::Table,
            version: "1".into(),
            model: "m".into(),
            service_tier: None,
            tier_is_unknown: false,
            above: None,
            from: None,
            per_million: [0.0; Part::COUNT],
            assumed: [false; Part::COUNT],
        };
        Ok(Computed { usd, rates: rates.into() })
    }

    fn counted(
        computed: Result<Computed, Unpriced>,
        reported: Option<f64>,
        policy: Policy,
    ) -> Option<(f64, PriceSource)> {
        let price = Price::of_call(computed, reported, policy);
        price.usd().zip(price.source().ok())
    }

    #[test]
    fn the_policy_says_which_of_two_costs_counts() {
        use Policy::{Recompute, Reported};
        let (by_emitter, by_table) = (Some((2.0, PriceSource::Reported)), Some((1.0, PriceSource::Table)));
        assert_eq!(counted(computed(1.0), Some(2.0), Reported), by_emitter);
        assert_eq!(counted(computed(1.0), Some(2.0), Recompute), by_table);
        for policy in [Reported, Recompute] {
            assert_eq!(counted(computed(1.0), None, policy), by_table);
            assert_eq!(counted(Err(Unpriced::UnknownModel), Some(2.0), policy), by_emitter);
            assert_eq!(counted(Err(Unpriced::UnknownModel), None, policy), None);
        }
    }

    #[test]
    fn a_cost_of_zero_is_believed_only_where_no_rate_says_otherwise() {
        let zero = Some((0.0, PriceSource::Reported));
        assert_eq!(counted(computed(1.0), Some(0.0), Policy::Reported), Some((1.0, PriceSource::Table)));
        assert_eq!(counted(computed(0.0), Some(0.0), Policy::Reported), zero);
        assert_eq!(counted(Err(Unpriced::UnknownModel), Some(0.0), Policy::Reported), zero);
    }
}
