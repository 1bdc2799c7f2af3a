//! From a span that begins in an agent to its event in a client: layer, OTLP, collector, WebSocket, all on this machine.
//!
//! The probes are spans of agents at random times, and whoever reads the WebSocket is another thread of this process, so
//! both read the same clock. With Chromium there (`scripts/test-tools`), the page reads along, by the time of its own clock.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/process.rs"]
mod process;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use spanlight::{FutureExt, Telemetry, agent_span, llm_span, tool_span};
use tokio::time::sleep;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use process::Collector;

const PROBES: usize = 1000;
/// Between two probes, in milliseconds.
const APART: std::ops::Range<u64> = 5..40;
/// Agents that work beside the probes under load, each with some seventy spans a second.
const OTHERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// When which agent was heard of.
type Heard = Arc<Mutex<HashMap<String, Instant>>>;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let collector = Collector::start();
    let guard = Telemetry::builder().service_name("live").otlp(&collector.otlp).init();
    let heard = Heard::default();
    tokio::spawn(listen(collector.web.replace("http", "ws") + "/ws", heard.clone()));
    let mut page = Page::open(&collector.web);
    sleep(Duration::from_secs(2)).await;

    println!("{:<32} {:>9} {:>9} {:>9} {:>9}", "ms from span start to", "p50", "p90", "p99", "most");
    let at_rest = probe("rest", &heard).await;
    let others: Vec<_> = (0..OTHERS).map(|number| tokio::spawn(work(number))).collect();
    sleep(Duration::from_secs(2)).await;
    let under_load = probe("load", &heard).await;
    others.iter().for_each(|other| other.abort());

    let in_page = page.as_mut().map(Page::heard).unwrap_or_default();
    for (case, name, mut client) in [("rest", "at rest", at_rest), ("load", "under load", under_load)] {
        print(&format!("a WebSocket client, {name}"), &mut client);
        let mut page: Vec<f64> =
            in_page.iter().filter(|(agent, _)| agent.starts_with(case)).map(|(_, millis)| *millis).collect();
        if !page.is_empty() {
            print(&format!("Chromium, {name}"), &mut page);
        }
    }
    drop(guard);
}

/// Begins spans of agents and waits for their events; what each took, in milliseconds.
async fn probe(case: &str, heard: &Heard) -> Vec<f64> {
    let mut begun = Vec::with_capacity(PROBES);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..PROBES {
        // Anything but in step with the ticks of those that are measured.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pause = APART.start * 1000 + (random >> 33) % ((APART.end - APART.start) * 1000);
        sleep(Duration::from_micros(pause)).await;
        let agent = format!("{case}-{number}");
        begun.push((agent.clone(), Instant::now()));
        let span = agent_span!(agent.as_str());
        tokio::spawn(sleep(Duration::from_millis(30)).in_span(span));
    }
    let waiting = Instant::now();
    while waiting.elapsed() < PATIENCE && !begun.iter().all(|(agent, _)| locked(heard).contains_key(agent)) {
        sleep(Duration::from_millis(20)).await;
    }
    let heard = locked(heard);
    let took = |(agent, begun): &(String, Instant)| {
        heard.get(agent).map_or(f64::INFINITY, |heard| (*heard - *begun).as_secs_f64() * 1000.0)
    };
    begun.iter().map(took).collect()
}

/// An agent that calls its model and a tool, over and over.
async fn work(number: usize) {
    loop {
        async {
            sleep(Duration::from_millis(20)).in_span(llm_span!("gpt-4o", provider = "openai")).await;
            sleep(Duration::from_millis(20)).in_span(tool_span!("look")).await;
        }
        .in_span(agent_span!(format!("other {number}").as_str()))
        .await;
    }
}

async fn listen(url: String, heard: Heard) {
    let (mut socket, _) = connect_async(url).await.expect("a WebSocket");
    socket.send(Message::text(r#"{"type":"hello"}"#)).await.expect("a greeting");
    while let Some(Ok(message)) = socket.next().await {
        let now = Instant::now();
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        let event = &message["event"];
        if event["name"] == "agent.started" {
            locked(&heard).insert(event["agent"].as_str().unwrap_or_default().to_owned(), now);
        }
    }
}

/// The page in Chromium.
struct Page(Child);

impl Page {
    /// If there is a browser for the tests.
    fn open(url: &str) -> Option<Page> {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new("node");
        command.arg(format!("{root}/benches/live/browser.mjs")).current_dir(format!("{root}/target/tools/browser"));
        let child = command.env("PAGE", url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        Some(Page(child))
    }

    /// What it heard of, and how many milliseconds after its span had begun.
    fn heard(&mut self) -> Vec<(String, f64)> {
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"end\n").expect("the browser listens");
        }
        let lines = self.0.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let line = lines.and_then(|mut lines| lines.next()).and_then(Result::ok).unwrap_or_default();
        serde_json::from_str(&line).unwrap_or_default()
    }
}

fn locked(heard: &Heard) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
    heard.lock().expect("nobody panicked with it")
}

fn print(name: &str, millis: &mut [f64]) {
    millis.sort_by(f64::total_cmp);
    let at = |share: f64| millis[((millis.len() - 1) as f64 * share) as usize];
    println!("{name:<40} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", at(0.5), at(0.9), at(0.99), at(1.0));
}
