//! `redis`: what happened by hour and by day, events in a stream, and events to whoever listens on a channel; and telemetry
//! for collectors that share it.

mod buckets;
mod config;
mod events;
mod telemetry;

use std::time::Duration;

pub use config::Config;

use super::pump::Settings;
use super::queue::{OnFull, Portion, QueueConfig, Sizer};
use super::{Exporter, Inlet, Load, Outcome, Pump, retry};
use crate::config::types::Span;
use crate::content::Classes;
use crate::health::Health;
use crate::measure::SharedBuckets;
use crate::redis::{Link, is_final};

/// One of the things that are written, each at its own pace.
pub struct RedisExporter(Writing);

enum Writing {
    Buckets(buckets::BucketWriter),
    Events(events::EventWriter),
    Telemetry(Box<telemetry::TelemetryWriter>),
}

/// What runs for one server.
#[derive(Default)]
pub struct Started {
    /// To be drained in the end.
    pub pumps: Vec<Pump>,
    /// Where events go.
    pub events: Option<Inlet>,
    /// Where it is said that something was counted.
    pub changes: Option<Inlet>,
}

/// Starts whatever the configuration wants; nothing is connected yet. `buckets` gives those of this process, if it is to
/// keep any.
///
/// # Errors
/// What is wrong with the configuration, or with its files of TLS.
pub fn start(
    id: &str,
    config: &Config,
    buckets: impl FnOnce() -> SharedBuckets,
    health: &Health,
) -> Result<Started, String> {
    let server = config.server()?;
    let mut started = Started::default();
    let link = || Link::new(server.clone());
    if config.sends_events() {
        let attempts = 0..config.sending_queue.num_consumers;
        let writer = |_| Writing::Events(events::EventWriter::new(link(), config, id, health));
        let exporters = attempts.map(|number| Exporter::Redis(RedisExporter(writer(number)))).collect();
        let pump = Pump::start(id, "events", for_events(config), exporters, health);
        started.events = Some(pump.inlet());
        started.pumps.push(pump);
    }
    if config.buckets {
        let writer = buckets::BucketWriter::new(link(), buckets(), id, health);
        let exporter = Exporter::Redis(RedisExporter(Writing::Buckets(writer)));
        let pump = Pump::start(id, "buckets", for_buckets(config), vec![exporter], health);
        started.changes = Some(pump.inlet());
        started.pumps.push(pump);
    }
    Ok(started)
}

/// What writes the telemetry that a configuration wants written, and how it is pumped; nothing is connected yet.
///
/// # Errors
/// What is wrong with the configuration, or with its files of TLS.
pub fn telemetry(id: &str, config: &Config) -> Result<(Settings, Vec<Exporter>), String> {
    let (Some(name), server) = (&config.otlp.stream, config.server()?) else {
        return Err("`otlp.stream` is missing, which says where telemetry goes".into());
    };
    let writer = |_| telemetry::TelemetryWriter::new(Link::new(server.clone()), name, config, id);
    let exporter = |number| Exporter::Redis(RedisExporter(Writing::Telemetry(Box::new(writer(number)))));
    Ok((for_events(config), (0..config.sending_queue.num_consumers).map(exporter).collect()))
}

impl RedisExporter {
    /// The end.
    pub async fn close(&mut self) {
        if let Writing::Buckets(writer) = &mut self.0 {
            writer.close().await;
        }
    }

    /// One attempt.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        match (&mut self.0, load) {
            (Writing::Buckets(writer), _) => writer.write().await,
            (Writing::Events(writer), Load::Events(events)) => writer.write(events).await,
            (Writing::Telemetry(writer), load) => writer.write(load).await,
            (Writing::Events(_), _) => Outcome::Reject { why: "telemetry has no place in a stream of events".into() },
        }
    }
}

/// Every command has a limit of its own.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

fn for_events(config: &Config) -> Settings {
    Settings {
        queue: config.sending_queue,
        retry: config.retry_on_failure,
        timeout: NO_LIMIT,
        // What goes into one script: the server does nothing else meanwhile.
        portion: Portion { items: 500, bytes: 1 << 20, ..Portion::USUAL },
        split: None,
        content: config.content(),
    }
}

fn for_buckets(config: &Config) -> Settings {
    // What waits here is only how much has changed, and is one number however much it is.
    let queue = QueueConfig {
        num_consumers: 1,
        sizer: Sizer::Items,
        queue_size: Some(1 << 40),
        max_items: Some(1 << 40),
        on_full: OnFull::Drop,
        ..config.sending_queue
    };
    // Whatever is written is as of then, so there is nothing that could be given up.
    let retry =
        retry::Config { enabled: true, max_elapsed_time: Some(Span(Duration::ZERO)), ..config.retry_on_failure };
    let portion = Portion { items: 1 << 41, bytes: usize::MAX, enough: 100, wait: Duration::from_secs(5) };
    Settings { queue, retry, timeout: NO_LIMIT, portion, split: None, content: Classes::default() }
}

/// What came of an attempt that failed.
fn failed(link: &Link, what: &str, error: &redis::RedisError) -> Outcome {
    let why = format!("{} does not take {what}: {error}", link.server());
    if is_final(error) { Outcome::Reject { why } } else { Outcome::retry(why) }
}
