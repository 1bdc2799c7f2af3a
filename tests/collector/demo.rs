//! The demonstration: a collector sees of it what its stories say, each fact once, and work before it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use serde_json::Value;
use spanlight::demo::{Program, Tally};
use tokio::process::Command;

use super::support::collector::{Collector, Port, run};
use super::support::{PATIENCE, until};

/// Events of a demonstration, and its summary, as `--json` prints them.
async fn play(collector: &Collector, args: &[&str]) -> (Vec<Value>, Value) {
    let to = collector.url(Port::Http).await;
    let ended = run(&[&["demo", "--json", "--speed", "1000", "--to", &to], args].concat()).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let mut lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap()["summary"].clone();
    (lines, summary)
}

fn tallies(runs: u32, failure: bool) -> Vec<Tally> {
    let program = Program { seed: 1, runs, failure, speed: 1000.0 };
    program.stories().iter().map(|story| story.tally()).collect()
}

/// How often each name occurs. How many pieces of progress there are depends on how fast it goes.
fn names(events: &[Value]) -> BTreeMap<&str, u64> {
    let names = events.iter().map(|event| event["name"].as_str().unwrap());
    names.filter(|name| !name.ends_with(".progress")).fold(BTreeMap::new(), |mut names, name| {
        *names.entry(name).or_default() += 1;
        names
    })
}

