//! Summaries of how agents fare, computed once for all clients that want them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::message;
use crate::connector::Connector;
use crate::event::Timestamp;
use crate::measure::Dimension;

/// The last summary. Each clone tells of each summary once.
#[derive(Clone)]
pub struct Summaries(watch::Receiver<Utf8Bytes>);

impl Summaries {
    /// Of so much time.
    const WINDOW: Duration = Duration::from_secs(3600);

    /// Computes them from now on, whenever somebody may want one.
    pub fn start(
        connector: &Arc<Connector>,
        interval: Duration,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Summaries {
        let (sender, receiver) = watch::channel(Utf8Bytes::default());
        let (connector, stop) = (connector.clone(), stop.clone());
        tasks.spawn(async move {
            let mut interval = interval_at(tokio::time::Instant::now() + interval, interval);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(interval.tick()).await.is_some() {
                // The first receiver is that of the endpoint, which clients have theirs from.
                if sender.receiver_count() > 1 {
                    sender.send_replace(summary(&connector));
                }
            }
        });
        Summaries(receiver)
    }

    /// The next one, once it is there.
    pub async fn next(&mut self) -> Utf8Bytes {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().clone(),
            // The endpoint ends, and its clients with it.
            Err(_) => std::future::pending().await,
        }
    }
}

fn summary(connector: &Connector) -> Utf8Bytes {
    let now = Timestamp::now();
    let (total, rows) = connector.read(|core| {
        let rows = core.measure.summary_by(Dimension::Agent, Summaries::WINDOW, now);
        (core.measure.summary(Summaries::WINDOW, now), rows)
    });
    message::performance_summary("1h", &total, &rows).into()
}
