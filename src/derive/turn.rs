//! The work of a coding agent for one prompt of its user: what hangs where, and how it ended, as far as spans do not say.

use xxhash_rust::xxh3::xxh3_64;

use super::held::Held;
use super::names::Name;
use super::node::{Happened, NodeIx, Outcome, State};
use super::pairing::Halves;
use super::run::Run;
use crate::dialect::{Op, USER};
use crate::event::{Decision, Scope, SpanId, Timestamp};

/// What a run of a coding agent knows beside its nodes.
#[derive(Debug, Default)]
pub struct Turn {
    /// The agent at work for the user.
    agent: Option<NodeIx>,
    /// Whether that stands for a span that has not come, and may never.
    stands_in: bool,
    /// Whether the agent asked for it itself.
    own_request: bool,
    /// Whether something has shown that it is over.
    over: bool,
    /// Whether the agent's failure was made out from its calls.
    judged: bool,
    /// Work that hangs below nothing, until the agent is known.
    loose: Vec<NodeIx>,
    /// Spans below which an agent of this name works, whatever they call themselves.
    named: Vec<(NodeIx, Name)>,
    /// Calls that only spans have told of, and those that only log records have.
    pub by_span: Halves,
    pub by_log: Halves,
    /// The ids of calls of tools that somebody decided on.
    decided: Vec<u64>,
    /// Calls of tools that were broken off, with their ids.
    broken_off: Vec<(NodeIx, Option<u64>)>,
}

impl Run {
    /// What is known of the turn; this makes the run that of a coding agent.
    pub fn turn_mut(&mut self) -> &mut Turn {
        self.turn.get_or_insert_default()
    }

    /// The agent at work for the user, or what stands for it.
    pub fn turn_agent(&self) -> Option<NodeIx> {
        self.turn.as_ref()?.agent
    }

