//! `memory_limiter`: refuses requests while memory is short, before their bodies are read.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::machine::total_memory;
use crate::config::types::Span;
use crate::flow::Gate;
use crate::health::resident_memory;

/// When memory is short. Keys are those of the OpenTelemetry Collector.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often to look.
    pub check_interval: Span,
    /// The most memory the process should take, in MiB.
    pub limit_mib: u64,
    /// Requests are refused from this much below the limit on, in MiB; by default a fifth of it.
    pub spike_limit_mib: u64,
    /// Instead of `limit_mib`: a share of the memory of the machine, or of the container.
    pub limit_percentage: u64,
    /// Instead of `spike_limit_mib`: a share of the same memory.
    pub spike_limit_percentage: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            check_interval: Span(Duration::from_millis(100)),
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
        }
    }
}

impl Config {
    /// The bytes from which on requests are refused.
    pub fn soft_limit(&self) -> Result<u64, String> {
        let share = |percentage: u64| total_memory().map(|total| total / 100 * percentage);
        let limit = match (self.limit_mib, self.limit_percentage) {
            (0, 0) => return Err("one of `limit_mib` and `limit_percentage` is needed".into()),
            (0, percentage @ 1..=100) => {
                share(percentage).ok_or("the machine's memory is not known; use `limit_mib`")?
            }
            (0, percentage) => return Err(format!("`limit_percentage` is 1 to 100, not {percentage}")),
            (mib, _) => mib << 20,
        };
        let spike = match (self.spike_limit_mib, self.spike_limit_percentage) {
            (0, 0) => limit / 5,
            (0, percentage) => share(percentage).unwrap_or(limit / 5),
            (mib, _) => mib << 20,
        };
        if spike >= limit {
            return Err("the spike limit must be less than the limit".into());
        }
        Ok(limit - spike)
    }

    /// Watches memory and opens and closes the gate, for as long as the program runs.
    pub async fn watch(self, soft_limit: u64, gate: Arc<Gate>) {
        let mut interval = tokio::time::interval(self.check_interval.0.max(Duration::from_millis(10)));
        loop {
            interval.tick().await;
            gate.set_short_of_memory(resident_memory().is_some_and(|resident| resident > soft_limit));
        }
    }
}
