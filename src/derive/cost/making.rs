//! How a cost was made, added up: tokens by rates, what emitters reported, what has no price, and what was left out.

use std::ops::AddAssign;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::figures::{Figures, add_usd};
use super::price::{Price, Unpriced};
use super::rates::{Amounts, Rates};
use crate::dialect::{Convention, Usage};

/// Figures, and how their cost was made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Sums {
    /// The figures.
    pub figures: Figures,
    /// How their cost was made.
    pub making: Making,
}

/// How a cost was made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Making {
    /// Tokens by the rates that hold for them.
    pub lines: Vec<Line>,
    /// Calls at rates that found no line of their own.
    pub others: Money,
    /// Calls that count as their emitter says.
    pub reported: Money,
    /// Runs of agents that count as their emitter says, because no call below them has a price.
    pub agents: Money,
    /// Runs of agents among these calls: they tell what their calls took, and no call does.
    #[serde(default)]
    pub promoted: u64,
    /// Calls without a price, by model.
    pub unpriced: Vec<UnpricedModel>,
    /// What does not count, by reason.
    pub left_out: Vec<LeftOutSum>,
    /// Calls by how their emitter counts, of those where it makes a difference, in the order of [`Counting::ALL`].
    pub counting: [u64; Counting::ALL.len()],
}

/// The tokens of calls that cost the same.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    /// What they cost.
    pub rates: Arc<Rates>,
    /// Whether they count. If not, what the emitter says does, and this stands beside it.
    pub counts: bool,
    /// Calls.
    pub calls: u64,
    /// Their tokens.
    pub amounts: Amounts,
}

/// Calls, or runs of agents, and what they cost together.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Money {
    /// How many.
    pub calls: u64,
    /// US dollars.
    pub usd: f64,
}

/// Calls of a model that have no price.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UnpricedModel {
    /// Why.
    pub reason: Unpriced,
    /// Whose model it is.
    pub provider: Option<Arc<str>>,
    /// The model.
    pub model: Option<Arc<str>>,
    /// Calls; of those beyond the models that have an entry, there is one without names.
    pub calls: u64,
}

/// Something that was reported and does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    /// Why.
    pub reason: Reason,
    /// The tokens, input and output together, if it reports any.
    pub tokens: Option<u64>,
    /// The US dollars, if it reports any.
    pub usd: Option<f64>,
}

/// The same added up.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct LeftOutSum {
    /// Why.
    pub reason: Reason,
    /// How often.
    pub times: u64,
    /// The tokens.
    pub tokens: u64,
    /// The US dollars, where any were reported.
    pub usd: Option<f64>,
}

/// Why something that was reported does not count.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Reason {
    /// A call below reports the same tokens.
    CallBelow,
    /// A call above reports the same tokens.
    CallAbove,
    /// What work that is no call reports is the sum of the calls below it.
    SumOfCalls,
    /// The emitter says 0, and the model has a price.
    ReportedZero,
}

/// How an emitter counts tokens that caches served and tokens of reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// As part of input and output, as OpenTelemetry has it.
    Inclusive,
    /// Beside them; they were added.
    Exclusive,
    /// It should be the former, but the counts contradict that, so they were taken as the latter.
    Repaired,
}

/// What a posting says of the price of its call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallCost<'r> {
    /// The tokens.
    pub usage: &'r Usage,
    /// The price.
    pub price: &'r Price,
    /// Whose model it is.
    pub provider: Option<&'r Arc<str>>,
    /// The model.
    pub model: Option<&'r Arc<str>>,
}

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Sums) {
        self.figures.add(&other.figures);
        self.making.add(&other.making);
    }
}

impl Making {
    /// More models and tiers than anyone reads of; the rest is added up.
    const MOST_LINES: usize = 64;

    /// Adds a call that counts, or the run of an agent that stands for its calls, with the figures that it has in the ledger.
    pub fn add_call(&mut self, call: &CallCost<'_>, figures: &Figures) {
        self.promoted += figures.agent_runs;
        if let Some(counting) = Counting::of(call.usage) {
            self.counting[counting as usize] += 1;
        }
        if let Some(usd) = call.price.reported_usd.filter(|_| call.price.reported_counts) {
            self.reported.add(Money { calls: 1, usd });
        }
        match &call.price.computed {
            Ok(computed) => {
                self.add_to_line(&computed.rates, !call.price.reported_counts, 1, &Amounts::of(call.usage));
            }
            Err(reason) if figures.unpriced_calls > 0 => self.add_unpriced(&UnpricedModel {
                reason: *reason,
                provider: call.provider.cloned(),
                model: call.model.cloned(),
                calls: 1,
            }),
            Err(_) => {}
        }
    }

