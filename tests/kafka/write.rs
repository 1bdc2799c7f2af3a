//! What is written: which messages, under which keys, where they land, and what becomes of them while brokers are away.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Found};
use crate::support::collector::Collector;
use crate::support::telemetry::{agent, chat, logs, metrics, span, text, traces};
use crate::{gateway, sent};

/// What Java's clients make of these keys, before it is a partition.
const OF_JAVA: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];

fn trace_ids(found: &Found) -> BTreeSet<String> {
    let request = ExportTraceServiceRequest::decode(&found.payload[..]).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let hex = |id: Vec<u8>| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    scopes.flat_map(|scope| scope.spans).map(|span| hex(span.trace_id)).collect()
}

#[tokio::test]
async fn a_message_has_spans_of_one_trace_and_its_id_as_key() {
    let cluster = Cluster::start(4);
    let gateway = gateway(&cluster, "").await;
    let spans = (1..=6).flat_map(|trace| [chat(trace, 2, 1), agent(trace, 1, 0, "scribe")]);
    // As they come from an SDK: one behind the other, whatever trace they are of.
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|span| span.span_id[0]);
    gateway.take_traces(traces(spans)).await;
    let found = cluster.messages("otlp_spans", 6).await;
    for message in &found {
        assert_eq!(trace_ids(message), message.key.iter().cloned().collect());
    }
    let keys: BTreeSet<_> = found.iter().map(|message| message.key.clone()).collect();
    assert_eq!((found.len(), keys.len()), (6, 6));
    gateway.sample_becomes(&sent("traces"), 12.0).await;
    for (path, topic, body) in
        [("/v1/logs", "otlp_logs", logs("a line")), ("/v1/metrics", "otlp_metrics", metrics("some.metric", 1.0))]
    {
        assert_eq!(gateway.post(path, &[("content-type", "application/x-protobuf")], body.clone()).await.status, 200);
        let found = cluster.messages(topic, 1).await;
        assert_eq!((found[0].key.clone(), &found[0].payload), (None, &body));
    }
}

#[tokio::test]
async fn events_are_json_and_land_where_clients_in_java_put_their_keys() {
    const PARTITIONS: i32 = 50;
    let cluster = Cluster::start(PARTITIONS);
    let collector = Collector::with(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\nconnectors: {{agent: }}\n\
         exporters: {{kafka: {{brokers: ['{}']}}}}\nservice:\n  pipelines:\n    \
         logs: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [kafka]}}\n",
        cluster.brokers()
    ))
    .await;
    let event = |key: &str| json!({"name": "agent.started", "agent": "scribe", "execution_id": key});
    let events: Vec<Value> = OF_JAVA.iter().map(|(key, _)| event(key)).collect();
    let answer = collector.post("/v1/events", &[("content-type", "application/json")], json!(events).to_string()).await;
    assert_eq!(answer.status, 200);
    let found = cluster.messages("spanlight_events", OF_JAVA.len()).await;
    for (key, hash) in OF_JAVA {
        let message = found.iter().find(|message| message.key.as_deref() == Some(key)).unwrap();
        assert_eq!(message.partition, (hash & 0x7fff_ffff) % PARTITIONS, "{key}");
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!((&event["name"], &event["execution_id"]), (&json!("agent.started"), &json!(key)));
    }
}

#[tokio::test]
async fn what_comes_while_the_broker_is_away_is_delivered_when_it_is_back() {
    let cluster = Cluster::start(4);
    let gateway = gateway(&cluster, "timeout: 500ms").await;
    gateway.take_traces(traces(vec![agent(1, 1, 0, "scribe")])).await;
    gateway.sample_becomes(&sent("traces"), 1.0).await;
    cluster.mock.broker_down(1).unwrap();
    for trace in 2..=9 {
        gateway.take_traces(traces(vec![agent(trace, 1, 0, "scribe")])).await;
    }
    gateway.line("does not take messages").await;
    assert_eq!(gateway.sample(&sent("traces")).await, Some(1.0));
    cluster.mock.broker_up(1).unwrap();
    gateway.sample_becomes(&sent("traces"), 9.0).await;
    let found = cluster.messages("otlp_spans", 9).await;
    let traces: BTreeSet<_> = found.iter().flat_map(trace_ids).collect();
    assert_eq!(traces.len(), 9);
}

