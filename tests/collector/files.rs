//! The exporters that write where the collector runs: `file` and `debug`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

use super::support::collector::Collector;
use super::support::config::traces_to;
use super::support::sink::Sink;
use super::support::telemetry::{agent, agents, chat, span, text, traces};
use super::support::until;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A collector whose events go to these exporters.
async fn with_events_to(exporters: &str) -> Collector {
    let ids: Vec<&str> = exporters.lines().filter_map(|line| line.split_once(": ")).map(|(id, _)| id.trim()).collect();
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         connectors: {{agent: }}\nextensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\nexporters:\n{exporters}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [{}]}}\n",
        ids.join(", ")
    );
    Collector::with(&config).await
}

/// The lines of a file, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<Value> {
    until(&format!("{count} lines in {}", path.display()), async || {
        let text = fs::read_to_string(path).ok()?;
        let whole = text.ends_with('\n') && text.lines().count() >= count;
        whole.then(|| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    })
    .await
}

/// Today's date and others before it, in UTC, as rotation writes them.
fn date(days_ago: u32) -> String {
    let time = jiff::Timestamp::try_from(SystemTime::now() - DAY * days_ago).unwrap();
    time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

/// The names in a folder, in order.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn events_are_a_line_each_in_the_order_of_the_work() {
    let collector = Collector::start().await;
    let (call, mut root) = (chat(1, 2, 1), agent(1, 1, 0, "researcher"));
    root.start_time_unix_nano -= 1_000_000_000;
    root.end_time_unix_nano += 1_000_000;
    collector.take_traces(traces(vec![call, root])).await;
    let events = collector.events(4).await;
    let names: Vec<&str> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent.started", "llm.started", "llm.completed", "agent.completed"]);
    assert!(events.iter().all(|event| event["event_id"].is_string() && event["timestamp"].is_string()));
}

#[tokio::test]
async fn telemetry_is_a_batch_a_line_and_a_restart_goes_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below").join("traces.jsonl");
    let config = traces_to(&[("file", &format!("{{path: '{}'}}", path.display()))]);
    let mut sent = Vec::new();
    for seed in 1..=2 {
        let collector = Collector::with(&config).await;
        let request = agents::request(20, seed, 0);
        collector.take_traces(request.clone()).await;
        sent.push(ExportTraceServiceRequest::decode(&*request).unwrap());
        assert!(collector.stop().await.status.success());
    }
    let text = fs::read_to_string(&path).unwrap();
    let read: Vec<ExportTraceServiceRequest> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(read == sent);
}

#[tokio::test]
async fn files_of_other_days_are_moved_packed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (packed, deleted) = (format!("events-{}.jsonl", date(5)), format!("events-{}.jsonl.gz", date(9)));
    let (recent, foreign) = (format!("events-{}.jsonl", date(2)), format!("events-{}-notes.txt", date(99)));
    for name in [&packed, &deleted, &recent, &foreign, "events.jsonl"] {
        fs::write(file(name), format!("\"{name}\"\n")).unwrap();
    }
    let yesterday = SystemTime::now() - DAY;
    File::options().append(true).open(file("events.jsonl")).unwrap().set_modified(yesterday).unwrap();
    let settings =
        format!("{{path: '{}', compress_after_days: 3, delete_after_days: 8}}", file("events.jsonl").display());
    let collector = with_events_to(&format!("  file: {settings}")).await;
    collector.take_traces(traces(vec![agent(1, 1, 0, "researcher")])).await;
    let today = until("today's events", async || {
        let text = fs::read_to_string(file("events.jsonl")).ok()?;
        text.contains("agent.completed").then_some(text)
    })
    .await;
    assert!(!today.contains("events.jsonl"), "yesterday's events are elsewhere: {today}");
    let moved = format!("events-{}.jsonl", date(1));
    let mut expected = vec![moved.clone(), recent, format!("{packed}.gz"), foreign, "events.jsonl".into()];
    expected.sort();
    assert_eq!(names(&folder), expected);
    assert_eq!(fs::read_to_string(file(&moved)).unwrap(), "\"events.jsonl\"\n");
    let mut unpacked = String::new();
    let gz = File::open(file(&format!("{packed}.gz"))).unwrap();
    flate2::read::GzDecoder::new(gz).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, format!("\"{packed}\"\n"));
}

