//! `redis`: events from streams, as one of a group of consumers that share them, or all of a stream; and telemetry from
//! partitions that collectors share.
//!
//! An entry is acknowledged once its events were handed on. What another consumer was given and never acknowledged is
//! claimed after a while, so an entry comes at least once, whoever dies; one whose event has an id, or gets one from the
//! entry, still counts once.

mod config;
mod entry;
mod held;
mod mirror;
mod outage;
mod reader;
mod share;
mod telemetry;

use std::sync::Arc;

pub use config::Config;
use futures_util::future::join_all;
use mirror::MirrorReader;
use reader::Reader;
use telemetry::TelemetryReader;
use tokio_util::sync::CancellationToken;

use crate::flow::{Gate, SharedIntake};
use crate::health::Health;
use crate::listen::Serving;

/// Reads the streams that a configuration names until told to stop; nothing is connected yet.
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
    let server = config.server()?;
    let ends = || (intake.clone(), gate.clone());
    let reader = |stream: &String| Reader::new(id, stream, config, server.clone(), ends(), health);
    let mirror = |stream| MirrorReader::new(id, stream, config, server.clone(), ends(), health);
    let telemetry = |name| TelemetryReader::new(id, name, config, server.clone(), ends(), health);
    let readers: Vec<Reader> = config.streams().iter().filter(|_| config.shared).map(reader).collect();
    let mirror = config.mirrored().map(mirror);
    let telemetry = config.otlp.stream.as_deref().map(telemetry);
    Ok(Serving::of(|stop: CancellationToken| async move {
        let reading = join_all(readers.into_iter().map(|reader| reader.run(stop.clone())));
        let mirroring = join_all(mirror.map(|reader| reader.run(stop.clone())));
        let sharing = join_all(telemetry.map(|reader| reader.run(stop.clone())));
        tokio::join!(reading, mirroring, sharing);
    }))
}
