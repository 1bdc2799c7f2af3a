//! What spans are that only their surroundings tell: agents that calls of models give away, and workflows that are
//! the outermost of their kind. All of it is marked as inferred.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::apart::may_be_told_elsewhere;
use super::held::Held;
use super::names::Name;
use super::node::{Node, NodeIx, Outcome, State};
use super::run::Run;
use crate::dialect::{Hint, Op};
use crate::event::{Scope, SpanId, Timestamp};

impl Run {
    /// Makes an agent of work that may be one, once a call of a model is below it that no other agent made, and a step of
    /// what may be the call of a model, once the call itself is below it.
    pub fn promote(&mut self, at: NodeIx) {
        let node = self.node_mut(at);
        match node.hint {
            Some(Hint::AgentIfItCalls) if node.below.own_call => {
                (node.hint, node.inferred, node.op) = (None, true, Some(Op::InvokeAgent));
                node.name = node.agent.clone().or_else(|| node.name.clone());
                self.note_agent(at);
            }
            Some(Hint::StepIfTold) if node.below.tokens => (node.hint, node.op) = (None, Some(Op::Step)),
            _ => {}
        }
    }

    /// Whether something may still come that makes something else of it.
    pub fn is_undecided(&self, at: NodeIx) -> bool {
        let node = self.node(at);
        let may_have_failed = node.is_silent && node.has_ended() && node.outcome == Outcome::Completed;
        let is_alone = node.parent.is_none() && node.is_call() && self.nodes.len() == 1;
        may_have_failed
            || (is_alone && may_be_told_elsewhere(node.dialect))
            || self.lacks_who_hands_off(at)
            || matches!(node.hint, Some(Hint::AgentIfItCalls | Hint::StepIfTold))
    }

    /// Makes out what work is, and who did it, from what is above it, as far as all of that is known.
    pub fn place_in_surroundings(&mut self, at: NodeIx, now: Timestamp) {
        if self.node(at).hint == Some(Hint::WorkflowIfOutermost) && self.is_complete_above(at) {
            let is_outermost = self.parent_of_meaning(at).is_none();
            let node = self.node_mut(at);
            node.hint = None;
            if is_outermost {
                node.op = Some(Op::InvokeWorkflow);
            }
        }
        if self.node(at).is_call() {
            self.infer_agent(at, now);
        }
        self.fail_with_the_last(at);
        if self.node(at).is_agent_run() && self.node(at).agent.is_none() {
            self.name_agent(at);
        }
    }

    /// Work that never says so has failed if what it did last has.
    fn fail_with_the_last(&mut self, at: NodeIx) {
        if let Some(last) = self.failed_with(at) {
            let error = self.node(last).error.clone();
            let node = self.node_mut(at);
            (node.outcome, node.error) = (Outcome::Failed, error);
        }
    }

    /// What work did last that never says whether it failed, if that has failed, as far as is known by now.
    pub fn failed_with(&self, at: NodeIx) -> Option<NodeIx> {
        let mut within =
            Some(at).filter(|at| self.node(*at).is_silent && self.node(*at).outcome == Outcome::Completed)?;
        loop {
            let is_part = |part: &Node| part.op.is_some() || part.first_child.is_some();
            let parts = || self.children(within).filter(|part| is_part(self.node(*part)));
            let last = parts().max_by_key(|part| (self.node(*part).end, self.node(*part).id))?;
            if self.node(last).outcome == Outcome::Failed {
                return Some(last);
            }
            // The same work again, by its name or because there is nothing beside it.
            let (name, scope) = (&self.node(last).name, self.node(last).scope());
            let is_all = || scope.is_none_or(|scope| scope == Scope::WorkflowStep) && parts().nth(1).is_none();
            within = Some(last).filter(|_| *name == self.node(at).name || is_all())?;
        }
    }

    /// The run of an agent that has no name is of the agent that the step right above it names: there are frameworks in
    /// which only the component that runs it knows.
    fn name_agent(&mut self, at: NodeIx) {
        let above = self.parent_of_meaning(at).map(|above| self.node(above));
        let named =
            above.filter(|above| above.scope() == Some(Scope::WorkflowStep)).and_then(|above| above.agent.clone());
        if let Some(name) = named {
            let node = self.node_mut(at);
            (node.name, node.agent) = (Some(name.clone()), Some(name));
            self.note_agent(at);
        }
    }