#[tokio::test]
async fn what_waits_on_disk_is_delivered_although_the_process_was_killed_meanwhile() {
    let cluster = Cluster::start(4);
    let settings = "timeout: 500ms, sending_queue: {storage: disk}";
    let mut gateway = gateway(&cluster, settings).await;
    let send = async |gateway: &Collector, traces_of: std::ops::RangeInclusive<u8>| {
        for trace in traces_of {
            gateway.take_traces(traces(vec![agent(trace, 1, 0, "scribe")])).await;
        }
    };
    send(&gateway, 1..=1).await;
    gateway.sample_becomes(&sent("traces"), 1.0).await;
    cluster.mock.broker_down(1).unwrap();
    send(&gateway, 2..=9).await;
    gateway.line("does not take messages").await;
    gateway = gateway.killed_and_started_again().await;
    send(&gateway, 10..=12).await;
    gateway = gateway.killed_and_started_again().await;
    let waiting = r#"spanlight_queue_size{exporter="kafka",signal="traces"}"#;
    assert_eq!(gateway.sample(waiting).await, Some(11.0));
    cluster.mock.broker_up(1).unwrap();
    gateway.sample_becomes(waiting, 0.0).await;
    let found = cluster.messages("otlp_spans", 12).await;
    let arrived: BTreeSet<_> = found.iter().flat_map(trace_ids).collect();
    assert_eq!(arrived.len(), 12);
}

#[tokio::test]
async fn what_a_gateway_acknowledges_that_waits_for_the_result_is_in_the_cluster() {
    let cluster = Cluster::start(4);
    let settings = "timeout: 500ms, sending_queue: {wait_for_result: true, patience: 300ms}";
    let gateway = gateway(&cluster, settings).await;
    for trace in 1..=9 {
        gateway.take_traces(traces(vec![agent(trace, 1, 0, "scribe")])).await;
    }
    gateway.signal("KILL").await;
    let found = cluster.messages("otlp_spans", 9).await;
    assert_eq!(found.iter().flat_map(trace_ids).collect::<BTreeSet<_>>().len(), 9);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_counted_and_holds_nothing_up() {
    let cluster = Cluster::start(1);
    let gateway = gateway(&cluster, "producer: {max_message_bytes: 2000}").await;
    let large = span(1, 2, 1, "large", vec![text("note", &"x".repeat(5000))]);
    let small = |id| span(1, id, 1, "small", vec![text("note", &"x".repeat(900))]);
    gateway.take_traces(traces(vec![small(3), large, small(4), small(5), agent(2, 1, 0, "scribe")])).await;
    gateway.line("left out 1 items").await;
    gateway.sample_becomes(&sent("traces"), 4.0).await;
    let rejected = r#"spanlight_exporter_failed_total{exporter="kafka",reason="rejected",signal="traces"}"#;
    assert_eq!(gateway.sample(rejected).await, Some(1.0));
    let found = cluster.messages("otlp_spans", 2).await;
    assert!(found.iter().all(|message| message.payload.len() < 2000));
}

#[tokio::test]
async fn telemetry_may_be_written_as_json_in_any_compression() {
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let cluster = Cluster::start(1);
        let settings = format!("traces: {{encoding: otlp_json}}, producer: {{compression: {compression}}}");
        let gateway = gateway(&cluster, &settings).await;
        gateway.take_traces(traces(vec![chat(1, 2, 0)])).await;
        let found = cluster.messages("otlp_spans", 1).await;
        let json: Value = serde_json::from_slice(&found[0].payload).unwrap();
        assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "chat gpt-4o");
    }
}
