//! When each agent was at work.

use std::collections::HashMap;
use std::sync::PoisonError;

use foldhash::fast::RandomState;

use super::Measure;
use super::buckets::Pieces;
use super::intervals::Intervals;
use crate::derive::Name;
use crate::event::Timestamp;

/// The times of all agents. There are as many agents as emitters say there are, so they are bounded; without the times
/// of the others nobody knows which of theirs overlap, so they are left out.
#[derive(Debug, Default)]
pub struct Activity {
    agents: HashMap<Name, Agent, RandomState>,
    /// Steps of all agents together.
    steps: usize,
    /// Runs of agents for which there was no room.
    pub overflowed: u64,
}

#[derive(Debug, Default)]
struct Agent {
    busy: Intervals,
    /// Microseconds of work, and how many of them have been counted.
    total: u64,
    counted: u64,
}

impl Activity {
    const MOST_AGENTS: usize = 10_000;
    /// Steps of all agents, 8 MiB, above which each has few.
    const MOST_STEPS: usize = 500_000;
    const MANY: usize = 8192;
    const FEW: usize = 128;

    /// The agent was at work.
    pub fn add(&mut self, agent: &Name, (from, to): (Timestamp, Timestamp), now: Timestamp) {
        if self.agents.len() >= Activity::MOST_AGENTS && !self.agents.contains_key(agent) {
            self.overflowed += 1;
            return;
        }
        let state = self.agents.entry(agent.clone()).or_default();
        let before = state.busy.len();
        state.total += state.busy.add(from, to, now);
        let most = if self.steps < Activity::MOST_STEPS { Activity::MANY } else { Activity::FEW };
        state.busy.keep(most, now);
        self.steps = self.steps + state.busy.len() - before;
    }

    /// The agent was not at work after all: it waited.
    pub fn remove(&mut self, agent: &Name, (from, to): (Timestamp, Timestamp)) {
        let Some(state) = self.agents.get_mut(agent) else { return };
        let before = state.busy.len();
        state.total = state.total.saturating_sub(state.busy.remove(from, to));
        self.steps = self.steps + state.busy.len() - before;
    }

    /// The seconds of work that a counter does not know of. It cannot go down: what was too much is made up for by what
    /// is still to come.
    fn uncounted(&mut self, agent: &Name) -> Option<f64> {
        let state = self.agents.get_mut(agent)?;
        let uncounted = state.total.saturating_sub(state.counted);
        state.counted += uncounted;
        (uncounted > 0).then_some(uncounted as f64 / 1e6)
    }

    /// For how many microseconds of a window each agent was at work.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (&Name, u64)> {
        self.agents.iter().map(move |(agent, state)| (agent, state.busy.within(from, to)))
    }

    /// The same of one agent.
    pub fn of(&self, agent: &Name, from: Timestamp, to: Timestamp) -> u64 {
        self.agents.get(agent).map_or(0, |state| state.busy.within(from, to))
    }

    /// When any of them was first at work since a time.
    pub fn first(&self, since: Timestamp) -> Option<Timestamp> {
        self.agents.values().filter_map(|state| state.busy.first(since)).min()
    }

    /// Forgets agents that have been idle since a time.
    pub fn expire(&mut self, idle_since: Timestamp) {
        self.agents.retain(|_, state| state.busy.last().is_some_and(|last| last >= idle_since));
        self.steps = self.agents.values().map(|state| state.busy.len()).sum();
    }
}

impl Measure {
    /// An agent was at work at some times, and was not at others that were taken for work.
    pub(super) fn recount_work(
        &mut self,
        agent: &Name,
        before: &[(Timestamp, Timestamp)],
        now_known: &[(Timestamp, Timestamp)],
        now: Timestamp,
    ) {
        let times = || before.iter().chain(now_known);
        let all = (times().map(|time| time.0).min(), times().map(|time| time.1).max());
        let activity = &self.activity;
        let pieces = match (&self.windows.buckets, all) {
            (Some(_), (Some(from), Some(to))) => {
                Some(Pieces::of((from, to), now, |from, to| activity.of(agent, from, to)))
            }
            _ => None,
        };
        before.iter().for_each(|time| self.activity.remove(agent, *time));
        now_known.iter().for_each(|time| self.activity.add(agent, *time, now));
        if let (Some(buckets), Some(pieces)) = (&self.windows.buckets, pieces) {
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.busy(agent, &pieces, now, |from, to| self.activity.of(agent, from, to));
        }
        if let Some(seconds) = self.activity.uncounted(agent) {
            self.instruments.active_time.add([agent.into()], seconds, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn agents_are_bounded_and_those_that_rest_make_room() {
        let mut now = Timestamp::from_unix_seconds(1e9);
        let mut measure = Measure::new(now);
        let busy = |measure: &mut Measure, from: usize, now: Timestamp| {
            for agent in from..from + 12_000 {
                // One in two has a clock that is a year ahead, which must not keep it here for a year.
                let begin = now.plus(Duration::from_secs(agent as u64 % 2 * 31_536_000));
                let time = (begin, begin.plus(Duration::from_secs(1)));
                measure.recount_work(&agent.to_string().into(), &[], &[time], now);
            }
            measure.activity.agents.len()
        };
        assert_eq!(busy(&mut measure, 0, now), 10_000);
        assert_eq!(measure.left_out().overflowed, 2000);
        now = now.plus(Duration::from_secs(25 * 3600));
        measure.tick(now);
        assert!(measure.activity.agents.is_empty());
        assert_eq!(busy(&mut measure, 20_000, now), 10_000);
    }

    #[test]
    fn what_was_counted_too_much_is_made_up_for() {
        let mut activity = Activity::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let scribe: Name = "scribe".into();
        activity.add(&scribe, (at(0), at(10)), at(100));
        assert_eq!(activity.uncounted(&scribe), Some(10.0));
        activity.remove(&scribe, (at(2), at(8)));
        assert_eq!((activity.uncounted(&scribe), activity.of(&scribe, at(0), at(100))), (None, 4_000_000));
        activity.add(&scribe, (at(10), at(19)), at(100));
        assert_eq!(activity.uncounted(&scribe), Some(3.0));
    }
}