    /// A call that names its agent, and has none above it, is one of a run of that agent that nobody reports: it began
    /// with the first of its calls below the same span and ended with the last.
    fn infer_agent(&mut self, call: NodeIx, now: Timestamp) {
        let Some(agent) = self.node(call).agent.clone() else { return };
        let surroundings = self.surroundings(call);
        if !surroundings.complete || surroundings.agent.is_some() {
            return;
        }
        let above = self.node(call).parent;
        let seed = above.map_or(0, |above| u64::from_be_bytes(*self.node(above).id.as_bytes()));
        let Some(id) = SpanId::from_bytes(&xxh3_64_with_seed(agent.as_bytes(), seed).to_be_bytes()) else { return };
        let agent_run = self.find_or_expect(id);
        if self.node(agent_run).state == State::Expected {
            self.begin_inferred(agent_run, call, &agent, now);
            if let Some(above) = above {
                let above = self.node(above).id;
                self.link(agent_run, above);
            }
            self.advance(agent_run, State::Ended);
        }
        let of_agent: Vec<NodeIx> = match above {
            Some(above) => self.children(above).filter(|at| self.is_work_of(*at, &agent)).collect(),
            None => vec![call],
        };
        for at in of_agent {
            self.take_part(agent_run, at);
            self.link(at, id);
        }
        self.spread(agent_run);
    }

    fn is_work_of(&self, at: NodeIx, agent: &Name) -> bool {
        let node = self.node(at);
        matches!(node.scope(), Some(Scope::LlmRequest | Scope::Tool)) && node.agent.as_ref() == Some(agent)
    }

    fn begin_inferred(&mut self, at: NodeIx, call: NodeIx, agent: &Name, now: Timestamp) {
        let (start, end, dialect) = (self.node(call).start, self.node(call).end, self.node(call).dialect);
        let node = self.node_mut(at);
        (node.op, node.inferred, node.dialect) = (Some(Op::InvokeAgent), true, dialect);
        (node.name, node.agent) = (Some(agent.clone()), Some(agent.clone()));
        (node.start, node.end) = (start, end);
        self.unsettled.push((now, at));
        let held = Held::of_run(self, at, now);
        self.held.push(held);
    }

    /// The run of an agent lasts at least as long as its work, and fails with its last call.
    fn take_part(&mut self, agent_run: NodeIx, at: NodeIx) {
        let (start, end, outcome, error) = {
            let node = self.node(at);
            (node.start, node.end, node.outcome, node.error.clone())
        };
        let is_call = self.node(at).is_call();
        let run = self.node_mut(agent_run);
        run.start = run.start.min(start);
        if end >= run.end {
            run.end = end;
            if is_call {
                (run.outcome, run.error) = (outcome, error);
            }
        }
    }

    /// A span that never came, and below which calls of models name their agent, was a run of that agent. It began, and
    /// nobody knows how it ended.
    pub fn infer_missing_agents(&mut self, now: Timestamp) {
        let is_missing = |at: &NodeIx| self.node(*at).state == State::Expected && self.node(*at).below.own_call;
        let missing: Vec<NodeIx> = (0..self.nodes.len() as NodeIx).filter(is_missing).collect();
        for at in missing {
            // What is in another process may be reported elsewhere.
            let named = |at: NodeIx| self.node(at).agent.clone().filter(|_| self.node(at).is_call());
            let is_here = |at: &NodeIx| !self.node(*at).has_remote_parent;
            let found = self.children(at).filter(is_here).find_map(|call| Some((call, named(call)?)));
            let Some((call, agent)) = found.filter(|_| self.surroundings(at).agent.is_none()) else { continue };
            self.begin_inferred(at, call, &agent, now);
            for part in self.children(at).collect::<Vec<_>>() {
                self.take_part(at, part);
            }
            let node = self.node_mut(at);
            (node.outcome, node.error) = (Outcome::Completed, None);
            self.open_up(at);
        }
    }
}
