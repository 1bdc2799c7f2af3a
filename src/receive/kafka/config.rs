//! What can be said of the receiver `kafka`. Keys are those of the OpenTelemetry Collector, as far as they mean something
//! here, and `events` and `replay` for what it does not know.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use serde::Deserialize;

use crate::config::types::Span;
use crate::kafka::{Auth, Cluster, Encoding, Said, check_topic};
use crate::otlp::Signal;
use crate::tls::Tls;

/// Where to read, and as whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Some of the cluster's brokers, each as `host:port`.
    pub brokers: Vec<String>,
    /// What we are called in the cluster's logs and quotas.
    pub client_id: String,
    /// The group that shares the partitions.
    pub group_id: String,
    /// Spans.
    pub traces: TracesTopics,
    /// Data points.
    pub metrics: MetricsTopics,
    /// Log records.
    pub logs: LogsTopics,
    /// Events as JSON.
    pub events: EventsTopics,
    /// Where a group begins of which nothing is committed yet.
    pub initial_offset: InitialOffset,
    /// How far back runs may have begun that are still in progress, for whoever gets their partition next.
    pub replay: Span,
    /// After this long without a sign of life another collector gets our partitions.
    pub session_timeout: Span,
    /// How often a sign of life is given.
    pub heartbeat_interval: Span,
    /// Who we are in the group, also after a restart, so that our partitions are kept for us.
    pub group_instance_id: Option<String>,
    /// Who we are.
    pub auth: Auth,
    /// TLS; without it there is none.
    pub tls: Option<Tls>,
}

/// Where a group begins of which nothing is committed yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum InitialOffset {
    /// With what is written from now on.
    #[default]
    Latest,
    /// With the first message that is still there.
    Earliest,
}

/// Topics of telemetry, with the name that the Collector gives them unless it is said.
macro_rules! topics {
    ($(#[$doc:meta])* $type:ident, $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Their names.
            pub topics: Vec<String>,
            /// How telemetry is written.
            pub encoding: Encoding,
        }

        impl Default for $type {
            fn default() -> $type {
                $type { topics: vec![$default.into()], encoding: Encoding::default() }
            }
        }
    };
}

topics!(
    /// Topics of spans.
    TracesTopics,
    "otlp_spans"
);
topics!(
    /// Topics of data points.
    MetricsTopics,
    "otlp_metrics"
);
topics!(
    /// Topics of log records.
    LogsTopics,
    "otlp_logs"
);

/// Topics of events; none unless they are named.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsTopics {
    /// Their names.
    pub topics: Vec<String>,
}