fn ids(events: &[Value]) -> BTreeSet<&str> {
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

/// The events that stories have.
fn expected_names(tallies: &[Tally]) -> BTreeMap<&'static str, u64> {
    let sum = |pick: fn(&Tally) -> u64| tallies.iter().map(pick).sum::<u64>();
    let (runs, escalated) = (tallies.len() as u64, sum(|tally| tally.resolutions[0] + tally.resolutions[1]));
    // Whoever was sent to people did not come to a good end: there was no money, or they gave it up.
    let (bad, stopped) = (escalated, sum(|tally| tally.stopped));
    let expected = [
        ("task.queued", runs),
        ("workflow.started", runs),
        ("workflow.completed", runs - bad),
        ("workflow.failed", bad),
        ("step.started", sum(|tally| tally.steps[0] + tally.steps[1])),
        ("step.completed", sum(|tally| tally.steps[0])),
        ("step.failed", sum(|tally| tally.steps[1])),
        ("agent.started", sum(|tally| tally.agents[0] + tally.agents[1])),
        ("agent.completed", sum(|tally| tally.agents[0])),
        ("agent.failed", sum(|tally| tally.agents[1])),
        ("llm.started", sum(|tally| tally.calls[0] + tally.calls[1])),
        ("llm.completed", sum(|tally| tally.calls[0])),
        ("llm.failed", sum(|tally| tally.calls[1])),
        ("tool.started", sum(|tally| tally.tools[0] + tally.tools[1])),
        ("tool.completed", sum(|tally| tally.tools[0])),
        ("tool.failed", sum(|tally| tally.tools[1])),
        ("review.decided", sum(|tally| tally.reviews[0] + tally.reviews[1])),
        ("validation.completed", sum(|tally| tally.validations[0] + tally.validations[1])),
        ("memory.accessed", runs),
        ("agent.handed_off", runs),
        ("agent.collaborated", bad),
        ("hitl.escalated", escalated),
        ("hitl.resolved", escalated),
        ("budget.warning", bad),
        ("budget.exceeded", stopped),
        ("agent.decided", stopped),
    ];
    expected.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_collector_sees_what_the_stories_say() {
    for failure in [false, true] {
        let collector = Collector::start().await;
        let args = ["--seed", "1", "--runs", "3", "--failure"];
        let (shown, summary) = play(&collector, if failure { &args } else { &args[..4] }).await;
        let tallies = tallies(3, failure);
        assert_eq!(names(&shown), expected_names(&tallies));
        let loops: Vec<&Value> = shown.iter().filter(|event| event["name"] == "system.progress").collect();
        assert_eq!(loops.len(), if failure { 2 } else { 0 });
        assert!(loops.iter().all(|told| told["component_id"] == "system:tool_loop_detection"), "{loops:?}");

        let seen = collector.events(shown.len()).await;
        assert_eq!((seen.len(), ids(&seen).len()), (shown.len(), shown.len()), "each event is there once");
        assert_eq!(ids(&seen), ids(&shown));

        let ledger = collector.json("/api/v1/ledger").await;
        let sum = |pick: fn(&Tally) -> u64| Value::from(tallies.iter().map(pick).sum::<u64>());
        for (figure, expected) in [
            ("llm_calls", sum(|tally| tally.calls[0])),
            ("llm_failed", sum(|tally| tally.calls[1])),
            ("input_tokens", sum(|tally| tally.tokens[0])),
            ("output_tokens", sum(|tally| tally.tokens[1])),
            ("cache_read_tokens", sum(|tally| tally.tokens[2])),
            ("tool_calls", sum(|tally| tally.tools[0] + tally.tools[1])),
            ("tool_failed", sum(|tally| tally.tools[1])),
            ("agent_runs", sum(|tally| tally.agents[0] + tally.agents[1])),
            ("agent_failed", sum(|tally| tally.agents[1])),
        ] {
            assert_eq!(ledger["totals"][figure], expected, "{figure} of {ledger}");
        }
        agree(&collector, &summary, &ledger).await;
        is_told_by_the_report(&collector, &tallies).await;
    }
}

/// The report has the figures of the stories.
async fn is_told_by_the_report(collector: &Collector, tallies: &[Tally]) {
    let sum = |pick: fn(&Tally) -> u64| tallies.iter().map(pick).sum::<u64>();
    let (escalated, stopped) = (sum(|tally| tally.resolutions.iter().sum()), sum(|tally| tally.stopped));
    let (runs, good) = (tallies.len() as u64, tallies.len() as u64 - escalated);
    let of = |pick: fn(&Tally) -> [u64; 2]| {
        tallies.iter().map(pick).fold([0, 0], |sums, [good, bad]| [sums[0] + good, sums[1] + bad])
    };
    let ([approved, rejected], [passed, failed]) = (of(|tally| tally.reviews), of(|tally| tally.validations));
    let json = report(collector, &["--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    let summary = &json["metrics"]["summary"];
    for (figure, expected) in [
        ("tasks", good),
        ("reviews", approved + rejected),
        ("rejected_reviews", rejected),
        ("validations", passed + failed),
        ("passed_validations", passed),
        ("escalations", escalated),
        ("human_waits", escalated),
        ("open_escalations", 0),
        ("errors", stopped),
    ] {
        assert_eq!(summary[figure], expected, "{figure} of {summary}");
    }
    assert_eq!(
        (json["runs"]["completed"].as_u64(), json["runs"]["failed"].as_u64()),
        (Some(good).filter(|good| *good > 0), Some(escalated).filter(|bad| *bad > 0))
    );
    assert_eq!(json["metrics"]["rows"].as_array().unwrap().len() as u64, runs, "a row for each feature");

    let text = report(collector, &[]).await;
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        format!("{good} tasks completed, {escalated} escalations to people"),
        format!("{passed} of {} validations", passed + failed),
        format!("{rejected} of {} reviews", approved + rejected),
        "since the first work, ".to_owned(),
        "By feature feature done cost per task took retries passed rejected people".to_owned(),
        "Cost by model of the last 24h model".to_owned(),
    ] {
        let line = line.replace("1 tasks", "1 task");
        assert!(squeezed.contains(&line), "`{line}` in {text}");
    }
}

async fn report(collector: &Collector, args: &[&str]) -> String {
    let url = collector.url(Port::Web).await;
    let ended = run(&[&["report", "--url", &url], args].concat()).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn the_same_happens_whatever_the_seed() {
    let collector = Collector::start().await;
    for seed in ["2", "3", "40"] {
        let (shown, _) = play(&collector, &["--seed", seed, "--runs", "1", "--failure"]).await;
        let budget = |event: &&Value| event["name"].as_str().unwrap().starts_with("budget.");
        let told: Vec<&str> = shown.iter().filter(budget).map(|event| event["name"].as_str().unwrap()).collect();
        assert_eq!(told, ["budget.warning", "budget.exceeded"], "seed {seed}");
        let decided = shown.iter().find(|event| event["name"] == "agent.decided").unwrap();
        assert_eq!(decided["message"], "stop: the budget `features` says spent", "seed {seed}");
    }
}

/// What the library says of itself, the collector says too.
async fn agree(collector: &Collector, summary: &Value, ledger: &Value) {
    let close = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-3 * a.abs().max(1e-9),
        (a, b) => a == b,
    };
    assert!(close(&summary["total_cost_usd"], &ledger["totals"]["cost_usd"]), "{summary} {ledger}");
    until("runs to count", async || {
        let metrics = collector.json("/api/v1/metrics").await;
        (metrics["summary"]["runs"] == summary["runs"]).then_some(())
    })
    .await;
    let seen = &collector.json("/api/v1/metrics").await["summary"];
    for figure in [
        "cost_per_feature",
        "average_retry_count",
        "critic_rejection_rate",
        "validation_pass_rate",
        "time_to_completion",
        "total_cost_usd",
        "unpriced_calls",
        "tokens",
        "errors",
    ] {
        assert!(close(&seen[figure], &summary[figure]), "{figure} of {seen}, not of {summary}");
    }
}

#[tokio::test]
async fn work_is_seen_before_it_is_over() {
    let collector = Collector::start().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
    command.args(["demo", "--speed", "3", "--runs", "2", "--to", &collector.url(Port::Http).await]);
    let mut demo = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until("a run that goes on, with agents in it", async || {
        let runs = collector.json("/api/v1/runs?status=running").await;
        let run = runs["runs"].as_array().unwrap().first()?;
        (run["agents"].as_array()?.len() > 1 && demo.try_wait().unwrap().is_none()).then_some(())
    })
    .await;
    let ended = tokio::time::timeout(PATIENCE, demo.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    until("all runs to be over", async || {
        let runs = collector.json("/api/v1/runs?status=completed").await;
        (runs["runs"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_interrupts_it_sees_what_was_called_off() {
    let collector = Collector::start().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
    command.args(["demo", "--runs", "2", "--to", &collector.url(Port::Http).await]);
    let demo = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    until("a run that goes on", async || {
        let runs = collector.json("/api/v1/runs?status=running").await;
        (!runs["runs"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    let id = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, demo.wait_with_output()).await.unwrap().unwrap();
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && shown.contains("workflow.canceled") && shown.contains("outcome"), "{shown}");
    until("the run to be called off", async || {
        let runs = collector.json("/api/v1/runs?status=canceled").await;
        (!runs["runs"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_collector_is_started_where_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (to, data) = (format!("http://{nobody}"), dir.path().to_str().unwrap());
    let ended = run(&["demo", "--speed", "1000", "--runs", "1", "--to", &to, "--data-dir", data]).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for text in [&format!("A collector was started at {to}."), "spanlight runs --url", "workflow.completed", "outcome"]
    {
        assert!(ended.stdout.contains(text), "`{text}` in {}", ended.stdout);
    }
    let events = std::fs::read_to_string(dir.path().join("agent-events.jsonl")).unwrap();
    assert!(events.contains("workflow.completed") && !events.contains("budget."), "{events}");
}

#[tokio::test]
async fn a_collector_that_is_started_has_a_budget_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (to, data) = (format!("http://{nobody}"), dir.path().to_str().unwrap());
    let ended = run(&["demo", "--failure", "--speed", "1000", "--to", &to, "--data-dir", data]).await;
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let events = std::fs::read_to_string(dir.path().join("agent-events.jsonl")).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut budgets: Vec<(&str, &str)> = Vec::new();
    for event in events.iter().filter(|event| event["name"].as_str().unwrap().starts_with("budget.")) {
        budgets.push((event["data"]["budget"].as_str().unwrap(), event["name"].as_str().unwrap()));
    }
    budgets.sort_unstable();
    let warning = ("features", "budget.warning");
    let expected = [("daily", "budget.exceeded"), ("features", "budget.exceeded"), warning, warning];
    // At this pace most of it may be spent at once.
    budgets.retain(|budget| *budget != ("daily", "budget.warning"));
    assert_eq!(budgets, expected);
}

#[tokio::test]
async fn what_cannot_be_played_is_said() {
    let collector = Collector::start().await;
    let web = collector.url(Port::Web).await;
    for (args, code, message) in [
        (["--to", "nowhere"], 2, "`nowhere` is no URL"),
        (["--speed", "0"], 2, "from 0.01 to 1000000"),
        (["--runs", "0"], 2, "0 is not in 1..=1000"),
        (["--to", "http://nobody.invalid:4318"], 1, "no address of this machine"),
        (["--to", &web], 1, "takes no traces"),
    ] {
        let ended = run(&[&["demo"][..], &args].concat()).await;
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}
