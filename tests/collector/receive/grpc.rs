//! What is not taken over gRPC: the code, the message, and details where a client should try again.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use spanlight::otlp::Signal;

use super::{Status, forwarding, refused};
use crate::support::client::{GrpcAnswer, call, call_raw, frame, gzip, post, zstd};
use crate::support::collector::{Collector, Port};
use crate::support::telemetry::{agent, traces};

const INVALID_ARGUMENT: u16 = 3;
const RESOURCE_EXHAUSTED: u16 = 8;
const NOT_FOUND: u16 = 5;
const UNIMPLEMENTED: u16 = 12;

/// Whether the answer says this, in its header and in its details, and without asking to be called again.
fn refuses(answer: &GrpcAnswer, code: u16, says: &str) {
    let status = Status::decode(&answer.details[..]).unwrap();
    assert_eq!((answer.code, status.code), (code, i32::from(code)), "{answer:?}");
    assert!(status.message.contains(says), "`{says}` is not in: {}", status.message);
    assert!(answer.message.split('%').next().unwrap().starts_with(status.message.split('%').next().unwrap()));
    // There is nothing to wait for, but something may be wrong with the request.
    let details: Vec<&str> = status.details.iter().map(|any| any.type_url.as_str()).collect();
    let expected: &[&str] = if code == INVALID_ARGUMENT { &["type.googleapis.com/google.rpc.BadRequest"] } else { &[] };
    assert_eq!(details, expected, "{status:?}");
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Grpc).await;
    for method in [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/grpc.health.v1.Health/Watch",
        "/",
    ] {
        refuses(&call(&url, method, b"").await, UNIMPLEMENTED, method);
    }
    collector.sample_becomes(&refused("unsupported", "unknown", "grpc"), 4.0).await;
}

#[tokio::test]
async fn a_signal_that_no_pipeline_takes_is_unimplemented() {
    let config = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}\n\
                  exporters: {debug: {}}\n\
                  service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}\n";
    let collector = Collector::with(config).await;
    let url = collector.url(Port::Grpc).await;
    refuses(&call(&url, Signal::Traces.grpc_path(), b"").await, UNIMPLEMENTED, "traces");
    refuses(&call(&url, Signal::Metrics.grpc_path(), b"").await, UNIMPLEMENTED, "metrics");
    assert_eq!(call(&url, Signal::Logs.grpc_path(), b"").await.code, 0);
    for (path, what) in [("/v1/traces", "traces"), ("/v1/events", "events")] {
        let answer = collector.post(path, &[], r#"{"name":"a.b"}"#).await;
        assert_eq!(answer.status, 404, "nothing would come of it: {answer:?}");
        assert!(answer.text().contains(&format!("takes {what}")), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_malformed_message_is_an_invalid_argument() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Grpc).await;
    for signal in Signal::ALL {
        refuses(&call(&url, signal.grpc_path(), &[0x0a, 0x05, 1]).await, INVALID_ARGUMENT, "ServiceRequest: ");
        collector.sample_becomes(&refused("invalid", signal.name(), "grpc"), 1.0).await;
    }
    let message = traces(vec![agent(1, 1, 0, "a")]);
    let two = [frame(0, &message), frame(0, &message)].concat();
    let short = frame(0, &message).slice(..message.len());
    for (headers, body, says) in [
        (&[][..], bytes::Bytes::new(), "no message"),
        (&[][..], bytes::Bytes::from_static(&[0, 0, 0]), "no message"),
        (&[][..], two.into(), "more follows"),
        (&[][..], short, "shorter"),
        (&[][..], frame(1, &gzip(&message)), "without a grpc-encoding"),
        (&[][..], frame(2, &message), "neither 0 nor 1"),
        (&[("grpc-encoding", "gzip")][..], frame(1, &gzip(&message)[..20]), "Gzip"),
    ] {
        let answer = call_raw(&url, Signal::Traces.grpc_path(), headers, body).await;
        refuses(&answer, INVALID_ARGUMENT, says);
    }
}

#[tokio::test]
async fn an_unknown_encoding_is_unimplemented_and_told_which_are_known() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Grpc).await;
    let headers = [("grpc-encoding", "snappy")];
    let answer = call_raw(&url, Signal::Traces.grpc_path(), &headers, frame(1, b"x")).await;
    refuses(&answer, UNIMPLEMENTED, "gzip, zstd");
}

#[tokio::test]
async fn what_is_too_large_is_refused_for_good_also_when_it_is_packed() {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:9'}";
    let collector = Collector::with(&forwarding("", ", max_recv_msg_size_mib: 1", exporter)).await;
    let url = collector.url(Port::Grpc).await;
    let message = vec![0; (1 << 20) + 1];
    for (encoding, flag, body) in
        [("gzip", 1, gzip(&message)), ("zstd", 1, zstd(&message)), ("identity", 0, message.clone().into())]
    {
        let headers = [("grpc-encoding", encoding)];
        let answer = call_raw(&url, Signal::Logs.grpc_path(), &headers, frame(flag, &body)).await;
        refuses(&answer, RESOURCE_EXHAUSTED, "1048576 bytes");
    }
    collector.sample_becomes(&refused("too_large", "logs", "grpc"), 3.0).await;
}

#[tokio::test]
async fn health_can_be_asked_for() {
    let collector = Collector::start().await;
    let answer = call(&collector.url(Port::Grpc).await, "/grpc.health.v1.Health/Check", b"").await;
    assert_eq!((answer.code, &answer.body[..]), (0, &[0x08, 0x01][..]), "SERVING");
    let url = collector.url(Port::Grpc).await;
    for signal in Signal::ALL {
        let service = signal.grpc_path().split('/').nth(1).unwrap();
        let answer = call(&url, "/grpc.health.v1.Health/Check", &health_check(service)).await;
        assert_eq!((answer.code, &answer.body[..]), (0, &[0x08, 0x01][..]), "{service}");
    }
    let answer = call(&url, "/grpc.health.v1.Health/Check", &health_check("some.Service")).await;
    refuses(&answer, NOT_FOUND, "some.Service");
}

/// `HealthCheckRequest { string service = 1 }`
fn health_check(service: &str) -> Vec<u8> {
    [&[0x0a, service.len() as u8], service.as_bytes()].concat()
}

#[tokio::test]
async fn what_is_not_quite_grpc_is_told_so_in_plain_text() {
    let collector = Collector::start().await;
    let url = format!("{}{}", collector.url(Port::Grpc).await, Signal::Traces.grpc_path());
    let message = frame(0, &traces(vec![agent(1, 1, 0, "a")]));
    for (content_type, status, says) in [
        ("application/grpc", 505, "HTTP/2"),
        ("application/grpc+proto; charset=utf-8", 505, "HTTP/2"),
        ("application/grpc+json", 415, "application/grpc+proto"),
        ("application/grpc-web+proto", 415, "application/grpc+proto"),
    ] {
        let answer = post(&url, &[("content-type", content_type)], message.clone()).await;
        assert_eq!(answer.status, status, "{content_type}");
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let get = Request::get(&url).header("content-type", "application/grpc").body(Full::default()).unwrap();
    let answer = client.request(get).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "POST"));
    collector.sample_becomes(&refused("unsupported", "traces", "grpc"), 5.0).await;
    let answer = call_raw(&url, "", &[], message).await;
    assert_eq!(answer.code, 0, "{}", answer.message);
}
