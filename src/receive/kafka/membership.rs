//! Our part in a group of consumers: which partitions are ours, and what becomes of their state when they go.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::Config;
use super::progress::{Place, Progress};
use crate::flow::{SharedIntake, Told};
use crate::health::Count;
use crate::kafka::Trouble;

/// What a client of librdkafka knows us by. Another client goes on with the same.
#[derive(Clone)]
pub struct Member(Arc<Membership>);

/// What librdkafka tells of, on the thread that reads.
pub struct Membership {
    /// The receiver.
    id: String,
    /// The topics that are read.
    topics: Vec<String>,
    intake: SharedIntake,
    progress: Mutex<Progress>,
    /// After this long without a sign of life, others have what was ours.
    session: Duration,
    rebalances: Count,
    /// What stands in the way.
    pub trouble: Trouble,
    /// What stands in the way of all.
    pub outage: Trouble,
    /// Whether something went wrong since this was asked last.
    has_failed: AtomicBool,
}

impl Membership {
    /// How long what was told is waited for before others have the partitions. The group waits as well.
    const LAST: Duration = Duration::from_secs(3);

    /// Of no partition yet.
    pub fn new(id: &str, config: &Config, topics: Vec<String>, intake: SharedIntake, rebalances: Count) -> Membership {
        Membership {
            id: id.to_owned(),
            topics,
            intake,
            progress: Mutex::new(Progress::new(config.replay.0)),
            session: config.session_timeout.0,
            rebalances,
            trouble: Trouble::default(),
            outage: Trouble::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// What a client of librdkafka is to know us by.
    pub fn member(self) -> Member {
        Member(Arc::new(self))
    }

    /// Whether something went wrong since this was asked last.
    pub fn has_failed(&self) -> bool {
        self.has_failed.swap(false, Relaxed)
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
    pub fn store(&self, consumer: &BaseConsumer<Member>) {
        let is_in_progress = |trace| self.intake.is_in_progress(trace);
        let (told, is_delivered) = (|| self.intake.told(), |told: &Told| self.intake.is_delivered(told));
        let offsets = self.progress().next_offsets(Instant::now(), is_in_progress, told, is_delivered);
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

    /// The same before others have what is ours, once what was told of it is delivered, so that nobody tells and counts it
    /// again; unless that takes too long.
    fn store_for_others(&self, consumer: &BaseConsumer<Member>) {
        let deadline = Instant::now() + Membership::LAST;
        self.store(consumer);
        while self.progress().is_settling() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            self.store(consumer);
        }
    }

    /// Whoever has a partition now reads again what is in progress there, and goes on; here it would count as lost one
    /// day.
    pub fn forget_what_was_given_away(&self) {
        let traces = self.progress().given_away();
        self.intake.forget(&traces);
    }

    /// Has those partitions that were ours before go on behind what was taken, and not from where others would begin.
    fn set_offsets(&self, list: &mut TopicPartitionList, begin: &[(Place, Option<i64>)]) -> KafkaResult<()> {
        for ((topic, partition), taken) in begin {
            if let (Some(name), Some(taken)) = (self.topics.get(*topic), taken) {
                list.set_partition_offset(name, *partition, Offset::Offset(*taken))?;
            }
        }
        Ok(())
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        list.elements().iter().filter_map(|element| self.place(element.topic(), element.partition())).collect()
    }
}

impl Deref for Member {
    type Target = Membership;

    fn deref(&self) -> &Membership {
        &self.0
    }
}

impl ClientContext for Member {
    fn error(&self, error: KafkaError, reason: &str) {
        const OF_ALL: [RDKafkaErrorCode; 3] =
            [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::Authentication, RDKafkaErrorCode::Fatal];
        self.has_failed.store(true, Relaxed);
        self.trouble.note(reason);
        if error.rdkafka_error_code().is_some_and(|code| OF_ALL.contains(&code)) {
            self.outage.note(reason);
        }
    }
}

impl ConsumerContext for Member {
    /// All partitions go when the group shares them anew, and most come back: what is known of those is kept.
    fn rebalance(&self, consumer: &BaseConsumer<Member>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let places = self.places(list);
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.rebalances.add(1);
                let begin = self.progress().arrive(&places, Instant::now(), self.session);
                self.forget_what_was_given_away();
                self.set_offsets(list, &begin).and_then(|()| consumer.assign(list))
            }
            _ => {
                if !consumer.assignment_lost() {
                    self.store_for_others(consumer);
                }
                self.progress().leave(&places, Instant::now());
                if consumer.assignment_lost() {
                    self.forget_what_was_given_away();
                }
                consumer.unassign()
            }
        };
        if let Err(error) = done {
            crate::report::warn(&format!("{}: partitions cannot be shared: {error}", self.id));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
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