    /// Adds the run of an agent that counts as its emitter says.
    pub fn add_agent(&mut self, usd: f64) {
        self.agents.add(Money { calls: 1, usd });
    }

    /// Adds something that does not count.
    pub fn leave_out(&mut self, left_out: &LeftOut) {
        self.add_left_out(&LeftOutSum {
            reason: left_out.reason,
            times: 1,
            tokens: left_out.tokens.unwrap_or(0),
            usd: left_out.usd,
        });
    }

    fn add(&mut self, other: &Making) {
        other.lines.iter().for_each(|line| self.add_to_line(&line.rates, line.counts, line.calls, &line.amounts));
        self.others.add(other.others);
        self.reported.add(other.reported);
        self.agents.add(other.agents);
        self.promoted += other.promoted;
        other.unpriced.iter().for_each(|unpriced| self.add_unpriced(unpriced));
        other.left_out.iter().for_each(|left_out| self.add_left_out(left_out));
        self.counting.iter_mut().zip(other.counting).for_each(|(sum, more)| *sum += more);
    }

    fn add_to_line(&mut self, rates: &Arc<Rates>, counts: bool, calls: u64, amounts: &Amounts) {
        let same =
            |known: &&mut Line| known.counts == counts && (Arc::ptr_eq(&known.rates, rates) || known.rates == *rates);
        if let Some(known) = self.lines.iter_mut().find(same) {
            known.calls += calls;
            known.amounts.add(amounts);
        } else if self.lines.len() < Making::MOST_LINES {
            self.lines.push(Line { rates: rates.clone(), counts, calls, amounts: *amounts });
        } else if counts {
            self.others.add(Money { calls, usd: rates.total(amounts) });
        }
    }

    fn add_unpriced(&mut self, unpriced: &UnpricedModel) {
        let same = |known: &&mut UnpricedModel| {
            (known.reason, &known.provider, &known.model) == (unpriced.reason, &unpriced.provider, &unpriced.model)
        };
        if let Some(known) = self.unpriced.iter_mut().find(same) {
            known.calls += unpriced.calls;
        } else if self.unpriced.len() < Making::MOST_LINES || unpriced.model.is_none() {
            self.unpriced.push(unpriced.clone());
        } else {
            self.add_unpriced(&UnpricedModel { provider: None, model: None, ..*unpriced });
        }
    }

    fn add_left_out(&mut self, left_out: &LeftOutSum) {
        match self.left_out.iter_mut().find(|known| known.reason == left_out.reason) {
            Some(known) => {
                known.times += left_out.times;
                known.tokens = known.tokens.saturating_add(left_out.tokens);
                known.usd = match (known.usd, left_out.usd) {
                    (Some(sum), Some(more)) => Some(add_usd(sum, more)),
                    (sum, more) => sum.or(more),
                };
            }
            None => self.left_out.push(*left_out),
        }
    }
}

impl Line {
    /// What its tokens cost.
    pub fn usd(&self) -> f64 {
        self.rates.total(&self.amounts)
    }
}

impl Money {
    fn add(&mut self, other: Money) {
        self.calls += other.calls;
        self.usd = add_usd(self.usd, other.usd);
    }
}

impl Reason {
    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::CallBelow => "call_below",
            Reason::CallAbove => "call_above",
            Reason::SumOfCalls => "sum_of_calls",
            Reason::ReportedZero => "reported_zero",
        }
    }
}

impl Counting {
    /// All of them.
    pub const ALL: [Counting; 3] = [Counting::Inclusive, Counting::Exclusive, Counting::Repaired];

    /// How the emitter of some counts does it; nothing where there is no difference.
    pub fn of(usage: &Usage) -> Option<Counting> {
        let some = |count: Option<u64>| count.is_some_and(|count| count > 0);
        let cached = some(usage.cache_read) || some(usage.cache_write);
        let Convention { input_excludes_cache, output_excludes_reasoning } = usage.convention;
        match cached || some(usage.reasoning) {
            false => None,
            true if usage.repaired => Some(Counting::Repaired),
            true if (cached && input_excludes_cache) || (some(usage.reasoning) && output_excludes_reasoning) => {
                Some(Counting::Exclusive)
            }
            true => Some(Counting::Inclusive),
        }
    }

    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Counting::Inclusive => "inclusive",
            Counting::Exclusive => "exclusive",
            Counting::Repaired => "repaired",
        }
    }
}
