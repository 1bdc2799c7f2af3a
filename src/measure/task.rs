//! One task: what is known of it, and what follows from that, in whatever order it became known.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::waits::{Wait, Waits};
use crate::derive::{Name, without};
use crate::event::{Resolution, SpanId, Timestamp, TraceId};

/// What is known of a task.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// What it is for, by the word of whoever spoke of it first.
    feature: Option<(Timestamp, Name)>,
    pub queued_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    cost_usd: Option<f64>,
    /// Runs by agent: the most that one agent needed is the number of attempts.
    attempts: HashMap<Name, u64, RandomState>,
    /// How many attempts the last escalation speaks of.
    said_attempts: Option<(Timestamp, u64)>,
    /// What speaks for its being done, and against it.
    signs: Vec<Sign>,
    pub waits: Waits,
    runs: Vec<AgentRun>,
    pub settling: Settling,
}

/// Something that speaks for or against a task's being done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A run of it ended, well or not.
    Run {
        /// When it began.
        start: Timestamp,
        /// When it ended.
        end: Timestamp,
        /// Whether it went well.
        well: bool,
    },
    /// Its result was looked at, and is good or not.
    Verdict {
        /// When.
        at: Timestamp,
        /// Whether it is good.
        good: bool,
    },
}

/// A run of an agent for it, and when in it the agent was at work.
#[derive(Clone, Debug)]
pub struct AgentRun {
    pub agent: Name,
    pub span: Option<(TraceId, SpanId)>,
    pub time: (Timestamp, Timestamp),
    /// When it waited for people, as its own spans tell.
    pub waited: Vec<(Timestamp, Timestamp)>,
    /// What was counted as work of it.
    pub counted: Vec<(Timestamp, Timestamp)>,
}

/// What follows from what is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// How it has ended, if it has.
    pub end: Option<End>,
    /// When it waited for people, and the feature that this is counted for.
    pub waits: Vec<Wait>,
    pub feature: Option<Name>,
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub at: Timestamp,
    /// Completed, and not given to people.
    pub completed: bool,
    /// Whether somebody has said so, and not only a run of it went well.
    pub is_sure: bool,
    /// From queue, else from its first start.
    pub seconds: Option<f64>,
    /// What it cost, as far as prices are known.
    pub cost_usd: Option<f64>,
    /// How often it was tried.
    pub attempts: Option<u64>,
}

/// What of a task has entered histograms, which forget nothing.
#[derive(Clone, Debug, Default)]
pub struct Settling {
    /// When something was heard of it.
    pub heard_at: Timestamp,
    pub is_queued: bool,
    pub completed: bool,
    pub escalated: bool,
    pub waits: usize,
}

impl Task {
    /// Of a task with more runs and verdicts than that, the first are forgotten.
    const MOST: usize = 64;

    /// What it is for.
    pub fn is_for(&mut self, feature: Option<&Name>, at: Timestamp) {
        let Some(feature) = feature else { return };
        let is_first = self.feature.as_ref().is_none_or(|(known, name)| (at, feature) < (*known, name));
        if is_first {
            self.feature = Some((at, feature.clone()));
        }
    }

