//! Kafka: collectors that write to a cluster and read from it, while brokers, collectors and messages fail. The cluster is
//! librdkafka's own mock, which listens on this machine, so that collectors reach it as they reach any other.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod cluster;
mod group;
mod hybrid;
mod read;
#[path = "../collector/support/mod.rs"]
mod support;
mod told;
mod write;

use cluster::Cluster;
use support::collector::Collector;

/// A collector of OTLP that hands everything on to a cluster.
pub async fn gateway(cluster: &Cluster, settings: &str) -> Collector {
    let brokers = cluster.brokers();
    Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters: {{kafka: {{brokers: ['{brokers}'], retry_on_failure: {{initial_interval: 100ms}}, {settings}}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [kafka]}}\n    \
         logs: {{receivers: [otlp], exporters: [kafka]}}\n    metrics: {{receivers: [otlp], exporters: [kafka]}}\n"
    ))
    .await
}

/// A collector that derives from what it reads from a cluster, and writes events to its file.
pub async fn deriving(cluster: &Cluster, settings: &str) -> Collector {
    let brokers = cluster.brokers();
    Collector::with(&format!(
        "receivers: {{kafka: {{brokers: ['{brokers}'], initial_offset: earliest, session_timeout: 6s, {settings}}}}}\n\
         connectors: {{agent: }}\nextensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters: {{file: {{path: agent-events.jsonl}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [kafka], exporters: [agent]}}\n    \
         logs: {{receivers: [kafka], exporters: [agent]}}\n    logs/events: {{receivers: [agent], exporters: [file]}}\n"
    ))
    .await
}

/// How many items of a signal a collector has taken from a cluster.
pub fn accepted(signal: &str) -> String {
    format!(r#"spanlight_receiver_accepted_total{{receiver="kafka",signal="{signal}",transport="topic"}}"#)
}

/// How many items of a signal a collector has delivered to a cluster.
pub fn sent(signal: &str) -> String {
    format!(r#"spanlight_exporter_sent_total{{exporter="kafka",signal="{signal}"}}"#)
}
