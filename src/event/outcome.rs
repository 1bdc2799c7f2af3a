//! How work ended and what was decided, in the words of whoever tells it.
//!
//! Many systems have one event for every end and say in a word whether it was good; some say with it what a reviewer
//! thinks, which is an event of its own.

use serde_json::Value;

use super::aliases::plain;
use super::envelope::{Envelope, Named};
use super::fields::status_of;
use super::verdict::{Decision, Resolution};
use super::{Data, Event, EventId, EventName, EventType, ReadError, Scope, Status, catalogue};

/// What the words of an event say beyond its name.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was decided of the agent's work, which makes an event of its own.
    pub decision: Option<Decision>,
    /// Why it failed, where the emitter gives no reason in words.
    pub explains: Option<String>,
}

impl Envelope {
    /// Gives the event the end that its words tell of.
    pub fn outcome(&mut self, event: &mut Event, named: &Named) -> Result<Outcome, ReadError> {
        let mut outcome = Outcome::default();
        match event.name.as_str() {
            "review.decided" => self.review(event, named)?,
            "hitl.resolved" => self.resolution()?,
            "validation.completed" => outcome.explains = self.validation(event),
            "budget.exceeded" => outcome.explains = self.overspent(),
            name if event.scope != Scope::System
                && name == catalogue::lifecycle(event.scope, EventType::Completed).as_str() =>
            {
                outcome.decision = self.decision_of_agent(event);
                let is_told = named.by.is_none() || named.by == Some("name") && self.outside("type").is_some();
                if let (None, false, Some(end)) = (outcome.decision, is_told, self.end(event, named)) {
                    event.turn(end);
                }
            }
            _ => {}
        }
        Ok(outcome)
    }

    /// An agent that completes its work by approving or rejecting somebody's, or whose own work is approved or rejected.
    pub fn decision_of_agent(&self, event: &Event) -> Option<Decision> {
        let status = self.payload.get("status").or_else(|| self.around.get("status"))?.as_str()?;
        // That an agent passed, or was allowed to, is no review.
        let is_verdict = ["approv", "reject", "revis", "change"].iter().any(|part| plain(status).contains(part));
        decision_of(status).filter(|_| is_verdict && event.name == *"agent.completed")
    }

    /// The end that an event of completion tells of in fact.
    fn end(&self, event: &Event, named: &Named) -> Option<EventType> {
        let status = self.payload.get("status").or_else(|| self.around.get("status")).and_then(Value::as_str);
        match status.map(plain).as_deref() {
            Some("failed" | "failure" | "fail" | "error" | "errored" | "timeout" | "timed_out") => {
                Some(EventType::Failed)
            }
            Some("canceled" | "cancelled" | "aborted" | "interrupted") => Some(EventType::Canceled),
            _ if event.performance.success == Some(false) => Some(EventType::Failed),
            None if named.alias && event.performance.success.is_none() && self.has_error() => Some(EventType::Failed),
            _ => Some(EventType::Completed),
        }
    }

