//! What telemetry is exported to, started: files, the console, OTLP and Redis, each behind a pump of its own.

use std::path::PathBuf;
use std::sync::Arc;

use super::budgets::RemoteBudgets;
use super::exporting::{console_pump, events_to, file_pump};
use super::spans::Spans;
use crate::connector::{BudgetFile, Connector, EventSink};
use crate::console::event::Level;
use crate::export::otlp::{self, Remote};
use crate::export::pump::Liveness;
use crate::export::{Inlet, Pump, redis};
use crate::health::Health;

/// What is to be exported to.
pub struct Plan {
    pub console: Option<Level>,
    pub file: Option<PathBuf>,
    pub otlp: [Option<Remote>; 3],
    pub redis: Option<redis::Config>,
    pub connector: Arc<Connector>,
    pub health: Arc<Health>,
    pub budget_file: Option<Arc<BudgetFile>>,
    pub budgets: Option<(RemoteBudgets, String)>,
    pub budgets_token: Option<String>,
}

/// How to send to the exporters that run.
#[derive(Default)]
pub struct Plugged {
    pub sinks: Vec<EventSink>,
    pub spans: Option<(Spans, Inlet)>,
    pub metrics: Option<Inlet>,
    pub events: Option<Liveness>,
    pub changes: Option<Inlet>,
    pub problems: Vec<String>,
}

impl Plan {
    /// Starts it; whatever cannot be started is a problem, and the rest goes on without it.
    pub fn start(self) -> (Vec<Pump>, Plugged) {
        let (mut pumps, mut plugged) = (Vec::new(), Plugged::default());
        let mut plug = |pump: Result<Pump, String>, problems: &mut Vec<String>| match pump {
            Ok(pump) => {
                let ends = (pump.inlet(), pump.liveness());
                pumps.push(pump);
                Some(ends)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let Plan { console, file, otlp: [traces, metrics, logs], redis, connector, health, .. } = self;
        if let Some(file) = self.budget_file {
            tokio::spawn(file.keep_written());
        }
        if let Some((remote, url)) = self.budgets {
            match remote.poll(&url, self.budgets_token.as_deref()) {
                Ok(polling) => drop(tokio::spawn(polling)),
                Err(problem) => plugged.problems.push(format!("budgets: {problem}")),
            }
        }
        let mut otlp = |carries: &str, remote: Option<Remote>, problems: &mut Vec<String>| {
            plug(otlp::start(&format!("otlp/{carries}"), carries, &remote?, &health), problems)
        };
        let spans = otlp("traces", traces, &mut plugged.problems);
        plugged.spans = spans.map(|(inlet, _)| (Spans::new("opentelemetry", Spans::MOST, &health), inlet));
        plugged.metrics = otlp("metrics", metrics, &mut plugged.problems).map(|(inlet, _)| inlet);
        let over_otlp = otlp("events", logs, &mut plugged.problems);
        plugged.events = over_otlp.as_ref().map(|(_, liveness)| liveness.clone());
        let events = [
            over_otlp,
            console.and_then(|level| plug(Ok(console_pump(level, &health)), &mut plugged.problems)),
            file.and_then(|path| plug(Ok(file_pump(path, &health)), &mut plugged.problems)),
        ];
        plugged.sinks = events.into_iter().flatten().map(|(inlet, _)| events_to(inlet)).collect();
        match redis.map(|config| redis::start("redis", &config, || connector.keep_buckets(), &health)).transpose() {
            Ok(started) => {
                let started = started.unwrap_or_default();
                pumps.extend(started.pumps);
                plugged.sinks.extend(started.events.map(events_to));
                plugged.changes = started.changes;
            }
            Err(problem) => plugged.problems.push(format!("redis: {problem}")),
        }
        (pumps, plugged)
    }
}
