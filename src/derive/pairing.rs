//! Calls that a span and a log record both tell of: one call, with what each of them knows.

use super::emit::Held;
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
}

impl Run {
    /// So far apart at most are the ends that a span and a log record give for one call, in microseconds.
    const APART: u64 = 10_000_000;
    /// So many calls are looked through for the one that is the same.
    const MOST_LOOKED_AT: usize = 256;

    /// Finds the other half of a call that was told by a log record, or by a span, and makes one of both.
    pub fn pair(&mut self, at: NodeIx, id: Option<u64>, by_log: bool, log_names_tools: bool) {
        let turn = self.turn_mut();
        let others = std::mem::take(if by_log { &mut turn.by_span } else { &mut turn.by_log });
        let probe = Unpaired { at, id, by_time: false };
        let latest = others.len().saturating_sub(Run::MOST_LOOKED_AT);
        let fitting = others.iter().enumerate().skip(latest).filter_map(|(place, other)| {
            let distance = self.distance(probe, *other)?;
            Some((distance, place))
        });
        let found = fitting.min().map(|(_, place)| place);
        let mut others = others;
        let other = found.map(|place| others.remove(place));
        let turn = self.turn_mut();
        *(if by_log { &mut turn.by_span } else { &mut turn.by_log }) = others;
        match other {
            Some(other) if by_log => self.unite(at, other.at, log_names_tools),
            Some(other) => self.unite(other.at, at, log_names_tools),
            None => (if by_log { &mut turn.by_log } else { &mut turn.by_span }).push(probe),
        }
    }

    /// Nothing but its time says of which prompt a call is that a log record told.
    pub fn is_placed_by_time(&mut self, at: NodeIx) {
        if let Some(half) = self.turn_mut().by_log.iter_mut().find(|half| half.at == at) {
            half.by_time = true;
        }
    }

    /// Gives up the calls that are here because of their time, and are of another prompt by that.
    pub fn give_up_placed(&mut self, from: Timestamp, until: Option<Timestamp>) -> Vec<(Node, Option<u64>)> {
        let mut by_log = std::mem::take(&mut self.turn_mut().by_log);
        let is_of_it = |half: &mut Unpaired| {
            let end = self.node(half.at).end;
            half.by_time && end >= from && until.is_none_or(|until| end < until)
        };
        let given_up: Vec<Unpaired> = by_log.extract_if(.., is_of_it).collect();
        self.turn_mut().by_log = by_log;
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

    /// How far apart two halves are, if they may be of one call.
    fn distance(&self, a: Unpaired, b: Unpaired) -> Option<u64> {
        let (one, other) = (self.node(a.at), self.node(b.at));
        if one.scope()? != other.scope()? {
            return None;
        }
        match (a.id, b.id) {
            (Some(a), Some(b)) if a == b => return Some(0),
            (Some(_), Some(_)) => return None,
            _ => {}
        }
        let apart = one.end.micros_since(other.end).max(other.end.micros_since(one.end));
        if apart > Run::APART {
            return None;
        }
        let fits = if one.scope() == Some(Scope::Tool) { one.name == other.name } else { self.may_be_one_call(a, b) };
        fits.then_some(apart + 1)
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
