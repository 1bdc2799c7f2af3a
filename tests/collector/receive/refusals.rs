//! What is not taken over HTTP: the status, a sentence in the request's own format, and a counter.

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::{JSON, PROTOBUF, Raw, Status, accepted, forwarding, refused};
use crate::support::client::{Answer, gzip, send, zstd};
use crate::support::collector::{Collector, Port};
use crate::support::telemetry::{agent, chat, traces};

/// The code and message of the `google.rpc.Status` in an answer, in whichever format it has.
fn status(answer: &Answer) -> (i64, String) {
    match answer.header("content-type") {
        Some(PROTOBUF) => {
            let status = Status::decode(answer.body.clone()).unwrap();
            (status.code.into(), status.message)
        }
        Some(JSON) => {
            let status = answer.json();
            (status["code"].as_i64().unwrap(), status["message"].as_str().unwrap().to_owned())
        }
        other => panic!("{other:?}: {}", answer.text()),
    }
}

async fn request(collector: &Collector, method: Method, path: &str, content_type: Option<&str>) -> Answer {
    let url = format!("{}{path}", collector.url(Port::Http).await);
    let headers: Vec<(&str, &str)> = content_type.map(|value| ("content-type", value)).into_iter().collect();
    send(method, &url, &headers, Full::new(Bytes::new()).boxed_unsync()).await
}

#[tokio::test]
async fn an_unknown_path_is_told_which_there_are() {
    let collector = Collector::start().await;
    let answer = request(&collector, Method::POST, "/v1/trace", None).await;
    assert_eq!(answer.status, 404);
    collector.sample_becomes(&refused("unsupported", "unknown", "http"), 1.0).await;
    for path in ["/v1/trace ", "/v1/traces", "/v1/metrics", "/v1/logs", "/v1/events"] {
        assert!(answer.text().contains(path), "{}", answer.text());
    }
    for content_type in [PROTOBUF, JSON] {
        let answer = request(&collector, Method::POST, "/v2/traces", Some(content_type)).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some(content_type)));
        assert!(status(&answer).1.contains("/v1/traces"), "{answer:?}");
    }
}

#[tokio::test]
async fn paths_are_those_of_the_configuration() {
    let config = forwarding(", traces_url_path: /otlp/traces", "", "otlphttp: {endpoint: 'http://127.0.0.1:9'}");
    let collector = Collector::with(&config).await;
    let answer = collector.post("/otlp/traces", &[("content-type", PROTOBUF)], "").await;
    assert_eq!(answer.status, 200);
    let answer = collector.post("/v1/traces", &[("content-type", PROTOBUF)], "").await;
    assert_eq!(answer.status, 404);
    assert!(status(&answer).1.contains("/otlp/traces"), "{answer:?}");
}

#[tokio::test]
async fn another_method_is_told_what_is_allowed() {
    let collector = Collector::start().await;
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs", "/v1/events"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = request(&collector, method.clone(), path, None).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {path}");
            assert!(answer.text().contains("POST"), "{}", answer.text());
        }
    }
    for signal in ["traces", "metrics", "logs", "events"] {
        collector.sample_becomes(&refused("unsupported", signal, "http"), 4.0).await;
    }
}

#[tokio::test]
async fn an_unknown_type_or_encoding_is_told_which_are_known() {
    let collector = Collector::start().await;
    for content_type in [None, Some("text/plain"), Some("application/xml"), Some("application/jsonish")] {
        let answer = request(&collector, Method::POST, "/v1/traces", content_type).await;
        assert_eq!(answer.status, 415, "{content_type:?}");
        assert!(answer.text().contains(PROTOBUF) && answer.text().contains(JSON), "{}", answer.text());
    }
    for (path, content_type) in [("/v1/traces", PROTOBUF), ("/v1/logs", JSON), ("/v1/events", JSON)] {
        let headers = [("content-type", content_type), ("content-encoding", "br")];
        let answer = collector.post(path, &headers, "{}").await;
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("gzip, zstd, identity")));
        assert!(status(&answer).1.contains("gzip"), "{answer:?}");
    }
    for (signal, times) in [("traces", 5.0), ("logs", 1.0), ("events", 1.0)] {
        collector.sample_becomes(&refused("unsupported", signal, "http"), times).await;
    }
}

