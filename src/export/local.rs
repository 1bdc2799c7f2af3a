//! How the exporters are pumped that stay on this machine: one attempt at a time, none of them cut short.

use std::path::Path;
use std::time::Duration;

use super::pump::Settings;
use super::queue::{OnFull, Portion, QueueConfig};
use super::{file, retry};
use crate::config::types::Span;
use crate::content::Classes;

/// A write to a disk cannot be called off: as long as it is under way, it must not be repeated.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A file below a data directory, and how it is pumped.
pub fn file(config: &file::Config, data_dir: &Path) -> (Settings, file::FileExporter) {
    // A disk that is full for a while comes back; nothing is given up before it does.
    let retry = retry::Config {
        initial_interval: Span(Duration::from_secs(1)),
        max_elapsed_time: Some(Span(Duration::ZERO)),
        ..retry::Config::default()
    };
    let queue = QueueConfig { num_consumers: 1, ..QueueConfig::default() };
    (local(queue, retry), file::FileExporter::new(config, data_dir))
}

/// How the console is pumped.
pub fn debug() -> Settings {
    let queue = QueueConfig { num_consumers: 1, on_full: OnFull::Drop, ..QueueConfig::default() };
    local(queue, retry::Config::default())
}

fn local(queue: QueueConfig, retry: retry::Config) -> Settings {
    Settings { queue, retry, timeout: NEVER, portion: Portion::USUAL, split: None, content: Classes::default() }
}
