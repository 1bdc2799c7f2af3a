//! `batch`: how much exporters send at a time.
//!
//! The batching itself happens in the exporters' queues ([`crate::export`]): a batch that waits for company there
//! is accounted for, which one in a processor would not be.

use std::time::Duration;

use serde::Deserialize;

use crate::config::types::Span;

/// How much exporters send at a time. Keys and defaults are those of the OpenTelemetry Collector.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a batch may wait for company.
    pub timeout: Span,
    /// Items with which it waits no longer.
    pub send_batch_size: usize,
    /// The most items in one batch; larger ones are split. 0 is no limit.
    pub send_batch_max_size: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { timeout: Span(Duration::from_millis(200)), send_batch_size: 8192, send_batch_max_size: 0 }
    }
}

impl Config {
    /// Checks that the sizes agree.
    pub fn validate(&self) -> Result<(), String> {
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            return Err(format!(
                "`send_batch_max_size` ({}) must not be less than `send_batch_size` ({})",
                self.send_batch_max_size, self.send_batch_size
            ));
        }
        Ok(())
    }
}
