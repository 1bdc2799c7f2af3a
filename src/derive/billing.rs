//! Which calls count: every fact once, however many spans report it.
//!
//! Frameworks report a call that the SDK below them reports again. The deepest span with tokens bills; where no
//! span has tokens, the deepest counts as the call. What it does not tell of its tokens, a call above it may.

use super::node::{Call, NodeIx, State};
use super::run::Run;
use crate::dialect::Usage;
use crate::event::Scope;

impl Run {
    /// Whether a call of a model counts.
    pub fn call_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        if !node.is_call() || node.state != State::Ended || node.below.tokens || self.is_told_by_a_twin(at) {
            return false;
        }
        if node.has_tokens() {
            return true;
        }
        // Without tokens here or below: calls below tell it better, and so does a call above that has the
        // tokens of both.
        !node.below.call && !self.told_by_a_call_above(at)
    }

    /// Whether a call of a tool counts. Client and server of one call, and a framework above them, each report
    /// it: the outermost does.
    pub fn tool_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        if node.scope() != Some(Scope::Tool) || node.state != State::Ended || self.is_told_by_a_twin(at) {
            return false;
        }
        let above = self.parent_of_meaning(at).map(|above| self.node(above));
        !above.is_some_and(|above| above.scope() == Some(Scope::Tool) && above.name == node.name)
    }

    /// Whether a run of an agent counts. A framework and what instruments it each report it, one within the other; an
    /// agent that comes to call itself does so through a tool.
    pub fn agent_counts(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        let is_between = |above: &NodeIx| !matches!(self.node(*above).scope(), Some(Scope::Tool));
        let agents = self.above(at).take_while(is_between).filter(|above| self.node(*above).is_agent_run());
        let nearest = agents.map(|above| &self.node(above).name).next();
        node.is_agent_run() && (node.name.is_none() || nearest != Some(&node.name)) && !self.is_another_turn(at)
    }

    /// Whether it is a further turn of an agent in a graph: no other agent was at work since its last one.
    fn is_another_turn(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        let Some(graph) = node.parent.filter(|_| node.is_of_a_graph()) else { return false };
        let worked_before = |other: &NodeIx| {
            let other = self.node(*other);
            let has_worked = other.is_of_a_graph() && (other.is_agent_run() || other.below.call);
            has_worked && other.end <= node.start && other.id != node.id
        };
        // Of graphs with more nodes than people look at, only the latest are asked: each asks all others.
        const MOST: usize = 1000;
        let before = self.children(graph).take(MOST).filter(worked_before).map(|other| self.node(other));
        before.max_by_key(|other| other.end).is_some_and(|before| before.is_agent_run() && before.name == node.name)
    }

    fn told_by_a_call_above(&self, at: NodeIx) -> bool {
        self.within_the_call(at).any(|above| self.node(above).has_tokens() && !self.node(above).below.tokens)
    }

    /// What is above a call and may be the same call.
    fn within_the_call(&self, at: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let is_apart =
            |above: &NodeIx| matches!(self.node(*above).scope(), Some(Scope::Agent | Scope::Tool | Scope::Workflow));
        self.above(at).take_while(move |above| !is_apart(above))
    }

    /// Completes a call, and those below it, by details of tokens that only the call right above each tells:
    /// frameworks read the whole of an answer, of which the instrumentations below them may know less.
    pub fn complete_details(&mut self, at: NodeIx) {
        if !self.node(at).has_tokens() {
            return;
        }
        self.complete(at);
        // Most calls have nothing below them.
        if self.node(at).first_child.is_some() {
            self.subtree(at).into_iter().skip(1).for_each(|(below, _)| self.complete(below));
        }
    }

    /// Gives the one call below an agent the tokens of all that it stands for, which only the agent tells.
    pub fn tell_of_calls(&mut self, agent: NodeIx) {
        let Some(told) = self.node(agent).call.as_deref().filter(|told| told.usage.is_known()).cloned() else { return };
        let is_told = |at: &NodeIx| self.node(*at).is_call() && self.node(*at).has_tokens();
        let calls: Vec<NodeIx> = self.children(agent).filter(is_told).take(2).collect();
        if let [only] = calls[..]
            && let Some(call) = self.node_mut(only).call.as_deref_mut()
        {
            (call.usage, call.price) = (told.usage, told.price);
        }
    }

    fn complete(&mut self, at: NodeIx) {
        if !self.node(at).has_tokens() {
            return;
        }
        if let Some(agent) = self.node(at).parent.filter(|above| self.node(*above).tells_of_calls) {
            return self.tell_of_calls(agent);
        }
        let above = self.within_the_call(at).find(|above| self.node(*above).has_tokens());
        if let Some(told) = above.and_then(|above| self.node(above).call.clone())
            && let Some(call) = self.node_mut(at).call.as_deref_mut()
        {
            call.take_details(&told);
        }
    }
}

impl Call {
    /// Takes the details that are missing here from a call of as many tokens, and with all of them what it comes to.
    fn take_details(&mut self, told: &Call) {
        let usage = self.usage.detailed_by(&told.usage);
        if usage == self.usage {
            return;
        }
        self.usage = usage;
        let agrees = Usage { convention: told.usage.convention, repaired: told.usage.repaired, ..usage } == told.usage;
        if agrees && told.price.computed.is_ok() {
            self.price.computed = told.price.computed.clone();
        }
    }
}
