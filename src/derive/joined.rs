//! Runs that turn out to be one: their traces are of one prompt of a user.

use super::node::{Node, NodeIx, State};
use super::run::{Run, RunKey};
use crate::event::TraceId;

impl Run {
    /// Takes over everything that another run holds.
    pub fn adopt(&mut self, other: Run) {
        let ids: Vec<_> = other.nodes.iter().map(|node| node.id).collect();
        let trace = other.key.trace_id();
        let known_calls = other.known_calls();
        let other_traces = other.other_traces;
        let mut places: Vec<NodeIx> = Vec::with_capacity(ids.len());
        for (from, node) in other.nodes.into_iter().enumerate() {
            let at = self.find_or_expect(node.id);
            places.push(at);
            let parent = node.parent.map(|parent| ids[parent as usize]);
            if self.take_over(at, node)
                && let Some(parent) = parent
            {
                self.link(at, parent);
            }
            let of_trace = other_traces.get(&(from as NodeIx)).copied().or(trace);
            if let Some(trace) = of_trace {
                self.say_trace(at, trace);
            }
            self.spread(at);
        }
        let place = |at: NodeIx| places[at as usize];
        known_calls.into_iter().for_each(|(at, id)| self.note_known_call(place(at), id));
        let timed = |list: Vec<(crate::event::Timestamp, NodeIx)>| {
            list.into_iter().map(|(time, at)| (time, places[at as usize])).collect::<Vec<_>>()
        };
        self.unsettled.extend(timed(other.unsettled));
        self.unsettled.sort_unstable();
        self.waiting.extend(timed(other.waiting));
        self.waiting.sort_unstable();
        self.task_work.extend(other.task_work.into_iter().map(place));
        self.told_tasks.extend(other.told_tasks.into_iter().map(|(at, usd)| (place(at), usd)));
        self.waits.extend(other.waits.into_iter().map(|wait| super::waits::HumanWait {
            at: place(wait.at),
            counted_in: wait.counted_in.into_iter().map(place).collect(),
        }));
        self.overcounted.extend(other.overcounted.into_iter().map(place));
        self.held.extend(other.held.into_iter().map(|held| super::held::Held { at: place(held.at), ..held }));
        self.held.sort_by_key(|held| held.since);
        self.looked_at = 0;
        self.undecided.extend(other.undecided.into_iter().map(|held| super::held::Held { at: place(held.at), ..held }));
        self.undecided.sort_by_key(|held| held.since);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.has_meaning |= other.has_meaning;
        self.service = self.service.take().or(other.service);
        self.instance = self.instance.take().or(other.instance);
        for (own, its) in [
            (&mut self.labels.conversation, other.labels.conversation),
            (&mut self.labels.session, other.labels.session),
            (&mut self.labels.user, other.labels.user),
            (&mut self.labels.task, other.labels.task),
            (&mut self.labels.feature, other.labels.feature),
        ] {
            *own = own.take().or(its);
        }
        if let Some(turn) = other.turn {
            self.take_over_turn(*turn, &places);
        }
        (self.closed, self.lost) = (false, false);
    }

    /// Fills in a node that was not known here; whether it was not.
    pub fn take_over(&mut self, at: NodeIx, node: Node) -> bool {
        if self.node(at).state != State::Expected || node.state == State::Expected {
            let known = self.node_mut(at);
            (known.told.start, known.told.end) = (known.told.start | node.told.start, known.told.end | node.told.end);
            (known.settled, known.counted) = (known.settled | node.settled, known.counted | node.counted);
            known.billed |= node.billed;
            return node.state == State::Expected && known.parent.is_none();
        }
        let (state, waits_for) = (node.state, self.node(at).clone());
        *self.node_mut(at) = Node {
            parent: waits_for.parent,
            first_child: waits_for.first_child,
            next_sibling: waits_for.next_sibling,
            previous_sibling: waits_for.previous_sibling,
            below: waits_for.below,
            shared_id: None,
            state: State::Expected,
            ..node
        };
        match state {
            State::Open { .. } => self.open_up(at),
            state => self.advance(at, state),
        }
        true
    }

    /// A run of one trace is called by that, one of several by the prompt that they are of.
    pub fn call_by_the_best_name(&mut self) {
        let has_several_traces = || self.aliases.iter().filter_map(RunKey::trace_id).nth(1).is_some();
        let is_new_trace = self.aliases.last().is_some_and(|alias| alias.trace_id().is_some());
        if self.key.trace_id().is_none() && is_new_trace && has_several_traces() {
            // One trace more changes nothing, and there may be thousands.
            return;
        }
        let traces = [&self.key].into_iter().chain(&self.aliases).filter_map(RunKey::trace_id).min();
        let several = [&self.key].into_iter().chain(&self.aliases).filter_map(RunKey::trace_id).nth(1).is_some();
        let names = || [&self.key].into_iter().chain(&self.aliases).filter(|key| key.trace_id().is_none());
        let best = match (traces.filter(|_| !several), names().min_by_key(|key| key.id())) {
            (Some(trace), _) => RunKey::Trace(trace),
            (None, Some(name)) => name.clone(),
            (None, None) => return,
        };
        if best == self.key {
            return;
        }
        if let Some(trace) = self.key.trace_id() {
            let of_trace = (0..self.nodes.len() as NodeIx).filter(|at| self.node(*at).has_span);
            for at in of_trace.collect::<Vec<_>>() {
                self.other_traces.entry(at).or_insert(trace);
            }
        }
        let before = std::mem::replace(&mut self.key, best.clone());
        self.aliases.retain(|alias| *alias != best);
        self.aliases.push(before);
    }

    /// Of which trace a node is.
    pub fn trace_of(&self, at: NodeIx) -> Option<TraceId> {
        self.other_traces.get(&at).copied().or_else(|| self.key.trace_id())
    }

    /// Says of which trace a node is, where that is not the one that the run is called by.
    pub fn say_trace(&mut self, at: NodeIx, trace: TraceId) {
        if self.key != RunKey::Trace(trace) {
            self.other_traces.insert(at, trace);
        }
    }
}
