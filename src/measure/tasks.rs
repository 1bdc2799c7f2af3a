//! The tasks that are under way or ended lately, and those of them that wait for people.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::task::{Recount, Standing, Task};
use crate::derive::Name;
use crate::event::{Event, Timestamp};

/// Tasks by their ids. Bounded: when there is no room, the one that was heard of first is forgotten.
#[derive(Debug, Default)]
pub struct Tasks {
    by_id: HashMap<Name, Task, RandomState>,
    by_age: VecDeque<Name>,
    /// Those that something is to enter histograms of, by when that may be.
    settling: BTreeSet<(Timestamp, Name)>,
    /// Those that wait for people.
    open: HashMap<Name, Open, RandomState>,
}

/// A task that waits for people.
#[derive(Debug)]
pub struct Open {
    pub since: Timestamp,
    pub agent: Option<Name>,
    pub feature: Option<Name>,
    /// The escalation without its payload, if it may time out.
    escalation: Option<Box<Event>>,
}

/// What has changed with a task.
#[derive(Debug, Default)]
pub struct Changed {
    pub before: Standing,
    pub now: Standing,
    pub runs: Vec<Recount>,
}

impl Tasks {
    const MOST: usize = 10_000;
    /// How long nothing is heard of a task before it enters histograms, which forget nothing.
    const QUIET: Duration = Duration::from_secs(5);
    /// The same of one that only a run of it says to be done: a critic may still reject it, and others may go on.
    const QUIET_IF_UNSURE: Duration = Duration::from_secs(60);

    /// Writes down something about a task, and says what has changed with that. Of a task that was forgotten for this one
    /// nothing is lost but what is still to come: it is given back.
    pub fn change(&mut self, id: &Name, now: Timestamp, change: impl FnOnce(&mut Task)) -> (Changed, Option<Task>) {
        let forgotten = self.make_room(id);
        let task = self.by_id.entry(id.clone()).or_default();
        let before = task.standing();
        change(task);
        let after = task.standing();
        let runs = task.recount(&after.waits);
        task.settling.heard_at = now;
        if after != before && !std::mem::replace(&mut task.settling.is_queued, true) {
            self.settling.insert((now.plus(Tasks::QUIET), id.clone()));
        }
        if after.waits != before.waits || after.feature != before.feature {
            self.note_open(id, &after);
        }
        (Changed { before, now: after, runs }, forgotten)
    }

    fn make_room(&mut self, id: &Name) -> Option<Task> {
        if self.by_id.contains_key(id) {
            return None;
        }
        self.by_age.push_back(id.clone());
        let oldest = (self.by_age.len() > Tasks::MOST).then(|| self.by_age.pop_front()).flatten()?;
        self.open.remove(&oldest);
        self.by_id.remove(&oldest)
    }

    fn note_open(&mut self, id: &Name, standing: &Standing) {
        match standing.waits.last().filter(|wait| wait.end.is_none()) {
            Some(wait) => {
                let (since, agent, feature) = (wait.from, wait.agent.clone(), standing.feature.clone());
                let escalation = self.open.remove(id).and_then(|known| known.escalation);
                self.open.insert(id.clone(), Open { since, agent, feature, escalation });
            }
            None => drop(self.open.remove(id)),
        }
    }

    /// Keeps the escalation of a task that waits, should it time out.
    pub fn may_time_out(&mut self, id: &Name, escalation: &Event) {
        if let Some(open) = self.open.get_mut(id)
            && open.since == escalation.timestamp
        {
            let mut escalation = escalation.clone();
            escalation.data = crate::event::Data::default();
            open.escalation = Some(Box::new(escalation));
        }
    }

    /// The escalations that nobody has answered since a time; each is given out once.
    pub fn timed_out(&mut self, since: Timestamp) -> Vec<Event> {
        let overdue = self.open.values_mut().filter(|open| open.since <= since);
        overdue.filter_map(|open| open.escalation.take().map(|event| *event)).collect()
    }

    /// The tasks that wait for people.
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// The tasks of which nothing was heard for a while, or all if nothing more is to come: what of them is to enter
    /// histograms.
    pub fn settle(&mut self, now: Option<Timestamp>) -> Vec<(Standing, super::task::Settling)> {
        let mut settled = Vec::new();
        while let Some((due, _)) = self.settling.first()
            && now.is_none_or(|now| *due <= now)
            && let Some((_, id)) = self.settling.pop_first()
        {
            let Some(task) = self.by_id.get_mut(&id) else { continue };
            let is_unsure = task.standing().end.is_some_and(|end| !end.is_sure);
            let quiet = if is_unsure { Tasks::QUIET_IF_UNSURE } else { Tasks::QUIET };
            let due = task.settling.heard_at.plus(quiet);
            if now.is_some_and(|now| due > now) {
                self.settling.insert((due, id));
                continue;
            }
            settled.push(task.settle());
        }
        settled
    }
}

impl Task {
    /// How it stands, and what of that entered histograms before; all of it has now.
    pub fn settle(&mut self) -> (Standing, super::task::Settling) {
        let standing = self.standing();
        let before = self.settling.clone();
        self.settling.is_queued = false;
        if let Some(end) = &standing.end {
            self.settling.completed |= end.completed;
            self.settling.escalated |= !end.completed;
        }
        self.settling.waits = standing.waits.iter().filter(|wait| wait.end.is_some()).count().max(before.waits);
        (standing, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::waits::{Escalation, Resolution};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn tasks_are_bounded_and_what_is_forgotten_is_given_back() {
        let mut tasks = Tasks::default();
        let escalated =
            |time: i64| move |task: &mut Task| task.waits.escalated(Escalation { at: at(time), agent: None });
        for task in 0..25_000 {
            let (_, forgotten) = tasks.change(&task.to_string().into(), at(task), escalated(task));
            assert_eq!(forgotten.is_some(), task >= Tasks::MOST as i64);
        }
        assert_eq!((tasks.by_id.len(), tasks.open.len()), (Tasks::MOST, Tasks::MOST));
        let resolved = |task: &mut Task| {
            task.waits.resolved(Resolution { at: at(25_000), decision: "approved".into(), seconds: None });
        };
        let (changed, _) = tasks.change(&"24999".into(), at(25_000), resolved);
        assert_eq!(changed.now.waits[0].seconds(), Some(1.0));
        assert_eq!(tasks.open.len(), Tasks::MOST - 1);
        assert_eq!(tasks.settle(None).len(), Tasks::MOST);
        assert_eq!(tasks.settle(None).len(), 0);
    }

    #[test]
    fn a_task_settles_when_nothing_was_heard_of_it_for_a_while() {
        let mut tasks = Tasks::default();
        let id: Name = "t".into();
        tasks.change(&id, at(0), |task| task.waits.escalated(Escalation { at: at(0), agent: None }));
        tasks.change(&id, at(4), |task| task.tried(3, at(0)));
        assert!(tasks.settle(Some(at(6))).is_empty());
        assert_eq!(tasks.settle(Some(at(9))).len(), 1);
        tasks.change(&id, at(20), |task| task.queued(at(0)));
        assert!(tasks.settle(Some(at(30)))[0].1.escalated, "that is known");
    }
}
