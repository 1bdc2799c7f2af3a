//! Every signal in every form that OTLP allows.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};
use spanlight::otlp::Signal;
use spanlight::otlp::json::to_json;

use super::{JSON, PROTOBUF, accepted, forwarding};
use crate::support::client::{self, Answer, call, call_raw, frame, gzip, zstd};
use crate::support::collector::{Collector, Port};
use crate::support::sink::Sink;
use crate::support::telemetry::{agent, logs, metrics, span, traces};

type Encode = fn(&[u8]) -> Bytes;

const ENCODINGS: [(&str, Encode); 3] = [("identity", Bytes::copy_from_slice), ("gzip", gzip), ("zstd", zstd)];

/// A request of a signal with one item of this name.
fn request(signal: Signal, name: &str) -> Vec<u8> {
    match signal {
        Signal::Traces => traces(vec![span(1, 1, 0, name, vec![])]),
        Signal::Metrics => metrics(name, 1.0),
        Signal::Logs => logs(name),
    }
}

/// The same as JSON, on one line or on many.
fn as_json(signal: Signal, request: &[u8], pretty: bool) -> Vec<u8> {
    let compact = to_json(request, signal.schema());
    if !pretty {
        return compact.into();
    }
    let value: Value = serde_json::from_str(&compact).unwrap();
    serde_json::to_vec_pretty(&value).unwrap()
}

async fn forwarder() -> (Collector, Sink) {
    let sink = Sink::start().await;
    let exporter = format!("otlphttp: {{endpoint: '{}', compression: none}}", sink.url());
    (Collector::with(&forwarding("", "", &exporter)).await, sink)
}

/// Waits until everything of these names has come out at the other end.
async fn all_came_out(sink: &Sink, names: &BTreeSet<String>) {
    let has = |body: &[u8], name: &str| body.windows(name.len()).any(|window| window == name.as_bytes());
    sink.until(&format!("{} names", names.len()), |received| {
        names.iter().all(|name| received.iter().any(|request| has(&request.body, name))).then_some(())
    })
    .await;
}

fn is_full_success(answer: &Answer, content_type: &str) {
    let success = if content_type == JSON { "{}" } else { "" };
    assert_eq!((answer.status, answer.text().as_str()), (200, success));
    assert_eq!(answer.header("content-type"), Some(content_type));
}

#[tokio::test]
async fn every_signal_comes_through_in_every_form_and_encoding_over_http() {
    let (collector, sink) = forwarder().await;
    let mut names = BTreeSet::new();
    for signal in Signal::ALL {
        for (form, content_type) in [("protobuf", PROTOBUF), ("compact", JSON), ("pretty", JSON)] {
            for (encoding, encode) in ENCODINGS {
                let name = format!("{signal}-{form}-{encoding}.");
                let mut body = request(signal, &name);
                if content_type == JSON {
                    body = as_json(signal, &body, form == "pretty");
                }
                let headers = [("content-type", content_type), ("content-encoding", encoding)];
                let answer = collector.post(signal.http_path(), &headers, encode(&body)).await;
                is_full_success(&answer, content_type);
                names.insert(name);
            }
        }
    }
    all_came_out(&sink, &names).await;
    for signal in Signal::ALL {
        collector.sample_becomes(&accepted(signal.name(), "http"), 9.0).await;
    }
    for items in ["spans", "metric_points", "log_records"] {
        let series = format!(r#"otelcol_receiver_accepted_{items}{{receiver="otlp",transport="http"}}"#);
        assert_eq!(collector.sample(&series).await, Some(9.0), "{series}");
    }
}

#[tokio::test]
async fn every_signal_comes_through_in_every_encoding_over_grpc() {
    let (collector, sink) = forwarder().await;
    let url = collector.url(Port::Grpc).await;
    let mut names = BTreeSet::new();
    for signal in Signal::ALL {
        for (encoding, encode) in ENCODINGS {
            // A message may stay as it is although its header names an encoding: the flag in front of it tells.
            for flag in [0, 1] {
                if (flag, encoding) == (1, "identity") {
                    continue;
                }
                let name = format!("{signal}-{encoding}-{flag}.");
                let message = request(signal, &name);
                let message = if flag == 1 { encode(&message) } else { message.into() };
                let headers = [("grpc-encoding", encoding)];
                let answer = call_raw(&url, signal.grpc_path(), &headers, frame(flag, &message)).await;
                assert_eq!((answer.code, &answer.body[..]), (0, &b""[..]), "{name} {}", answer.message);
                names.insert(name);
            }
        }
    }
    all_came_out(&sink, &names).await;
    for signal in Signal::ALL {
        collector.sample_becomes(&accepted(signal.name(), "grpc"), 5.0).await;
    }
}

#[tokio::test]
async fn both_protocols_are_understood_on_both_ports() {
    let collector = Collector::start().await;
    let (grpc, http) = (collector.url(Port::Grpc).await, collector.url(Port::Http).await);
    let answer = call(&http, Signal::Traces.grpc_path(), &traces(vec![agent(1, 1, 0, "a")])).await;
    assert_eq!(answer.code, 0, "{}", answer.message);
    let headers = [("content-type", PROTOBUF)];
    let answer = client::post(&format!("{grpc}/v1/traces"), &headers, traces(vec![agent(2, 1, 0, "a")]).into()).await;
    is_full_success(&answer, PROTOBUF);
    // Each counts for the port that it came through.
    collector.sample_becomes(&accepted("traces", "http"), 1.0).await;
    collector.sample_becomes(&accepted("traces", "grpc"), 1.0).await;
}

#[tokio::test]
async fn a_body_in_chunks_of_unknown_length_is_whole_in_the_end() {
    let (collector, sink) = forwarder().await;
    let name = "in-chunks.";
    let body = Bytes::from(request(Signal::Traces, name));
    let chunks = (0..body.len()).step_by(7).map(|at| body.slice(at..body.len().min(at + 7))).collect();
    let url = format!("{}/v1/traces", collector.url(Port::Http).await);
    let answer = client::post_chunked(&url, &[("content-type", PROTOBUF)], chunks).await;
    is_full_success(&answer, PROTOBUF);
    all_came_out(&sink, &BTreeSet::from([name.to_owned()])).await;
}

#[tokio::test]
async fn an_empty_request_is_a_full_success() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Grpc).await;
    for signal in Signal::ALL {
        for (content_type, body) in [(PROTOBUF, ""), (JSON, "{}"), (JSON, " {\n} ")] {
            let answer = collector.post(signal.http_path(), &[("content-type", content_type)], body).await;
            is_full_success(&answer, content_type);
        }
        let answer = call(&url, signal.grpc_path(), b"").await;
        assert_eq!((answer.code, answer.body.len()), (0, 0), "{}", answer.message);
    }
}