    /// Whether the agent asked for it itself, so that it is no run of its user.
    pub fn is_own_request(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.own_request)
    }

    /// The agent asked for all of this itself: its work for that is no run of an agent.
    pub fn is_found_to_be_own_request(&mut self) {
        let turn = self.turn_mut();
        (turn.own_request, turn.agent, turn.stands_in) = (true, None, false);
        for at in 0..self.nodes.len() as NodeIx {
            if self.node(at).is_agent_run() {
                self.node_mut(at).op = Some(Op::Step);
            }
        }
    }

    /// Whether the agent only stands for a span that has not come.
    pub fn has_stand_in(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.stands_in)
    }

    /// Puts a span of a coding agent in its place, `id` being that of its call.
    pub fn took_span(&mut self, at: NodeIx, id: Option<u64>, session_wide: bool) {
        if let Some(name) = self.turn_mut().named.iter().find(|(named, _)| *named == at).map(|(_, name)| name.clone()) {
            self.make_agent(at, &name);
        }
        match self.node(at).scope() {
            Some(Scope::Agent) => self.took_agent(at),
            // What goes on comes again when it has ended.
            Some(Scope::LlmRequest | Scope::Tool) if self.node(at).has_ended() => {
                self.pair(at, id, false, false);
                self.took_call(at, id);
            }
            Some(Scope::WorkflowStep) => self.inherit_above(at),
            _ => {}
        }
        if session_wide && self.node(at).parent.is_none() {
            self.hang(at);
        }
    }

    /// What a call says of the agent above it, and what those below a tool say of it.
    pub fn took_call(&mut self, at: NodeIx, id: Option<u64>) {
        let node = self.node(at);
        if node.scope() == Some(Scope::Tool) {
            if node.outcome == Outcome::Canceled && node.aside.is_none() {
                self.turn_mut().broken_off.push((at, id));
            }
            return self.inherit(at);
        }
        let named = node.agent.clone().zip(node.parent);
        if let Some((agent, above)) = named
            && matches!(self.node(above).op, None | Some(Op::ToolPhase))
            && self.turn_agent().is_none_or(|turn| turn != above && self.node(turn).name.as_ref() != Some(&agent))
        {
            self.say_agent(above, agent);
        }
        if let Some(agent) = self.turn_agent()
            && self.node(agent).has_ended()
        {
            self.judge(agent);
        }
    }

    fn took_agent(&mut self, at: NodeIx) {
        if self.is_own_request() {
            self.node_mut(at).op = Some(Op::Step);
            return;
        }
        // One that was made out from its calls works for another one.
        let stand_in = self.turn_agent().filter(|_| self.has_stand_in());
        let works_for_another =
            |run: &Run| run.above(at).any(|above| run.node(above).is_agent_run() && Some(above) != stand_in);
        if self.node(at).inferred || works_for_another(self) {
            return;
        }
        match self.turn_agent() {
            Some(agent) if agent == at => {}
            Some(stand_in) if self.has_stand_in() && self.node(stand_in).name == self.node(at).name => {
                self.replace(stand_in, at);
            }
            Some(agent) if !self.has_stand_in() && self.above(agent).any(|above| above == at) => {}
            Some(_) => return,
            None => {}
        }
        let turn = self.turn_mut();
        (turn.agent, turn.stands_in) = (Some(at), false);
        self.hang_loose_work();
        self.judge(at);
    }

    /// Begins the agent's run with the user's prompt, where no span of it has come.
    pub fn begin_turn(&mut self, id: SpanId, agent: &Name, dialect: &'static str, at: Timestamp, now: Timestamp) {
        let before = self.turn_agent();
        if self.is_own_request() {
            return;
        }
        if let Some(known) = before {
            // What was made out from its first call began with the prompt.
            if self.has_stand_in() && !self.node(known).has_ended() {
                let node = self.node_mut(known);
                node.start = node.start.min(at);
            }
            // Work that was told before hangs below the span that the prompt names, and not below what stands in.
            let names_its_span = self.find(id).is_some_and(|place| self.node(place).state == State::Expected);
            if !self.has_stand_in() || !names_its_span {
                return;
            }
        }
        let inferred = |run: &Run, at: &NodeIx| {
            let node = run.node(*at);
            node.is_agent_run() && node.inferred && !node.has_span && node.parent.is_none()
        };
        let known = (0..self.nodes.len() as NodeIx).find(|at| before.is_none() && inferred(self, at));
        let place = known.unwrap_or_else(|| self.find_or_expect(id));
        if self.node(place).has_span {
            return;
        }
        let node = self.node_mut(place);
        (node.op, node.dialect, node.inferred) = (Some(Op::InvokeAgent), Some(dialect), true);
        (node.name, node.agent) = (Some(agent.clone()), Some(agent.clone()));
        node.start = if known.is_some() { node.start.min(at) } else { at };
        node.end = node.end.max(node.start);
        self.has_meaning = true;
        if known.is_none() {
            self.open_up(place);
        }
        if let Some(before) = before {
            self.replace(before, place);
        }
        let turn = self.turn_mut();
        (turn.agent, turn.stands_in) = (Some(place), true);
        self.hang_loose_work();
        if self.root().is_none_or(|root| self.node(root).op.is_none()) && self.node(place).parent.is_none() {
            self.reroot(place);
        }
        if self.key.trace_id().is_none() {
            self.tell_later(place, now);
        }
    }

    /// Has it told of, unless that is to come anyway.
    fn tell_later(&mut self, at: NodeIx, now: Timestamp) {
        if !self.held.iter().any(|held| held.at == at) {
            let held = Held::of_run(self, at, now);
            self.held.push(held);
        }
    }

    /// The session of the turn, and when the turn began, as long as something stands for its span.
    pub fn turn_of_session(&self) -> Option<(&Name, Timestamp)> {
        let agent = self.turn_agent().filter(|_| self.has_stand_in())?;
        let session = self.labels.session.as_ref().or(self.labels.conversation.as_ref())?;
        Some((session, self.node(agent).start))
    }

    /// Something has shown that the turn is over. Its span may still be on its way.
    pub fn turn_is_over(&mut self) {
        self.turn_mut().over = true;
    }

    /// Whether the turn is over, and nothing but its span could say so better.
    pub fn has_turn_that_is_over(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.over && turn.stands_in)
    }

    /// Work below spans that have not come hangs below the agent until they do.
    pub fn hang_what_waits(&mut self) {
        let Some(agent) = self.turn_agent().filter(|_| self.has_stand_in()) else { return };
        let id = self.node(agent).id;
        let waits = |run: &Run, at: &NodeIx| {
            let node = run.node(*at);
            node.state == State::Expected && node.parent.is_none() && node.first_child.is_some() && *at != agent
        };
        let waiting: Vec<NodeIx> = (0..self.nodes.len() as NodeIx).filter(|at| waits(self, at)).collect();
        waiting.into_iter().for_each(|at| self.link(at, id));
    }

    /// Lets the run of the agent end with its last work, if something has shown that it is over.
    pub fn end_turn(&mut self, now: Timestamp) {
        let Some(agent) = self.turn_agent().filter(|_| self.has_turn_that_is_over()) else { return };
        if !matches!(self.node(agent).state, State::Open { .. } | State::GivenUp) {
            return;
        }
        let end = self.nodes.iter().filter(|node| node.op.is_some()).map(|node| node.end).max();
        let node = self.node_mut(agent);
        node.end = end.unwrap_or(node.start).max(node.start);
        node.outcome = Outcome::Completed;
        self.lost = false;
        self.advance(agent, State::Ended);
        self.judge(agent);
        self.unsettled.push((now, agent));
        self.tell_later(agent, now);
    }

    /// Hangs work that nothing is said to be above below the agent, or keeps it until that is known.
    pub fn hang(&mut self, at: NodeIx) {
        match self.turn_agent() {
            Some(agent) if agent == at => {}
            Some(agent) => {
                let agent = self.node(agent).id;
                self.link(at, agent);
            }
            None => self.turn_mut().loose.push(at),
        }
    }

    /// Whether work hangs nowhere, because nobody has told of the agent.
    pub fn has_loose_work(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.loose.is_empty())
    }

    fn hang_loose_work(&mut self) {
        for at in std::mem::take(&mut self.turn_mut().loose) {
            if self.node(at).parent.is_none_or(|parent| self.node(parent).state == State::Expected) {
                self.hang(at);
            }
        }
    }

    /// Below this span an agent of this name works.
    pub fn say_agent(&mut self, at: NodeIx, name: Name) {
        if self.turn_mut().named.iter().any(|(named, _)| *named == at) {
            return;
        }
        self.turn_mut().named.push((at, name.clone()));
        if self.node(at).state != State::Expected {
            self.make_agent(at, &name);
        }
    }

    fn make_agent(&mut self, at: NodeIx, name: &Name) {
        let node = self.node_mut(at);
        if node.op != Some(Op::InvokeAgent) {
            (node.op, node.inferred) = (Some(Op::InvokeAgent), true);
            (node.name, node.agent) = (Some(name.clone()), Some(name.clone()));
        }
        self.inherit_above(at);
    }

    fn inherit_above(&mut self, at: NodeIx) {
        let above = self.node(at).parent.filter(|above| self.node(*above).scope() == Some(Scope::Tool));
        if let Some(tool) = above {
            self.inherit(tool);
        }
    }

    /// A tool whose execution failed has failed, and one that was not allowed did not run. The time until it was allowed
    /// is none that it took.
    fn inherit(&mut self, tool: NodeIx) {
        let (mut waited, mut outcome, mut error) = (0, Outcome::Completed, None);
        for phase in self.children(tool) {
            let node = self.node(phase);
            if !matches!(node.op, Some(Op::ToolPhase | Op::InvokeAgent)) || !node.has_ended() {
                continue;
            }
            if let Some(Happened::Decided { decision, .. }) = node.aside.as_deref() {
                waited += node.duration_micros();
                if *decision == Decision::Rejected {
                    outcome = Outcome::Canceled;
                }
            } else if node.op == Some(Op::ToolPhase) && node.outcome == Outcome::Failed {
                (outcome, error) = (Outcome::Failed, node.error.clone());
            }
        }
        let node = self.node_mut(tool);
        node.waited_micros = waited;
        if node.outcome == Outcome::Completed {
            node.outcome = outcome;
            node.error = node.error.take().or(error);
        }
    }

    /// An agent whose last call failed has failed, even if it does not say so.
    fn judge(&mut self, agent: NodeIx) {
        let mut last: Option<NodeIx> = None;
        for at in self.within(agent) {
            let node = self.node(at);
            let is_later = |last: NodeIx| node.end > self.node(last).end;
            let is_own = || self.surroundings(at).agent == Some(agent);
            if node.is_call() && node.has_ended() && last.is_none_or(is_later) && is_own() {
                last = Some(at);
            }
        }
        let failed = last.filter(|last| self.node(*last).outcome == Outcome::Failed);
        let error = failed.and_then(|last| self.node(last).error.clone());
        let judged = self.turn_mut().judged;
        let node = self.node_mut(agent);
        match (node.outcome, failed) {
            (Outcome::Completed, Some(_)) => {
                (node.outcome, node.error) = (Outcome::Failed, error);
                self.turn_mut().judged = true;
            }
            (Outcome::Failed, None) if judged => {
                (node.outcome, node.error) = (Outcome::Completed, None);
                self.turn_mut().judged = false;
            }
            _ => {}
        }
    }

    /// The span has come that something stood for.
    fn replace(&mut self, stand_in: NodeIx, by: NodeIx) {
        let id = self.node(by).id;
        for child in self.children(stand_in).collect::<Vec<_>>() {
            if child != by {
                self.link(child, id);
            }
        }
        if self.node(by).parent == Some(stand_in) {
            self.unhang(by);
        }
        let told = self.node(stand_in).told;
        self.erase(stand_in);
        let top = self.above(by).last().unwrap_or(by);
        if self.root() == Some(stand_in) && self.node(top).state != State::Expected {
            self.reroot(top);
        }
        let node = self.node_mut(by);
        (node.told.start, node.told.end) = (node.told.start | told.start, node.told.end | told.end);
    }

    /// Forgets what a node was: another one tells of the same.
    pub fn erase(&mut self, at: NodeIx) {
        if !self.node(at).has_ended() {
            self.advance(at, State::Ended);
        }
        let node = self.node_mut(at);
        (node.op, node.call, node.aside, node.labels) = (None, None, None, None);
        (node.name, node.agent, node.error) = (None, None, None);
        self.held.retain(|held| held.at != at);
        self.looked_at = 0;
    }

    /// Somebody decided on the call of a tool of this id.
    pub fn note_decision(&mut self, id: u64) {
        self.turn_mut().decided.push(id);
    }

    /// Calls of tools that were broken off, and that nobody had allowed: the user did not.
    pub fn infer_refusals(&mut self, now: Timestamp) {
        let Some(turn) = &mut self.turn else { return };
        let mut broken_off = std::mem::take(&mut turn.broken_off);
        broken_off.retain(|(_, id)| id.is_none_or(|id| !turn.decided.contains(&id)));
        for (tool, _) in broken_off {
            let node = self.node(tool);
            let Some(id) = SpanId::from_bytes(&xxh3_64(node.id.as_bytes()).to_be_bytes()) else { continue };
            let (of_tool, target, end, dialect) = (node.id, node.name.clone(), node.end, node.dialect);
            let at = self.find_or_expect(id);
            if self.node(at).state != State::Expected || self.node(tool).op.is_none() {
                continue;
            }
            let refused = Happened::Decided { reviewer: USER, decision: Decision::Rejected, target };
            let node = self.node_mut(at);
            (node.op, node.inferred, node.dialect) = (Some(Op::ToolPhase), true, dialect);
            (node.start, node.end, node.name) = (end, end, Some("decision".into()));
            node.aside = Some(Box::new(refused));
            self.link(at, of_tool);
            self.advance(at, State::Ended);
            self.unsettled.push((now, at));
            self.tell_later(at, now);
        }
    }
}

