//! What is read: into the pipelines and not past them, whatever is broken.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::support::collector::Collector;
use crate::support::sink::{Behaviour, Sink};
use crate::support::telemetry::{agent, chat, logs, traces};
use crate::support::until;
use crate::{accepted, deriving, gateway, sent};

/// The traces whose agents have completed, as a collector's file tells so far.
pub fn completed(collector: &Collector, name: &str) -> Vec<String> {
    events(collector).iter().filter(|event| event["name"] == name).map(trace_of).collect()
}

/// The events in a collector's file so far.
pub fn events(collector: &Collector) -> Vec<Value> {
    let text = std::fs::read_to_string(collector.data("agent-events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect()
}

fn trace_of(event: &Value) -> String {
    event["trace_id"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_one_collector_writes_another_derives_from() {
    let cluster = Cluster::start(4);
    let (gateway, deriving) = (gateway(&cluster, "").await, deriving(&cluster, "").await);
    for trace in 1..=10 {
        gateway.take_traces(traces(vec![chat(trace, 2, 1), agent(trace, 1, 0, "scribe")])).await;
    }
    deriving.sample_becomes(&accepted("traces"), 20.0).await;
    until("ten agents", async || (completed(&deriving, "agent.completed").len() == 10).then_some(())).await;
    until("ten calls", async || (completed(&deriving, "llm.completed").len() == 10).then_some(())).await;
    // Once the runs are over, nothing of them is needed again.
    cluster.is_committed("otlp_spans", 10).await;
    assert!(deriving.stop().await.status.success());
}

#[tokio::test]
async fn nothing_is_committed_that_the_pipelines_did_not_take() {
    let (cluster, sink) = (Cluster::start(1), Sink::start().await);
    sink.otherwise(Behaviour::Http(503, Vec::new()));
    let writing = gateway(&cluster, "").await;
    let reading = Collector::with(&format!(
        "receivers: {{kafka: {{brokers: ['{}'], initial_offset: earliest}}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters: {{otlphttp: {{endpoint: '{}', \
         sending_queue: {{num_consumers: 1, queue_size: 1, patience: 20ms, failing_after: 600s}}, \
         retry_on_failure: {{initial_interval: 50ms, max_interval: 50ms}}}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [kafka], exporters: [otlphttp]}}\n",
        cluster.brokers(),
        sink.url()
    ))
    .await;
    // The first is on its way, the second waits, and the third finds no room.
    for trace in 1..=2 {
        writing.take_traces(traces(vec![agent(trace, 1, 0, "scribe")])).await;
        reading.sample_becomes(&accepted("traces"), f64::from(trace)).await;
        sink.until("an attempt", |received| (!received.is_empty()).then_some(())).await;
    }
    writing.take_traces(traces(vec![agent(3, 1, 0, "scribe")])).await;
    writing.sample_becomes(&sent("traces"), 3.0).await;
    let refused =
        r#"spanlight_receiver_refused_total{reason="overloaded",receiver="kafka",signal="traces",transport="topic"}"#;
    until("a refusal", async || reading.sample(refused).await.filter(|count| *count >= 2.0)).await;
    cluster.is_committed("otlp_spans", 2).await;
    sink.otherwise(Behaviour::Accept);
    let spans = sink.spans(3).await;
    let seen: BTreeSet<u8> = spans.iter().map(|span| span.trace_id[0]).collect();
    assert_eq!(seen, (1..=3).collect());
    cluster.is_committed("otlp_spans", 3).await;
}

#[tokio::test]
async fn a_broken_message_is_counted_and_passed_over() {
    let cluster = Cluster::start(1);
    let deriving = deriving(&cluster, "events: {topics: [spanlight_events]}").await;
    cluster.write("otlp_spans", None, b"nonsense");
    cluster.write("otlp_spans", None, &traces(vec![agent(1, 1, 0, "scribe")]));
    cluster.write("spanlight_events", None, b"{nonsense");
    let event = json!({"name": "agent.started", "agent": "scribe", "task_id": "t-1"}).to_string();
    cluster.write("spanlight_events", Some("t-1"), event.as_bytes());
    cluster.write("otlp_logs", None, &logs("no event"));
    for signal in ["traces", "events"] {
        deriving.sample_becomes(&accepted(signal), 1.0).await;
        let invalid = format!(
            r#"spanlight_receiver_refused_total{{reason="invalid",receiver="kafka",signal="{signal}",transport="topic"}}"#
        );
        deriving.sample_becomes(&invalid, 1.0).await;
    }
    deriving.line("`otlp_spans`, partition 0, offset 0").await;
    let of_task = || events(&deriving).into_iter().find(|event| event["task_id"] == "t-1");
    let event = until("the event", async || of_task()).await;
    assert_eq!(event["source"]["kind"], "kafka");
    cluster.is_committed("otlp_spans", 2).await;
    cluster.is_committed("spanlight_events", 2).await;
}