    fn has_error(&self) -> bool {
        match self.find(&["error"]) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Object(error)) => !error.is_empty(),
            _ => false,
        }
    }

    fn review(&mut self, event: &mut Event, named: &Named) -> Result<(), ReadError> {
        let keys = ["decision", "review_status", "verdict", "outcome", "status"];
        let Some(word) =
            self.word(&keys, &[("approved", "approved", "rejected"), ("rejected", "rejected", "approved")])
        else {
            return Ok(());
        };
        match decision_of(&word) {
            Some(decision) => {
                self.payload.insert("decision".into(), decision.as_str().into());
                Ok(())
            }
            // Other systems tell of a review from its beginning: until it has ended its reviewer is at work.
            None if named.alias && UNDECIDED.contains(&plain(&word).as_str()) => {
                event.name = catalogue::lifecycle(Scope::Agent, EventType::Progress);
                (event.event_type, event.status) = (EventType::Progress, Status::Running);
                Ok(())
            }
            None => Err(undecided("review.decided", &word, Decision::ALL)),
        }
    }

    fn resolution(&mut self) -> Result<(), ReadError> {
        let keys = ["decision", "resolution", "outcome", "status"];
        let Some(word) = self.word(&keys, &[("approved", "approved", "rejected")]) else { return Ok(()) };
        let resolution = match plain(&word).as_str() {
            "timed_out" | "timedout" | "timeout" | "expired" => Some(Resolution::TimedOut),
            _ => match decision_of(&word) {
                Some(Decision::Approved) => Some(Resolution::Approved),
                Some(Decision::Rejected) => Some(Resolution::Rejected),
                Some(Decision::Revise) | None => None,
            },
        };
        let resolution = resolution.ok_or_else(|| undecided("hitl.resolved", &word, Resolution::ALL))?;
        self.payload.insert("decision".into(), resolution.as_str().into());
        Ok(())
    }

    /// The first of the members that is a word of a decision, or what a truth value says. That work ended, or goes on,
    /// decides nothing.
    fn word(&self, keys: &[&str], truths: &[(&str, &'static str, &'static str)]) -> Option<String> {
        let words = keys.iter().filter_map(|key| Some((*key, self.find(&[key])?.as_str()?)));
        let mut said = words.filter(|(key, word)| !word.is_empty() && (*key != "status" || !is_over(word)));
        let said = said.next().map(|(_, word)| word.to_owned());
        said.or_else(|| {
            truths
                .iter()
                .find_map(|(key, yes, no)| Some(if self.find(&[key])?.as_bool()? { *yes } else { *no }.to_owned()))
        })
    }

    /// A validation failed if anything of it did.
    fn validation(&mut self, event: &mut Event) -> Option<String> {
        let parts = ["passed", "browser_launched", "test_executed", "test_passed"];
        let result = self.find(&["result"]).and_then(Value::as_object);
        let said = |key: &str| match result.and_then(|result| result.get(key)) {
            Some(part) => part.as_bool(),
            None => self.find(&[key])?.as_bool(),
        };
        let failed = parts.into_iter().find(|key| said(key) == Some(false));
        let is_said = parts.into_iter().any(|key| said(key).is_some());
        let in_other_words = || match self.find(&["status"])?.as_str().map(plain)?.as_str() {
            "passed" | "pass" | "success" | "succeeded" | "ok" | "approved" => Some(true),
            "failed" | "fail" | "failure" | "error" | "rejected" => Some(false),
            _ => None,
        };
        let passed = if is_said { None } else { event.performance.success.or_else(in_other_words) };
        if let Some(passed) = passed {
            self.payload.insert("passed".into(), passed.into());
        }
        if failed.is_none() && passed != Some(false) {
            return None;
        }
        (event.event_type, event.status) = (EventType::Failed, Status::Failed);
        Some(format!("the validation failed: {} is false", failed.unwrap_or("passed")))
    }

    fn overspent(&self) -> Option<String> {
        let figure = |key: &str| self.find(&[key])?.as_f64();
        let name = self.text(&["budget"]).map(|name| format!(" {name}")).unwrap_or_default();
        let (limit, spent) = (figure("limit")?, figure("current_spend")?);
        Some(format!("the budget{name} of {limit} US dollars is exceeded: {spent} are spent"))
    }
}

/// Words of reviews that have not ended.
const UNDECIDED: &[&str] = &[
    "pending",
    "running",
    "in_review",
    "in_progress",
    "reviewing",
    "under_review",
    "requested",
    "started",
    "submitted",
];

/// Whether a status says only that the work ended.
fn is_over(word: &str) -> bool {
    matches!(status_of(word), Some(Status::Completed)) || matches!(plain(word).as_str(), "success" | "done")
}

fn decision_of(word: &str) -> Option<Decision> {
    match plain(word).as_str() {
        "approved" | "approve" | "accepted" | "accept" | "granted" | "allowed" | "passed" | "pass" => {
            Some(Decision::Approved)
        }
        "rejected" | "reject" | "denied" | "declined" | "refused" => Some(Decision::Rejected),
        "revise" | "revision" | "needs_revision" | "revision_needed" | "revision_requested" | "changes_requested"
        | "needs_changes" | "needs_work" | "rework" => Some(Decision::Revise),
        _ => None,
    }
}

fn undecided<T: std::fmt::Display>(name: &str, word: &str, all: &[T]) -> ReadError {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    ReadError(format!("the decision of `{name}` is one of {}, not `{word}`", all.join(", ")))
}

impl Event {
    /// Turns the end of a component's work into another end of it.
    fn turn(&mut self, end: EventType) {
        self.name = catalogue::lifecycle(self.scope, end);
        (self.event_type, self.status) = (end, catalogue::status_after(end));
    }

    /// What a critic decided, which it said by the way its own work ended.
    pub(super) fn review(&self, decision: Decision) -> Event {
        let mut review = Event::named(EventName::of("review.decided"), self.timestamp);
        review.event_id = EventId::of_implied(self.event_id, review.name.as_str());
        review.observed_at = self.observed_at;
        review.component_id = self.component_id.clone();
        review.identity = self.identity.clone();
        review.dimensions = self.dimensions.clone();
        review.source = self.source.clone();
        review.data = Data::build(|object| {
            object.str("decision", decision.as_str());
            object.opt_str("reviewer", self.dimensions.agent.as_deref());
            object.opt_str("target", self.identity.task_id.as_deref());
        });
        review
    }
}
