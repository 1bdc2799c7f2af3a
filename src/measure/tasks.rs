//! Tasks: how long they take from queue to completion, what they cost, and how often they are tried.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::derive::Name;
use crate::event::Timestamp;

/// The tasks that are under way or ended lately.
#[derive(Debug, Default)]
pub struct Tasks {
    by_id: HashMap<Name, Task, RandomState>,
    by_age: VecDeque<Name>,
}

/// One task.
#[derive(Clone, Debug, Default)]
pub struct Task {
    queued_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    cost_usd: Option<f64>,
    /// Runs by agent: the most that one agent needed is the number of attempts.
    runs: HashMap<Name, u64, RandomState>,
    feature: Option<Name>,
    /// How it ended, if it has.
    ended: Option<End>,
}

/// The end of a task, as it was counted.
#[derive(Clone, Debug)]
struct End {
    at: Timestamp,
    /// Completed, not escalated.
    completed: bool,
    attempts: Option<u64>,
    /// Whether somebody said how many attempts there were.
    is_said: bool,
}

/// What is known of a task that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedTask {
    /// What it was for.
    pub feature: Option<Name>,
    /// From queue, else from its first start, to its end.
    pub seconds: Option<f64>,
    /// What it cost, as far as prices are known.
    pub cost_usd: Option<f64>,
    /// How often it was tried.
    pub attempts: Option<u64>,
}

/// Attempts at a task that has ended, which became known when it had been counted.
#[derive(Clone, Debug, PartialEq)]
pub struct LateAttempts {
    /// What the task was for.
    pub feature: Option<Name>,
    /// When it ended.
    pub at: Timestamp,
    /// Whether none was known before.
    pub are_first: bool,
    /// How many retries more there were.
    pub retries: u64,
}

impl Tasks {
    const MOST: usize = 10_000;

