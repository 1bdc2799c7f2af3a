//! `redis`: events from streams, as one of a group of consumers that share them.
//!
//! An entry is acknowledged once its events were handed on. What another consumer was given and never acknowledged is
//! claimed after a while, so an entry comes at least once, whoever dies; one whose event has an id, or gets one from the
//! entry, still counts once.

mod config;
mod entry;
mod reader;

use std::sync::Arc;

pub use config::Config;
use reader::Reader;
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
    let reader =
        |stream: &String| Reader::new(id, stream, config, server.clone(), intake.clone(), gate.clone(), health);
    let readers: Vec<Reader> = config.streams().iter().map(reader).collect();
    Ok(Serving::of(|stop: CancellationToken| async move {
        let reading = readers.into_iter().map(|reader| reader.run(stop.clone()));
        futures_util::future::join_all(reading).await;
    }))
}
