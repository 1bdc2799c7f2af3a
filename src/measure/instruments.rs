//! The metrics by name: what each is called, what it counts, and by which attributes.

use super::instrument::{Counter, Description, Histogram};
use super::snapshot::{Counted, Family, FamilyKind, Series, Value};
use crate::derive::Name;
use crate::event::Timestamp;

/// Bucket bounds of the GenAI conventions for durations, in seconds.
const SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bucket bounds of the GenAI conventions for tokens.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bucket bounds of the GenAI conventions for runs of agents, in seconds.
const AGENT_SECONDS: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Bucket bounds of the GenAI conventions for workflows, in seconds.
const WORKFLOW_SECONDS: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
/// Bucket bounds for waiting on people, in seconds.
const HUMAN_SECONDS: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
const ATTEMPTS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 13.0, 21.0];

macro_rules! instruments {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $kind:ident<$n:literal> = $name:literal, $unit:literal, [$($key:literal),*] $(, $bounds:expr)?;
    )*) => {
        /// Every metric that is counted.
        #[derive(Debug)]
        pub struct Instruments {
            $($(#[doc = $help])+ pub $field: $kind<$n>,)*
        }

        impl Instruments {
            /// Nothing counted yet.
            pub fn new(limit: usize) -> Instruments {
                Instruments {
                    $($field: $kind::new(
                        Description { name: $name, unit: $unit, help: concat!($($help),+).trim_ascii() },
                        [$($key),*],
                        $($bounds,)?
                        limit,
                    ),)*
                }
            }

            /// All as they stand.
            pub fn counted(&self) -> Vec<Counted> {
                vec![$(self.$field.counted(),)*]
            }

            /// Forgets series that have been idle since `since`.
            pub fn expire(&mut self, since: Timestamp) {
                $(self.$field.expire(since);)*
            }

            /// How often a metric had no room for another series.
            pub fn overflowed(&self) -> u64 {
                [$(self.$field.overflowed()),*].iter().sum()
            }

            /// How often a metric was given what is no amount.
            pub fn invalid(&self) -> u64 {
                [$(self.$field.invalid()),*].iter().sum()
            }
        }
    };
}

instruments! {
    /// Tokens of calls of models, each call counted once.
    token_usage: Histogram<7> = "gen_ai.client.token.usage", "{token}", ["gen_ai.operation.name",
        "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.token.type", "agent",
        "feature"], TOKENS;
    /// Duration of calls of models.
    operation_duration: Histogram<5> = "gen_ai.client.operation.duration", "s", ["gen_ai.operation.name",
        "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "error.type"], SECONDS;
    /// Time until the first piece of a model's answer.
    time_to_first_chunk: Histogram<4> = "gen_ai.client.operation.time_to_first_chunk", "s",
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"], SECONDS;
    /// Tokens that models read: from a cache, into a cache, or past any.
    input_tokens: Counter<4> = "agent.input.tokens", "{token}", ["cache", "agent", "feature", "model"];
    /// Cost of calls of models, in US dollars.
    cost: Counter<5> = "agent.cost.usd", "{USD}", ["agent", "feature", "model", "provider", "price_source"];
    /// Calls of models whose price is not known.
    unpriced: Counter<3> = "agent.cost.unpriced", "{request}", ["model", "provider", "reason"];
    /// Cost that was counted before a deeper call turned up, in US dollars.
    overcounted: Counter<1> = "agent.cost.overcounted.usd", "{USD}", ["agent"];
    /// Duration of runs of agents.
    run_duration: Histogram<2> = "agent.run.duration", "s", ["agent", "outcome"], AGENT_SECONDS;
    /// Runs of agents.
    runs: Counter<2> = "agent.runs", "{run}", ["agent", "outcome"];
    /// Time in which agents were busy, overlapping runs of one agent counted once.
    active_time: Counter<1> = "agent.active.time", "s", ["agent"];
    /// Calls of tools.
    tool_calls: Counter<3> = "agent.tool.calls", "{call}", ["tool", "agent", "outcome"];
    /// Duration of calls of tools.
    tool_duration: Histogram<2> = "agent.tool.duration", "s", ["tool", "outcome"], SECONDS;
    /// Duration of runs of workflows.
    workflow_duration: Histogram<2> = "agent.workflow.duration", "s", ["name", "outcome"], WORKFLOW_SECONDS;
    /// Duration of steps.
    step_duration: Histogram<2> = "agent.step.duration", "s", ["name", "outcome"], AGENT_SECONDS;
    /// Time of tasks from queue to completion.
    task_duration: Histogram<2> = "agent.task.duration", "s", ["feature", "outcome"], WORKFLOW_SECONDS;
    /// Attempts that tasks took.
    task_attempts: Histogram<2> = "agent.task.attempts", "{attempt}", ["feature", "outcome"], ATTEMPTS;
    /// Decisions of reviewers.
    review_decisions: Counter<2> = "agent.review.decisions", "{decision}", ["reviewer", "decision"];
    /// Lines of code that coding agents changed.
    code_lines: Counter<2> = "agent.code.lines", "{line}", ["type", "agent"];
    /// Commits that coding agents made.
    code_commits: Counter<1> = "agent.code.commits", "{commit}", ["agent"];
    /// Pull requests that coding agents made.
    code_pull_requests: Counter<1> = "agent.code.pull_requests", "{pull_request}", ["agent"];
    /// Sessions of coding agents.
    sessions: Counter<1> = "agent.sessions", "{session}", ["agent"];
    /// Time in which people and coding agents worked in sessions.
    session_time: Counter<2> = "agent.session.active.time", "s", ["type", "agent"];
    /// Results of validations.
    validation_results: Counter<2> = "agent.validation.results", "{result}", ["feature", "result"];
    /// Escalations to people.
    escalations: Counter<1> = "agent.escalations", "{escalation}", ["priority"];
    /// Time that agents waited for people.
    human_wait: Histogram<1> = "agent.human.wait", "s", ["resolution"], HUMAN_SECONDS;
    /// Alerts that fired, and that recovered.
    alerts: Counter<2> = "agent.alerts", "{alert}", ["alert", "state"];
    /// Accesses to memories of agents.
    memory_accesses: Counter<2> = "agent.memory.accesses", "{access}", ["tier", "hit"];
    /// Collaborations of agents.
    collaborations: Counter<2> = "agent.collaborations", "{collaboration}", ["agent", "consensus"];
}

/// What is open now: runs by agent, and the tasks that wait for people, by when each began to.
pub fn open_now(in_flight: &[(Name, u64)], waiting: &[Timestamp]) -> [Family; 3] {
    let gauge = |name: &str, unit: &str, help: &str, value: Option<f64>| Family {
        name: name.into(),
        unit: unit.into(),
        help: help.into(),
        kind: FamilyKind::Gauge,
        series: value.map(|value| Series { attributes: Vec::new(), value: Value::Number(value) }).into_iter().collect(),
    };
    const OPEN: &str = "Tasks that wait for people.";
    const OLDEST: &str = "Since when the task has waited for people that has waited longest, in seconds since 1970.";
    let oldest = waiting.iter().min().map(|since| since.as_micros() as f64 / 1e6);
    [
        agents_in_flight(in_flight),
        gauge("agent.escalations.open", "{escalation}", OPEN, Some(waiting.len() as f64)),
        gauge("agent.escalations.oldest.timestamp", "s", OLDEST, oldest),
    ]
}

fn agents_in_flight(in_flight: &[(Name, u64)]) -> Family {
    let series = |(agent, runs): &(Name, u64)| Series {
        attributes: vec![("agent".into(), agent.clone())],
        value: Value::Number(*runs as f64),
    };
    Family {
        name: "agent.in_flight".into(),
        unit: "{run}".into(),
        help: "Open runs of agents.".into(),
        kind: FamilyKind::UpDownCounter,
        series: in_flight.iter().map(series).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../docs/metrics.md");
        let counted = Instruments::new(1).counted();
        let missing: Vec<_> = counted
            .iter()
            .map(|counted| counted.family.name.clone())
            .filter(|name| !page.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