    /// Work on it began.
    pub fn started(&mut self, at: Timestamp) {
        self.started_at = Some(self.started_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// It was queued.
    pub fn queued(&mut self, at: Timestamp) {
        self.queued_at = Some(self.queued_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// It cost more.
    pub fn cost(&mut self, usd: Option<f64>) {
        self.cost_usd = usd.map(|usd| self.cost_usd.unwrap_or(0.0) + usd).or(self.cost_usd);
    }

    /// An agent has worked on it.
    pub fn tried_by(&mut self, agent: Option<&Name>) {
        *self.attempts.entry(agent.cloned().unwrap_or_default()).or_default() += 1;
    }

    /// Somebody says how often it was tried.
    pub fn tried(&mut self, attempts: u64, at: Timestamp) {
        self.said_attempts = self.said_attempts.max(Some((at, attempts)));
    }

    /// Something speaks for or against its being done.
    pub fn sign(&mut self, sign: Sign) {
        let place = self.signs.partition_point(|known| known.place() <= sign.place());
        self.signs.insert(place, sign);
        if self.signs.len() > Task::MOST {
            self.signs.remove(0);
        }
    }

    /// Keeps a run of an agent, whose time may turn out to have been waiting.
    pub fn keep_run(&mut self, run: AgentRun) {
        if self.runs.len() >= Task::MOST {
            self.runs.remove(0);
        }
        self.runs.push(run);
    }

    /// A run of it waited for people, by the word of its own spans.
    pub fn run_waited(&mut self, span: Option<(TraceId, SpanId)>, time: (Timestamp, Timestamp)) -> bool {
        let run = self.runs.iter_mut().find(|run| run.span == span);
        run.map(|run| run.waited.push(time)).is_some()
    }

    /// The runs of agents of which other parts are work now than those that were counted: what was, and what is.
    pub fn recount(&mut self, waits: &[Wait]) -> Vec<Recount> {
        let mut changed = Vec::new();
        for run in &mut self.runs {
            let waited: Vec<_> = waits.iter().map(Wait::time).chain(run.waited.iter().copied()).collect();
            let work = without(run.time, &waited);
            if work != run.counted {
                let before = std::mem::replace(&mut run.counted, work.clone());
                changed.push(Recount { agent: run.agent.clone(), before, now: work });
            }
        }
        changed
    }

    /// What follows from what is known.
    pub fn standing(&self) -> Standing {
        let waits = self.waits.all();
        let feature = self.feature.as_ref().map(|(_, feature)| feature.clone());
        let completed = self.completed(&waits);
        let completed_at = completed.map(|sign| sign.place().0);
        let at = completed_at.or(self.waits.last_escalation());
        let end = at.map(|at| End {
            at,
            completed: completed_at.is_some(),
            is_sure: !matches!(completed, Some(Sign::Run { .. })),
            seconds: self.queued_at.or(self.started_at).map(|began| at.micros_since(began) as f64 / 1e6),
            cost_usd: self.cost_usd,
            attempts: self.attempts(completed_at.is_some()),
        });
        Standing { end, waits, feature }
    }

    /// What completed it: the last that speaks for it, unless something later speaks against it, or it went to people
    /// after that.
    fn completed(&self, waits: &[Wait]) -> Option<Sign> {
        let completes = |sign: &Sign| match *sign {
            Sign::Verdict { good, .. } => good,
            Sign::Run { start, end, well } => well && !ended_with_people(waits, start, end),
        };
        let last = self.signs.iter().rev().find(|sign| completes(sign) || sign.is_against())?;
        let is_given_up = self.waits.last_escalation().is_some_and(|escalated| escalated >= last.place().0);
        (!last.is_against() && !is_given_up).then_some(*last)
    }

    /// Who gives up knows how often it was tried; of what was completed in the end, that may be less than was seen.
    fn attempts(&self, completed: bool) -> Option<u64> {
        let seen = self.attempts.values().copied().max();
        let said = self.said_attempts.map(|(_, attempts)| attempts);
        if completed { seen.max(said) } else { said.or(seen) }
    }
}

/// Other parts of a run are work than those that were counted.
#[derive(Debug)]
pub struct Recount {
    pub agent: Name,
    pub before: Vec<(Timestamp, Timestamp)>,
    pub now: Vec<(Timestamp, Timestamp)>,
}

impl Sign {
    /// Its place among others. At one moment a run that went well goes before one that did not, and a no before both.
    fn place(&self) -> (Timestamp, u8) {
        match *self {
            Sign::Run { end, well: false, .. } => (end, 0),
            Sign::Run { end, well: true, .. } => (end, 1),
            Sign::Verdict { at, good: true } => (at, 1),
            Sign::Verdict { at, good: false } => (at, 2),
        }
    }

    fn is_against(&self) -> bool {
        matches!(self, Sign::Run { well: false, .. } | Sign::Verdict { good: false, .. })
    }
}

/// Whether a run ended well only in that it gave the task to people: nobody has answered, or not with a yes. One that
/// began after the answer is another attempt.
fn ended_with_people(waits: &[Wait], start: Timestamp, end: Timestamp) -> bool {
    let Some(last) = waits.iter().rev().find(|wait| wait.from <= end) else { return false };
    match last.end.as_ref().filter(|answer| answer.at <= end) {
        Some(answer) => answer.at >= start && *answer.decision != *Resolution::Approved.as_str(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::waits::{self, Escalation};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn run(start: i64, end: i64, well: bool) -> Sign {
        Sign::Run { start: at(start), end: at(end), well }
    }

    fn end(signs: &[Sign], escalated: &[i64], answers: &[(i64, &str)]) -> Option<(i64, bool)> {
        let mut task = Task::default();
        signs.iter().for_each(|sign| task.sign(*sign));
        escalated.iter().for_each(|time| task.waits.escalated(Escalation { at: at(*time), agent: None }));
        for (time, decision) in answers {
            task.waits.resolved(waits::Resolution { at: at(*time), decision: (*decision).into(), seconds: None });
        }
        task.standing().end.map(|end| (end.at.as_seconds(), end.completed))
    }

    #[test]
    fn a_task_is_completed_by_the_last_that_speaks_for_it() {
        let passed = Sign::Verdict { at: at(50), good: true };
        let failed = Sign::Verdict { at: at(50), good: false };
        assert_eq!(end(&[], &[], &[]), None);
        assert_eq!(end(&[run(0, 10, true), run(10, 20, true)], &[], &[]), Some((20, true)));
        assert_eq!(end(&[run(0, 10, true), passed], &[], &[]), Some((50, true)));
        assert_eq!(end(&[run(0, 10, true), failed], &[], &[]), None, "it is to be done again");
        assert_eq!(end(&[run(0, 10, true), run(10, 20, false)], &[], &[]), None);
        assert_eq!(end(&[run(0, 10, false), run(10, 20, true)], &[], &[]), Some((20, true)));
        assert_eq!(end(&[run(0, 50, true), failed], &[], &[]), None, "at one moment the no counts");
    }

    #[test]
    fn what_went_to_people_is_completed_with_their_yes_or_by_another_attempt() {
        assert_eq!(end(&[run(0, 10, true)], &[20], &[]), Some((20, false)));
        assert_eq!(end(&[run(0, 30, true)], &[20], &[]), Some((20, false)), "it ended with asking");
        assert_eq!(end(&[run(0, 30, true)], &[20], &[(25, "approved")]), Some((30, true)));
        assert_eq!(end(&[run(0, 30, true)], &[20], &[(25, "rejected")]), Some((20, false)));
        assert_eq!(end(&[run(0, 30, true)], &[20], &[(40, "approved")]), Some((20, false)));
        assert_eq!(end(&[run(26, 30, true)], &[20], &[(25, "rejected")]), Some((30, true)));
        assert_eq!(end(&[Sign::Verdict { at: at(30), good: true }], &[20], &[]), Some((30, true)));
    }

    #[test]
    fn a_task_counts_from_the_queue() {
        let mut task = Task::default();
        let scribe: Name = "scribe".into();
        task.started(at(12));
        task.queued(at(10));
        [Some(&scribe), Some(&scribe), None].into_iter().for_each(|agent| task.tried_by(agent));
        task.cost(Some(0.5));
        task.cost(None);
        task.sign(run(12, 40, true));
        let (completed, is_sure) = (true, false);
        let end = End { at: at(40), completed, is_sure, seconds: Some(30.0), cost_usd: Some(0.5), attempts: Some(2) };
        assert_eq!(task.standing().end, Some(end));
        task.tried(3, at(35));
        assert_eq!(task.standing().end.and_then(|end| end.attempts), Some(3));
    }

    #[test]
    fn a_run_works_while_nobody_is_waited_for() {
        let mut task = Task::default();
        let (time, span) = ((at(10), at(50)), None);
        task.keep_run(AgentRun { agent: "scribe".into(), span, time, waited: vec![], counted: vec![time] });
        assert!(task.recount(&[]).is_empty());
        task.waits.escalated(Escalation { at: at(40), agent: None });
        let waits = task.waits.all();
        assert_eq!(task.recount(&waits)[0].now, [(at(10), at(40))]);
        assert!(task.run_waited(None, (at(35), at(45))));
        assert_eq!(task.recount(&waits)[0].now, [(at(10), at(35))]);
    }
}
