//! Clients in other languages, against this collector: that of `clients/ts` by its own tests, and those that
//! `docs/clients.md` shows as they stand there.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::support::collector::{Collector, Port};
use super::support::wire::Wire;
use super::support::{PATIENCE, client, tools};

#[tokio::test]
async fn the_client_in_typescript_holds() {
    let mut command = tools::npm_of_client();
    command.args(["test", "--silent"]).env("SPANLIGHT", env!("CARGO_BIN_EXE_spanlight"));
    let output = tools::feed(command, "").await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("# fail 0") && !said.contains("# tests 0"), "{said}");
}

#[tokio::test]
async fn the_client_in_python_hears_everything_over_a_wire_that_is_cut() {
    let collector = Collector::start().await;
    let wire = Wire::to(collector.url(Port::Web).await.trim_start_matches("http://")).await;
    let mut python = Python::start(0, &format!("ws://{}/ws", wire.address));
    let (first, posted) = python.first(&collector).await;
    let mut heard = first;
    for number in posted..posted + 12 {
        post(&collector, number).await;
        if number % 3 == 0 {
            // What was posted before may have come or not.
            wire.cut();
        } else if number % 3 == 1 {
            heard += 1;
            assert_eq!(python.line().await, format!("agent.failed {heard}"));
        }
    }
    while heard < posted + 11 {
        heard += 1;
        assert_eq!(python.line().await, format!("agent.failed {heard}"));
    }
}

#[tokio::test]
async fn the_simplest_client_in_python_is_served_at_the_root() {
    let collector = Collector::start().await;
    let web = collector.url(Port::Web).await.replace("http", "ws");
    let mut python = Python::start(1, &format!("{web}/"));
    let (first, posted) = python.first(&collector).await;
    post(&collector, posted).await;
    for number in first + 1..=posted {
        assert_eq!(python.line().await, format!("agent_completed {number}"));
    }
}

/// A client of the documentation.
struct Python {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Python {
    /// Runs a program of `docs/clients.md`, by its number there.
    fn start(number: usize, url: &str) -> Python {
        let text = std::fs::read_to_string(tools::file("docs/clients.md")).unwrap();
        let program = text.split("```python\n").nth(number + 1).unwrap().split("```").next().unwrap();
        let mut command = tools::python();
        command.args(["-c", program, url]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Python { lines, _process: process }
    }

    async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }

    /// Posts events until one is heard, because nobody is told when a client is there: its number, and how many were
    /// posted.
    async fn first(&mut self, collector: &Collector) -> (u64, u64) {
        for number in 0.. {
            post(collector, number).await;
            if let Ok(line) = tokio::time::timeout(Duration::from_millis(200), self.lines.next_line()).await {
                let heard = line.unwrap().unwrap();
                return (heard.split(' ').next_back().unwrap().parse().unwrap(), number + 1);
            }
        }
        unreachable!("there are many numbers")
    }
}

async fn post(collector: &Collector, number: u64) {
    let event = json!({"name": "agent.failed", "agent": "writer", "message": number.to_string()}).to_string();
    let web = collector.url(Port::Web).await;
    assert_eq!(client::post(&format!("{web}/v1/events"), &[], event.into()).await.status, 200);
}
