//! Figures of some of the work: counts, tokens and money, which add up.

use serde::{Deserialize, Serialize};

use super::price::{Price, Unpriced};
use crate::dialect::Usage;
use crate::event::JsonObject;

/// Figures of some of the work. What no emitter reported is absent, never 0.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Figures {
    /// Calls of models that succeeded, each counted once.
    pub llm_calls: u64,
    /// Calls of models that failed.
    pub llm_failed: u64,
    /// Tokens read, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens written, reasoning included.
    pub output_tokens: Option<u64>,
    /// Of the input, read from caches.
    pub cache_read_tokens: Option<u64>,
    /// Of the input, written to caches.
    pub cache_write_tokens: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning_tokens: Option<u64>,
    /// US dollars, of the calls whose price is known.
    pub cost_usd: Option<f64>,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
    /// The same by reason, in the order of [`Unpriced::ALL`].
    pub unpriced: [u64; Unpriced::COUNT],
    /// Calls of which there are two costs, whichever of them counts.
    pub compared: Compared,
    /// Calls of embedding models, which are not among `llm_calls`.
    pub embedding_calls: u64,
    /// Their tokens, which are not among `input_tokens`.
    pub embedding_tokens: Option<u64>,
    /// Tool calls.
    pub tool_calls: u64,
    /// Of these, failed.
    pub tool_failed: u64,
    /// Runs of agents.
    pub agent_runs: u64,
    /// Of these, failed.
    pub agent_failed: u64,
}

/// What emitters say that calls cost, and what the same calls come to by the rates.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Compared {
    /// Calls that have both.
    pub calls: u64,
    /// US dollars that emitters report for them.
    pub reported_usd: f64,
    /// US dollars that they come to.
    pub computed_usd: f64,
}

impl Figures {
    /// Adds other figures; a count is known as soon as a part of it is. Counts of tokens are what an emitter says
    /// they are, so their sum may be too large to count.
    pub fn add(&mut self, other: &Figures) {
        fn known(sum: &mut Option<u64>, more: Option<u64>) {
            *sum = match (*sum, more) {
                (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
                (sum, more) => sum.or(more),
            };
        }
        self.llm_calls += other.llm_calls;
        self.llm_failed += other.llm_failed;
        known(&mut self.input_tokens, other.input_tokens);
        known(&mut self.output_tokens, other.output_tokens);
        known(&mut self.cache_read_tokens, other.cache_read_tokens);
        known(&mut self.cache_write_tokens, other.cache_write_tokens);
        known(&mut self.reasoning_tokens, other.reasoning_tokens);
        self.cost_usd = match (self.cost_usd, other.cost_usd) {
            (Some(sum), Some(more)) => Some(add_usd(sum, more)),
            (sum, more) => sum.or(more),
        };
        self.unpriced_calls += other.unpriced_calls;
        self.unpriced.iter_mut().zip(other.unpriced).for_each(|(sum, more)| *sum += more);
        self.compared.calls += other.compared.calls;
        self.compared.reported_usd = add_usd(self.compared.reported_usd, other.compared.reported_usd);
        self.compared.computed_usd = add_usd(self.compared.computed_usd, other.compared.computed_usd);
        self.embedding_calls += other.embedding_calls;
        known(&mut self.embedding_tokens, other.embedding_tokens);
        self.tool_calls += other.tool_calls;
        self.tool_failed += other.tool_failed;
        self.agent_runs += other.agent_runs;
        self.agent_failed += other.agent_failed;
    }

    /// Input and output together, as far as they are known.
    pub fn total_tokens(&self) -> Option<u64> {
        match (self.input_tokens, self.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }

    /// Writes the figures as members of an object.
    pub fn write(&self, object: &mut JsonObject<'_>) {
        object.u64("llm_calls", self.llm_calls);
        object.u64("llm_failed", self.llm_failed);
        object.opt_u64("input_tokens", self.input_tokens);
        object.opt_u64("output_tokens", self.output_tokens);
        object.opt_u64("cache_read_tokens", self.cache_read_tokens);
        object.opt_u64("cache_write_tokens", self.cache_write_tokens);
        object.opt_u64("reasoning_tokens", self.reasoning_tokens);
        object.opt_f64("cost_usd", self.cost_usd);
        object.u64("unpriced_calls", self.unpriced_calls);
        if self.unpriced_calls > 0 {
            let mut reasons = JsonObject::begin(object.key("unpriced"));
            let counted = Unpriced::ALL.iter().zip(self.unpriced).filter(|(_, calls)| *calls > 0);
            counted.for_each(|(reason, calls)| reasons.u64(reason.as_str(), calls));
            reasons.end();
        }
        if self.compared.calls > 0 {
            let mut deviation = JsonObject::begin(object.key("deviation"));
            self.compared.write(&mut deviation);
            deviation.end();
        }
        object.u64("embedding_calls", self.embedding_calls);
        object.opt_u64("embedding_tokens", self.embedding_tokens);
        object.u64("tool_calls", self.tool_calls);
        object.u64("tool_failed", self.tool_failed);
        object.u64("agent_runs", self.agent_runs);
        object.u64("agent_failed", self.agent_failed);
    }
}

impl Figures {
    /// Enters the tokens of a call.
    pub fn enter_tokens(&mut self, usage: &Usage) {
        self.input_tokens = usage.input;
        self.output_tokens = usage.output;
        self.cache_read_tokens = usage.cache_read;
        self.cache_write_tokens = usage.cache_write;
        self.reasoning_tokens = usage.reasoning;
    }

    /// Enters the price of a call. One that failed before any token costs nothing that anyone could know.
    pub fn enter(&mut self, price: &Price, is_free_if_unknown: bool) {
        self.cost_usd = price.usd();
        if let Some((reported_usd, computed_usd)) = price.both_usd() {
            self.compared = Compared { calls: 1, reported_usd, computed_usd };
        }
        if let Err(unpriced) = price.source()
            && !is_free_if_unknown
        {
            self.unpriced_calls = 1;
            self.unpriced[unpriced as usize] = 1;
        }
    }
}

impl Compared {
    fn write(&self, object: &mut JsonObject<'_>) {
        object.u64("calls", self.calls);
        object.f64("reported_usd", self.reported_usd);
        object.f64("computed_usd", self.computed_usd);
        object.f64("usd", self.reported_usd - self.computed_usd);
    }
}

/// A sum that is a number, whatever emitters say that their work costs.
pub fn add_usd(sum: f64, more: f64) -> f64 {
    (sum + more).min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_stays_absent_and_known_adds_up() {
        let mut sum = Figures::default();
        sum.add(&Figures { input_tokens: Some(5), ..Figures::default() });
        sum.add(&Figures { llm_calls: 1, ..Figures::default() });
        assert_eq!((sum.input_tokens, sum.output_tokens, sum.cost_usd), (Some(5), None, None));
    }
}
