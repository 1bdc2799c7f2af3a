//! Partial success: spans with invalid ids are left out and counted, the others are taken.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanlight::otlp::Signal;
use spanlight::otlp::json::to_json;

use super::{JSON, PROTOBUF, accepted, forwarding, refused};
use crate::support::client::call;
use crate::support::collector::{Collector, Port};
use crate::support::sink::Sink;
use crate::support::telemetry::{agent, traces};

/// Two good spans among three with ids that no span has.
fn mixed(trace: u8) -> Vec<u8> {
    let good = |id| agent(trace, id, 0, "good");
    let bad = |trace_id: Vec<u8>, span_id: Vec<u8>| Span { trace_id, span_id, name: "bad".into(), ..good(9) };
    traces(vec![bad(vec![0; 16], vec![1; 8]), good(1), bad(vec![1; 16], vec![]), good(2), bad(vec![1; 5], vec![1; 8])])
}

fn says_three(rejected: i64, message: &str) {
    assert_eq!(rejected, 3);
    assert!(message.contains("3 spans") && message.contains("16 bytes"), "{message}");
}

#[tokio::test]
async fn spans_with_invalid_ids_are_left_out_and_the_others_are_taken() {
    let sink = Sink::start().await;
    let exporter = format!("otlphttp: {{endpoint: '{}'}}", sink.url());
    let collector = Collector::with(&forwarding("", "", &exporter)).await;

    let answer = collector.post("/v1/traces", &[("content-type", PROTOBUF)], mixed(1)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(PROTOBUF)));
    let partial = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    says_three(partial.rejected_spans, &partial.error_message);

    let json = to_json(&mixed(2), Signal::Traces.schema());
    let answer = collector.post("/v1/traces", &[("content-type", JSON)], json).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(JSON)));
    let partial = &answer.json()["partialSuccess"];
    // A 64-bit integer, hence a string.
    says_three(partial["rejectedSpans"].as_str().unwrap().parse().unwrap(), partial["errorMessage"].as_str().unwrap());

    let answer = call(&collector.url(Port::Grpc).await, Signal::Traces.grpc_path(), &mixed(3)).await;
    assert_eq!(answer.code, 0, "{}", answer.message);
    let partial = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    says_three(partial.rejected_spans, &partial.error_message);

    let spans = sink.spans(6).await;
    assert!(spans.iter().all(|span| span.name == "invoke_agent good"), "{spans:?}");
    assert_eq!(spans.len(), 6);
    for (transport, requests) in [("http", 2.0), ("grpc", 1.0)] {
        assert_eq!(collector.sample(&accepted("traces", transport)).await, Some(2.0 * requests));
        assert_eq!(collector.sample(&refused("invalid", "traces", transport)).await, Some(3.0 * requests));
    }
}

#[tokio::test]
async fn a_request_of_which_nothing_is_left_is_a_partial_success_too() {
    let collector = Collector::start().await;
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#;
    let answer = collector.post("/v1/traces", &[("content-type", JSON)], body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1", "{}", answer.text());
    assert_eq!(collector.sample(&accepted("traces", "http")).await, Some(0.0));
}
