//! Web pages: which of them may send telemetry from a browser.

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};

use spanlight::otlp::Signal;

use super::{JSON, PROTOBUF, forwarding, refused};
use crate::support::client::{Answer, call_raw, frame, send};
use crate::support::collector::{Collector, Port};

/// A request that can be taken, for every path.
const EXPORTS: [(&str, &str); 4] =
    [("/v1/traces", "{}"), ("/v1/metrics", "{}"), ("/v1/logs", "{}"), ("/v1/events", r#"{"name":"a.b"}"#)];

async fn ask(collector: &Collector, path: &str, origin: &str) -> Answer {
    let url = format!("{}{path}", collector.url(Port::Http).await);
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    send(Method::OPTIONS, &url, &headers, Full::new(Bytes::new()).boxed_unsync()).await
}

#[tokio::test]
async fn pages_of_configured_origins_may_send_and_no_others() {
    let cors = ", cors: {allowed_origins: ['https://*.example.com'], allowed_headers: [x-tenant], max_age: 600}";
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:9'}";
    let collector = Collector::with(&forwarding(cors, "", exporter)).await;
    let (ours, foreign) = ("https://app.example.com", "https://example.com.evil");
    let answer = ask(&collector, "/v1/traces", ours).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(ours)));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type, content-encoding, x-tenant"));
    assert_eq!(ask(&collector, "/v1/traces", foreign).await.header("access-control-allow-origin"), None);
    // A refusal can be read by the page as well, so that it can say what is wrong.
    for body in ["", "malformed"] {
        let headers = [("content-type", PROTOBUF), ("origin", ours)];
        let answer = collector.post("/v1/traces", &headers, body).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(ours), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    for (path, body) in EXPORTS {
        let headers = |origin| [("origin", origin), ("content-type", JSON)];
        assert_eq!(collector.post(path, &headers(ours), body).await.status, 200, "{path}");
        assert_eq!(collector.post(path, &headers(foreign), body).await.status, 403, "{path}");
    }
    for signal in ["traces", "metrics", "logs", "events"] {
        collector.sample_becomes(&refused("forbidden", signal, "http"), 1.0).await;
    }
}

#[tokio::test]
async fn without_configuration_no_page_may_send() {
    let collector = Collector::start().await;
    let answer = ask(&collector, "/v1/traces", "https://app.example.com").await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    // A browser sends plain text without asking first.
    let headers = [("origin", "https://app.example.com"), ("content-type", "text/plain")];
    assert_eq!(collector.post("/v1/events", &headers, r#"{"name":"a.b"}"#).await.status, 403);
    assert_eq!(collector.post("/v1/traces", &headers, "{}").await.status, 403);
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_machine_leads_nowhere() {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:9'}";
    let collector = Collector::with(&forwarding(", cors: {allowed_origins: ['*']}", "", exporter)).await;
    for (path, body) in EXPORTS {
        let headers = |host| [("host", host), ("origin", "http://evil.example:4318"), ("content-type", JSON)];
        let answer = collector.post(path, &headers("evil.example:4318"), body).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("localhost"), "{}", answer.text());
        for host in ["localhost:4318", "127.0.0.1", "host.docker.internal:4318"] {
            assert_eq!(collector.post(path, &headers(host), body).await.status, 200, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn grpc_knows_no_pages() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Grpc).await;
    let headers = [("origin", "http://evil.example")];
    assert_eq!(call_raw(&url, Signal::Traces.grpc_path(), &headers, frame(0, b"")).await.code, 0);
}
