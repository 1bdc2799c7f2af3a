//! A thousand clients of the WebSocket: how long an event takes to each of them, without and with ten that stand still.
//!
//! Clients and collector are on this machine and read the same clock; what the clients themselves need is part of it, in
//! both cases alike. The cases take turns, each with a collector of its own.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/process.rs"]
mod process;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use process::Collector;

const READING: usize = 990;
const STALLED: usize = 10;
const EVENTS: usize = 300;
/// Between two events: with a thousand clients 20,000 messages a second.
const APART: Duration = Duration::from_millis(50);
const TURNS: usize = 3;
/// More than the buffers of a connection hold.
const UNREAD: usize = 400;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Poster = Client<HttpConnector, Full<bytes::Bytes>>;

/// How long the events of one turn took, in milliseconds.
type Took = Arc<Mutex<Vec<f64>>>;

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}", "ms from an event to a client", "p50", "p90", "p99", "most");
    let mut p99 = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (case, stalled) in [0, STALLED].into_iter().enumerate() {
            let mut took = measure(stalled).await;
            took.sort_by(f64::total_cmp);
            let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
            let name = format!("{READING} that read, {stalled} that do not");
            println!("{name:<34} {:>8.1} {:>8.1} {:>8.1} {:>8.1}", at(0.5), at(0.9), at(0.99), at(1.0));
            p99[case].push(at(0.99));
        }
    }
    let [without, with] = p99.map(median);
    println!("p99 with those that stand still: {:.2} times what it is without", with / without);
}

async fn measure(stalled: usize) -> Vec<f64> {
    let collector = Collector::start();
    let poster = Client::builder(TokioExecutor::new()).build_http();
    let mut standing_still = Vec::new();
    for _ in 0..stalled {
        standing_still.push(connect(&collector, r#"{"type":"hello"}"#).await);
    }
    for _ in 0..UNREAD {
        post(&poster, &collector, "filler", 18_000).await;
    }
    let (start, took) = (Instant::now(), Took::default());
    let mut reading = Vec::new();
    for _ in 0..READING {
        let socket = connect(&collector, r#"{"type":"hello"}"#).await;
        reading.push(tokio::spawn(read(socket, start, took.clone())));
    }
    for _ in 0..EVENTS {
        post(&poster, &collector, &start.elapsed().as_nanos().to_string(), 500).await;
        tokio::time::sleep(APART).await;
    }
    for reader in reading {
        reader.await.expect("a client that reads");
    }
    drop(standing_still);
    std::mem::take(&mut took.lock().expect("nobody panicked with it"))
}

async fn connect(collector: &Collector, hello: &str) -> Socket {
    let (mut socket, _) = connect_async(collector.web.replace("http", "ws") + "/ws").await.expect("a WebSocket");
    socket.send(Message::text(hello)).await.expect("a greeting");
    let established = socket.next().await.expect("an answer").expect("an answer");
    assert!(established.to_string().contains("connection_established"), "{established}");
    socket
}

/// Takes events until all have come, and notes how long each took.
async fn read(mut socket: Socket, start: Instant, took: Took) {
    let mut mine = Vec::with_capacity(EVENTS);
    while mine.len() < EVENTS {
        let message = socket.next().await.expect("the connection lasts").expect("a message");
        let now = start.elapsed();
        let Message::Text(text) = message else { continue };
        let sent = text.split_once(r#""message":""#).and_then(|(_, rest)| rest.split_once('"'));
        if let Some(sent) = sent.and_then(|(nanos, _)| nanos.parse().ok()).map(Duration::from_nanos) {
            mine.push(now.saturating_sub(sent).as_secs_f64() * 1000.0);
        }
    }
    took.lock().expect("nobody panicked with it").extend(mine);
}

async fn post(poster: &Poster, collector: &Collector, message: &str, filler: usize) {
    let filler = "x".repeat(filler);
    let event = serde_json::json!({"name": "agent.failed", "agent": "a", "message": message, "data": {"more": filler}});
    let request = http::Request::post(collector.otlp.clone() + "/v1/events").header("content-type", "application/json");
    let request = request.body(Full::from(event.to_string())).expect("a request");
    let response = poster.request(request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
