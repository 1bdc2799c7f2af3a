//! Whoever sends: runs at a steady rate over gRPC and HTTP, events of tasks, and clients that break off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use spanlight::otlp::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::material::{self, Scenario};

/// Runs under way at a time.
const CONCURRENCY: usize = 64;
/// Of so many runs, one breaks off before its last request.
const BROKEN_OFF: u64 = 50;

/// What came of it so far.
#[derive(Default)]
pub struct Sent {
    /// Spans that were acknowledged.
    pub spans: AtomicU64,
    /// Requests that were refused, and sent again.
    pub refused: AtomicU64,
    /// Requests to which there was no answer, or one that nothing can be done about.
    pub failed: AtomicU64,
}

/// Where to.
#[derive(Clone)]
pub struct Sender {
    h1: Client<HttpConnector, Full<Bytes>>,
    h2: Client<HttpConnector, Full<Bytes>>,
    pub grpc: String,
    pub http: String,
    pub sent: Arc<Sent>,
}

struct Post {
    grpc: bool,
    path: String,
    content_type: &'static str,
    body: Bytes,
}

impl Sender {
    pub fn new(grpc: String, http: String) -> Sender {
        let h1 = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(8).build_http();
        let h2 = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Sender { h1, h2, grpc, http, sent: Arc::default() }
    }

    /// Sends so many spans a second, as long as it is polled.
    pub async fn load(self, scenarios: Arc<Vec<Scenario>>, rate: f64) {
        let (start, slots) = (Instant::now(), Arc::new(Semaphore::new(CONCURRENCY)));
        let mut begun = 0.0;
        for number in 0.. {
            let scenario = number as usize % scenarios.len();
            tokio::time::sleep(Duration::from_secs_f64(begun / rate).saturating_sub(start.elapsed())).await;
            begun += scenarios[scenario].spans as f64;
            let slot = slots.clone().acquire_owned().await.expect("nobody closes it");
            let (sender, scenarios) = (self.clone(), scenarios.clone());
            let seconds = start.elapsed().as_secs();
            tokio::spawn(async move {
                let mut requests = scenarios[scenario].run(number, seconds);
                if number.is_multiple_of(BROKEN_OFF) && requests.len() > 1 {
                    requests.pop();
                }
                for (signal, body, spans) in requests {
                    sender.export(number, signal, body, spans).await;
                }
                sender.until_taken(0, sender.events(number)).await;
                drop(slot);
            });
        }
    }

    async fn export(&self, number: u64, signal: Signal, body: Bytes, spans: usize) {
        if number.is_multiple_of(2) {
            let framed: Bytes = [&[0], &(body.len() as u32).to_be_bytes()[..], &body].concat().into();
            let path = format!("{}{}", self.grpc, signal.grpc_path());
            self.until_taken(spans, Post { grpc: true, path, content_type: "application/grpc", body: framed }).await;
        } else {
            let path = format!("{}{}", self.http, signal.http_path());
            self.until_taken(spans, Post { grpc: false, path, content_type: "application/x-protobuf", body }).await;
        }
    }

    /// Sends it again while it is refused for now.
    async fn until_taken(&self, spans: usize, post: Post) {
        loop {
            let status = self.once(&post).await;
            let (count, by) = match status {
                Some(200) => (&self.sent.spans, spans as u64),
                Some(429 | 503) => (&self.sent.refused, 1),
                _ => (&self.sent.failed, 1),
            };
            count.fetch_add(by, Relaxed);
            if !matches!(status, Some(429 | 503)) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// The status, of gRPC as HTTP would say it.
    async fn once(&self, post: &Post) -> Option<u16> {
        let request = Request::post(&post.path).header("content-type", post.content_type);
        let request = request.body(Full::new(post.body.clone())).ok()?;
        let client = if post.grpc { &self.h2 } else { &self.h1 };
        let (head, body) = client.request(request).await.ok()?.into_parts();
        let trailers = body.collect().await.ok()?.trailers().cloned().unwrap_or_default();
        let status = head.headers.get("grpc-status").or_else(|| trailers.get("grpc-status"));
        match status.map(|status| status.as_bytes()) {
            None | Some(b"0") => Some(head.status.as_u16()),
            Some(b"8" | b"14") => Some(503),
            Some(_) => Some(500),
        }
    }

    /// A client every other second that is gone in the middle of its request.
    pub async fn break_off(self) {
        let address = self.http.trim_start_matches("http://").to_owned();
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let address = address.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(&address).await.ok()?;
                let head =
                    format!("POST /v1/traces HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-protobuf\r\n");
                stream.write_all(format!("{head}content-length: 100000\r\n\r\nbegun").as_bytes()).await.ok()?;
                tokio::time::sleep(Duration::from_secs(5)).await;
                Some(())
            });
        }
    }

    fn events(&self, number: u64) -> Post {
        let path = format!("{}/v1/events", self.http);
        Post { grpc: false, path, content_type: "application/x-ndjson", body: material::task(number).into() }
    }
}
