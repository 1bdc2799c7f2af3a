//! Budgets that a collector keeps, as they stood when it was asked last.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::definition::{Budget, Per};
use super::verdict::{Decision, Question, Reason, Unanswerable, Verdict};
use crate::derive::Name;
use crate::event::Timestamp;
use crate::nearest::nearest;

/// What a collector said of its budgets, and when.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at: Timestamp,
    budgets: Vec<(Budget, Vec<Verdict>)>,
}

#[derive(Deserialize)]
struct Listing {
    budgets: Vec<Value>,
}

#[derive(Deserialize)]
struct Window {
    verdict: String,
    reason: String,
    value: Option<Name>,
    spent: Option<f64>,
    limit: Option<f64>,
    remaining: Option<f64>,
    in_flight_estimate: Option<f64>,
    since: Option<String>,
    resets_at: Option<String>,
    age_ms: Option<u64>,
}

impl Snapshot {
    /// What is older is not gone by.
    const STALE: Duration = Duration::from_secs(60);
    /// As many windows of a budget as a collector lists.
    const MOST_LISTED: usize = 1000;

    /// Reads the answer of `GET /api/v1/budgets`.
    pub fn read(answer: &[u8], now: Timestamp) -> Result<Snapshot, String> {
        let listing: Listing = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        let budgets = listing.budgets.into_iter().map(|mut listed| {
            let windows = listed.as_object_mut().and_then(|listed| listed.remove("windows")).unwrap_or_default();
            let budget: Budget = serde_json::from_value(listed).map_err(|error| error.to_string())?;
            let windows: Vec<Window> = serde_json::from_value(windows).map_err(|error| error.to_string())?;
            let verdicts = windows.into_iter().map(|window| window.verdict(&budget.name)).collect();
            Ok((budget, verdicts))
        });
        Ok(Snapshot { at: now, budgets: budgets.collect::<Result<_, String>>()? })
    }

    /// Whether work should go on, as far as that can be said. What is too old to go by stops nobody.
    pub fn judge(&self, name: &str, question: &Question, now: Timestamp) -> Result<Verdict, Unanswerable> {
        let Some((budget, windows)) = self.budgets.iter().find(|(budget, _)| budget.name == name) else {
            let meant = nearest(name, self.budgets.iter().map(|(budget, _)| budget.name())).map(str::to_owned);
            return Err(Unanswerable::NoSuchBudget { name: name.to_owned(), meant });
        };
        if !budget.only.may_accept(&question.whose) {
            return Ok(Verdict::without_figures(name, Decision::Allow, Reason::NotForThis));
        }
        let value = match (budget.each, budget.per) {
            (Some(dimension), _) => Some((dimension.as_str(), dimension.values(&question.whose).first())),
            (None, Per::Run) => Some(("run", question.run.as_ref())),
            (None, _) => None,
        };
        let wanted = match value {
            Some((of, None)) => return Err(Unanswerable::OfWhich { name: name.to_owned(), of }),
            Some((_, wanted)) => wanted,
            None => None,
        };
        let since = Duration::from_micros(now.micros_since(self.at));
        let listed = windows.iter().find(|window| window.value.as_ref() == wanted);
        let mut verdict = match listed {
            Some(listed) => listed.clone(),
            // Those with the most spent are listed: this one has spent nothing, or less.
            None if windows.len() < Snapshot::MOST_LISTED => untouched(budget, wanted),
            None => Verdict::without_figures(name, Decision::Allow, Reason::Unknown),
        };
        verdict.age = Some(verdict.age.unwrap_or_default() + since);
        estimate(&mut verdict, budget, question.estimated_usd.unwrap_or(0.0).max(0.0));
        let is_over = verdict.resets_at.is_some_and(|end| end <= now);
        if since > Snapshot::STALE || is_over {
            (verdict.decision, verdict.reason) = (Decision::Allow, Reason::Stale);
        }
        Ok(verdict)
    }
}

fn untouched(budget: &Budget, value: Option<&Name>) -> Verdict {
    let limit = budget.limit.dollars();
    Verdict {
        value: value.cloned(),
        spent: Some(0.0),
        limit: Some(limit),
        remaining: Some(limit),
        ..Verdict::without_figures(&budget.name, Decision::Allow, Reason::Enough)
    }
}

