//! Events on disk: offsets, epoch and events outlive the process, and kill -9.

use serde_json::json;

use super::socket::{Client, numbered};
use super::support::client::post;
use super::support::collector::{Collector, Port};
use super::support::until;

/// Posts events with these numbers as messages, and waits until they can be read.
async fn tell(collector: &Collector, numbers: std::ops::Range<u64>) {
    let web = collector.url(Port::Web).await;
    let events = numbers
        .clone()
        .map(|number| json!({"name": "agent.failed", "agent": "a", "message": number.to_string()}).to_string());
    post(&format!("{web}/v1/events"), &[], events.collect::<Vec<_>>().join("\n").into()).await;
    until("the events", async || (collector.json("/api/v1/events").await["next"] == numbers.end).then_some(())).await;
}

/// The messages of the events from an offset on.
async fn messages(collector: &Collector, from: u64) -> Vec<u64> {
    let page = collector.json(&format!("/api/v1/events?from={from}&limit=1000")).await;
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["event"]["message"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn events_and_offsets_outlive_the_process_and_kill() {
    let mut collector = Collector::start().await;
    tell(&collector, 0..30).await;
    let epoch = collector.json("/api/v1/events").await["epoch"].clone();
    for (signal, told) in [("KILL", 30), ("INT", 40), ("KILL", 50)] {
        collector = collector.restart(signal).await;
        let page = collector.json("/api/v1/events?from=0&limit=1000").await;
        assert_eq!((&page["epoch"], &page["next"], &page["gap"]), (&epoch, &json!(told), &json!(null)), "{signal}");
        assert_eq!(messages(&collector, 0).await, (0..told).collect::<Vec<_>>());
        assert_eq!(messages(&collector, told - 3).await, (told - 3..told).collect::<Vec<_>>());
        tell(&collector, told..told + 10).await;
        let hello = json!({"type": "hello", "resume_from": told - 2, "epoch": epoch});
        let mut client = Client::saying(&collector, hello).await;
        assert_eq!(client.events(11).await, numbered(told - 1..told + 10));
    }
}

#[tokio::test]
async fn a_second_collector_is_told_who_has_the_journal() {
    let collector = Collector::start().await;
    tell(&collector, 0..1).await;
    let ended = collector.another().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("has the journal") && ended.stderr.contains("--data-dir"), "{ended:?}");
}

#[tokio::test]
async fn what_left_memory_is_read_from_disk() {
    let config = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}\n\
                  exporters: {file: {path: events.jsonl}}\n\
                  connectors: {agent: {}}\n\
                  extensions: {web: {endpoint: '127.0.0.1:0', recent_events: 5}, journal: {directory: kept}}\n\
                  service:\n  extensions: [web, journal]\n  pipelines:\n    traces: {receivers: [otlp], exporters: [agent]}\n\
                  \x20   logs: {receivers: [agent], exporters: [file]}\n";
    let collector = Collector::with(config).await;
    tell(&collector, 0..2500).await;
    assert!(collector.data("kept").is_dir());
    let hello = json!({"type": "hello", "resume_from": 9, "epoch": collector.json("/api/v1/events").await["epoch"]});
    let mut client = Client::saying(&collector, hello).await;
    assert_eq!(client.events(2490).await, numbered(10..2500));
    assert_eq!(messages(&collector, 1000).await, (1000..2000).collect::<Vec<_>>());
    assert_eq!(messages(&collector, 2496).await, (2496..2500).collect::<Vec<_>>());
    let page = collector.json("/api/v1/events?from=0&q=2222").await;
    assert_eq!((page["events"].as_array().unwrap().len(), &page["next"]), (1, &json!(2500)));
    assert_eq!(collector.json("/api/v1/events").await["events"].as_array().unwrap().len(), 5);
    assert_eq!(collector.sample("spanlight_journal_appended_total{journal=\"journal\"}").await, Some(2500.0));
}
