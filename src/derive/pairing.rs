//! Calls that a span and a log record both tell of: one call, with what each of them knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::held::Held;
use super::node::{Node, NodeIx, Outcome};
use super::run::Run;
use crate::event::{Scope, Timestamp};

/// A call that only one side has told of so far.
#[derive(Clone, Copy, Debug)]
pub struct Unpaired {
    pub at: NodeIx,
    /// What is made of its id, if it has one.
    pub id: Option<u64>,
    /// Whether nothing but its time says of which prompt it is.
    pub by_time: bool,
    end: Timestamp,
}

/// The calls that one side has told of and the other has not, found by their ends and by their ids: one side may be far
/// behind the other.
#[derive(Debug, Default)]
pub struct Halves {
    by_end: BTreeMap<(Timestamp, NodeIx), Unpaired>,
    by_id: BTreeSet<(u64, Timestamp, NodeIx)>,
}

impl Halves {
    /// So many calls are looked through on each side of a time for the one that is the same.
    const MOST_LOOKED_AT: usize = 128;

    fn insert(&mut self, half: Unpaired) {
        self.by_end.insert((half.end, half.at), half);
        self.by_id.extend(half.id.map(|id| (id, half.end, half.at)));
    }

    fn remove(&mut self, half: &Unpaired) {
        self.by_end.remove(&(half.end, half.at));
        if let Some(id) = half.id {
            self.by_id.remove(&(id, half.end, half.at));
        }
    }

    /// Those that have the same id, the nearest in time among them.
    fn of_id(&self, id: u64, end: Timestamp) -> impl Iterator<Item = Unpaired> + '_ {
        let before = self.by_id.range(..(id, end, 0)).rev().take_while(move |(other, ..)| *other == id);
        let after = self.by_id.range((id, end, 0)..).take_while(move |(other, ..)| *other == id);
        let places = before.take(Halves::MOST_LOOKED_AT).chain(after.take(Halves::MOST_LOOKED_AT));
        places.filter_map(|(_, end, at)| self.by_end.get(&(*end, *at)).copied())
    }

    /// Those that ended about then.
    fn about(&self, end: Timestamp) -> impl Iterator<Item = Unpaired> + '_ {
        let apart = Duration::from_micros(Run::APART);
        let before = self.by_end.range((end.minus(apart), 0)..(end, 0)).rev();
        let after = self.by_end.range((end, 0)..=(end.plus(apart), NodeIx::MAX));
        before.take(Halves::MOST_LOOKED_AT).chain(after.take(Halves::MOST_LOOKED_AT)).map(|(_, half)| *half)
    }
}

impl IntoIterator for Halves {
    type Item = Unpaired;
    type IntoIter = std::collections::btree_map::IntoValues<(Timestamp, NodeIx), Unpaired>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_end.into_values()
    }
}

impl Run {
    /// So far apart at most are the ends that a span and a log record give for one call, in microseconds.
    const APART: u64 = 10_000_000;

    /// Finds the other half of a call that was told by a log record, or by a span, and makes one of both.
    pub fn pair(&mut self, at: NodeIx, id: Option<u64>, by_log: bool, log_names_tools: bool) {
        let probe = Unpaired { at, id, by_time: false, end: self.node(at).end };
        let found = self.turn.as_ref().and_then(|turn| {
            let others = if by_log { &turn.by_span } else { &turn.by_log };
            let same_id = id.into_iter().flat_map(|id| others.of_id(id, probe.end));
            let rank = |other: Unpaired| Some((self.distance(probe, other)?, other.end, other.at, other));
            let fitting = same_id.chain(others.about(probe.end)).filter_map(rank);
            fitting.min_by_key(|(distance, end, at, _)| (*distance, *end, *at)).map(|(.., other)| other)
        });
        let turn = self.turn_mut();
        match (found, by_log) {
            (Some(other), true) => {
                turn.by_span.remove(&other);
                self.unite(at, other.at, log_names_tools);
            }
            (Some(other), false) => {
                turn.by_log.remove(&other);
                self.unite(other.at, at, log_names_tools);
            }
            (None, true) => turn.by_log.insert(probe),
            (None, false) => turn.by_span.insert(probe),
        }
    }

    /// Nothing but its time says of which prompt a call is that a log record told.
    pub fn is_placed_by_time(&mut self, at: NodeIx) {
        let end = self.node(at).end;
        if let Some(half) = self.turn_mut().by_log.by_end.get_mut(&(end, at)) {
            half.by_time = true;
        }
    }

