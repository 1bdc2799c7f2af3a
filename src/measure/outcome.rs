//! What tasks count for: their ends, their cost, and how long they waited for people.
//!
//! Sums of windows follow what is known, whatever arrives last: what was added is taken back, and what follows from more
//! is added. Histograms cannot, so a task enters them when nothing was heard of it for some seconds.

use super::Measure;
use super::instrument::is_amount;
use super::intervals::Intervals;
use super::task::{AgentRun, End, Settling, Sign, Standing, Task};
use super::tasks::Changed;
use super::waits::{Escalation, Resolution, Wait};
use super::windows::{Dimension, Sums};
use crate::derive::{Fact, Name, Outcome, without};
use crate::event::{Event, EventId, EventName, Timestamp};

impl Measure {
    /// A run of an agent, which worked whenever it did not wait for people.
    pub(super) fn agent_worked(&mut self, fact: &Fact, waited: &[(Timestamp, Timestamp)], now: Timestamp) {
        let time = fact.agent.as_ref().and_then(|_| Intervals::believed(fact.start, fact.end, now));
        let Some(task) = &fact.task else {
            if let (Some(agent), Some(time)) = (&fact.agent, time) {
                let work = without(time, waited);
                self.recount_work(agent, &[], &work, now);
            }
            return;
        };
        self.task(task, now, |task| {
            task.is_for(fact.feature.as_ref(), fact.start);
            task.started(fact.start);
            task.tried_by(fact.agent.as_ref());
            if let (Some(agent), Some(time)) = (fact.agent.clone(), time) {
                task.keep_run(AgentRun { agent, span: fact.span, time, waited: waited.to_vec(), counted: Vec::new() });
            }
        });
    }

    /// A run of an agent that was counted had waited for people.
    pub(super) fn agent_waited(&mut self, fact: &Fact, now: Timestamp) {
        let time = (fact.start, fact.end);
        let mut is_kept = false;
        if let Some(task) = &fact.task {
            self.task(task, now, |task| is_kept = task.run_waited(fact.span, time));
        }
        if let (Some(agent), false) = (&fact.agent, is_kept) {
            self.recount_work(agent, &[time], &[], now);
        }
    }

    /// A run of a task is over. Without a task id the run is the task itself. A run that failed is an attempt: it may be
    /// tried again.
    pub(super) fn task_work(&mut self, fact: &Fact, usd: Option<f64>, ends_it: bool, now: Timestamp) {
        let feature = fact.feature.as_ref();
        let Some(id) = &fact.task else {
            let completed = fact.outcome == Outcome::Completed;
            let seconds = Some(fact.end.micros_since(fact.start) as f64 / 1e6);
            let end = End { at: fact.end, completed, is_sure: true, seconds, cost_usd: usd, attempts: None };
            if completed {
                self.windows.add(fact.end, &[(Dimension::Feature, feature)], now, |sums| end.enter(sums));
            }
            return self.task_ended(&end, feature, fact.outcome.as_str(), now);
        };
        let (start, end) = (fact.start, fact.end);
        let sign = match fact.outcome {
            Outcome::Completed => Some(Sign::Run { start, end, well: true }),
            Outcome::Failed | Outcome::Canceled => Some(Sign::Run { start, end, well: false }),
            Outcome::Lost => None,
        };
        self.task(id, now, |task| {
            task.is_for(feature, start);
            task.started(start);
            task.cost(usd);
            sign.filter(|_| ends_it).into_iter().for_each(|sign| task.sign(sign));
        });
    }

    /// A run of a task that was told to be over has cost more.
    pub(super) fn task_cost(&mut self, fact: &Fact, usd: f64, now: Timestamp) {
        match &fact.task {
            Some(id) => self.task(id, now, |task| task.cost(Some(usd))),
            None if fact.outcome != Outcome::Completed => {}
            None => {
                let rows = [(Dimension::Feature, fact.feature.as_ref())];
                self.windows.take_back(fact.end, &rows, now, |sums| sums.task_cost_usd += usd);
            }
        }
    }

    /// The task was queued.
    pub(super) fn queued(&mut self, event: &Event, now: Timestamp) {
        self.task_of(event, now, |task| task.queued(event.timestamp));
    }

    /// Somebody judged what was made for a task.
    pub(super) fn judged(&mut self, event: &Event, good: bool, now: Timestamp) {
        self.task_of(event, now, |task| task.sign(Sign::Verdict { at: event.timestamp, good }));
    }