/// Adds what somebody says that their work will cost.
fn estimate(verdict: &mut Verdict, budget: &Budget, estimated: f64) {
    let (Some(spent), true) = (verdict.spent, verdict.decision != Decision::Stop && estimated > 0.0) else { return };
    let expected = spent + verdict.in_flight_estimate.unwrap_or(0.0) + estimated;
    if expected > budget.limit.dollars() {
        let decision = if budget.hard { Decision::Stop } else { Decision::Warn };
        (verdict.decision, verdict.reason) = (decision, Reason::TooMuch);
    } else if expected >= budget.warning().dollars() && verdict.decision == Decision::Allow {
        (verdict.decision, verdict.reason) = (Decision::Warn, Reason::Warning);
    }
}

impl Window {
    fn verdict(self, budget: &str) -> Verdict {
        Verdict {
            // A word of a later version stops nobody.
            decision: Decision::parse(&self.verdict).unwrap_or(Decision::Allow),
            reason: Reason::parse(&self.reason).unwrap_or(Reason::Unknown),
            budget: budget.into(),
            value: self.value,
            spent: self.spent,
            limit: self.limit,
            remaining: self.remaining,
            in_flight_estimate: self.in_flight_estimate,
            since: self.since.as_deref().and_then(Timestamp::parse),
            resets_at: self.resets_at.as_deref().and_then(Timestamp::parse),
            age: self.age_ms.map(Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"{"now": "2026-11-21T06:28:00Z", "budgets": [
        {"name": "daily", "per": "day", "limit_usd": 1, "warn_at": 0.8, "hard": true, "windows": [
            {"verdict": "allow", "reason": "enough", "budget": "daily", "spent": 0.5, "limit": 1, "remaining": 0.5,
             "in_flight_estimate": 0.1, "since": "2026-11-21T00:00:00Z", "resets_at": "2026-11-22T00:00:00Z",
             "age_ms": 1500}]},
        {"name": "users", "per": "month", "limit_usd": 2, "warn_at": 0.8, "hard": true, "each": "user",
         "match": {"model": ["gpt-*"]}, "windows": [
            {"verdict": "stop", "reason": "spent", "budget": "users", "value": "ada", "spent": 2, "limit": 2,
             "remaining": 0, "resets_at": "2026-12-01T00:00:00Z"}]}]}"#;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_collector_is_taken_at_its_word_while_that_is_new() {
        let snapshot = Snapshot::read(LISTING.as_bytes(), at("2026-11-21T06:28:00Z")).unwrap();
        let judge = |name: &str, question: &Question, now: &str| {
            let verdict = snapshot.judge(name, question, at(now)).unwrap_or_else(|error| error.allow());
            (verdict.decision.as_str(), verdict.reason.as_str(), verdict.age.map(|age| age.as_millis()))
        };
        let now = "2026-11-21T06:28:02Z";
        let of = |user: &str| {
            let whose = crate::derive::Whose { user: Some(user.into()), ..Default::default() };
            Question { whose, ..Question::default() }
        };
        let cost = |usd| Question { estimated_usd: Some(usd), ..Question::default() };
        assert_eq!(judge("daily", &Question::default(), now), ("allow", "enough", Some(3500)));
        assert_eq!(judge("daily", &cost(0.3), now), ("warn", "warning", Some(3500)));
        assert_eq!(judge("daily", &cost(0.5), now), ("stop", "too_much", Some(3500)));
        assert_eq!(judge("users", &of("ada"), now), ("stop", "spent", Some(2000)));
        assert_eq!(judge("users", &of("bob"), now), ("allow", "enough", Some(2000)));
        assert_eq!(judge("users", &Question::default(), now).1, "of_which");
        assert_eq!(judge("dayly", &Question::default(), now).1, "no_such_budget");
        let mut claude = of("ada");
        claude.whose.model = Some("claude-sonnet-4-5".into());
        assert_eq!(judge("users", &claude, now).1, "not_for_this");
        assert_eq!(judge("users", &of("ada"), "2026-11-21T06:30:00Z"), ("allow", "stale", Some(120_000)));
    }
}