#[tokio::test]
async fn a_file_that_never_rotates_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, "\"old\"\n").unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now() - DAY).unwrap();
    let collector = with_events_to(&format!("  file: {{path: '{}', rotate: never}}", path.display())).await;
    collector.take_traces(traces(vec![agent(1, 1, 0, "researcher")])).await;
    let lines = lines(&path, 3).await;
    assert_eq!((lines[0].as_str(), lines[2]["name"].as_str()), (Some("old"), Some("agent.completed")));
    assert_eq!(names(&folder), ["events.jsonl"]);
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_said_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("in-the-way");
    fs::write(&in_the_way, "").unwrap();
    let path = in_the_way.join("traces.jsonl");
    let sink = Sink::start().await;
    let (file, other) = (format!("{{path: '{}'}}", path.display()), format!("{{endpoint: '{}'}}", sink.url()));
    let collector = Collector::with(&traces_to(&[("file", &file), ("otlp", &other)])).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    sink.spans(1).await;
    collector.line(&format!("WARN file: cannot write {}: ", path.display())).await;
    let sample = |name: &str| format!(r#"spanlight_exporter_{name}_total{{exporter="file",signal="all"}}"#);
    collector.sample_becomes(&sample("retried"), 1.0).await;
    // Once there is nothing in the way any more, nothing is missing.
    fs::remove_file(&in_the_way).unwrap();
    collector.sample_becomes(&sample("sent"), 1.0).await;
    assert_eq!(lines(&path, 1).await.len(), 1);
}

#[tokio::test]
async fn what_could_never_be_written_is_reported_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{{path: '{}'}}", folder.path().display());
    let collector = Collector::with(&traces_to(&[("file", &file)])).await;
    collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
    collector.line("cannot write").await;
    collector.signal("INT").await;
    collector.line("Stopping").await;
    collector.signal("INT").await;
    assert_eq!(collector.ended().await.status.code(), Some(1));
}

/// Three pieces of work: one that ends well, one that fails, and progress.
async fn some_work(collector: &Collector) {
    let mut failing = span(
        1,
        3,
        1,
        "execute_tool",
        vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "search\u{1b}[31m")],
    );
    failing.status = Some(opentelemetry_proto::tonic::trace::v1::Status { message: "timeout".into(), code: 2 });
    collector.take_traces(traces(vec![chat(1, 2, 1), failing, agent(1, 1, 0, "researcher")])).await;
}

#[tokio::test]
async fn the_console_shows_events_with_a_field_a_line_and_no_control_characters() {
    let collector = with_events_to("  debug: {}").await;
    some_work(&collector).await;
    collector.line("AGENT_COMPLETED researcher").await;
    for line in [
        "AGENT_STARTED researcher",
        "LLM_STARTED researcher:llm:0",
        "  model: gpt-4o",
        "  took: 1.0 s, $0.003500, 1000 → 100 tokens",
        "TOOL_FAILED search [31m",
        "  message: timeout",
    ] {
        collector.line(line).await;
    }
    let ended = collector.stop().await;
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}

#[tokio::test]
async fn the_console_shows_what_its_level_says() {
    for (settings, shown, hidden) in [
        ("{level: error}", &["TOOL_FAILED"][..], &["STARTED", "COMPLETED"][..]),
        ("{level: warn, format: short}", &["tool.failed          search [31m"], &["started", "completed", "TOOL"]),
        (
            "{level: info, format: short}",
            &["agent.started        researcher", "llm.completed", "tool.failed"],
            &["TOOL"],
        ),
        ("{verbosity: normal}", &["AGENT_STARTED", "TOOL_FAILED"], &[]),
        ("{verbosity: basic}", &[], &["AGENT", "TOOL"]),
        ("{level: off}", &[], &["AGENT", "TOOL"]),
    ] {
        let collector = with_events_to(&format!("  debug: {settings}")).await;
        some_work(&collector).await;
        let ended = collector.stop().await;
        let (_, after_banner) = ended.stdout.split_once("OTEL_EXPORTER_OTLP_PROTOCOL").unwrap();
        assert!(shown.iter().all(|text| after_banner.contains(text)), "{settings}: {after_banner}");
        assert!(!hidden.iter().any(|text| after_banner.contains(text)), "{settings}: {after_banner}");
    }
}

#[tokio::test]
async fn of_telemetry_the_console_shows_a_line_for_each_batch() {
    let collector = Collector::with(&traces_to(&[("debug", "{}")])).await;
    collector.take_traces(traces(vec![chat(1, 2, 1), agent(1, 1, 0, "researcher")])).await;
    assert_eq!(collector.line("traces: ").await, "traces: 2 spans from tests");
}