    fn task_of(&mut self, event: &Event, now: Timestamp, change: impl FnOnce(&mut Task)) {
        let Some(id) = &event.identity.task_id else { return };
        self.task(id, now, |task| {
            task.is_for(event.dimensions.feature.as_ref(), event.timestamp);
            change(task);
        });
    }

    /// A task went to people.
    pub(super) fn escalated(&mut self, event: &Event, attempts: Option<u64>, now: Timestamp) {
        let (agent, feature) = (event.dimensions.agent.as_ref(), event.dimensions.feature.as_ref());
        let at = event.timestamp.not_ahead_of(now);
        let rows = [(Dimension::Agent, agent), (Dimension::Feature, feature)];
        self.windows.add(at, &rows, now, |sums| sums.escalations += 1);
        let Some(id) = asked_about(event) else { return };
        self.task(id, now, |task| {
            task.is_for(feature, at);
            task.waits.escalated(Escalation { at, agent: agent.cloned() });
            attempts.into_iter().for_each(|attempts| task.tried(attempts, at));
        });
        if self.human_timeout.is_some() {
            self.tasks.may_time_out(id, event);
        }
    }

    /// People gave a task back.
    pub(super) fn resolved(&mut self, event: &Event, decision: Name, seconds: Option<f64>, now: Timestamp) {
        let at = event.timestamp.not_ahead_of(now);
        self.invalid_waits += u64::from(seconds.is_some_and(|seconds| !is_amount(seconds)));
        let seconds = seconds.filter(|seconds| is_amount(*seconds));
        match (asked_about(event), seconds) {
            (Some(id), seconds) => self.task(id, now, |task| {
                task.is_for(event.dimensions.feature.as_ref(), at);
                task.waits.resolved(Resolution { at, decision, seconds });
            }),
            (None, Some(seconds)) => {
                self.instruments.human_wait.record([(&decision).into()], seconds, None, now);
                let rows = [
                    (Dimension::Agent, event.dimensions.agent.as_ref()),
                    (Dimension::Feature, event.dimensions.feature.as_ref()),
                ];
                self.windows.add(at, &rows, now, |sums| {
                    sums.human_waits += 1;
                    sums.human_wait_seconds += seconds;
                });
            }
            (None, None) => {}
        }
    }

    /// The resolutions of escalations that nobody has answered in time, as events.
    pub fn timed_out(&mut self, now: Timestamp) -> Vec<Event> {
        let Some(timeout) = self.human_timeout else { return Vec::new() };
        let overdue = self.tasks.timed_out(now.minus(timeout)).into_iter();
        overdue.filter_map(|escalation| time_out(escalation, timeout, now)).collect()
    }

    /// What is known of tasks enters histograms, if nothing was heard of them lately, or nothing more is to come.
    pub(super) fn settle_tasks(&mut self, until: Option<Timestamp>, now: Timestamp) {
        for (standing, before) in self.tasks.settle(until) {
            self.settled(&standing, &before, now);
        }
    }

    fn settled(&mut self, standing: &Standing, before: &Settling, now: Timestamp) {
        if let Some(end) = &standing.end
            && !(if end.completed { before.completed } else { before.escalated })
        {
            let outcome = if end.completed { Outcome::Completed.as_str() } else { ESCALATED };
            self.task_ended(end, standing.feature.as_ref(), outcome, now);
        }
        let ended = standing.waits.iter().filter_map(|wait| Some((&wait.end.as_ref()?.decision, wait.seconds()?)));
        for (decision, seconds) in ended.skip(before.waits) {
            self.instruments.human_wait.record([decision.into()], seconds, None, now);
        }
    }

    fn task_ended(&mut self, end: &End, feature: Option<&Name>, outcome: &'static str, now: Timestamp) {
        let feature = feature.cloned();
        let labels = [(&feature).into(), outcome.into()];
        if let Some(seconds) = end.seconds {
            self.instruments.task_duration.record(labels, seconds, None, now);
        }
        if let Some(attempts) = end.attempts {
            self.instruments.task_attempts.record(labels, attempts as f64, None, now);
        }
    }

    fn task(&mut self, id: &Name, now: Timestamp, change: impl FnOnce(&mut Task)) {
        let (changed, forgotten) = self.tasks.change(id, now, change);
        if let Some(mut task) = forgotten {
            let (standing, before) = task.settle();
            self.settled(&standing, &before, now);
        }
        for run in &changed.runs {
            self.recount_work(&run.agent, &run.before, &run.now, now);
        }
        self.follow(&changed, now);
    }