#[tokio::test]
async fn a_malformed_request_is_told_where_in_its_own_format() {
    let collector = Collector::start().await;
    let span = |members: &str| {
        format!("{{\"resourceSpans\": [\n{{\"scopeSpans\": [{{\"spans\": [{{}},\n{{{members}}}]}}]}}]}}")
    };
    let cases: &[(&str, Bytes, &[&str])] = &[
        (JSON, span(r#""traceId": "xyz""#).into(), &["resourceSpans[0].scopeSpans[0].spans[1].traceId", "line 3"]),
        (JSON, span(r#""kind": "SERVER""#).into(), &["spans[1].kind", "integer", "line 3"]),
        (JSON, span(r#""startTimeUnixNano": -1"#).into(), &["spans[1].startTimeUnixNano", "out of range"]),
        (JSON, "{\"resourceSpans\": [".into(), &["resourceSpans", "line 1"]),
        (JSON, "".into(), &["line 1"]),
        (JSON, "[]".into(), &["an object"]),
        (JSON, "{} {}".into(), &["trailing characters"]),
        (JSON, traces(vec![agent(1, 1, 0, "a")]).into(), &["not OTLP/JSON"]),
        (PROTOBUF, "{}".into(), &["ExportTraceServiceRequest"]),
        (PROTOBUF, Bytes::from_static(&[0x0a, 0x05, 0x01]), &["ExportTraceServiceRequest", "ends within a value"]),
        (PROTOBUF, Bytes::from_static(&[0x0a, 0x02, 0x12, 0xff]), &["ExportTraceServiceRequest.resourceSpans"]),
    ];
    for (content_type, body, says) in cases {
        let answer = collector.post("/v1/traces", &[("content-type", content_type)], body.clone()).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(*content_type)), "{answer:?}");
        assert_eq!(answer.header("retry-after"), None, "what is malformed must not be sent again");
        let (code, message) = status(&answer);
        assert_eq!(code, 3, "{message}");
        assert!(says.iter().all(|part| message.contains(part)), "{says:?} are not in: {message}");
    }
    collector.sample_becomes(&refused("invalid", "traces", "http"), cases.len() as f64).await;
    assert_eq!(collector.sample(&accepted("traces", "http")).await, Some(0.0));
    let series = r#"otelcol_receiver_refused_spans{receiver="otlp",transport="http"}"#;
    assert_eq!(collector.sample(series).await, Some(cases.len() as f64));
}

#[tokio::test]
async fn a_broken_archive_is_malformed() {
    let collector = Collector::start().await;
    let body = traces((1..50).map(|id| chat(1, id, 0)).collect());
    for (encoding, packed) in [("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        let headers = [("content-type", PROTOBUF), ("content-encoding", encoding)];
        let answer = collector.post("/v1/traces", &headers, packed.slice(..packed.len() - 9)).await;
        assert_eq!(answer.status, 400);
        assert!(status(&answer).1.to_lowercase().contains(encoding), "{answer:?}");
    }
}

/// A collector that takes 10,000 bytes.
async fn narrow() -> Collector {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:9'}";
    Collector::with(&forwarding(", max_request_body_size: 10000", "", exporter)).await
}

#[tokio::test]
async fn what_is_too_large_is_refused_also_when_it_is_packed() {
    let collector = narrow().await;
    // A million zeros fit into a few bytes; what matters is what comes out.
    let bomb = vec![0; 1_000_000];
    let cases = [("identity", Bytes::from(bomb.clone())), ("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))];
    assert!(cases[1..].iter().all(|(_, packed)| packed.len() < 10_000));
    for (content_type, (encoding, body)) in [(PROTOBUF, &cases[1]), (JSON, &cases[1]), (PROTOBUF, &cases[2])] {
        let headers = [("content-type", content_type), ("content-encoding", *encoding)];
        let answer = collector.post("/v1/traces", &headers, body.clone()).await;
        assert_eq!((answer.status, answer.header("content-type")), (413, Some(content_type)), "{encoding}");
        assert_eq!(answer.header("retry-after"), None, "what is too large must not be sent again");
        let (code, message) = status(&answer);
        assert!(code == 8 && message.contains("10000 bytes"), "{message}");
    }
    collector.sample_becomes(&refused("too_large", "traces", "http"), 3.0).await;
    // What just fits is judged by what it is.
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    let fits = collector.post("/v1/traces", &headers, gzip(&bomb[..10_000])).await;
    assert_eq!(fits.status, 400, "{fits:?}");
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent() {
    let collector = narrow().await;
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let head = "content-type: application/x-protobuf\r\ncontent-length: 10000000\r\n";
        let mut client = Raw::begin(&collector, path, head).await;
        let answer = client.until("smaller batches").await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_refused_once_it_is_too_large() {
    let collector = narrow().await;
    let head = "content-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n";
    let mut client = Raw::begin(&collector, "/v1/traces", head).await;
    // The last chunk never comes, so the answer cannot have waited for it.
    for _ in 0..11 {
        client.write(format!("{:x}\r\n{}\r\n", 1000, " ".repeat(1000)).as_bytes()).await;
    }
    let answer = client.until("smaller batches").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken() {
    let collector = Collector::start().await;
    let body = traces(vec![agent(1, 1, 0, "a")]);
    // Each could be taken for a whole request: half of one cannot be told from a whole one by its bytes alone.
    let whole = format!("content-type: {PROTOBUF}\r\ncontent-length: {}\r\n", body.len() * 2);
    let chunked = format!("content-type: {PROTOBUF}\r\ntransfer-encoding: chunked\r\n");
    let mut client = Raw::begin(&collector, "/v1/traces", &whole).await;
    client.write(&body).await;
    drop(client);
    collector.sample_becomes(&refused("invalid", "traces", "http"), 1.0).await;
    let mut client = Raw::begin(&collector, "/v1/traces", &chunked).await;
    client.write(format!("{:x}\r\n", body.len()).as_bytes()).await;
    client.write(&body).await;
    client.write(b"\r\n").await;
    drop(client);
    collector.sample_becomes(&refused("invalid", "traces", "http"), 2.0).await;
    assert_eq!(collector.sample(&accepted("traces", "http")).await, Some(0.0));
    collector.sample_becomes("spanlight_receiver_in_flight_bytes", 0.0).await;
    let runs = collector.json("/api/v1/runs").await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 0, "{runs}");
}
