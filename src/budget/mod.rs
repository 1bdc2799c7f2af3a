//! Budgets: what may be spent on what, per hour, day, month or run, what has been, and whether work should go on.
//!
//! [`Budgets`] is told by the deriver what each run has cost so far, again whenever that changes. It is pure: the
//! clock is passed in, and what it says is the same in whatever order it was told.
//!
//! ```
//! use spanlight::budget::{Budget, Budgets, Question, Decision};
//! use spanlight::event::Timestamp;
//!
//! let mut budgets = Budgets::new(vec![Budget::daily("daily", 25.0)]);
//! let now = Timestamp::parse("2026-11-21T06:28:00Z").unwrap();
//! let verdict = budgets.judge("daily", &Question::default(), now).unwrap();
//! assert_eq!(verdict.decision, Decision::Allow);
//! assert_eq!(verdict.resets_at, Timestamp::parse("2026-11-22T00:00:00Z"));
//! ```

mod crossing;
mod definition;
mod keep;
mod means;
mod remote;
mod saved;
mod usd;
mod verdict;
mod window;

pub use crossing::Crossing;
pub use definition::{Budget, Dimension, Per, problem};
pub use keep::{Budgets, Counts, Standing, Urgency};
pub use remote::Snapshot;
pub use saved::Unusable;
pub use usd::Usd;
pub use verdict::{Decision, Question, Reason, Unanswerable, Verdict};

#[cfg(test)]
mod tests;
