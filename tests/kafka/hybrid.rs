//! Events to Redis and to Kafka at once: one may die without the other, and whoever reads both sees each event once.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::read::events;
use crate::sent;
use crate::support::collector::Collector;
use crate::support::redis::{Kind, Server};
use crate::support::until;

async fn post(collector: &Collector, tasks: std::ops::Range<usize>) {
    let event = |task: usize| json!({"name": "task.queued", "task_id": format!("t-{task}"), "feature": "f"});
    let events: Vec<Value> = tasks.map(event).collect();
    let answer = collector.post("/v1/events", &[("content-type", "application/json")], json!(events).to_string()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn either_may_die_and_a_reader_of_both_sees_each_event_once() {
    let (cluster, mut redis) = (Cluster::start(2), Server::start(Kind::Redis).await);
    let (brokers, url) = (cluster.brokers(), redis.url());
    let writing = Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\nconnectors: {{agent: }}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters:\n  kafka: {{brokers: ['{brokers}'], timeout: 500ms, retry_on_failure: {{initial_interval: 100ms}}}}\n  \
         redis: {{url: '{url}', stream: events, retry_on_failure: {{initial_interval: 100ms}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    logs: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [kafka, redis]}}\n"
    ))
    .await;
    let (to_kafka, to_redis) = (sent("events"), sent("events").replace("kafka", "redis"));
    post(&writing, 0..10).await;
    writing.sample_becomes(&to_kafka, 10.0).await;
    writing.sample_becomes(&to_redis, 10.0).await;
    redis.kill().await;
    post(&writing, 10..20).await;
    writing.sample_becomes(&to_kafka, 20.0).await;
    redis.up().await;
    writing.sample_becomes(&to_redis, 20.0).await;
    cluster.mock.broker_down(1).unwrap();
    post(&writing, 20..30).await;
    writing.sample_becomes(&to_redis, 30.0).await;
    cluster.mock.broker_up(1).unwrap();
    writing.sample_becomes(&to_kafka, 30.0).await;
    let reading = Collector::with(&format!(
        "receivers:\n  kafka: {{brokers: ['{brokers}'], initial_offset: earliest, events: {{topics: [spanlight_events]}}}}\n  \
         redis: {{url: '{url}', stream: events, start: all}}\nconnectors: {{agent: }}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\nexporters: {{file: {{path: agent-events.jsonl}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    logs: {{receivers: [kafka, redis], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [file]}}\n"
    ))
    .await;
    let dropped = r#"spanlight_dropped_total{component="agent",reason="duplicate_event"}"#;
    reading.sample_becomes(dropped, 30.0).await;
    let mut tasks = until("all events", async || {
        let tasks: Vec<String> = events(&reading).iter().map(|event| event["task_id"].to_string()).collect();
        (tasks.len() >= 30).then_some(tasks)
    })
    .await;
    tasks.sort();
    tasks.dedup();
    assert_eq!((tasks.len(), events(&reading).len()), (30, 30));
}
