//! Our part in a group of consumers: which partitions are ours, and what becomes of their state when they go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::progress::{Place, Progress};
use crate::flow::SharedIntake;
use crate::health::Count;
use crate::kafka::Trouble;

/// What librdkafka tells of, on the thread that reads.
pub struct Membership {
    /// The receiver.
    id: String,
    /// The topics that are read.
    topics: Vec<String>,
    intake: SharedIntake,
    progress: Mutex<Progress>,
    rebalances: Count,
    /// What stands in the way.
    pub trouble: Trouble,
}

impl Membership {
    /// Of no partition yet.
    pub fn new(id: &str, topics: Vec<String>, intake: SharedIntake, replay: Duration, rebalances: Count) -> Membership {
        let progress = Mutex::new(Progress::new(replay));
        Membership { id: id.to_owned(), topics, intake, progress, rebalances, trouble: Trouble::default() }
    }

    /// How far everything is.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a partition among those that are read.
    pub fn place(&self, topic: &str, partition: i32) -> Option<Place> {
        Some((self.topics.iter().position(|known| known == topic)?, partition))
    }

    /// Says to librdkafka from where on whoever is next has to read; it commits that every second, and when partitions
    /// go.
    pub fn store(&self, consumer: &BaseConsumer<Membership>) {
        let is_in_progress = |trace| self.intake.is_in_progress(trace);
        let offsets = self.progress().to_commit(Instant::now(), is_in_progress);
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in offsets {
            let Some(name) = self.topics.get(topic) else { continue };
            if let Err(error) = list.add_partition_offset(name, partition, Offset::Offset(offset)) {
                crate::report::warn(&format!("{}: {error}", self.id));
            }
        }
        // Of a partition that has just gone nothing is committed, and whoever has it reads a little more.
        if let Err(error) = consumer.store_offsets(&list)
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::State)
        {
            crate::report::warn(&format!("{}: how far was read cannot be remembered: {error}", self.id));
        }
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        list.elements().iter().filter_map(|element| self.place(element.topic(), element.partition())).collect()
    }
}

impl ClientContext for Membership {
    fn error(&self, _: KafkaError, reason: &str) {
        self.trouble.note(reason);
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Membership>, rebalance: &Rebalance<'_>) {
        self.rebalances.add(1);
        match rebalance {
            Rebalance::Assign(list) => {
                let mut progress = self.progress();
                self.places(list).into_iter().for_each(|place| progress.begin(place));
            }
            Rebalance::Revoke(list) => {
                self.store(consumer);
                let traces: Vec<_> = {
                    let mut progress = self.progress();
                    self.places(list).into_iter().flat_map(|place| progress.end(place)).collect()
                };
                // Whoever gets the partition reads them again and goes on; here they would count as lost one day.
                self.intake.forget(&traces);
            }
            Rebalance::Error(error) => {
                crate::report::warn(&format!("{}: partitions cannot be shared: {error}", self.id));
            }
        }
    }

    fn commit_callback(&self, result: rdkafka::error::KafkaResult<()>, _: &TopicPartitionList) {
        let Err(error) = result else { return };
        // Nothing to commit, or no longer ours: neither is any trouble.
        let harmless =
            [RDKafkaErrorCode::NoOffset, RDKafkaErrorCode::UnknownMemberId, RDKafkaErrorCode::IllegalGeneration];
        let is_harmless = error.rdkafka_error_code().is_some_and(|code| harmless.contains(&code));
        if !is_harmless {
            crate::report::warn(&format!("{}: how far was read is not committed: {error}", self.id));
        }
    }
}
