//! What only an agent tells of the calls below it: their tokens and their cost, promoted from a sum to what counts.
//!
//! Some emitters tell of no call, or of calls without tokens, and say of the run of an agent what it took. Where a call
//! below tells, in whatever depth, what the agent says is the sum of it, and does not count.

use super::node::{Call, Node, NodeIx};
use super::run::Run;
use crate::event::Scope;

impl Run {
    /// What an agent tells of calls that nobody else does, if it tells their tokens.
    pub fn promoted(&self, at: NodeIx) -> Option<&Call> {
        let tells = self.node(at).is_the_one_with_tokens() && self.agent_counts(at);
        let is_told_above = || self.above(at).any(|above| self.node(above).is_the_one_with_tokens());
        self.node(at).call.as_deref().filter(|_| tells && !is_told_above() && !self.has_calls_beside(at))
    }

    /// What an agent's own end says that its run cost, or what its tokens come to, which counts only where no call below
    /// it has a price, and where no agent above tells one that holds it.
    pub fn told_cost(&self, at: NodeIx) -> Option<f64> {
        let tells = |at: NodeIx| self.node(at).told_usd().filter(|_| !self.node(at).below.priced);
        let usd = tells(at)?;
        let is_promoted = || self.node(at).is_reported() || self.promoted(at).is_some();
        (is_promoted() && !self.above(at).any(|above| tells(above).is_some())).then_some(usd)
    }

    /// Whether calls hang beside an agent rather than below one, and may be its own all the same.
    fn has_calls_beside(&self, at: NodeIx) -> bool {
        let is_apart = |above: &NodeIx| matches!(self.node(*above).scope(), Some(Scope::Agent | Scope::Tool));
        self.above(at).take_while(|above| !is_apart(above)).any(|above| self.node(above).below.tokens)
    }
}

impl Node {
    /// What an agent says that its run cost, or what the tokens come to of which it alone tells.
    pub fn told_usd(&self) -> Option<f64> {
        let call = self.call.as_deref().filter(|_| self.is_agent_run())?;
        call.price.usd().filter(|_| self.is_reported() || !self.below.used)
    }

    /// Whether the cost that counts is what its emitter says.
    pub fn is_reported(&self) -> bool {
        self.call.as_deref().is_some_and(|call| call.price.reported_counts)
    }

    /// Whether it is an agent that tells tokens of which no call below it tells.
    fn is_the_one_with_tokens(&self) -> bool {
        let tells = self.is_agent_run() && self.call.as_deref().is_some_and(|call| call.usage.is_known());
        tells && !self.below.used && !self.below.priced
    }
}
