//! The summary: six ratios that say whether the work was worth it, and the sums behind them.

use std::time::Duration;

use super::Measure;
use super::windows::{Dimension, Sums};
use crate::derive::Name;
use crate::event::{JsonObject, Timestamp};

/// The figures of a window. A ratio without a denominator is absent, never 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Mean over the agents seen of the share of the window in which each was busy.
    pub agent_utilization: Option<f64>,
    /// US dollars per completed task.
    pub cost_per_feature: Option<f64>,
    /// Mean attempts beyond the first of tasks completed or escalated.
    pub average_retry_count: Option<f64>,
    /// Rejected reviews of all that approved or rejected.
    pub critic_rejection_rate: Option<f64>,
    /// Passed validations of all.
    pub validation_pass_rate: Option<f64>,
    /// Mean seconds from queue to completion of completed tasks.
    pub time_to_completion: Option<f64>,
    /// US dollars, as far as prices are known.
    pub total_cost_usd: f64,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
    /// Tokens read and written.
    pub tokens: u64,
    /// Runs of agents; in the rows of tools and models, their calls.
    pub runs: u64,
    /// Of these, not completed.
    pub errors: u64,
}

/// The summary of one agent, feature, model or tool.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// Whose.
    pub key: Name,
    /// The figures.
    pub summary: Summary,
}

impl Measure {
    /// The window that ends now, in total.
    pub fn summary(&self, window: Duration, now: Timestamp) -> Summary {
        let from = now.minus(window);
        let shares: Vec<f64> = self.utilization(from, now).into_iter().map(|(_, share)| share).collect();
        let mean = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
        Summary::of(&self.windows.totals(from, now), mean)
    }

    /// The same, broken down; the most expensive first.
    pub fn summary_by(&self, dimension: Dimension, window: Duration, now: Timestamp) -> Vec<SummaryRow> {
        let from = now.minus(window);
        let utilization = if dimension == Dimension::Agent { self.utilization(from, now) } else { Vec::new() };
        let share = |key: &Name| utilization.iter().find(|(agent, _)| agent == key).map(|(_, share)| *share);
        let rows = self.windows.rows(dimension, from, now);
        let row = |(key, sums): (Name, Sums)| SummaryRow { summary: Summary::of(&sums, share(&key)), key };
        let mut rows: Vec<SummaryRow> = rows.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.summary.total_cost_usd.total_cmp(&a.summary.total_cost_usd));
        rows
    }

    fn utilization(&self, from: Timestamp, to: Timestamp) -> Vec<(Name, f64)> {
        let window = to.micros_since(from) as f64;
        let share = |busy: u64| (busy as f64 / window).clamp(0.0, 1.0);
        let agents = self.busy.iter().map(|(agent, intervals)| (agent.clone(), intervals.within(from, to)));
        agents.filter(|(_, busy)| *busy > 0).map(|(agent, busy)| (agent, share(busy))).collect()
    }
}

impl Summary {
    fn of(sums: &Sums, agent_utilization: Option<f64>) -> Summary {
        let ratio = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
        Summary {
            agent_utilization,
            cost_per_feature: ratio(sums.task_cost_usd, sums.tasks),
            average_retry_count: ratio(sums.retries as f64, sums.attempted_tasks),
            critic_rejection_rate: ratio(sums.rejected as f64, sums.approved + sums.rejected),
            validation_pass_rate: ratio(sums.passed as f64, sums.validated),
            time_to_completion: ratio(sums.task_seconds, sums.tasks),
            total_cost_usd: sums.cost_usd,
            unpriced_calls: sums.unpriced_calls,
            tokens: sums.input_tokens.saturating_add(sums.output_tokens),
            runs: sums.runs,
            errors: sums.errors,
        }
    }

    /// Writes the figures as members of an object.
    pub fn write(&self, object: &mut JsonObject<'_>) {
        object.opt_f64("agent_utilization", self.agent_utilization);
        object.opt_f64("cost_per_feature", self.cost_per_feature);
        object.opt_f64("average_retry_count", self.average_retry_count);
        object.opt_f64("critic_rejection_rate", self.critic_rejection_rate);
        object.opt_f64("validation_pass_rate", self.validation_pass_rate);
        object.opt_f64("time_to_completion", self.time_to_completion);
        object.f64("total_cost_usd", self.total_cost_usd);
        object.u64("unpriced_calls", self.unpriced_calls);
        object.u64("tokens", self.tokens);
        object.u64("runs", self.runs);
        object.u64("errors", self.errors);
    }
}
