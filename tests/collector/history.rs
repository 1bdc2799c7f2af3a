//! Events on disk by what they say: after restarts and kill -9, when a file is gone or damaged, and for whom.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::auth::{get as get_as, token};
use super::corpus;
use super::support::client::{get_with, post};
use super::support::collector::{Collector, Port, run, run_in};
use super::support::{PATIENCE, tools, until};

/// Posts events of some runs, and waits until they are in history.
async fn tell(collector: &Collector, numbers: std::ops::Range<u64>) {
    let web = collector.url(Port::Web).await;
    let event = |number: u64| {
        json!({
            "name": if number.is_multiple_of(5) { "agent.activated" } else { "agent.progress" },
            "execution_id": format!("run-{}", number % 3),
            "agent": format!("agent-{}", number % 2),
            "user_id": format!("user-{}", number % 3),
            "tool": "grep",
            "message": format!("number {number}"),
        })
        .to_string()
    };
    let body = numbers.clone().map(event).collect::<Vec<_>>().join("\n");
    post(&format!("{web}/v1/events"), &[], body.into()).await;
    let last = format!("/api/v1/events?from={}", numbers.end - 1);
    until("the events", async || (collector.json(&last).await["next"] == numbers.end).then_some(())).await;
}

/// All events that fit, page by page.
async fn found(collector: &Collector, query: &str) -> Vec<Value> {
    let (mut from, mut found) = (0, Vec::new());
    while from < TOLD {
        let page = collector.json(&format!("/api/v1/events?from={from}&limit=400{query}")).await;
        found.extend(page["events"].as_array().unwrap().iter().cloned());
        assert_eq!(page["gap"], Value::Null, "{page}");
        from = page["next"].as_u64().filter(|next| *next > from).unwrap();
    }
    found
}

/// More than memory is filled with at a start.
const TOLD: u64 = 1500;

#[tokio::test]
async fn runs_and_events_are_found_after_kill_and_when_a_file_is_gone() {
    let mut collector = Collector::start().await;
    tell(&collector, 0..TOLD).await;
    let queries = ["", "&agent=agent-1", "&name=agent.activated&user=user-2", "&since=1h", "&q=number 29", "&tool=sed"];
    let mut before = Vec::new();
    for query in queries {
        before.push(found(&collector, &query.replace(' ', "%20")).await);
    }
    for damage in ["", "", "gone", "damaged"] {
        if !damage.is_empty() {
            // Until then it is not known what should be there.
            let list = collector.data("history/days");
            until("the list of days", async || list.exists().then_some(())).await;
            let files: Vec<_> =
                std::fs::read_dir(collector.data("history")).unwrap().map(|file| file.unwrap().path()).collect();
            // What is not in a file yet is in its log.
            let is_part =
                |path: &&std::path::PathBuf| path.extension().is_some_and(|kind| kind == "db" || kind == "db-wal");
            for path in files.iter().filter(is_part) {
                match damage {
                    "gone" => std::fs::remove_file(path).unwrap(),
                    _ => std::fs::write(path, "no database at all, and longer than nothing".repeat(100)).unwrap(),
                }
            }
        }
        collector = collector.restart("KILL").await;
        entered_all(&collector).await;
        match damage {
            // It may have been found before the end as well.
            "damaged" => assert!(collector.data(&format!("history/{}.damaged", name(&collector))).exists()),
            _ => {
                let damaged = collector.sample("spanlight_history_damaged_total").await;
                assert_eq!(damaged.map(|files| files > 0.0), Some(!damage.is_empty()), "{damage}");
            }
        }
        for (query, before) in queries.iter().zip(&before) {
            assert_eq!(found(&collector, &query.replace(' ', "%20")).await, *before, "{damage} {query}");
        }
        let events = collector.json("/api/v1/runs/run-1/events?limit=1000").await;
        assert_eq!(events["events"].as_array().unwrap().len(), 500, "{damage}");
        let run = collector.json("/api/v1/runs/run-1").await;
        assert_eq!(
            (&run["stored"], &run["events"], &run["user_id"]),
            (&json!(true), &json!(500), &json!("user-1")),
            "{run}"
        );
        let page = collector.json("/api/v1/runs?limit=2").await;
        let next = collector.json(&format!("/api/v1/runs?limit=2&cursor={}", page["next"].as_str().unwrap())).await;
        assert_eq!((page["runs"].as_array().unwrap().len(), next["runs"].as_array().unwrap().len()), (2, 1));
    }
}