    /// Gives up the calls that are here because of their time, and are of another prompt by that.
    pub fn give_up_placed(&mut self, from: Timestamp, until: Option<Timestamp>) -> Vec<(Node, Option<u64>)> {
        let Some(turn) = &mut self.turn else { return Vec::new() };
        let later = turn.by_log.by_end.range((from, 0)..).map(|(_, half)| *half);
        let in_time = later.take_while(|half| until.is_none_or(|until| half.end < until));
        let given_up: Vec<Unpaired> = in_time.filter(|half| half.by_time).collect();
        given_up.iter().for_each(|half| turn.by_log.remove(half));
        let nodes = given_up.into_iter().map(|half| {
            let node = self.node(half.at).clone();
            self.erase(half.at);
            (node, half.id)
        });
        nodes.collect()
    }

    /// Takes calls that another run gave up.
    pub fn take_placed(&mut self, placed: Vec<(Node, Option<u64>)>, now: Timestamp) {
        for (node, id) in placed {
            let at = self.find_or_expect(node.id);
            let (settled, told) = (node.settled, node.told.end);
            self.take_over(at, Node { parent: None, first_child: None, ..node });
            self.has_meaning = true;
            self.hang(at);
            self.spread(at);
            if !settled {
                self.unsettled.push((now, at));
            }
            if !told {
                let held = Held::of_run(self, at, now);
                self.held.push(held);
            }
            self.pair(at, id, true, true);
            self.is_placed_by_time(at);
        }
    }

    /// How far apart two halves are, if they may be of one call: first those that have the same id.
    fn distance(&self, a: Unpaired, b: Unpaired) -> Option<(bool, u64)> {
        let (one, other) = (self.node(a.at), self.node(b.at));
        if one.scope()? != other.scope()? {
            return None;
        }
        match (a.id, b.id) {
            (Some(same), Some(other)) if same != other => return None,
            _ => {}
        }
        let apart = one.end.micros_since(other.end).max(other.end.micros_since(one.end));
        if a.id.is_some() && a.id == b.id {
            return Some((false, apart));
        }
        if apart > Run::APART {
            return None;
        }
        let fits = if one.scope() == Some(Scope::Tool) { one.name == other.name } else { self.may_be_one_call(a, b) };
        fits.then_some((true, apart))
    }

    /// Both failed or neither did, and their tokens do not contradict one another. Some count the reasoning and some do
    /// not.
    fn may_be_one_call(&self, a: Unpaired, b: Unpaired) -> bool {
        let (one, other) = (self.node(a.at), self.node(b.at));
        if (one.outcome == Outcome::Failed) != (other.outcome == Outcome::Failed) {
            return false;
        }
        let (Some(one), Some(other)) = (one.call.as_deref(), other.call.as_deref()) else { return true };
        let (one, other) = (one.usage, other.usage);
        let same = |a: Option<u64>, b: Option<u64>| a.is_none() || b.is_none() || a == b;
        let reasoning = one.reasoning.unwrap_or(0).abs_diff(other.reasoning.unwrap_or(0));
        let outputs = one.output.zip(other.output).map_or(0, |(a, b)| a.abs_diff(b));
        same(one.input, other.input) && (outputs == 0 || outputs == reasoning)
    }

    /// The span's node gets what the log record knows, and stands for both.
    fn unite(&mut self, log: NodeIx, span: NodeIx, log_names_tools: bool) {
        let mut of_log = self.node(log).clone();
        self.erase(log);
        let node = self.node_mut(span);
        (node.told.start, node.told.end) = (node.told.start | of_log.told.start, node.told.end | of_log.told.end);
        (node.settled, node.billed) = (node.settled | of_log.settled, node.billed | of_log.billed);
        node.counted |= of_log.counted;
        if node.outcome == Outcome::Completed {
            (node.outcome, node.error) = (of_log.outcome, of_log.error.take());
        } else {
            node.error = node.error.take().or(of_log.error.take());
        }
        node.aside = node.aside.take().or(of_log.aside.take());
        node.agent = of_log.agent.take().or(node.agent.take());
        node.provider = node.provider.take().or(of_log.provider.take());
        if node.name.is_none() || (log_names_tools && of_log.name.is_some()) {
            node.name = of_log.name.take();
        }
        if let Some(told) = of_log.call.take() {
            if told.model_answered || node.model.is_none() {
                node.model = of_log.model.take().or(node.model.take());
            }
            match node.call.as_deref_mut() {
                // A record says more than a span: what caches took for how long, thoughts, and the cost.
                Some(call) => {
                    if told.usage.is_known() {
                        call.usage = told.usage;
                        call.price = told.price;
                    }
                    call.model_answered |= told.model_answered;
                    call.ttft_s = call.ttft_s.or(told.ttft_s);
                    call.error_type = call.error_type.take().or(told.error_type);
                }
                None => node.call = Some(told),
            }
        }
        if self.node(log).parent == Some(span) {
            let below = self.children(span).filter(|child| *child != log);
            let below =
                below.fold(super::node::Below::default(), |below, at| below.or(self.node(at).below_inclusive()));
            self.node_mut(span).below = below;
        }
        self.spread(span);
    }
}
