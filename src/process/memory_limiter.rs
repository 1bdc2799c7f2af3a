//! `memory_limiter`: refuses requests while memory is short, before their bodies are read.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::machine::total_memory;
use crate::config::types::Span;
use crate::flow::{Gate, Room};
use crate::health::resident_memory;

/// When memory is short. Keys are those of the OpenTelemetry Collector.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often to look, at least: also when much has come in.
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
    /// The bytes from which on there is less room for requests, and those from which on there is none.
    pub fn limits(&self) -> Result<Limits, String> {
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
        Ok(Limits { soft: limit - spike, hard: limit })
    }
}

/// Resident bytes that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on there is less and less room for requests.
    pub soft: u64,
    /// From here on there is none.
    pub hard: u64,
}

impl Limits {
    /// While memory is scarce there is room for this, so that requests of usual size still come in one after the other:
    /// what the process has taken, for runs, caches and by its allocator, it may well need for ever, and use again.
    const LEAST: u64 = 4 << 20;

    /// Watches memory and opens and closes the gate, for as long as the program runs. `interval` is the longest that it is not
    /// looked at.
    pub async fn watch(self, interval: Duration, gate: Arc<Gate>) {
        gate.measure(self.step(), move || self.room(resident_memory().unwrap_or(0)));
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(10)));
        loop {
            interval.tick().await;
            gate.look();
        }
    }

    /// The lower of both: there is one memory for all pipelines.
    pub fn and(self, other: Limits) -> Limits {
        Limits { soft: self.soft.min(other.soft), hard: self.hard.min(other.hard) }
    }

    /// Bytes of requests after which memory is looked at again, also before `check_interval`: on the way from one limit to
    /// the other it is seen several times.
    fn step(self) -> usize {
        (self.hard - self.soft) as usize / 8
    }

    fn room(self, resident: u64) -> Room {
        // What waits to be worked on may take a quarter of the memory.
        let most = self.soft / 4;
        if resident <= self.soft {
            return Room::For(most as usize);
        }
        if resident >= self.hard {
            return Room::None;
        }
        let left = (self.hard - resident) as f64 / (self.hard - self.soft) as f64;
        Room::Only(((most as f64 * left) as u64).max(Limits::LEAST) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_becomes_less_between_the_limits() {
        let config = Config { limit_mib: 500, ..Config::default() };
        let limits = config.limits().unwrap();
        assert_eq!(limits, Limits { soft: 400 << 20, hard: 500 << 20 });
        for (mib, room) in [
            (10, Room::For(100 << 20)),
            (400, Room::For(100 << 20)),
            (450, Room::Only(50 << 20)),
            (475, Room::Only(25 << 20)),
            (499, Room::Only(4 << 20)),
            (500, Room::None),
            (900, Room::None),
        ] {
            assert_eq!(limits.room(mib << 20), room, "{mib}");
        }
    }
}