/// The name of today's file.
fn name(collector: &Collector) -> String {
    let mut names = std::fs::read_dir(collector.data("history")).unwrap().map(|file| file.unwrap().file_name());
    names.find_map(|name| Some(name.to_str()?.to_owned()).filter(|name| name.ends_with(".db"))).unwrap()
}

/// Waits until all runs have all their events.
async fn entered_all(collector: &Collector) {
    for id in 0..3 {
        until("history", async || {
            let run = collector.get(&format!("/api/v1/runs/run-{id}")).await;
            (run.status == 200 && run.json()["events"] == TOLD / 3).then_some(())
        })
        .await;
    }
}

/// A collector whose history has no end, with few events in memory.
const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
extensions: {web: {endpoint: '127.0.0.1:0', recent_events: 50}}
exporters: {history: {retention: {days: 0}}}
connectors: {agent: {}}
service:
  extensions: [web]
  pipelines:
    traces: {receivers: [otlp], exporters: [agent]}
    logs: {receivers: [otlp], exporters: [agent]}
    metrics: {receivers: [otlp], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [history]}
";

/// What is shown of each run, by its id.
async fn shown(collector: &Collector) -> BTreeMap<String, [Value; 3]> {
    let mut shown = BTreeMap::new();
    for run in collector.json("/api/v1/runs?limit=1000").await["runs"].as_array().unwrap() {
        let id = run["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/runs/{id}");
        let events = collector.json(&format!("{path}/events?from=0&limit=1000")).await["events"].clone();
        let whole = collector.json(&path).await;
        shown.insert(id, [run.clone(), whole, events]);
    }
    shown
}

/// Its pieces of work, each with what it hangs from.
fn work(nodes: &Value, parent: &str, found: &mut Vec<String>) {
    for node in nodes.as_array().into_iter().flatten() {
        let id = node["span_id"].as_str().unwrap();
        let of = [
            "scope",
            "operation",
            "name",
            "status",
            "agent",
            "model",
            "error",
            "input_tokens",
            "output_tokens",
            "counts",
        ];
        let of: Vec<String> = of.iter().map(|key| node[*key].to_string()).collect();
        found.push(format!("{id} below {parent}: {}", of.join(" ")));
        work(&node["children"], id, found);
    }
}

/// What the calls of a run cost that have a cost.
async fn ledger(collector: &Collector, id: &str) -> Vec<Value> {
    let calls = collector.json(&format!("/api/v1/runs/{id}/ledger")).await["calls"].clone();
    let of = ["span_id", "cost_usd", "price_source", "input_tokens", "output_tokens", "model", "agent"];
    let calls = calls.as_array().unwrap().iter().filter(|call| call["cost_usd"].is_number());
    calls.map(|call| of.iter().map(|key| call[*key].clone()).collect()).collect()
}

#[tokio::test]
async fn a_run_that_has_left_memory_is_shown_as_it_was() {
    let mut collector = Collector::with(CONFIG).await;
    for scenario in ["anthropic_sdk_tools", "node_mastra", "agent_framework_native", "claude_agent_sdk_oi"] {
        corpus::post(&collector, &tools::file("tests/data/corpus").join(scenario)).await;
    }
    let is_over = async || {
        let runs = collector.json("/api/v1/runs?limit=1000").await["runs"].clone();
        let runs = runs.as_array().unwrap();
        (!runs.is_empty() && runs.iter().all(|run| run["provisional"] == false)).then_some(())
    };
    until("the runs to be over", is_over).await;
    let before = shown(&collector).await;
    let mut ledgers = BTreeMap::new();
    for id in before.keys() {
        ledgers.insert(id.clone(), ledger(&collector, id).await);
    }
    collector = collector.killed_and_started_again().await;
    until("history", async || {
        let now = shown(&collector).await;
        let count = |shown: &BTreeMap<String, [Value; 3]>| -> Vec<usize> {
            shown.values().map(|[_, _, events]| events.as_array().unwrap().len()).collect()
        };
        (count(&now) == count(&before)).then_some(())
    })
    .await;
    let after = shown(&collector).await;
    for (id, [listed, whole, events]) in &before {
        let [listed_then, whole_then, events_then] = &after[id];
        assert_eq!(events_then, events, "{id}");
        assert_eq!((&listed_then["stored"], &whole_then["stored"]), (&json!(true), &json!(true)));
        for key in ["name", "status", "service", "dialect", "conversation_id", "user_id", "feature", "agents"] {
            assert_eq!(whole_then[key], whole[key], "{key} of {id}");
        }
        for key in ["name", "status", "service", "dialect", "conversation_id", "user_id", "feature", "agents"] {
            assert_eq!(listed_then[key], listed[key], "{key} of {id} in the list");
        }
        for figure in
            ["llm_calls", "llm_failed", "input_tokens", "output_tokens", "tool_calls", "tool_failed", "agent_runs"]
        {
            assert_eq!(listed_then["figures"][figure], listed["figures"][figure], "{figure} of {id} in the list");
            assert_eq!(whole_then["figures"][figure], whole["figures"][figure], "{figure} of {id}");
        }
        let [mut work_then, mut work_now] = [Vec::new(), Vec::new()];
        work(&whole["tree"], "none", &mut work_then);
        work(&whole_then["tree"], "none", &mut work_now);
        assert_eq!(work_now, work_then, "{id}");
        let [ledger, ledger_then] = [&ledgers[id], &ledger(&collector, id).await];
        assert_eq!(ledger_then, ledger, "{id}");
    }
}

