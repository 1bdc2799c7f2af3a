//! A running collector, and its end: sources first, then what is on its way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::background::{metric_routes, send_metrics};
use super::plan::Pipeline;
use super::reloads::Reloads;
use super::route::Route;
use crate::connector::{BudgetFile, Connector, LedgerFile};
use crate::export::{Left, Pump};
use crate::flow::Gate;
use crate::health::{ACCEPTED, DROPPED, FAILED, Health, REFUSED};
use crate::history::History;
use crate::journal::Journal;
use crate::listen::{Port, Serving};
use crate::merge::Merge;

/// A running collector.
pub struct Running {
    pub(super) addresses: Addresses,
    pub(super) agent: Option<Arc<Connector>>,
    pub(super) budgets: Option<Arc<BudgetFile>>,
    pub(super) ledger: Option<Arc<LedgerFile>>,
    pub(super) health: Health,
    pub(super) gate: Arc<Gate>,
    pub(super) serving: Vec<Serving>,
    pub(super) pumps: Vec<Pump>,
    pub(super) routes: Vec<(Pipeline, Arc<Route>)>,
    pub(super) live: Arc<Merge>,
    pub(super) tasks: JoinSet<()>,
    pub(super) stop_web: CancellationToken,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) history: Option<Arc<History>>,
    /// Changed by whoever wants files to be read again.
    pub(super) reload: watch::Sender<()>,
    pub(super) reloads: Reloads,
    pub(super) started: Instant,
}

/// Where the collector can be reached, and where it writes.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Receivers.
    pub receivers: Vec<Port>,
    /// The web endpoint.
    pub web: Option<Port>,
    /// Ports beside those: what they are, and their URLs.
    pub beside: Vec<(&'static str, String)>,
    /// Files of events and telemetry.
    pub files: Vec<PathBuf>,
}

/// What there is to say of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Items accepted so far.
    pub accepted: u64,
    /// Requests and items refused so far.
    pub refused: u64,
    /// Items dropped or given up so far, duplicates aside.
    pub dropped: u64,
    /// Runs in memory that are not over.
    pub running: usize,
    /// Calls of models.
    pub llm_calls: u64,
    /// Calls of tools.
    pub tool_calls: u64,
    /// US dollars, as far as prices are known.
    pub cost_usd: Option<f64>,
    /// Calls without a known price.
    pub unpriced_calls: u64,
}

/// What became of everything, at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The last status.
    pub status: Status,
    /// What exporters did not deliver, or not yet.
    pub left: Vec<Left>,
    /// How long the collector ran.
    pub ran_for: Duration,
}

impl Running {
    /// How long connections may take to end.
    const STOP_SOURCES: Duration = Duration::from_secs(5);

    /// Where the collector can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads files of certificates, keys and tokens again, if something else is in them.
    pub fn reload(&self) {
        self.reload.send_replace(());
    }

    /// What there is to say right now.
    pub fn status(&self) -> Status {
        let dropped: u64 = self.health.sum(DROPPED.name, &[]) + self.health.sum(FAILED.name, &[]);
        // Left out on purpose, and nothing is lost with it.
        let duplicates: u64 = ["duplicate_span", "duplicate_event", "derived_here", "pending_span", "filtered"]
            .iter()
            .map(|reason| self.health.sum(DROPPED.name, &[("reason", reason)]))
            .sum();
        let mut status = Status {
            accepted: self.health.sum(ACCEPTED.name, &[]),
            refused: self.health.sum(REFUSED.name, &[]),
            dropped: dropped.saturating_sub(duplicates),
            ..Status::default()
        };
        if let Some(agent) = &self.agent {
            let (totals, running) = agent.read(|core| (core.deriver.totals(), core.deriver.running()));
            status.running = running;
            status.llm_calls = totals.llm_calls + totals.llm_failed;
            status.tool_calls = totals.tool_calls;
            status.cost_usd = totals.cost_usd;
            status.unpriced_calls = totals.unpriced_calls;
        }
        status
    }

    /// Stops sources, drains what is on its way until `patience` ends, and says what was left.
    pub async fn stop(mut self, patience: Duration) -> Report {
        // What is not handed over by now would be acknowledged and lost.
        self.gate.close();
        let sources = self.serving.drain(..).map(|serving| serving.stop(Running::STOP_SOURCES.min(patience)));
        futures_util::future::join_all(sources).await;
        if let Some(agent) = &self.agent {
            agent.finish();
            self.live.finish();
            send_metrics(agent, &metric_routes(&self.routes));
        }
        let status = self.status();
        let deadline = tokio::time::Instant::now() + patience;
        let drains = self.pumps.drain(..).map(|pump| pump.drain(deadline));
        let left = futures_util::future::join_all(drains).await;
        if let Some(budgets) = self.budgets.take() {
            budgets.end_by(deadline).await;
        }
        if let Some(ledger) = self.ledger.take() {
            ledger.end_by(deadline).await;
        }
        self.stop_web.cancel();
        drop(self.reloads);
        self.tasks.shutdown().await;
        if let Some(journal) = self.journal.take() {
            close(journal, self.history.take()).await;
        }
        Report {
            status,
            left: left.into_iter().filter(|left| left.items > 0 || left.kept > 0).collect(),
            ran_for: self.started.elapsed(),
        }
    }
}

/// Closes the journal, and before it history, whose place it remembers, on a thread that may wait for the disk.
async fn close(journal: Arc<Journal>, history: Option<Arc<History>>) {
    let close = move || {
        history.iter().for_each(|history| history.close());
        journal.close();
    };
    if tokio::task::spawn_blocking(close).await.is_err() {
        crate::report::error("the journal was not closed");
    }
}
