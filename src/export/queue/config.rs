//! What can be said of a queue. Keys are those of the OpenTelemetry Collector, and some of our own.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::Bounds;
use crate::config::types::Span;

/// The queue of an exporter.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// How many attempts may be under way at a time, each on a connection of its own.
    pub num_consumers: usize,
    /// How much may wait, in units of `sizer`: in memory 1000 unless it says otherwise, on disk no limit.
    pub queue_size: Option<usize>,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// The most items that may wait: in memory 200,000 unless it says otherwise, on disk no limit.
    pub max_items: Option<usize>,
    /// The most MiB that may wait: in memory 64 unless it says otherwise, on disk `max_gib`.
    pub max_mib: Option<usize>,
    /// What happens when it is full.
    pub on_full: OnFull,
    /// How long a sender is made to wait for room before it is refused.
    pub patience: Span,
    /// An exporter whose attempts have failed for so long makes nobody wait any more, and it alone loses: in memory 15
    /// seconds unless it says otherwise, on disk never.
    pub failing_after: Option<Span>,
    /// Whether something counts as taken only once the receiver has it; of queues in memory.
    pub wait_for_result: bool,
    /// Where what waits is kept.
    pub storage: Storage,
    /// What must have happened before something counts as taken; of queues on disk.
    pub ack: Option<DiskAck>,
    /// What the queue may take on disk, in GiB.
    pub max_gib: Option<f64>,
}

/// What a configuration says of a queue.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    num_consumers: Option<usize>,
    queue_size: Option<usize>,
    sizer: Option<Sizer>,
    max_items: Option<usize>,
    max_mib: Option<usize>,
    on_full: Option<OnFull>,
    patience: Option<Span>,
    failing_after: Option<Span>,
    wait_for_result: Option<bool>,
    storage: Option<Storage>,
    ack: Option<DiskAck>,
    max_gib: Option<f64>,
}

/// What a queue's size counts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests as they came.
    Requests,
    /// Spans, log records, data points or events.
    Items,
    /// Bytes.
    Bytes,
}

/// What happens when a queue is full.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// Senders wait, and are then refused, unless the exporter has been failing for a while: then it alone loses.
    Wait,
    /// This exporter loses what does not fit; nobody waits.
    Drop,
}

/// Where what waits is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone with the process.
    Memory,
    /// In files below the data directory.
    Disk,
}

/// What must have happened before something counts as taken into a queue on disk.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DiskAck {
    /// It waits to be written: lost if the process dies within a moment.
    Memory,
    /// It is written: survives the end of the process, in whatever way.
    Journal,
    /// It is on the disk: survives the loss of power.
    Durable,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            num_consumers: 4,
            queue_size: None,
            sizer: Sizer::Requests,
            max_items: None,
            max_mib: None,
            on_full: OnFull::Wait,
            patience: Span(Duration::from_secs(2)),
            failing_after: None,
            wait_for_result: false,
            storage: Storage::Memory,
            ack: None,
            max_gib: None,
        }
    }
}

impl<'de> Deserialize<'de> for QueueConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<QueueConfig, D::Error> {
        QueueConfig::default().but_as_said(deserializer)
    }
}

impl QueueConfig {
    /// As a configuration says, and as this one where it says nothing.
    pub fn but_as_said<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<QueueConfig, D::Error> {
        let said = Said::deserialize(deserializer)?;
        Ok(QueueConfig {
            num_consumers: said.num_consumers.unwrap_or(self.num_consumers),
            // In another unit our number means nothing.
            queue_size: said.queue_size.or(self.queue_size.filter(|_| said.sizer.is_none())),
            sizer: said.sizer.unwrap_or(self.sizer),
            max_items: said.max_items.or(self.max_items),
            max_mib: said.max_mib.or(self.max_mib),
            on_full: said.on_full.unwrap_or(self.on_full),
            patience: said.patience.unwrap_or(self.patience),
            failing_after: said.failing_after.or(self.failing_after),
            wait_for_result: said.wait_for_result.unwrap_or(self.wait_for_result),
            storage: said.storage.unwrap_or(self.storage),
            ack: said.ack.or(self.ack),
            max_gib: said.max_gib.or(self.max_gib),
        })
    }

    const FAILING_AFTER: Duration = Duration::from_secs(15);

