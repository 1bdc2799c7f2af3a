//! What a page in a browser can make of the web endpoint: nothing that is read, sent, embedded or framed.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::PATIENCE;
use super::support::client::get_with;
use super::support::collector::{Collector, Port};

/// What is answered to a request with this `Host`, over HTTP/1.1: its status.
async fn status(collector: &Collector, head: &str, host: &str) -> u16 {
    let url = collector.url(Port::Web).await;
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("{head} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

const ROUTES: [&str; 9] = [
    "GET /",
    "GET /ws",
    "GET /metrics",
    "GET /api/v1/runs",
    "GET /api/v1/stream",
    "GET /api/v1/health",
    "GET /assets/app.js",
    "GET /nothing",
    "POST /v1/events",
];

#[tokio::test]
async fn a_name_that_a_page_could_have_leads_nowhere_on_any_route() {
    let config = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
extensions: {web: {endpoint: '0.0.0.0:0', allowed_hosts: [spanlight.example.com]}}
service: {extensions: [web], pipelines: {traces: {receivers: [otlp], exporters: [agent]}}}
connectors: {agent: {}}
";
    let (here, open) = (Collector::start().await, Collector::open_to_all(config).await);
    for route in ROUTES {
        for collector in [&here, &open] {
            for host in ["evil.example", "evil.example:3010", "127.0.0.1.evil.example", "localhost.evil.example"] {
                assert_eq!(status(collector, route, host).await, 403, "{route} of {host}");
            }
            assert_ne!(status(collector, route, "localhost").await, 403, "{route}");
        }
        for host in ["192.168.1.7:3010", "spanlight:3010", "spanlight.example.com"] {
            assert_eq!(status(&here, route, host).await, 403, "{route} of {host}");
            assert_ne!(status(&open, route, host).await, 403, "{route} of {host}");
        }
    }
    for probe in ["GET /healthz", "GET /readyz"] {
        assert_eq!(status(&open, probe, "load.balancer.example").await, 200);
    }
}

#[tokio::test]
async fn every_answer_says_that_nothing_is_to_be_made_of_it() {
    let collector = Collector::start().await;
    let web = collector.url(Port::Web).await;
    for path in [
        "/",
        "/metrics",
        "/api/v1/runs",
        "/api/v1/nothing",
        "/api/v1/runs/x",
        "/api/openapi.json",
        "/assets/app.js",
        "/healthz",
    ] {
        let answer = get_with(&(web.clone() + path), &[]).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(
            answer.header("access-control-allow-origin").is_none() && answer.header("cache-control").is_some(),
            "{path}"
        );
    }
    let refused = get_with(&(web + "/"), &[("host", "evil.example")]).await;
    assert_eq!((refused.status, refused.header("x-content-type-options")), (403, Some("nosniff")));
}