#[tokio::test]
async fn everybody_sees_their_own_in_history_as_well() {
    let auth = "auth: {token: root, jwt: {algorithm: HS256, secret: '${env:JWT_SECRET}', audience: spanlight}}";
    let config = CONFIG.replace("recent_events: 50", &format!("recent_events: 5, {auth}"));
    let secret = [("JWT_SECRET", super::auth::SECRET)];
    let collector = Collector::with_environment(&config, &secret).await;
    let root = [("authorization", "Bearer root")];
    let web = collector.url(Port::Web).await;
    for number in 0..100 {
        let user = ["dana", "eve"][number % 2];
        let event = json!({"name": "agent.failed", "agent": "a", "user_id": user, "execution_id": user, "message": "secret plan"});
        post(&format!("{web}/v1/events"), &root, event.to_string().into()).await;
    }
    until("history", async || {
        let page = get_as(&collector, "/api/v1/events?from=0&limit=1000&q=plan", "root").await.1;
        (page["events"].as_array()?.len() == 100).then_some(())
    })
    .await;
    let dana = token(json!({"sub": "dana"}));
    for query in ["from=0", "from=0&q=secret%20plan", "since=1h", "from=0&execution=eve", "from=0&user=eve"] {
        let (status, page) = get_as(&collector, &format!("/api/v1/events?limit=1000&{query}"), &dana).await;
        assert_eq!(status, 200, "{query}");
        let users = page["events"].as_array().unwrap().iter().map(|event| event["event"]["user_id"].as_str().unwrap());
        let users: Vec<&str> = users.collect();
        assert!(users.iter().all(|user| *user == "dana"), "{query}: {users:?}");
        assert_eq!(users.len(), if query.contains("eve") { 0 } else { 50 }, "{query}");
    }
    let (_, runs) = get_as(&collector, "/api/v1/runs?q=secret%20plan", &dana).await;
    assert_eq!(runs["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect::<Vec<_>>(), ["dana"]);
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let collector = Collector::start().await;
    tell(&collector, 0..10).await;
    until("history", async || (collector.get("/api/v1/runs/run-1").await.status == 200).then_some(())).await;
    let web = collector.url(Port::Web).await;
    for path in ["/api/v1/runs", "/api/v1/runs/run-1", "/api/v1/events?from=0", "/api/v1/runs/run-1/events"] {
        let first = collector.get(path).await;
        let tag = first.header("etag").unwrap();
        let again = get_with(&format!("{web}{path}"), &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
    }
    let tag = collector.get("/api/v1/events?from=0").await.header("etag").unwrap().to_owned();
    tell(&collector, 10..11).await;
    let changed = get_with(&format!("{web}/api/v1/events?from=0"), &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, 200);
}

/// The ids of the first events of a stream that resumes.
async fn streamed(collector: &Collector, query: &str, last: &str, count: usize) -> Vec<String> {
    let web = collector.url(Port::Web).await;
    let host = web.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /api/v1/stream{query} HTTP/1.1\r\nhost: {host}\r\nlast-event-id: {last}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(connection).lines();
    let mut ids = Vec::new();
    while ids.len() < count {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        assert!(!line.starts_with("event: gap"), "{line}");
        ids.extend(line.strip_prefix("id: ").map(str::to_owned));
    }
    ids
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_however_long_ago_that_is() {
    let mut collector = Collector::with(CONFIG).await;
    tell(&collector, 0..TOLD).await;
    let epoch = collector.json("/api/v1/events").await["epoch"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let all = streamed(&collector, "", &format!("{epoch}:9"), 1490).await;
        assert_eq!(all, (10..TOLD).map(|offset| format!("{epoch}:{offset}")).collect::<Vec<_>>());
        let some = streamed(&collector, "?name=agent.activated&q=number", &format!("{epoch}:9"), 298).await;
        assert_eq!(some, (10..TOLD).step_by(5).map(|offset| format!("{epoch}:{offset}")).collect::<Vec<_>>());
        collector = collector.killed_and_started_again().await;
    }
}

#[tokio::test]
async fn whatever_is_looked_for_is_text() {
    let collector = Collector::with(CONFIG).await;
    let web = collector.url(Port::Web).await;
    let said = ["the search timed out", "\"quoted\" AND (nested", "50% of a* OR b", "überall 検索 gefunden"];
    let events = said
        .map(|said| json!({"name": "agent.failed", "agent": "a", "execution_id": said, "message": said}).to_string());
    post(&format!("{web}/v1/events"), &[], events.join("\n").into()).await;
    tell(&collector, 4..200).await;
    for (text, place) in [
        ("timed out", Some(0)),
        ("TIMED", Some(0)),
        ("\"quoted\" and", Some(1)),
        ("quoted nested", None),
        ("(nested", Some(1)),
        ("a* or b", Some(2)),
        ("50%", Some(2)),
        ("検索", Some(3)),
        ("ÜBER", Some(3)),
        ("'; --", None),
        ("NEAR(a b)", None),
    ] {
        let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in ["events?from=0&limit=1000&q", "runs?q"] {
            let found = until("history", async || {
                let answer = collector.json(&format!("/api/v1/{path}={query}")).await;
                let key = path.split('?').next().unwrap();
                let found = answer[key].as_array()?.iter().map(|one| match key {
                    "runs" => one["id"].as_str().unwrap().to_owned(),
                    _ => one["event"]["message"].as_str().unwrap().to_owned(),
                });
                let found: Vec<String> = found.collect();
                (found.len() == usize::from(place.is_some())).then_some(found)
            })
            .await;
            assert_eq!(found.first().map(String::as_str), place.map(|place: usize| said[place]), "{text} {path}");
        }
    }
}

/// The events of an export, whose lines are whole.
async fn exported(args: &[&str]) -> Vec<Value> {
    let ended = run(&[&["export"], args].concat()).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    events(&ended.stdout)
}

/// Events, but for how they came in last.
fn events(lines: &str) -> Vec<Value> {
    let event = |line: &str| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        assert!(event["source"]["kind"].take().is_string(), "{line}");
        event
    };
    lines.lines().map(event).collect()
}

#[tokio::test]
async fn what_is_exported_and_imported_is_the_same_and_counts_once() {
    let collector = Collector::with(CONFIG).await;
    corpus::post(&collector, &tools::file("tests/data/corpus/anthropic_sdk_tools")).await;
    until("the runs to be over", async || {
        let runs = collector.json("/api/v1/runs").await["runs"].clone();
        runs.as_array().unwrap().iter().all(|run| run["provisional"] == false).then_some(())
    })
    .await;
    tell_more(&collector, 300).await;
    let url = collector.url(Port::Web).await;
    let told = exported(&["--url", &url]).await;
    assert!(told.len() > 300);
    let some = exported(&["--url", &url, "--name", "agent.activated", "--since", "1h"]).await;
    assert_eq!(some.len(), 60);
    // A directory that a collector has open is not read behind its back.
    let dir = collector.dir.path().join("spanlight-data");
    let ended = run(&["export", "--data-dir", dir.to_str().unwrap()]).await;
    assert!(ended.status.code() == Some(1) && ended.stderr.contains("has the journal"), "{ended:?}");
    let (data, config) = (tempfile::tempdir().unwrap(), collector.dir.path().join("collector.yaml"));
    std::fs::copy(&config, data.path().join("collector.yaml")).unwrap();
    let file = data.path().join("events.jsonl");
    let file = file.to_str().unwrap();

    let other = Collector::with(CONFIG).await;
    let to = other.url(Port::Web).await;
    run(&["export", "--url", &url, "--output", file]).await;
    assert!(events(&std::fs::read_to_string(file).unwrap()) == told);
    let import = async |known: usize| {
        let ended = run(&["import", file, "--url", &to, "--json"]).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let said: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&said["events"], &said["known"]), (&json!(told.len()), &json!(known)), "{ended:?}");
    };
    import(0).await;
    until("history", async || (exported(&["--url", &to, "--until", "0s"]).await.len() >= told.len()).then_some(()))
        .await;
    assert!(exported(&["--url", &to]).await == told);
    let other = other.killed_and_started_again().await;
    let to = other.url(Port::Web).await;
    until("history", async || {
        let position = other.sample("spanlight_journal_lag{consumer=\"history\",journal=\"journal\"}").await;
        (position == Some(0.0)).then_some(())
    })
    .await;
    let ended = run(&["import", file, "--url", &to, "--json"]).await;
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(said["known"], told.len(), "{ended:?}");
    assert!(exported(&["--url", &to]).await == told);
    // And out of the directory, when nobody has it open.
    let dir = other.dir.path().to_owned();
    let mut other = other;
    other.signal("INT").await;
    other.gone().await;
    let ended = run_in(&dir, &["export", "--data-dir", "spanlight-data", "--config", "collector.yaml"]).await;
    assert!(events(&ended.stdout) == told, "{}", ended.stderr);
}

async fn tell_more(collector: &Collector, count: u64) {
    let from = collector.json("/api/v1/events").await["next"].as_u64().unwrap();
    let web = collector.url(Port::Web).await;
    let event = |number: u64| {
        let name = if number.is_multiple_of(5) { "agent.activated" } else { "agent.progress" };
        json!({"name": name, "execution_id": "more", "agent": "a", "message": format!("é {number}\n")}).to_string()
    };
    post(&format!("{web}/v1/events"), &[], (0..count).map(event).collect::<Vec<_>>().join("\n").into()).await;
    until("the events", async || (collector.json("/api/v1/events").await["next"] == from + count).then_some(())).await;
}

#[tokio::test]
async fn telemetry_is_imported_whatever_form_it_is_in_and_what_is_broken_is_said() {
    let collector = Collector::with(CONFIG).await;
    let url = collector.url(Port::Web).await;
    let spans = tools::file("tests/data/corpus/anthropic_sdk_tools/001.traces.pb");
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("mixed.jsonl");
    std::fs::write(&lines, "{\"name\":\"agent.activated\",\"agent\":\"a\",\"execution_id\":\"x\"}\nnonsense\n{\"name\":\"agent.started\"}\n").unwrap();
    let ended = run(&["import", spans.to_str().unwrap(), lines.to_str().unwrap(), "--url", &url]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("Taken: 1 event, 1 request of OTLP"), "{ended:?}");
    assert!(ended.stderr.contains("mixed.jsonl:2: not JSON") && ended.stderr.contains("mixed.jsonl:3: "), "{ended:?}");
    let runs = collector.json("/api/v1/runs").await;
    assert!(runs["runs"].as_array().unwrap().len() >= 2, "{runs}");
    let ended = run(&["import", "nowhere.jsonl", "--url", &url]).await;
    assert!(ended.status.code() == Some(1) && ended.stderr.contains("cannot read nowhere.jsonl"), "{ended:?}");
}

#[tokio::test]
async fn a_run_is_played_again_at_its_pace() {
    let collector = Collector::with(CONFIG).await;
    let (url, web) = (collector.url(Port::Web).await, collector.url(Port::Web).await);
    let event = |seconds: u32, name: &str| {
        json!({"name": name, "agent": "a", "execution_id": "run", "timestamp": format!("2026-11-01T10:00:{seconds:02}Z")}).to_string()
    };
    let events = [event(0, "agent.started"), event(20, "agent.activated"), event(40, "agent.completed")].join("\n");
    post(&format!("{web}/v1/events"), &[], events.into()).await;
    until("the events", async || (collector.json("/api/v1/events").await["next"] == 3).then_some(())).await;
    let begun = std::time::Instant::now();
    let played = run(&["replay", "run", "--url", &url, "--json", "--speed", "100"]).await;
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|event| event["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&played.stdout), ["agent.started", "agent.activated", "agent.completed"], "{played:?}");
    assert!(begun.elapsed().as_millis() >= 400, "forty seconds, a hundred times as fast");
    let other = Collector::with(CONFIG).await;
    let to = other.url(Port::Web).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.jsonl");
    std::fs::write(&file, &played.stdout).unwrap();
    for (as_new, count) in [(&[][..], 3), (&[][..], 3), (&["--as-new"][..], 6)] {
        let args = ["replay", file.to_str().unwrap(), "--to", &to, "--speed", "1000"];
        let ended = run(&[&args[..], as_new].concat()).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        until("the events", async || (other.json("/api/v1/events").await["next"] == count).then_some(())).await;
    }
    assert_eq!(other.json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 2);
}
