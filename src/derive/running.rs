//! Calls whose emitter adds up: the tokens of each include those of the calls before it in the same loop with tools.

use super::cost::{Call as PricedCall, Prices};
use super::node::NodeIx;
use super::run::Run;
use crate::dialect::Usage;

/// What an emitter told that adds up.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// The tokens of the loop so far.
    pub told: Usage,
    /// Whether the call asked for tools: the next one is of the same loop.
    pub goes_on: bool,
}

impl Run {
    /// Leaves each of the calls beside one, and that itself, what it took.
    pub fn take_apart(&mut self, at: NodeIx, prices: &mut Prices) {
        // Nobody calls a model so often for one answer.
        const MOST: usize = 1000;
        let Some(above) = self.node(at).parent.filter(|_| self.running(at).is_some()) else { return };
        let mut calls: Vec<NodeIx> =
            self.children(above).take(MOST).filter(|call| self.running(*call).is_some()).collect();
        calls.sort_unstable_by_key(|call| (self.node(*call).start, self.node(*call).id));
        let mut before: Option<(Usage, Usage)> = None;
        for call in calls {
            let Some(Running { told, goes_on }) = self.running(call) else { continue };
            let own = before.and_then(|(so_far, last)| beyond(&told, &so_far, &last)).unwrap_or(told);
            before = goes_on.then_some((told, own));
            self.take(call, own, prices);
        }
    }

    fn running(&self, at: NodeIx) -> Option<Running> {
        self.node(at).call.as_deref()?.running.as_deref().copied()
    }

    fn take(&mut self, at: NodeIx, usage: Usage, prices: &mut Prices) {
        let node = self.node_mut(at);
        let Some(call) = node.call.as_deref_mut().filter(|call| call.usage != usage) else { return };
        call.usage = usage;
        let priced = PricedCall {
            provider: node.provider.as_deref(),
            response_model: node.model.as_deref().filter(|_| call.model_answered),
            request_model: call.request_model.as_deref(),
            service_tier: None,
            at: node.end,
            usage: &usage,
        };
        call.price = prices.price(&priced, call.price.reported_usd);
    }
}

/// What of a sum is not of the sum before. It is none where less than the call before had is left: who reads an answer of a tool
/// reads again what there was before it.
fn beyond(told: &Usage, so_far: &Usage, last: &Usage) -> Option<Usage> {
    let own = told.without(so_far)?;
    (own.input >= last.input).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sum_stays_as_it_is() {
        let usage = |input, output| Usage { input: Some(input), output: Some(output), ..Usage::default() };
        let (first, second) = (usage(107, 23), usage(221, 49));
        assert_eq!(beyond(&second, &first, &first), Some(usage(114, 26)));
        assert_eq!(beyond(&usage(342, 78), &second, &usage(114, 26)), Some(usage(121, 29)));
        assert_eq!(beyond(&usage(130, 9), &first, &first), None, "less was written than the call before had");
        assert_eq!(beyond(&usage(130, 30), &first, &first), None, "a loop of its own calls, each with its own tokens");
        let cached = Usage { cache_read: Some(64), ..first };
        assert_eq!(beyond(&second, &cached, &first), None);
    }
}
