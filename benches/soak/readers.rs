//! Who looks: clients of the WebSocket, one that stays and one that comes back, a scraper, and people with questions.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// What they got.
#[derive(Default)]
pub struct Got {
    /// Events, over WebSockets.
    pub events: AtomicU64,
    pub answers: AtomicU64,
    /// Questions that were not answered, or not with 200, and connections that broke.
    pub failed: AtomicU64,
}

const QUESTIONS: [&str; 12] = [
    "/api/v1/runs?limit=100",
    "/api/v1/runs?status=failed",
    "/api/v1/runs?q=weather&limit=20",
    "/api/v1/runs?since=25d&until=10d&limit=20",
    "/api/v1/events?q=timeout&since=20d&limit=50",
    "/api/v1/events?name=tool.failed&limit=50",
    "/api/v1/events?from=0&limit=1000",
    "/api/v1/metrics?window=1h&by=agent",
    "/api/v1/ledger?by=run&window=all",
    "/api/v1/ledger?by=model&window=24h&explain=true",
    "/api/v1/now",
    "/",
];

/// Asks for a page, and gives it if it is there.
pub async fn get(url: &str) -> Option<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.request(Request::get(url).body(Empty::new()).ok()?).await.ok()?;
    let is_good = answer.status() == 200;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    is_good.then_some(body)
}

/// Questions, one every two seconds, and the runs that the list names.
pub async fn ask(web: String, got: Arc<Got>) {
    for question in QUESTIONS.iter().cycle() {
        let answer = get(&format!("{web}{question}")).await;
        let run = answer.as_deref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let run = run.and_then(|list| Some(list["runs"].as_array()?.last()?["id"].as_str()?.to_owned()));
        let of_run =
            ["", "/events", "/ledger"].map(|part| run.as_ref().map(|id| format!("{web}/api/v1/runs/{id}{part}")));
        let mut answers = vec![answer];
        for url in of_run.iter().flatten() {
            answers.push(get(url).await);
        }
        for answer in answers {
            let count = if answer.is_some() { &got.answers } else { &got.failed };
            count.fetch_add(1, Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// The metrics every 15 seconds, as Prometheus asks for them.
pub async fn scrape(web: String, got: Arc<Got>) {
    loop {
        let count = if get(&format!("{web}/metrics")).await.is_some() { &got.answers } else { &got.failed };
        count.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

/// A report every two minutes.
pub async fn report(web: String, got: Arc<Got>) {
    loop {
        tokio::time::sleep(Duration::from_secs(120)).await;
        let mut command = tokio::process::Command::new(crate::process::program());
        let command = command.args(["report", "--url", &web]).stdout(Stdio::null());
        let is_good = command.status().await.is_ok_and(|status| status.success());
        let count = if is_good { &got.answers } else { &got.failed };
        count.fetch_add(1, Relaxed);
    }
}

/// Listens for so long at a time, and goes on where it was.
pub async fn listen(web: String, stay: Duration, got: Arc<Got>) {
    let mut hello = r#"{"type":"hello"}"#.to_owned();
    loop {
        let listened = tokio::time::timeout(stay, follow(&web, &mut hello, &got)).await;
        if listened.is_ok() {
            got.failed.fetch_add(1, Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Until the connection ends.
async fn follow(web: &str, hello: &mut String, got: &Got) -> Option<()> {
    let (mut socket, _) = connect_async(web.replace("http", "ws") + "/ws").await.ok()?;
    socket.send(Message::text(hello.clone())).await.ok()?;
    let established = socket.next().await?.ok()?.to_string();
    let epoch = serde_json::from_str::<Value>(&established).ok()?["epoch"].clone();
    loop {
        let Message::Text(text) = socket.next().await?.ok()? else { continue };
        let message: Value = serde_json::from_str(&text).ok()?;
        if let Some(offset) = message["offset"].as_u64() {
            *hello = serde_json::json!({"type": "hello", "resume_from": offset, "epoch": epoch}).to_string();
            got.events.fetch_add(1, Relaxed);
        }
    }
}