impl Run {
    /// Takes over what another run knew of the same turn, whose nodes are at these places now.
    pub fn take_over_turn(&mut self, other: Turn, places: &[NodeIx]) {
        let place = |at: NodeIx| places[at as usize];
        let turn = self.turn_mut();
        turn.over |= other.over;
        turn.own_request |= other.own_request;
        turn.named.extend(other.named.into_iter().map(|(at, name)| (place(at), name)));
        turn.decided.extend(other.decided);
        turn.broken_off.extend(other.broken_off.into_iter().map(|(at, id)| (place(at), id)));
        turn.loose.extend(other.loose.into_iter().map(place));
        other.by_span.into_iter().for_each(|half| self.pair(place(half.at), half.id, false, false));
        for half in other.by_log {
            self.pair(place(half.at), half.id, true, false);
            if half.by_time {
                self.is_placed_by_time(place(half.at));
            }
        }
        let its = other.agent.map(place).filter(|its| Some(*its) != self.turn_agent());
        match (its, self.turn_agent()) {
            (Some(its), None) => {
                let turn = self.turn_mut();
                (turn.agent, turn.stands_in) = (Some(its), other.stands_in);
            }
            (Some(its), Some(own)) if other.stands_in && self.node(its).id != self.node(own).id => {
                self.replace(its, own);
            }
            (Some(its), Some(own)) if self.has_stand_in() => {
                self.replace(own, its);
                let turn = self.turn_mut();
                (turn.agent, turn.stands_in) = (Some(its), false);
            }
            _ => {}
        }
        if self.is_own_request() {
            self.is_found_to_be_own_request();
        }
        self.hang_loose_work_if_known();
        if let Some(agent) = self.turn_agent().filter(|agent| self.node(*agent).parent.is_none()) {
            self.reroot(agent);
        }
    }

    fn hang_loose_work_if_known(&mut self) {
        if self.turn_agent().is_some() {
            self.hang_loose_work();
        }
    }
}
