//! Trying all cases, and what came of them, for people and programs.

use serde_json::{Value, json};

use super::VERSION;
use super::case::{Case, Level, Outcome, Unmet};
use super::peer::Peer;

/// What came of the cases that were tried on one receiver.
#[derive(Debug, Default)]
pub struct Report {
    /// Where it is.
    pub url: String,
    /// Each case with its outcome, in order.
    pub tried: Vec<Tried>,
}

/// A case and what came of it.
#[derive(Debug)]
pub struct Tried {
    /// The case.
    pub case: Case,
    /// What came of it.
    pub outcome: Outcome,
}

/// Tries cases on a receiver, one after the other, and shows each outcome as it comes.
pub async fn run(peer: &Peer, cases: &[Case], mut show: impl FnMut(&Tried)) -> Report {
    let mut report = Report { url: peer.target().url.to_string(), tried: Vec::new() };
    let protocol = peer.target().protocol;
    for case in cases.iter().filter(|case| case.protocol() == protocol) {
        let tried = Tried { case: *case, outcome: case.attempt(peer).await };
        show(&tried);
        report.tried.push(tried);
    }
    report
}

impl Report {
    /// How many cases of a level had an outcome.
    pub fn count(&self, level: Level, is: impl Fn(&Outcome) -> bool) -> usize {
        self.tried.iter().filter(|tried| tried.case.level == level && is(&tried.outcome)).count()
    }

    /// Whether no rule was seen broken.
    pub fn is_clean(&self) -> bool {
        !self.tried.iter().any(|tried| matches!(tried.outcome, Outcome::Failed(_)))
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let cases: Vec<Value> = self.tried.iter().map(Tried::to_json).collect();
        json!({"url": self.url, "otlp": VERSION, "passed": self.is_clean(), "cases": cases})
    }
}

impl Outcome {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::NotOffered(_) => "not offered",
            Outcome::Skipped(_) => "skipped",
        }
    }
}

impl Tried {
    fn to_json(&self) -> Value {
        let Case { name, level, section, rule, matters, .. } = self.case;
        let mut json = json!({
            "name": name, "level": level.name(), "section": section, "rule": rule, "outcome": self.outcome.name(),
        });
        match &self.outcome {
            Outcome::Passed => {}
            Outcome::Skipped(why) => json["why"] = why.as_str().into(),
            Outcome::Failed(Unmet { expected, came }) | Outcome::NotOffered(Unmet { expected, came }) => {
                json["expected"] = expected.as_str().into();
                json["came"] = came.as_str().into();
                json["matters"] = matters.into();
            }
        }
        json
    }
}
