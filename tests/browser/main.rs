//! The page in a real browser: every screen, live, with the keyboard, for everybody, and with whatever agents say.
//!
//! Each test starts a collector, feeds it, and has a script of this folder look at the page in Chromium.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, dead_code)]

#[path = "../support/recorded.rs"]
mod recorded;
#[path = "../collector/support/mod.rs"]
mod support;

use std::process::Stdio;

use spanlight::otlp::Signal;
use support::PATIENCE;
use support::collector::{Collector, Port, run};
use support::tools::file;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A script at work.
struct Script {
    name: &'static str,
    process: Child,
    _seat: SemaphorePermit<'static>,
}

/// So many browsers at a time: each is several processes, and one that waits for the others looks as if it hung.
static SEATS: Semaphore = Semaphore::const_new(2);

impl Script {
    async fn start(name: &'static str, collector: &Collector) -> Script {
        let seat = SEATS.acquire().await.unwrap();
        let tools = file("target/tools/browser");
        assert!(tools.exists(), "there is no {}: run scripts/test-tools", tools.display());
        let mut command = Command::new("node");
        command.arg(file(&format!("tests/browser/{name}.mjs"))).current_dir(tools);
        command.env("PAGE", collector.url(Port::Web).await).env("OTLP", collector.url(Port::Http).await);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Script { name, process: command.spawn().unwrap(), _seat: seat }
    }

    /// Waits for a line of its output.
    async fn says(&mut self, wanted: &str) {
        let mut lines = BufReader::new(self.process.stdout.as_mut().unwrap()).lines();
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line == wanted {
                    return true;
                }
            }
            false
        };
        assert!(tokio::time::timeout(PATIENCE, found).await.unwrap(), "{} never said `{wanted}`", self.name);
    }

    async fn tell(&mut self, line: &str) {
        self.process.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits until it has seen all it wants to see.
    async fn ends_well(mut self) {
        drop(self.process.stdin.take());
        let output = tokio::time::timeout(4 * PATIENCE, self.process.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        println!("{}: {}", self.name, text(&output.stdout));
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }
}

/// A recorded run of each kind of emitter, and stories that end well and badly.
async fn feed(collector: &Collector) {
    for scenario in ["strands_native", "cli-claude-tools", "langgraph_supervisor_oi", "openai_agents_failures_oi"] {
        for batch in recorded::requests(&file(&format!("tests/data/corpus/{scenario}"))) {
            let path = match batch.signal() {
                Signal::Traces => "/v1/traces",
                Signal::Logs => "/v1/logs",
                Signal::Metrics => "/v1/metrics",
            };
            let headers = [("content-type", "application/x-protobuf")];
            assert_eq!(collector.post(path, &headers, batch.bytes().clone()).await.status, 200);
        }
    }
    let to = collector.url(Port::Http).await;
    let ended = run(&["demo", "--json", "--failure", "--speed", "200", "--runs", "2", "--to", &to]).await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn every_screen_is_for_everybody() {
    let collector = Collector::start().await;
    feed(&collector).await;
    Script::start("screens", &collector).await.ends_well().await;
}

#[tokio::test]
async fn what_happens_is_seen_while_it_happens() {
    let collector = Collector::start().await;
    Script::start("live", &collector).await.ends_well().await;
}

#[tokio::test]
async fn the_page_comes_back_with_the_collector() {
    let collector = Collector::start().await;
    let port = |url: String| url.rsplit(':').next().unwrap().to_owned();
    let (page, otlp) = (port(collector.url(Port::Web).await), port(collector.url(Port::Http).await));
    let mut script = Script::start("reconnect", &collector).await;
    script.says("stop the collector").await;
    collector.stop().await;
    script.tell("stopped").await;
    script.says("start the collector").await;
    let again = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: \"127.0.0.1:{otlp}\"}}}}}}}}\n\
         connectors: {{agent: {{}}}}\n\
         extensions: {{web: {{endpoint: \"127.0.0.1:{page}\"}}}}\n\
         service: {{extensions: [web], pipelines: {{traces: {{receivers: [otlp], exporters: [agent]}}}}}}\n"
    );
    let collector = Collector::with(&again).await;
    script.tell("started").await;
    script.ends_well().await;
    drop(collector);
}

#[tokio::test]
async fn the_page_asks_who_is_there() {
    let config = "connectors: {agent: {}}\n\
         receivers: {otlp: {protocols: {http: {endpoint: \"127.0.0.1:0\"}}}}\n\
         extensions: {web: {endpoint: \"127.0.0.1:0\", auth: {token: open sesame, jwt: {algorithm: HS256, secret: a secret that has thirty-two bytes}}}}\n\
         service: {extensions: [web], pipelines: {traces: {receivers: [otlp], exporters: [agent]}}}\n";
    let collector = Collector::with(config).await;
    Script::start("door", &collector).await.ends_well().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let collector = Collector::start().await;
    feed(&collector).await;
    Script::start("keyboard", &collector).await.ends_well().await;
}

#[tokio::test]
async fn what_agents_say_is_text() {
    let collector = Collector::start().await;
    Script::start("hostile", &collector).await.ends_well().await;
}

#[tokio::test]
async fn ten_thousand_spans_are_no_burden() {
    let collector = Collector::start().await;
    Script::start("large", &collector).await.ends_well().await;
}