    /// Puts the sums of windows right.
    fn follow(&mut self, changed: &Changed, now: Timestamp) {
        let (before, after) = (&changed.before, &changed.now);
        let is_same_feature = before.feature == after.feature;
        if before.end != after.end || !is_same_feature {
            if let Some(end) = &before.end {
                let rows = [(Dimension::Feature, before.feature.as_ref())];
                self.windows.take_back(end.at, &rows, now, |sums| end.leave(sums));
            }
            if let Some(end) = &after.end {
                let rows = [(Dimension::Feature, after.feature.as_ref())];
                self.windows.add(end.at, &rows, now, |sums| end.enter(sums));
            }
        }
        let is_new = |wait: &&Wait, others: &[Wait]| !is_same_feature || !others.contains(wait);
        for wait in before.waits.iter().filter(|wait| is_new(wait, &after.waits)) {
            let (Some(end), Some(seconds)) = (&wait.end, wait.seconds()) else { continue };
            self.windows.take_back(end.at, &rows_of(wait, before), now, |sums| {
                sums.human_waits = sums.human_waits.saturating_sub(1);
                sums.human_wait_seconds -= seconds;
            });
        }
        for wait in after.waits.iter().filter(|wait| is_new(wait, &before.waits)) {
            let (Some(end), Some(seconds)) = (&wait.end, wait.seconds()) else { continue };
            self.windows.add(end.at, &rows_of(wait, after), now, |sums| {
                sums.human_waits += 1;
                sums.human_wait_seconds += seconds;
            });
        }
    }
}

impl End {
    fn enter(&self, sums: &mut Sums) {
        if self.completed {
            sums.tasks += 1;
            sums.task_cost_usd += self.cost_usd.unwrap_or(0.0);
            sums.task_seconds += self.seconds.unwrap_or(0.0);
        }
        if let Some(attempts) = self.attempts {
            sums.attempted_tasks += 1;
            sums.retries = sums.retries.saturating_add(attempts.saturating_sub(1));
        }
    }

    fn leave(&self, sums: &mut Sums) {
        if self.completed {
            sums.tasks = sums.tasks.saturating_sub(1);
            sums.task_cost_usd -= self.cost_usd.unwrap_or(0.0);
            sums.task_seconds -= self.seconds.unwrap_or(0.0);
        }
        if let Some(attempts) = self.attempts {
            sums.attempted_tasks = sums.attempted_tasks.saturating_sub(1);
            sums.retries = sums.retries.saturating_sub(attempts.saturating_sub(1));
        }
    }
}

/// The outcome of tasks that went to people.
const ESCALATED: &str = "escalated";

fn rows_of<'w>(wait: &'w Wait, standing: &'w Standing) -> [(Dimension, Option<&'w Name>); 2] {
    [(Dimension::Agent, wait.agent.as_ref()), (Dimension::Feature, standing.feature.as_ref())]
}

/// What an escalation and its resolution are about: the task, or whatever else ties them together.
fn asked_about(event: &Event) -> Option<&Name> {
    let identity = &event.identity;
    identity.task_id.as_ref().or(identity.correlation_id.as_ref()).or(identity.execution_id.as_ref())
}

/// The resolution of an escalation that nobody answered, which is the same wherever it is seen.
fn time_out(escalation: Event, timeout: std::time::Duration, now: Timestamp) -> Option<Event> {
    let mut event = Event::named(EventName::parse("hitl.resolved")?, escalation.timestamp.plus(timeout));
    event.event_id = EventId::of_implied(escalation.event_id, event.name.as_str());
    event.observed_at = now;
    event.component_id = escalation.component_id;
    (event.identity, event.dimensions) = (escalation.identity, escalation.dimensions);
    (event.trace_id, event.span_id) = (escalation.trace_id, escalation.span_id);
    (event.priority, event.source) = (escalation.priority, escalation.source);
    event.message = Some("nobody answered in time".into());
    event.data = crate::event::Data::build(|data| {
        data.str("decision", crate::event::Resolution::TimedOut.as_str());
        data.f64("waited_ms", timeout.as_secs_f64() * 1e3);
        data.str("by", "timeout");
    });
    Some(event)
}
