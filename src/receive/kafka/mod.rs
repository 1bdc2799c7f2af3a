//! `kafka`: telemetry and events from topics, as one of a group of consumers that share their partitions.
//!
//! An offset is committed once what is before it was handed on, the runs that it tells of are over and what was told of them
//! is delivered, so whoever gets a partition next reads again what it needs to know of those that are not, and tells again
//! what may not have arrived. A message comes at least once, whoever dies; the same span twice counts once, and so does the
//! same event.

mod config;
mod membership;
mod parcel;
mod progress;
mod reader;

use std::sync::Arc;

pub use config::Config;
use config::Kind;
use membership::Membership;
use reader::Reader;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::flow::{Gate, SharedIntake};
use crate::health::{About, Health, Reception};
use crate::listen::Serving;

/// Reads the topics whose messages somebody wants until told to stop; nothing is connected yet.
///
/// # Errors
/// What is wrong with the configuration, or with its files of TLS.
pub fn serve(
    id: &str,
    config: &Config,
    intake: &SharedIntake,
    gate: &Arc<Gate>,
    health: &Health,
) -> Result<Serving, String> {
    let is_wanted = |kind: Kind| match kind {
        Kind::Telemetry(signal, _) => intake.takes(signal),
        Kind::Events => intake.takes_events(),
    };
    let reception = |kind: Kind| match kind {
        Kind::Telemetry(signal, _) => Reception::new(health, id, "topic", signal.name()),
        Kind::Events => Reception::new(health, id, "topic", "events"),
    };
    let topics = config.topics(is_wanted).into_iter().map(|(topic, kind)| (topic, kind, reception(kind)));
    let topics: Vec<_> = topics.collect();
    let names = topics.iter().map(|(topic, _, _)| topic.clone()).collect();
    let rebalances = health.counter(REBALANCES, &[("receiver", id)]);
    let member = Membership::new(id, config, names, intake.clone(), rebalances).member();
    let of = member.clone();
    health.gauge(PARTITIONS, &[("receiver", id)], move || of.progress().partitions() as f64);
    let of = member.clone();
    health.gauge(HELD, &[("receiver", id)], move || of.progress().held() as f64);
    let reader = Reader::new(id, config, topics, member, (intake.clone(), gate.clone()))?;
    Ok(Serving::of(|stop: CancellationToken| async move {
        let runtime = Handle::current();
        if tokio::task::spawn_blocking(move || reader.run(&stop, &runtime)).await.is_err() {
            crate::report::error("a reader of Kafka has ended by a defect of ours");
        }
    }))
}

const REBALANCES: About = About {
    name: "spanlight.receiver.rebalances",
    unit: "{rebalance}",
    help: "How often the partitions of Kafka were shared anew among the group that this process is of.",
};
const PARTITIONS: About = About {
    name: "spanlight.receiver.partitions",
    unit: "{partition}",
    help: "Partitions of Kafka that this process reads.",
};
const HELD: About = About {
    name: "spanlight.receiver.held",
    unit: "{message}",
    help: "Messages of Kafka that were taken and are not committed, because runs that they may tell of are in progress.",
};