/// What the messages of a topic are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Telemetry.
    Telemetry(Signal, Encoding),
    /// Events as JSON.
    Events,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            brokers: vec!["localhost:9092".into()],
            client_id: "spanlight".into(),
            group_id: "spanlight".into(),
            traces: TracesTopics::default(),
            metrics: MetricsTopics::default(),
            logs: LogsTopics::default(),
            events: EventsTopics::default(),
            initial_offset: InitialOffset::Latest,
            replay: Span(Duration::from_secs(600)),
            session_timeout: Span(Duration::from_secs(10)),
            heartbeat_interval: Span(Duration::from_secs(3)),
            group_instance_id: None,
            auth: Auth::default(),
            tls: None,
        }
    }
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// What is wrong, and what is meant to be there.
    pub fn validate(&self) -> Result<(), String> {
        let topics: Vec<String> = self.topics(|_| true).into_iter().map(|(topic, _)| topic).collect();
        for (at, topic) in topics.iter().enumerate() {
            check_topic(topic)?;
            if topics[..at].contains(topic) {
                return Err(format!("the topic `{topic}` is there twice; a topic has one kind of messages"));
            }
        }
        if self.group_id.is_empty() || self.group_instance_id.as_ref().is_some_and(String::is_empty) {
            return Err("`group_id` and `group_instance_id` are names; neither may be empty".into());
        }
        if self.heartbeat_interval.0 * 2 > self.session_timeout.0 {
            return Err("`session_timeout` is at least twice `heartbeat_interval`: one sign of life may be late".into());
        }
        self.client()?.create_native_config().map(drop).map_err(|error| error.to_string())
    }

    /// Whether it reads events.
    pub fn reads_events(&self) -> bool {
        !self.events.topics.is_empty()
    }

    /// Whether a topic, named with its cluster, is read for a signal, or for events.
    pub fn is_reading(&self, signal: Option<Signal>, topic: &str) -> bool {
        let is_of = |kind: Kind| match kind {
            Kind::Telemetry(of, _) => Some(of) == signal,
            Kind::Events => signal.is_none(),
        };
        let Ok(cluster) = self.cluster() else { return false };
        self.topics(is_of).iter().any(|(name, _)| cluster.topic(name) == topic)
    }

    /// The topics whose messages are wanted, and what they are.
    pub(super) fn topics(&self, wanted: impl Fn(Kind) -> bool) -> Vec<(String, Kind)> {
        let telemetry = [
            (&self.traces.topics, Kind::Telemetry(Signal::Traces, self.traces.encoding)),
            (&self.metrics.topics, Kind::Telemetry(Signal::Metrics, self.metrics.encoding)),
            (&self.logs.topics, Kind::Telemetry(Signal::Logs, self.logs.encoding)),
            (&self.events.topics, Kind::Events),
        ];
        let named = telemetry.into_iter().filter(|(_, kind)| wanted(*kind));
        named.flat_map(|(topics, kind)| topics.iter().map(move |topic| (topic.clone(), kind))).collect()
    }

    pub(super) fn cluster(&self) -> Result<Cluster, String> {
        let Config { brokers, client_id, auth, tls, .. } = self;
        Cluster::new(&Said { brokers, client_id, auth, tls: tls.as_ref() })
    }

    /// How librdkafka is set up.
    pub(super) fn client(&self) -> Result<ClientConfig, String> {
        let mut client = self.cluster()?.settings();
        client.set("group.id", &self.group_id);
        if let Some(instance) = &self.group_instance_id {
            client.set("group.instance.id", instance);
        }
        let latest = self.initial_offset == InitialOffset::Latest;
        client.set("auto.offset.reset", if latest { "latest" } else { "earliest" });
        client.set("session.timeout.ms", self.session_timeout.0.as_millis().to_string());
        client.set("heartbeat.interval.ms", self.heartbeat_interval.0.as_millis().to_string());
        // Of all topics the same partitions go to the same collector, and with them all that is of a trace.
        client.set("partition.assignment.strategy", "range");
        // What was taken is committed, and not what was read.
        client.set("enable.auto.offset.store", "false");
        client.set("auto.commit.interval.ms", "1000");
        // What is fetched ahead is within bounds.
        client.set("queued.max.messages.kbytes", "16384");
        client.set("allow.auto.create.topics", "false");
        Ok(client)
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
    fn topics_are_those_of_the_collector_unless_they_are_named() {
        let config = said(r#"{"logs": {"topics": ["a", "b"]}, "events": {"topics": ["spanlight_events"]}}"#).unwrap();
        let topics: Vec<String> = config.topics(|_| true).into_iter().map(|(topic, _)| topic).collect();
        assert_eq!(topics, ["otlp_spans", "otlp_metrics", "a", "b", "spanlight_events"]);
        assert!(config.is_reading(None, "spanlight_events of localhost:9092"));
        assert!(!config.is_reading(Some(Signal::Traces), "spanlight_events of localhost:9092"));
        assert!(!said("{}").unwrap().reads_events());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, word) in [
            (r#"{"group_id": ""}"#, "group_id"),
            (r#"{"traces": {"topics": ["^otlp.*"]}}"#, "topic"),
            (r#"{"traces": {"topics": ["otlp_logs"]}}"#, "twice"),
            (r#"{"session_timeout": "2s"}"#, "session_timeout"),
            (r#"{"traces": {"encoding": "jaeger_proto"}}"#, "otlp_proto"),
        ] {
            let error = said(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
    }
}
