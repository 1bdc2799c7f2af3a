//! Commands that ask a running collector: their text, their JSON, and what they say when something is wrong.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::support::PATIENCE;
use super::support::collector::{Collector, Ended, Port, run};
use super::support::telemetry::{agent, chat, now, span, text, traces};

/// A collector that knows one run: an agent that called a model and a tool, which failed.
async fn collector() -> Collector {
    let collector = Collector::start().await;
    let second = 1_000_000_000;
    let root = now() - 10 * second;
    let mut tool = span(
        7,
        3,
        1,
        "execute_tool",
        vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "se\u{1b}[31march\u{7}")],
    );
    tool.status = Some(opentelemetry_proto::tonic::trace::v1::Status { message: "timed\u{1b}[2Jout".into(), code: 2 });
    let mut spans = vec![chat(7, 2, 1), tool, agent(7, 1, 0, "researcher")];
    for (span, (from, to)) in spans.iter_mut().zip([(1, 3), (3, 4), (0, 5)]) {
        (span.start_time_unix_nano, span.end_time_unix_nano) = (root + from * second, root + to * second);
    }
    collector.take_traces(traces(spans)).await;
    super::support::until("the run to be over", async || {
        let runs = collector.json("/api/v1/runs").await;
        (runs["runs"][0]["status"] == "completed").then_some(())
    })
    .await;
    collector
}

/// Runs a command against a collector.
async fn ask(collector: &Collector, args: &[&str]) -> Ended {
    let url = collector.url(Port::Web).await;
    run(&[args, &["--url", &url]].concat()).await
}

/// The text of a command that works; none of it may be a control character.
async fn text_of(collector: &Collector, args: &[&str]) -> String {
    let ended = ask(collector, args).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.contains(|letter: char| letter.is_control() && letter != '\n'), "{:?}", ended.stdout);
    ended.stdout
}

/// What a command says when it fails, with its exit code.
async fn failure_of(collector: &Collector, args: &[&str]) -> (i32, String) {
    let ended = ask(collector, args).await;
    assert_eq!(ended.stdout, "");
    (ended.status.code().unwrap(), ended.stderr)
}

#[tokio::test]
async fn runs_are_a_table() {
    let collector = collector().await;
    let text = text_of(&collector, &["runs"]).await;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = ["started", "run", "status", "name", "agents", "calls", "tools", "tokens", "took", "cost"];
    assert_eq!(lines[0], header);
    let row = ["070707070707", "completed", "researcher", "researcher", "1", "1", "1100", "5.0", "s", "$0.003500"];
    assert_eq!(lines[1][1..], row);
    assert_eq!(lines.len(), 2);
    let none = text_of(&collector, &["runs", "--status", "failed"]).await;
    assert_eq!(none, "There are no such runs yet.\n");
}

