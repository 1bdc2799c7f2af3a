//! When runs of agents waited for people, by the spans of permission prompts within them.
//!
//! Whoever runs a part of the work waits with it: a wait is that of every run of an agent above it.

use super::node::NodeIx;
use super::run::Run;
use super::settle::{Fact, FactKind};
use crate::event::{Event, Timestamp};

/// A time of waiting within a run, and the runs of agents that were counted without it.
#[derive(Debug)]
pub struct HumanWait {
    pub at: NodeIx,
    pub counted_in: Vec<NodeIx>,
}

/// When people were asked last, and when they answered last.
#[derive(Clone, Copy, Debug, Default)]
pub struct People {
    asked: Option<Timestamp>,
    answered: Option<Timestamp>,
}

impl Run {
    /// Whether people are asked and have not answered: until then nothing need be heard of it.
    pub fn waits_for_people(&self) -> bool {
        self.people.asked > self.people.answered
    }

    /// An event may say that people were asked, or that they answered.
    pub fn hear_of_people(&mut self, event: &Event) {
        match event.name.as_str() {
            "hitl.escalated" => self.people.asked = self.people.asked.max(Some(event.timestamp)),
            "hitl.resolved" => self.people.answered = self.people.answered.max(Some(event.timestamp)),
            _ => {}
        }
    }

    /// Of a run with more prompts than that, the rest counts as work.
    const MOST_WAITS: usize = 1024;

    /// A span is about somebody's answer.
    pub fn may_have_waited(&mut self, at: NodeIx) {
        let is_known = self.waits.iter().any(|wait| wait.at == at);
        if !is_known && self.waits.len() < Run::MOST_WAITS {
            self.waits.push(HumanWait { at, counted_in: Vec::new() });
        }
    }

    /// The times of waiting below a run of an agent that is about to be counted.
    pub fn waits_within(&mut self, agent_run: NodeIx) -> Vec<(Timestamp, Timestamp)> {
        let mut waits = std::mem::take(&mut self.waits);
        let mut times = Vec::new();
        for wait in &mut waits {
            if self.node(wait.at).answer().is_some() && self.above(wait.at).any(|above| above == agent_run) {
                wait.counted_in.push(agent_run);
                times.push(self.time_of(wait.at));
            }
        }
        self.waits = waits;
        times
    }

    /// A time of waiting that has become known after runs above it were counted: what of each was no work either.
    pub fn settle_wait(&mut self, at: NodeIx, out: &mut Vec<Fact>) {
        let Some(place) = self.waits.iter().position(|wait| wait.at == at) else { return };
        let counted: Vec<NodeIx> = {
            let is_late = |above: &NodeIx| {
                let node = self.node(*above);
                node.is_agent_run() && node.counted && !self.waits[place].counted_in.contains(above)
            };
            self.above(at).filter(is_late).collect()
        };
        for agent_run in counted {
            let known = self.waits.iter().filter(|wait| wait.counted_in.contains(&agent_run));
            let known: Vec<_> = known.map(|wait| self.time_of(wait.at)).collect();
            for (start, end) in without(self.time_of(at), &known) {
                let fact = self.fact(agent_run, FactKind::Waited);
                let (start, end) = (start.max(fact.start), end.min(fact.end));
                if start < end {
                    out.push(Fact { start, end, ..fact });
                }
            }
            self.waits[place].counted_in.push(agent_run);
        }
    }

    fn time_of(&self, at: NodeIx) -> (Timestamp, Timestamp) {
        (self.node(at).start, self.node(at).end)
    }
}

/// What is left of a time without others, in order.
pub fn without((from, to): (Timestamp, Timestamp), others: &[(Timestamp, Timestamp)]) -> Vec<(Timestamp, Timestamp)> {
    let mut left = vec![(from, to)];
    for (start, end) in others.iter().copied().filter(|(start, end)| start < end) {
        let cut = |(from, to): (Timestamp, Timestamp)| [(from, to.min(start)), (from.max(end), to)];
        left = left.into_iter().flat_map(cut).filter(|(from, to)| from < to).collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_left_is_what_no_other_holds(others in proptest::collection::vec((0i64..60, 0i64..60), 0..6)) {
            let expected: Vec<i64> =
                (10..50).filter(|at| !others.iter().any(|(from, to)| from <= at && at < to)).collect();
            let time = |(from, to)| (Timestamp::from_micros(from), Timestamp::from_micros(to));
            let others: Vec<_> = others.into_iter().map(time).collect();
            let left = without(time((10, 50)), &others);
            let left: Vec<i64> = left.iter().flat_map(|(from, to)| from.as_micros()..to.as_micros()).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
