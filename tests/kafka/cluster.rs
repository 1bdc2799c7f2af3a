//! A cluster of one broker with all topics, and what is in it.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::{PATIENCE, until};

/// A cluster; it is gone when the test lets go of it.
pub struct Cluster {
    pub mock: MockCluster<'static, DefaultProducerContext>,
    partitions: i32,
}

/// A message as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub key: Option<String>,
    pub partition: i32,
    pub payload: Vec<u8>,
}

impl Cluster {
    /// With so many partitions of each topic.
    pub fn start(partitions: i32) -> Cluster {
        let mock = MockCluster::new(1).unwrap();
        for topic in ["otlp_spans", "otlp_logs", "otlp_metrics", "spanlight_events"] {
            mock.create_topic(topic, partitions, 1).unwrap();
        }
        Cluster { mock, partitions }
    }

    pub fn brokers(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// The messages of a topic, once there are so many.
    pub async fn messages(&self, topic: &str, count: usize) -> Vec<Found> {
        let consumer = self.consumer("nobody");
        consumer.assign(&self.all(topic, Offset::Beginning)).unwrap();
        let mut found = Vec::new();
        until(&format!("{count} messages in {topic}"), async || {
            while let Some(message) = consumer.poll(Duration::ZERO) {
                let Ok(message) = message else { continue };
                let key = message.key().map(|key| String::from_utf8_lossy(key).into_owned());
                let payload = message.payload().unwrap_or_default().to_vec();
                found.push(Found { key, partition: message.partition(), payload });
            }
            (found.len() >= count).then_some(())
        })
        .await;
        found
    }

    /// Writes a message as others would.
    pub fn write(&self, topic: &str, key: Option<&str>, payload: &[u8]) {
        let producer: BaseProducer = self.client().create().unwrap();
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(payload);
        if let Some(key) = key {
            record = record.key(key);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// What a group has committed of a topic, all partitions together.
    pub fn committed(&self, topic: &str) -> i64 {
        let consumer = self.consumer("spanlight");
        let committed = consumer.committed_offsets(self.all(topic, Offset::Invalid), PATIENCE).unwrap();
        committed.elements().iter().filter_map(|element| element.offset().to_raw()).map(|offset| offset.max(0)).sum()
    }

    /// Waits until a group has committed so many messages of a topic.
    pub async fn is_committed(&self, topic: &str, count: i64) {
        until(&format!("{count} committed"), async || (self.committed(topic) == count).then_some(())).await;
    }

    fn all(&self, topic: &str, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(topic, partition, offset).unwrap();
        }
        list
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.brokers()).set("partitioner", "murmur2_random");
        client
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        let mut client = self.client();
        client.set("group.id", group).set("enable.auto.commit", "false").create().unwrap()
    }
}
