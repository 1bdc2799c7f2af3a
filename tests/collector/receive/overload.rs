//! Overload: clients are told to come back, before their bodies are read where memory is short, and whatever was
//! acknowledged is really there.

use std::time::Duration;

use prost::Message;
use spanlight::otlp::Signal;

use super::{JSON, PROTOBUF, Raw, RetryInfo, Status, accepted, forwarding, refused};
use crate::support::client::{GrpcAnswer, call};
use crate::support::collector::{Collector, Port};
use crate::support::sink::{Behaviour, Sink};
use crate::support::telemetry::{agent, traces};
use crate::support::until;

const UNAVAILABLE: u16 = 14;

/// Whether the answer is one that makes an OTLP client try again, and when.
pub(super) fn asks_to_come_back(answer: &GrpcAnswer) -> Duration {
    let status = Status::decode(&answer.details[..]).unwrap();
    assert_eq!((answer.code, status.code), (UNAVAILABLE, i32::from(UNAVAILABLE)), "{answer:?}");
    let [detail] = &status.details[..] else { panic!("{status:?}") };
    assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let delay = RetryInfo::decode(&detail.value[..]).unwrap().retry_delay.unwrap();
    Duration::new(delay.seconds as u64, delay.nanos as u32)
}

#[tokio::test]
async fn short_memory_refuses_before_bodies_are_read() {
    // No process is as small as this, so memory is short from the first look on.
    let config = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
processors: {memory_limiter: {limit_mib: 1, check_interval: 10ms}}
extensions: {web: {endpoint: '127.0.0.1:0'}}
service:
  extensions: [web]
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [debug]}
exporters: {debug: {}}
";
    let collector = Collector::with(config).await;
    until("memory to be short", async || {
        let answer = collector.post("/v1/traces", &[("content-type", PROTOBUF)], "").await;
        (answer.status == 503).then_some(())
    })
    .await;
    for content_type in [PROTOBUF, JSON] {
        let head = format!("content-type: {content_type}\r\ncontent-length: 1000000\r\n");
        let mut client = Raw::begin(&collector, "/v1/traces", &head).await;
        let answer = client.until("memory is short").await.to_lowercase();
        assert!(answer.starts_with("http/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 1\r\n") && answer.contains(content_type), "{answer}");
    }
    let answer = collector.post("/v1/events", &[], r#"{"name":"a.b"}"#).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let url = collector.url(Port::Grpc).await;
    let answer = call(&url, Signal::Traces.grpc_path(), &traces(vec![agent(1, 1, 0, "a")])).await;
    assert_eq!(asks_to_come_back(&answer), Duration::from_secs(1));
    collector.sample_becomes(&refused("overloaded", "traces", "grpc"), 1.0).await;
    collector.sample_becomes(&refused("overloaded", "events", "http"), 1.0).await;
    assert!(collector.sample(&refused("overloaded", "traces", "http")).await >= Some(3.0));
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_was_acknowledged_is_delivered() {
    let sink = Sink::start().await;
    // The first request is never answered until the test lets go of it; behind it the queue fills up.
    sink.otherwise(Behaviour::Hang(Duration::from_secs(3600)));
    let queue = "sending_queue: {queue_size: 2, num_consumers: 1, patience: 20ms}, timeout: 1s";
    let exporter =
        format!("otlphttp: {{endpoint: '{}', {queue}, retry_on_failure: {{initial_interval: 10ms}}}}", sink.url());
    let collector = Collector::with(&forwarding("", "", &exporter)).await;
    let mut taken = 0;
    let refusal = loop {
        let request = traces(vec![agent(1, taken + 1, 0, "a")]);
        let answer = collector.post("/v1/traces", &[("content-type", PROTOBUF)], request).await;
        match answer.status {
            200 => taken += 1,
            _ => break answer,
        }
        assert!(taken < 20, "a queue of two has taken {taken}");
    };
    assert_eq!((refusal.status, refusal.header("retry-after")), (503, Some("1")));
    let status = Status::decode(refusal.body.clone()).unwrap();
    assert!(status.code == 14 && status.message.contains("the queue of otlphttp is full"), "{status:?}");
    let url = collector.url(Port::Grpc).await;
    let answer = call(&url, Signal::Traces.grpc_path(), &traces(vec![agent(2, 1, 0, "a")])).await;
    assert_eq!(asks_to_come_back(&answer), Duration::from_secs(1));
    assert_eq!(collector.sample(&accepted("traces", "http")).await, Some(f64::from(taken)));
    assert_eq!(collector.sample(&accepted("traces", "grpc")).await, Some(0.0));
    assert_eq!(collector.sample(&refused("overloaded", "traces", "http")).await, Some(1.0));
    assert_eq!(collector.sample(&refused("overloaded", "traces", "grpc")).await, Some(1.0));
    sink.otherwise(Behaviour::Accept);
    let ids = sink
        .until("everything that was acknowledged", |received| {
            // What hung counts as taken by the sink, though the collector had no answer: it is sent again.
            let mut ids: Vec<u8> = received.iter().flat_map(|r| r.spans()).map(|span| span.span_id[0]).collect();
            ids.sort_unstable();
            ids.dedup();
            (ids.len() >= usize::from(taken)).then_some(ids)
        })
        .await;
    assert_eq!(ids, (1..=taken).collect::<Vec<u8>>());
}