    /// The task entered the queue.
    pub fn queued(&mut self, id: &Name, feature: Option<&Name>, at: Timestamp) {
        let task = self.task(id, feature);
        task.queued_at = Some(task.queued_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// An agent worked on it. Agents are counted a while after they ran, and events of the end at once: what became
    /// known too late is given back.
    pub fn ran(
        &mut self,
        id: &Name,
        feature: Option<&Name>,
        agent: Option<&Name>,
        start: Timestamp,
    ) -> Option<LateAttempts> {
        let task = self.task(id, feature);
        task.started_at = Some(task.started_at.map_or(start, |earlier| earlier.min(start)));
        *task.runs.entry(agent.cloned().unwrap_or_default()).or_default() += 1;
        let attempts = task.attempts();
        let end = task.ended.as_mut().filter(|end| !end.is_said && start <= end.at && end.attempts != attempts)?;
        let counted = std::mem::replace(&mut end.attempts, attempts);
        Some(LateAttempts {
            feature: task.feature.clone(),
            at: end.at,
            are_first: counted.is_none(),
            retries: attempts?.saturating_sub(counted.unwrap_or(1)),
        })
    }

    /// A run of it is over, and cost this much. For one that was completed before: its feature and when, because its
    /// cost was counted without this.
    pub fn worked(
        &mut self,
        id: &Name,
        feature: Option<&Name>,
        start: Timestamp,
        usd: Option<f64>,
    ) -> Option<(Option<Name>, Timestamp)> {
        let task = self.task(id, feature);
        task.started_at = Some(task.started_at.map_or(start, |earlier| earlier.min(start)));
        task.cost_usd = usd.map(|usd| task.cost_usd.unwrap_or(0.0) + usd).or(task.cost_usd);
        task.ended.as_ref().filter(|end| end.completed).map(|end| (task.feature.clone(), end.at))
    }

    /// The task was completed; nothing if it had ended already.
    pub fn complete(&mut self, id: &Name, feature: Option<&Name>, at: Timestamp) -> Option<EndedTask> {
        self.end(id, feature, End { at, completed: true, attempts: None, is_said: false })
    }

    /// People have to go on with the task, after so many attempts if somebody counted them; nothing if it had ended
    /// already.
    pub fn escalate(
        &mut self,
        id: &Name,
        feature: Option<&Name>,
        at: Timestamp,
        attempts: Option<u64>,
    ) -> Option<EndedTask> {
        self.end(id, feature, End { at, completed: false, attempts, is_said: attempts.is_some() })
    }

    fn end(&mut self, id: &Name, feature: Option<&Name>, mut end: End) -> Option<EndedTask> {
        let task = self.task(id, feature);
        if task.ended.is_some() {
            return None;
        }
        end.attempts = end.attempts.or(task.attempts());
        let began = task.queued_at.or(task.started_at);
        let ended = EndedTask {
            feature: task.feature.clone(),
            seconds: began.map(|began| end.at.micros_since(began) as f64 / 1e6),
            cost_usd: task.cost_usd,
            attempts: end.attempts,
        };
        task.ended = Some(end);
        Some(ended)
    }

    fn task(&mut self, id: &Name, feature: Option<&Name>) -> &mut Task {
        if !self.by_id.contains_key(id) {
            if self.by_age.len() >= Tasks::MOST
                && let Some(oldest) = self.by_age.pop_front()
            {
                self.by_id.remove(&oldest);
            }
            self.by_age.push_back(id.clone());
        }
        let task = self.by_id.entry(id.clone()).or_default();
        if task.feature.is_none() {
            task.feature = feature.cloned();
        }
        task
    }
}

impl Task {
    fn attempts(&self) -> Option<u64> {
        self.runs.values().copied().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_counts_from_the_queue_and_ends_once() {
        let mut tasks = Tasks::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let (id, feature, scribe) = ("t_1".into(), "login".into(), "scribe".into());
        tasks.ran(&id, None, Some(&scribe), at(12));
        tasks.queued(&id, Some(&feature), at(10));
        tasks.ran(&id, None, Some(&scribe), at(20));
        tasks.ran(&id, None, Some(&"critic".into()), at(25));
        assert_eq!(tasks.worked(&id, None, at(12), Some(0.5)), None);
        let ended = tasks.complete(&id, None, at(40)).unwrap();
        assert_eq!(tasks.worked(&id, None, at(30), Some(0.1)), Some((Some("login".into()), at(40))));
        let expected =
            EndedTask { feature: Some(feature), seconds: Some(30.0), cost_usd: Some(0.5), attempts: Some(2) };
        assert_eq!(ended, expected);
        assert_eq!(tasks.complete(&id, None, at(41)), None);
    }

    #[test]
    fn what_a_task_costs_after_it_was_escalated_is_no_cost_of_a_completed_one() {
        let mut tasks = Tasks::default();
        let (id, at) = ("t_1".into(), Timestamp::from_micros(1));
        assert_eq!(tasks.escalate(&id, None, at, None).map(|ended| ended.cost_usd), Some(None));
        assert_eq!(tasks.worked(&id, None, at, Some(0.5)), None);
    }

    #[test]
    fn attempts_that_become_known_after_the_end_are_given_back_once() {
        let mut tasks = Tasks::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let (id, scribe) = ("t_1".into(), Some("scribe".into()));
        assert_eq!(tasks.complete(&id, None, at(40)).and_then(|ended| ended.attempts), None);
        let late = |are_first, retries| Some(LateAttempts { feature: None, at: at(40), are_first, retries });
        assert_eq!(tasks.ran(&id, None, scribe.as_ref(), at(10)), late(true, 0));
        assert_eq!(tasks.ran(&id, None, Some(&"critic".into()), at(12)), None);
        assert_eq!(tasks.ran(&id, None, scribe.as_ref(), at(20)), late(false, 1));
        assert_eq!(tasks.ran(&id, None, scribe.as_ref(), at(41)), None, "that is after the end");
        let said = "t_2".into();
        assert_eq!(tasks.escalate(&said, None, at(40), Some(3)).and_then(|ended| ended.attempts), Some(3));
        assert_eq!(tasks.ran(&said, None, scribe.as_ref(), at(10)), None);
    }
}
