//! What was derived: its messages are read again until it is delivered, whoever dies before.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::read::completed;
use crate::support::collector::Collector;
use crate::support::telemetry::{agent, chat, traces};
use crate::support::until;
use crate::{gateway, sent};

const TRACES: u8 = 10;
const HELD: &str = r#"spanlight_receiver_held{receiver="kafka"}"#;

/// A collector that derives from one cluster, and tells another and its file.
async fn telling(spans: &Cluster, events: &Cluster) -> Collector {
    let (spans, events) = (spans.brokers(), events.brokers());
    Collector::with(&format!(
        "receivers: {{kafka: {{brokers: ['{spans}'], initial_offset: earliest, session_timeout: 6s}}}}\n\
         connectors: {{agent: }}\nextensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters:\n  file: {{path: agent-events.jsonl}}\n  \
         kafka: {{brokers: ['{events}'], timeout: 500ms, retry_on_failure: {{initial_interval: 50ms, max_interval: 50ms}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [kafka], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [file, kafka]}}\n"
    ))
    .await
}

/// The traces of which a collector's file tells that their agents are done.
async fn all_are_told(collector: &Collector, count: u8) {
    until("all agents", async || {
        let traces: BTreeSet<String> = completed(collector, "agent.completed").into_iter().collect();
        (traces.len() == usize::from(count)).then_some(())
    })
    .await;
    // Their runs are over, so that nothing but the delivery is waited for.
    collector.sample_becomes(HELD, 0.0).await;
}

/// Waits until a collector has tried in vain for longer than it takes to commit.
async fn tries_in_vain(collector: &Collector) {
    let retried = || collector.sample(r#"spanlight_exporter_retried_total{exporter="kafka",signal="events"}"#);
    let before = retried().await.unwrap_or_default();
    until("attempts in vain", async || retried().await.filter(|count| *count >= before + 5.0)).await;
}

/// The traces whose agents are done, as a topic of events tells once it has so many events.
async fn delivered(events: &Cluster, count: usize) -> BTreeSet<String> {
    let found = events.messages("spanlight_events", count).await;
    let read = found.iter().filter_map(|message| serde_json::from_slice::<Value>(&message.payload).ok());
    let done = read.filter(|event| event["name"] == "agent.completed");
    done.filter_map(|event| event["trace_id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_was_not_delivered_is_told_again_by_whoever_comes_after_a_kill() {
    let (spans, events) = (Cluster::start(2), Cluster::start(1));
    let (gateway, mut first) = (gateway(&spans, "").await, telling(&spans, &events).await);
    // What is delivered is committed, and not told again.
    gateway.take_traces(traces(vec![chat(100, 2, 1), agent(100, 1, 0, "scribe")])).await;
    all_are_told(&first, 1).await;
    spans.is_committed("otlp_spans", 1).await;
    events.mock.broker_down(1).unwrap();
    for trace in 1..=TRACES {
        gateway.take_traces(traces(vec![chat(trace, 2, 1), agent(trace, 1, 0, "scribe")])).await;
    }
    all_are_told(&first, TRACES + 1).await;
    tries_in_vain(&first).await;
    assert_eq!(spans.committed("otlp_spans"), 1, "what is not delivered is not committed");
    let told = first.sample(&sent("events")).await.unwrap();
    first.signal("KILL").await;
    first.gone().await;
    events.mock.broker_up(1).unwrap();
    let second = telling(&spans, &events).await;
    spans.is_committed("otlp_spans", 1 + i64::from(TRACES)).await;
    let per_run = told as usize;
    let found = delivered(&events, per_run * usize::from(TRACES + 1)).await;
    assert_eq!(found.len(), usize::from(TRACES + 1), "{found:?}");
    let again = completed(&second, "agent.completed");
    assert_eq!(again.len(), usize::from(TRACES), "what was delivered is not told again");
}

#[tokio::test]
async fn reading_goes_on_and_all_is_committed_once_what_was_away_is_back() {
    let (spans, events) = (Cluster::start(2), Cluster::start(1));
    let (gateway, telling) = (gateway(&spans, "").await, telling(&spans, &events).await);
    events.mock.broker_down(1).unwrap();
    for trace in 1..=TRACES {
        gateway.take_traces(traces(vec![agent(trace, 1, 0, "scribe")])).await;
        all_are_told(&telling, trace).await;
    }
    assert_eq!(spans.committed("otlp_spans"), 0);
    events.mock.broker_up(1).unwrap();
    spans.is_committed("otlp_spans", i64::from(TRACES)).await;
    assert!(telling.stop().await.status.success());
}
