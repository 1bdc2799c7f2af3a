//! The summary: six ratios that say whether the work was worth it, and the sums behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Measure;
use super::tasks::Open;
use super::windows::{Dimension, Sums, Windows};
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
    /// Tasks completed.
    pub tasks: u64,
    /// Tasks completed or escalated, whose attempts are known.
    pub attempted_tasks: u64,
    /// Their attempts beyond the first.
    pub retries: u64,
    /// Reviews that approved or rejected.
    pub reviews: u64,
    /// Of these, rejected.
    pub rejected_reviews: u64,
    /// Validations.
    pub validations: u64,
    /// Of these, passed.
    pub passed_validations: u64,
    /// How often a task went to people.
    pub escalations: u64,
    /// Tasks that wait for people now, whenever they began to.
    pub open_escalations: u64,
    /// How many seconds the one of them has waited that waits longest.
    pub oldest_open_escalation: Option<f64>,
    /// How often waiting for people was over.
    pub human_waits: u64,
    /// Mean seconds until people answered, of answers in the window.
    pub mean_human_wait: Option<f64>,
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
        let shares = self.utilization(from, now);
        let mean = (!shares.is_empty()).then(|| shares.values().sum::<f64>() / shares.len() as f64);
        let summary = Summary::of(&self.windows.totals(from, now), mean);
        summary.with_open(self.tasks.open(), now)
    }

    /// The same of one agent, feature, model or tool.
    pub fn summary_of(&self, (dimension, name): (Dimension, &Name), window: Duration, now: Timestamp) -> Summary {
        let from = now.minus(window);
        let sums = self.windows.row(dimension, name, from, now);
        let busy = if dimension == Dimension::Agent { self.activity.of(name, from, now) } else { 0 };
        let is_seen = dimension == Dimension::Agent && (busy > 0 || sums.runs > 0);
        let summary = Summary::of(&sums, is_seen.then(|| share(busy, window)));
        summary.with_open(self.tasks.open().filter(|open| open.is_of(dimension, name)), now)
    }

    /// The same, broken down; the most expensive first.
    pub fn summary_by(&self, dimension: Dimension, window: Duration, now: Timestamp) -> Vec<SummaryRow> {
        let from = now.minus(window);
        let utilization = if dimension == Dimension::Agent { self.utilization(from, now) } else { BTreeMap::new() };
        let mut rows = self.windows.rows(dimension, from, now);
        // Who is at work, or waits, has a row before any of it is over.
        for name in utilization.keys().chain(self.tasks.open().filter_map(|open| open.name(dimension))) {
            if !rows.contains_key(name) {
                rows.insert(name.clone(), Sums::default());
            }
        }
        let row = |(key, sums): (Name, Sums)| {
            let summary = Summary::of(&sums, utilization.get(&key).copied());
            let open = self.tasks.open().filter(|open| open.is_of(dimension, &key));
            SummaryRow { summary: summary.with_open(open, now), key }
        };
        let mut rows: Vec<SummaryRow> = rows.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.summary.total_cost_usd.total_cmp(&a.summary.total_cost_usd));
        rows
    }

    /// When the first work began that an agent did in the window that ends now.
    pub fn first_work(&self, window: Duration, now: Timestamp) -> Option<Timestamp> {
        self.activity.first(now.minus(window))
    }

    /// The share of a window in which each agent was at work that was, or of which a run ended.
    fn utilization(&self, from: Timestamp, to: Timestamp) -> BTreeMap<Name, f64> {
        let window = Duration::from_micros(to.micros_since(from));
        let busy = self.activity.within(from, to).filter(|(_, busy)| *busy > 0);
        let mut shares: BTreeMap<Name, f64> = busy.map(|(agent, busy)| (agent.clone(), share(busy, window))).collect();
        let rows = self.windows.rows(Dimension::Agent, from, to);
        for (agent, _) in rows.into_iter().filter(|(agent, sums)| sums.runs > 0 && **agent != *Windows::OTHERS) {
            shares.entry(agent).or_insert(0.0);
        }
        shares
    }
}

fn share(busy: u64, window: Duration) -> f64 {
    (busy as f64 / window.as_micros() as f64).clamp(0.0, 1.0)
}

impl Open {
    fn name(&self, dimension: Dimension) -> Option<&Name> {
        match dimension {
            Dimension::Agent => self.agent.as_ref(),
            Dimension::Feature => self.feature.as_ref(),
            Dimension::Model | Dimension::Tool => None,
        }
    }

    fn is_of(&self, dimension: Dimension, name: &Name) -> bool {
        self.name(dimension) == Some(name)
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
            tasks: sums.tasks,
            attempted_tasks: sums.attempted_tasks,
            retries: sums.retries,
            reviews: sums.approved + sums.rejected,
            rejected_reviews: sums.rejected,
            validations: sums.validated,
            passed_validations: sums.passed,
            escalations: sums.escalations,
            human_waits: sums.human_waits,
            open_escalations: 0,
            oldest_open_escalation: None,
            mean_human_wait: ratio(sums.human_wait_seconds, sums.human_waits),
        }
    }

    fn with_open<'o>(mut self, open: impl Iterator<Item = &'o Open>, now: Timestamp) -> Summary {
        for open in open {
            self.open_escalations += 1;
            let age = now.micros_since(open.since) as f64 / 1e6;
            self.oldest_open_escalation = Some(self.oldest_open_escalation.map_or(age, |oldest| oldest.max(age)));
        }
        self
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
        object.u64("tasks", self.tasks);
        object.u64("attempted_tasks", self.attempted_tasks);
        object.u64("retries", self.retries);
        object.u64("reviews", self.reviews);
        object.u64("rejected_reviews", self.rejected_reviews);
        object.u64("validations", self.validations);
        object.u64("passed_validations", self.passed_validations);
        object.u64("escalations", self.escalations);
        object.u64("open_escalations", self.open_escalations);
        object.opt_f64("oldest_open_escalation", self.oldest_open_escalation);
        object.u64("human_waits", self.human_waits);
        object.opt_f64("mean_human_wait", self.mean_human_wait);
    }
}