#[tokio::test]
async fn a_run_is_a_tree() {
    let collector = collector().await;
    let expected = "\
researcher completed  07070707070707070707070707070707
5.0 s · 1 model call · 1 tool call · 1000 → 100 tokens · $0.003500 · from tests

invoke_agent researcher  5.0 s  $0.003500
├─ chat gpt-4o-2024-08-06  2.0 s  1000 → 100 tokens  $0.003500
└─ execute_tool se [31march  1.0 s  failed  timed [2Jout
";
    assert_eq!(text_of(&collector, &["show", "07"]).await, expected);
    assert_eq!(text_of(&collector, &["show", &"07".repeat(16)]).await, expected);
}

#[tokio::test]
async fn the_report_shows_outcome_and_cost() {
    let collector = collector().await;
    // A run counts when nothing more of it is to be expected.
    super::support::until("the run to count", async || {
        let metrics = collector.json("/api/v1/metrics").await;
        (metrics["summary"]["runs"] == 1).then_some(())
    })
    .await;
    let report = text_of(&collector, &["report"]).await;
    let expected = "\
Cost by model of the last 24h
model              calls  failed  input  cached  output       cost
gpt-4o-2024-08-06      1       0   1000       -     100  $0.003500
total                  1       0   1000       -     100  $0.003500
";
    let (outcome, costs) = report.rsplit_once("\n\n").unwrap();
    assert_eq!(costs, expected);
    for line in [
        "Report of the last 24h\n1 run (1 completed); 1 task completed, 0 escalations to people; $0.003500\n",
        "time to completion           5.0 s  from the queue",
        "critic rejections                -  no reviews\n",
        "runs of agents                   1  0 not completed\n",
    ] {
        assert!(outcome.contains(line), "{outcome}");
    }
    let by_agent = text_of(&collector, &["report", "--by", "agent"]).await;
    let lines: Vec<Vec<&str>> = by_agent.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = lines.iter().find(|line| line.first() == Some(&"researcher")).unwrap();
    assert_eq!((row[1..3].to_vec(), row[5..].to_vec()), (vec!["1", "0"], vec!["1", "1", "1000", "100", "$0.003500"]));
    let by_tool = text_of(&collector, &["report", "--by", "tool", "--since", "all"]).await;
    assert!(by_tool.contains("se [31march "), "{by_tool}");
}

#[tokio::test]
async fn a_report_of_nothing_says_what_to_do() {
    let collector = Collector::start().await;
    let report = text_of(&collector, &["report"]).await;
    assert!(report.starts_with("Nothing to report of the last 24h."), "{report}");
    assert!(report.contains("`spanlight demo` plays agents") && report.lines().count() == 2, "{report}");
}

#[tokio::test]
async fn json_is_what_the_collector_answers() {
    let collector = collector().await;
    for args in [&["runs"][..], &["show", "07"], &["report"]] {
        let ended = ask(&collector, &[args, &["--json"]].concat()).await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stdout.lines().count(), 1);
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        let calls = match args[0] {
            "runs" => &json["runs"][0]["figures"]["llm_calls"],
            "show" => &json["figures"]["llm_calls"],
            _ => &json["ledger"]["totals"]["llm_calls"],
        };
        assert_eq!(calls, 1, "{json}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_said_with_what_was_meant() {
    let collector = collector().await;
    for (args, code, message) in [
        (&["runs", "--status", "complted"][..], 2, "; did you mean `completed`?"),
        (&["runs", "--since", "soon"], 2, "`soon` is neither RFC 3339 nor a duration"),
        (&["report", "--by", "modl"], 2, "; did you mean `model`?"),
        (&["report", "--since", "week"], 2, "`week` is no window"),
        (&["tail", "--scope", "agnet"], 2, "`agnet` is no scope"),
        (&["show", "zzz"], 1, "no run `zzz` is known; `spanlight runs`"),
        (&["show", "../../metrics"], 1, "no run `../../metrics` is known"),
    ] {
        let (found, stderr) = failure_of(&collector, args).await;
        assert!(found == code && stderr.starts_with("error: ") && stderr.contains(message), "{args:?}: {stderr}");
        assert!(!stderr.contains('{'), "{stderr}");
    }
}

#[tokio::test]
async fn without_a_collector_there_is_a_remedy() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    for args in [&["runs"][..], &["show", "x"], &["report"], &["tail"]] {
        let ended = run(&[args, &["--url", &url]].concat()).await;
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{args:?}");
        let remedy = "is a collector running? `spanlight` starts one, --url names another";
        assert!(ended.stderr.starts_with(&format!("error: cannot reach {url}: ")), "{ended:?}");
        assert!(ended.stderr.contains(remedy), "{ended:?}");
    }
    let ended = run(&["runs", "--url", "no url"]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
}

/// A `spanlight tail` under way.
struct Tail {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    async fn start(collector: &Collector, args: &[&str]) -> Tail {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
        command.arg("tail").args(args).args(["--all", "--url", &collector.url(Port::Web).await]);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Tail { process, lines }
    }

    async fn line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }

    async fn ended(mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap().code()
    }
}

#[tokio::test]
async fn tail_shows_events_as_they_happen_and_ends_cleanly() {
    for signal in ["INT", "TERM"] {
        let collector = Collector::start().await;
        let mut tail = Tail::start(&collector, &["--name", "agent.completed"]).await;
        for (trace, name) in [(1, "first"), (2, "se\u{1b}[31mcond")] {
            collector.take_traces(traces(vec![chat(trace, 2, 1), agent(trace, 1, 0, name)])).await;
            let line = tail.line().await;
            let shown = line.split_once(" agent.completed ").unwrap().1.trim();
            assert!(shown.starts_with(&name.replace('\u{1b}', " ")), "{line}");
            assert!(shown.ends_with("1.0 s  $0.003500"), "{line}");
        }
        let id = tail.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
        assert_eq!(tail.ended().await, Some(0));
    }
}

#[tokio::test]
async fn tail_in_json_is_an_event_a_line_and_ends_when_nobody_reads() {
    let collector = collector().await;
    let mut tail = Tail::start(&collector, &["--json"]).await;
    let mut names = Vec::new();
    for offset in 0..6 {
        let line: Value = serde_json::from_str(&tail.line().await).unwrap();
        assert_eq!(line["offset"], offset);
        names.push(line["event"]["name"].as_str().unwrap().to_owned());
    }
    names.sort();
    let expected = ["agent.completed", "agent.started", "llm.completed", "llm.started", "tool.failed", "tool.started"];
    assert_eq!(names, expected);
    let Tail { mut process, lines } = tail;
    drop(lines);
    collector.take_traces(traces(vec![agent(8, 1, 0, "another")])).await;
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_cost_can_be_followed_from_tokens_to_dollars() {
    let dir = tempfile::tempdir().unwrap();
    let prices = dir.path().join("prices.yaml");
    std::fs::write(&prices, "prices:\n  - {model: gpt-4o, input: 2, output: 8}\n").unwrap();
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}
connectors: {{agent: {{prices: {{overrides: '{}'}}}}}}
extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}
service: {{extensions: [web], pipelines: {{traces: {{receivers: [otlp], exporters: [agent]}}}}}}
",
        prices.display()
    );
    let collector = Collector::with(&config).await;
    collector.take_traces(traces(vec![chat(7, 2, 0)])).await;
    let text = text_of(&collector, &["report", "--since", "all", "--explain"]).await;
    for line in [
        "gpt-4o-2024-08-06  $0.002800 · 1 call\n",
        "1,000 uncached input × $2.00 per million =  $0.00200000\n",
        "  100 output         × $8.00 per million =  $0.00080000\n",
        "                              together =  $0.00280000\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(text.replace(['\n', ' '], "").contains("prices.yaml(xxh3"), "{text}");
    let ledger = collector.json(&format!("/api/v1/runs/{}/ledger", "07".repeat(16))).await;
    let call = &ledger["calls"][0];
    assert_eq!((&call["price_source"], &call["priced_as"]), (&Value::from("override"), &Value::from("gpt-4o")));
    assert_eq!(call["computed"]["parts"][1]["usd_per_mtok"], 8.0);
    let plain = collector.json("/api/v1/ledger").await;
    assert!(plain["rows"][0]["explanation"].is_null());
    let explained = collector.json("/api/v1/ledger?explain=true").await;
    assert_eq!(explained["totals"]["explanation"]["lines"][0]["usd"], 0.0028);
}