#[tokio::test]
async fn parameters_and_case_of_types_and_encodings_do_not_matter() {
    let collector = Collector::start().await;
    let request = traces(vec![agent(1, 1, 0, "a")]);
    for content_type in ["application/x-protobuf; charset=utf-8", "Application/X-Protobuf", " application/x-protobuf "]
    {
        let headers = [("content-type", content_type), ("content-encoding", "GZip")];
        is_full_success(&collector.post("/v1/traces", &headers, gzip(&request)).await, PROTOBUF);
    }
    let headers = [("content-type", "application/json;charset=UTF-8")];
    is_full_success(&collector.post("/v1/traces", &headers, "{}").await, JSON);
}

#[tokio::test]
async fn a_body_that_a_proxy_unpacked_is_taken_in_spite_of_its_header() {
    let collector = Collector::start().await;
    for encoding in ["gzip", "zstd"] {
        let headers = [("content-type", PROTOBUF), ("content-encoding", encoding)];
        let answer = collector.post("/v1/traces", &headers, traces(vec![agent(1, 1, 0, "a")])).await;
        is_full_success(&answer, PROTOBUF);
    }
}

#[tokio::test]
async fn json_may_say_the_same_in_every_way_that_the_mapping_allows() {
    let (collector, sink) = forwarder().await;
    let of = |id: &str, start: Value, kind: Value| {
        json!({"resourceSpans": [{"resource": null, "someday": {"new": [1, {}]}, "scopeSpans": [{"spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": id, "name": "work", "kind": kind,
            "startTimeUnixNano": start, "endTimeUnixNano": "1700000001000000000", "flags": 257,
            "attributes": [{"key": "n", "value": {"intValue": "42"}}, {"key": "m", "value": {"intValue": 42}},
                {"key": "b", "value": {"bytesValue": "AQI="}}, {"key": "d", "value": {"doubleValue": "NaN"}}],
            "notYetKnown": "ignored"}]}]}]})
    };
    let spans = [
        of("eee19b7ec3c1b174", json!("1700000000000000000"), json!(3)),
        of("EEE19B7EC3C1B175", json!(1_700_000_000_000_000_000_u64), json!(3)),
        of("eee19b7ec3c1b176", json!(1.7e18), json!(3.0)),
    ];
    for span in &spans {
        let answer = collector.post("/v1/traces", &[("content-type", JSON)], span.to_string()).await;
        is_full_success(&answer, JSON);
    }
    let spans = sink.spans(3).await;
    for span in &spans {
        assert_eq!((span.kind, span.start_time_unix_nano, span.flags), (3, 1_700_000_000_000_000_000, 257));
        assert_eq!((span.trace_id[0], span.span_id[0]), (0x5b, 0xee));
        assert_eq!(span.attributes.len(), 4);
        assert_eq!(span.attributes[0].value, span.attributes[1].value);
    }
}