    /// Checks that the numbers make sense, and that nothing is said that means nothing.
    pub fn validate(&self) -> Result<(), String> {
        if self.num_consumers == 0 || [self.queue_size, self.max_items, self.max_mib].contains(&Some(0)) {
            return Err("the numbers of a sending queue are 1 or more".into());
        }
        if self.storage == Storage::Memory && (self.ack.is_some() || self.max_gib.is_some()) {
            return Err("`ack` and `max_gib` are of queues on disk; write `storage: disk`".into());
        }
        if self.wait_for_result && self.storage == Storage::Disk {
            return Err("`wait_for_result` is of queues in memory; one on disk has `ack`".into());
        }
        if self.wait_for_result && (self.num_consumers != 1 || self.on_full == OnFull::Drop) {
            return Err("`wait_for_result` goes with `num_consumers: 1`, since it is known in order what was delivered, and not \
                        with `on_full: drop`"
                .into());
        }
        if !(0.001..=1e6).contains(&self.max_gib()) {
            return Err(format!("`max_gib` is between 0.001 and 1000000, not {}", self.max_gib()));
        }
        Ok(())
    }

    /// Likewise, for an exporter whose queue is never on disk.
    pub fn validate_in_memory(&self) -> Result<(), String> {
        match self.storage {
            Storage::Memory => self.validate(),
            Storage::Disk => {
                Err("`sending_queue.storage: disk` is for OTLP and webhooks; this queue is in memory".into())
            }
        }
    }

    /// What may wait.
    pub fn bounds(&self) -> Bounds {
        let in_memory = |most: usize| if self.storage == Storage::Memory { most } else { usize::MAX };
        let mut bounds = Bounds {
            requests: usize::MAX,
            items: self.max_items.unwrap_or(in_memory(200_000)),
            bytes: self.max_mib.map_or(in_memory(64 << 20), |mib| mib << 20),
        };
        match (self.sizer, self.queue_size) {
            (Sizer::Requests, size) => bounds.requests = size.unwrap_or(in_memory(1000)),
            (Sizer::Items, Some(size)) => bounds.items = size,
            (Sizer::Bytes, Some(size)) => bounds.bytes = size,
            (Sizer::Items, None) => bounds.items = in_memory(1000),
            (Sizer::Bytes, None) => bounds.bytes = in_memory(1000),
        }
        bounds
    }

    /// How long an exporter has to fail until nobody waits for it, if that ever comes to pass.
    pub fn failing_after(&self) -> Option<Duration> {
        let loses = self.storage == Storage::Memory && !self.wait_for_result;
        let unless_said = loses.then_some(QueueConfig::FAILING_AFTER);
        self.failing_after.map(|span| span.0).or(unless_said)
    }

    /// What the queue may take on disk, in GiB.
    pub fn max_gib(&self) -> f64 {
        self.max_gib.unwrap_or(1.0)
    }
}

impl<'de> Deserialize<'de> for Storage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Storage, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split('/').next() {
            Some("memory") => Ok(Storage::Memory),
            // The Collector names the extension that stores.
            Some("disk" | "file_storage") => Ok(Storage::Disk),
            _ => Err(de::Error::custom(format!("`{text}` is no storage; write `disk` or `memory`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_disk_only_its_size_is_a_limit_unless_others_are_named() {
        let memory = QueueConfig::default();
        assert_eq!((memory.bounds().requests, memory.bounds().items, memory.bounds().bytes), (1000, 200_000, 64 << 20));
        let disk = QueueConfig { storage: Storage::Disk, ..memory };
        assert_eq!(
            (disk.bounds().requests, disk.bounds().items, disk.bounds().bytes),
            (usize::MAX, usize::MAX, usize::MAX)
        );
        assert_eq!((memory.failing_after().is_some(), disk.failing_after()), (true, None));
        let few = QueueConfig { queue_size: Some(7), sizer: Sizer::Items, ..disk };
        assert_eq!(few.bounds().items, 7);
    }

    #[test]
    fn what_means_nothing_is_no_configuration() {
        let memory = QueueConfig { max_gib: Some(2.0), ..QueueConfig::default() };
        assert!(memory.validate().unwrap_err().contains("storage: disk"));
        let disk = QueueConfig { storage: Storage::Disk, ..memory };
        assert_eq!(disk.validate(), Ok(()));
        let waits = QueueConfig { wait_for_result: true, num_consumers: 1, ..QueueConfig::default() };
        assert_eq!((waits.validate(), waits.failing_after()), (Ok(()), None));
        assert!(QueueConfig { num_consumers: 2, ..waits }.validate().is_err());
        assert!(QueueConfig { storage: Storage::Disk, ..waits }.validate().is_err());
        assert!(QueueConfig { max_gib: Some(f64::NAN), ..disk }.validate().is_err());
        assert!(disk.validate_in_memory().is_err());
    }
}
