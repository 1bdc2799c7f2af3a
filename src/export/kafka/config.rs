//! What can be said of the exporter `kafka`. Keys are those of the OpenTelemetry Collector, as far as they mean something
//! here, and `events` for what it does not know.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use serde::{Deserialize, Deserializer};

use crate::config::types::Span;
use crate::content::{Classes, Policy};
use crate::export::pump::Settings;
use crate::export::queue::{Portion, QueueConfig};
use crate::export::retry;
use crate::kafka::{Auth, Cluster, Encoding, Said, check_topic};
use crate::otlp::Signal;
use crate::tls::Tls;

/// Where to write, and what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Some of the cluster's brokers, each as `host:port`.
    pub brokers: Vec<String>,
    /// What we are called in the cluster's logs and quotas.
    pub client_id: String,
    /// Where spans go.
    pub traces: TracesTopic,
    /// Where data points go.
    pub metrics: MetricsTopic,
    /// Where log records go.
    pub logs: LogsTopic,
    /// Where events go, as JSON.
    pub events: EventsTopic,
    /// Who we are.
    pub auth: Auth,
    /// TLS; without it there is none.
    pub tls: Option<Tls>,
    /// How long one attempt may take.
    pub timeout: Span,
    /// How messages are sent.
    pub producer: Producer,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    pub content: Option<Classes>,
    /// The queue in front.
    #[serde(deserialize_with = "queue")]
    pub sending_queue: QueueConfig,
    /// What happens when an attempt fails.
    #[serde(deserialize_with = "retrying")]
    pub retry_on_failure: retry::Config,
}

/// How messages are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Producer {
    /// How they are packed.
    pub compression: Compression,
    /// Who must have one before it counts as delivered.
    pub required_acks: Acks,
    /// The most bytes of a message before it is packed. Brokers take 1 MB unless told otherwise.
    pub max_message_bytes: usize,
    /// How long one waits for others to go with it.
    pub linger: Span,
}

/// How messages are packed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4, which costs next to nothing.
    Lz4,
    /// zstd, which is the smallest.
    Zstd,
}

/// Who must have a message before it counts as delivered.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "serde_json::Value")]
pub enum Acks {
    /// All replicas that are in sync; then nothing is written twice by this process either.
    All,
    /// The leader, which may die before it hands it on.
    Leader,
}

impl TryFrom<serde_json::Value> for Acks {
    type Error = String;

    fn try_from(said: serde_json::Value) -> Result<Acks, String> {
        match (said.as_str(), said.as_i64()) {
            (Some("all"), _) | (_, Some(-1)) => Ok(Acks::All),
            (_, Some(1)) => Ok(Acks::Leader),
            (_, Some(0)) => {
                Err("`required_acks: 0` would lose messages without anybody knowing; write all or 1".into())
            }
            _ => Err(format!("`required_acks` is all, -1 or 1, not {said}")),
        }
    }
}

/// A topic of telemetry, with the name that the Collector gives it unless it is said.
macro_rules! topic {
    ($(#[$doc:meta])* $type:ident, $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Its name.
            pub topic: String,
            /// How telemetry is written.
            pub encoding: Encoding,
        }

        impl Default for $type {
            fn default() -> $type {
                $type { topic: $default.into(), encoding: Encoding::default() }
            }
        }
    };
}

topic!(
    /// Where spans go.
    TracesTopic,
    "otlp_spans"
);
topic!(
    /// Where data points go.
    MetricsTopic,
    "otlp_metrics"
);
topic!(
    /// Where log records go.
    LogsTopic,
    "otlp_logs"
);

/// Where events go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsTopic {
    /// Its name.
    pub topic: String,
}

impl Default for EventsTopic {
    fn default() -> EventsTopic {
        EventsTopic { topic: "spanlight_events".into() }
    }
}

impl Default for Producer {
    fn default() -> Producer {
        Producer {
            compression: Compression::Lz4,
            required_acks: Acks::All,
            max_message_bytes: 1_000_000,
            linger: Span(Duration::from_millis(5)),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            brokers: vec!["localhost:9092".into()],
            client_id: "spanlight".into(),
            traces: TracesTopic::default(),
            metrics: MetricsTopic::default(),
            logs: LogsTopic::default(),
            events: EventsTopic::default(),
            auth: Auth::default(),
            tls: None,
            timeout: Span(Duration::from_secs(5)),
            producer: Producer::default(),
            content: None,
            sending_queue: usual_queue(),
            retry_on_failure: usual_retry(),
        }
    }
}

/// One writer keeps the order of what is of one trace.
fn usual_queue() -> QueueConfig {
    QueueConfig { num_consumers: 1, ..QueueConfig::default() }
}

