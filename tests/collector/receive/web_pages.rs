//! Web pages: which of them may send telemetry from a browser.

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};

use super::{PROTOBUF, forwarding};
use crate::support::client::{Answer, send};
use crate::support::collector::{Collector, Port};

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
    let event = r#"{"name":"a.b"}"#;
    assert_eq!(collector.post("/v1/events", &[("origin", ours)], event).await.status, 200);
    assert_eq!(collector.post("/v1/events", &[("origin", foreign)], event).await.status, 403);
}

#[tokio::test]
async fn without_configuration_no_page_may_send() {
    let collector = Collector::start().await;
    let answer = ask(&collector, "/v1/traces", "https://app.example.com").await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    // A browser sends plain text without asking first.
    let headers = [("origin", "https://app.example.com"), ("content-type", "text/plain")];
    assert_eq!(collector.post("/v1/events", &headers, r#"{"name":"a.b"}"#).await.status, 403);
    assert_eq!(collector.post("/v1/traces", &headers, "{}").await.status, 415);
}