/// A broker that is restarted is back within seconds, and one that is away comes back: nothing is given up.
fn usual_retry() -> retry::Config {
    retry::Config {
        initial_interval: Span(Duration::from_millis(500)),
        max_elapsed_time: Some(Span(Duration::ZERO)),
        ..retry::Config::default()
    }
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<QueueConfig, D::Error> {
    usual_queue().but_as_said(deserializer)
}

fn retrying<'de, D: Deserializer<'de>>(deserializer: D) -> Result<retry::Config, D::Error> {
    usual_retry().but_as_said(deserializer)
}

impl Config {
    /// The largest message that librdkafka knows of.
    const MOST_MESSAGE_BYTES: usize = 1_000_000_000;

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// What is wrong, and what is meant to be there.
    pub fn validate(&self) -> Result<(), String> {
        self.sending_queue.validate()?;
        self.retry_on_failure.validate()?;
        let topics = [&self.traces.topic, &self.metrics.topic, &self.logs.topic, &self.events.topic];
        for (at, topic) in topics.iter().enumerate() {
            check_topic(topic)?;
            if topics[..at].contains(topic) {
                return Err(format!("the topic `{topic}` is there twice; each signal has one of its own"));
            }
        }
        let bytes = self.producer.max_message_bytes;
        if !(1000..=Config::MOST_MESSAGE_BYTES).contains(&bytes) {
            return Err(format!("`max_message_bytes` is between 1000 and {}, not {bytes}", Config::MOST_MESSAGE_BYTES));
        }
        if self.timeout.0 < Duration::from_millis(100) {
            return Err("`timeout` is 100ms or more: brokers answer when their replicas have the message".into());
        }
        self.client()?.create_native_config().map(drop).map_err(|error| error.to_string())
    }

    /// The topics that are written, each named with its cluster: of telemetry of a signal, or of events.
    pub fn written_topic(&self, signal: Option<Signal>) -> Option<String> {
        Some(self.cluster().ok()?.topic(self.topic(signal).0))
    }

    /// What becomes of content: what was asked for, else it stays on this machine.
    pub fn content(&self) -> Classes {
        self.content.unwrap_or(Classes::all(if self.is_this_machine() { Policy::Keep } else { Policy::Drop }))
    }

    /// Whether content is dropped that nobody asked to drop.
    pub fn drops_unasked(&self) -> bool {
        self.content.is_none() && !self.is_this_machine()
    }

    /// How it is pumped.
    pub fn settings(&self) -> Settings {
        Settings {
            queue: self.sending_queue,
            retry: self.retry_on_failure,
            // librdkafka keeps to `timeout`, and says what became of each message.
            timeout: Duration::from_secs(365 * 24 * 3600),
            portion: Portion::USUAL,
            split: None,
            content: self.content(),
        }
    }

    /// The topic of a signal, or of events, and how it is written.
    pub(super) fn topic(&self, signal: Option<Signal>) -> (&str, Encoding) {
        match signal {
            Some(Signal::Traces) => (&self.traces.topic, self.traces.encoding),
            Some(Signal::Metrics) => (&self.metrics.topic, self.metrics.encoding),
            Some(Signal::Logs) => (&self.logs.topic, self.logs.encoding),
            None => (&self.events.topic, Encoding::OtlpJson),
        }
    }

    pub(super) fn cluster(&self) -> Result<Cluster, String> {
        let Config { brokers, client_id, auth, tls, .. } = self;
        Cluster::new(&Said { brokers, client_id, auth, tls: tls.as_ref() })
    }

    /// How librdkafka is set up.
    pub(super) fn client(&self) -> Result<ClientConfig, String> {
        let mut client = self.cluster()?.settings();
        let Producer { compression, required_acks, max_message_bytes, linger } = &self.producer;
        // Where clients in Java put a message of the same key.
        client.set("partitioner", "murmur2_random");
        client.set("compression.type", compression.name());
        client.set("acks", if *required_acks == Acks::All { "all" } else { "1" });
        client.set("enable.idempotence", (*required_acks == Acks::All).to_string());
        client.set("message.max.bytes", max_message_bytes.to_string());
        client.set("linger.ms", linger.0.as_millis().to_string());
        client.set("message.timeout.ms", self.timeout.0.as_millis().to_string());
        client.set("request.timeout.ms", self.timeout.0.as_millis().to_string());
        // An attempt is at about two megabytes, unless one batch alone is larger.
        client.set("queue.buffering.max.kbytes", (max_message_bytes / 1024 + (64 << 10)).to_string());
        Ok(client)
    }

    fn is_this_machine(&self) -> bool {
        self.cluster().is_ok_and(|cluster| cluster.is_this_machine())
    }
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Result<Config, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.validate().map(|()| config)
    }

    #[test]
    fn the_usual_is_what_librdkafka_takes_in_every_compression() {
        for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
            said(&format!(r#"{{"producer": {{"compression": "{compression}"}}}}"#)).unwrap();
        }
        assert!(said("{}").unwrap().content().keep_all());
        assert!(said(r#"{"brokers": ["kafka:9092"]}"#).unwrap().drops_unasked());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, word) in [
            (r#"{"producer": {"required_acks": 0}}"#, "lose"),
            (r#"{"producer": {"required_acks": "some"}}"#, "required_acks"),
            (r#"{"producer": {"max_message_bytes": 1}}"#, "max_message_bytes"),
            (r#"{"traces": {"topic": "a b"}}"#, "topic"),
            (r#"{"traces": {"topic": "otlp_logs"}}"#, "twice"),
            (r#"{"brokers": []}"#, "brokers"),
            (r#"{"timeout": "1ms"}"#, "timeout"),
        ] {
            let error = said(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
        let leader = said(r#"{"producer": {"required_acks": 1}}"#).unwrap();
        assert_eq!(leader.client().unwrap().get("enable.idempotence"), Some("false"));
    }
}
