//! A collector that has seen everything, and a Prometheus that has seen the collector.

use std::time::{SystemTime, UNIX_EPOCH};

use spanlight::otlp::Signal;
use tempfile::TempDir;

use super::prometheus::Prometheus;
use super::recorded;
use super::support::collector::{Collector, Port, run};
use super::support::tools::file;
use super::support::until;

const CONFIG: &str = r#"
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
connectors: {agent: {budgets: [{name: daily, limit_usd: 25, per: day}]}}
exporters:
  file: {path: agent-events.jsonl}
  prometheus: {}
extensions:
  web: {endpoint: "127.0.0.1:0"}
  journal: {}
service:
  extensions: [web, journal]
  pipelines:
    traces: {receivers: [otlp], exporters: [agent]}
    logs: {receivers: [otlp], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [file]}
    metrics: {receivers: [otlp], exporters: [prometheus, agent]}
    metrics/derived: {receivers: [agent], exporters: [prometheus]}
"#;

/// Whether this build can archive.
pub const HAS_ARCHIVE: bool = cfg!(feature = "archive");

/// Where it is archived, in a build that can.
const ARCHIVE: (&str, &str) = ("  journal: {}\n", "  journal: {}\n  archive: {url: 'file:///DIRECTORY'}\n");

/// What neither the recorded runs nor the demonstration have: work that is open, a prompt that failed, a task that is done at
/// once, one that waits for people, and lines, commits and pull requests of a coding agent.
const MORE: &str = r#"[
  {"name": "agent.started", "agent": "scribe", "execution_id": "e-1", "component_id": "scribe"},
  {"name": "agent.started", "agent": "codex", "execution_id": "e-2", "component_id": "codex"},
  {"name": "agent.failed", "agent": "codex", "execution_id": "e-2", "component_id": "codex", "message": "no network"},
  {"name": "task.queued", "task_id": "t-2", "feature": "login"},
  {"name": "validation.completed", "task_id": "t-2", "feature": "login", "data": {"passed": true}},
  {"name": "hitl.escalated", "agent": "scribe", "task_id": "t-1", "priority": "high"}
]"#;
const CODE: &str = r#"{"resourceMetrics": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]},
  "scopeMetrics": [{"scope": {"name": "com.anthropic.claude_code"}, "metrics": [
    {"name": "claude_code.lines_of_code.count", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
      {"asInt": "42", "startTimeUnixNano": "1", "timeUnixNano": "NOW", "attributes": [{"key": "type", "value": {"stringValue": "added"}}]},
      {"asInt": "7", "startTimeUnixNano": "1", "timeUnixNano": "NOW", "attributes": [{"key": "type", "value": {"stringValue": "removed"}}]}]}},
    {"name": "claude_code.commit.count", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
      {"asInt": "2", "startTimeUnixNano": "1", "timeUnixNano": "NOW"}]}},
    {"name": "claude_code.pull_request.count", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
      {"asInt": "1", "startTimeUnixNano": "1", "timeUnixNano": "NOW"}]}}
  ]}]
}]}"#;

/// The world that dashboards look at.
pub struct Filled {
    pub prometheus: Prometheus,
    collector: Collector,
    objects: TempDir,
    /// When it began, in seconds since 1970.
    pub since: f64,
    /// The time that is looked at.
    pub until: f64,
}

impl Filled {
    /// Everything has happened in it, and has been scraped.
    pub async fn start() -> Filled {
        let objects = tempfile::tempdir().unwrap();
        let archive = ARCHIVE.1.replace("/DIRECTORY", objects.path().to_str().unwrap());
        let archived = CONFIG.replace(ARCHIVE.0, &archive).replace("[web, journal]", "[web, journal, archive]");
        let collector = Collector::with(if HAS_ARCHIVE { &archived } else { CONFIG }).await;
        let url = collector.url(Port::Web).await;
        let since = seconds_now();
        let prometheus = Prometheus::scrapes(url.trim_start_matches("http://")).await;
        fill(&collector).await;
        let until = until("all to be there at one time", async || all_there(&prometheus).await).await;
        Filled { prometheus, collector, objects, since, until }
    }

    /// How many seconds there are between its beginning and the time that is looked at.
    pub fn seconds(&self) -> f64 {
        self.until - self.since
    }
}

/// A time at which what comes last is there, and the last scrape went well: one that took too long makes everything absent
/// until the next.
async fn all_there(prometheus: &Prometheus) -> Option<f64> {
    let now = seconds_now();
    for awaited in [
        r#"up{job="spanlight"} == 1"#,
        r#"job_feature:time_to_completion_seconds:mean1h{feature!=""}"#,
        "job:task_retries:mean1h",
        "job:critic_rejection:ratio1h",
        "agent_human_wait_seconds_count",
        "agent_code_pull_requests_total",
        "agent_escalations_open > 0",
        r#"agent_runs_total{agent="codex", outcome="failed"}"#,
    ] {
        if prometheus.at(awaited, now).await.unwrap().is_empty() {
            return None;
        }
    }
    Some(now)
}

async fn fill(collector: &Collector) {
    let to = collector.url(Port::Http).await;
    let ended = run(&["demo", "--json", "--failure", "--speed", "200", "--runs", "6", "--to", &to]).await;
    assert!(ended.status.success(), "{ended:?}");
    let mut scenarios: Vec<_> =
        std::fs::read_dir(file("tests/data/corpus")).unwrap().map(|one| one.unwrap().path()).collect();
    scenarios.retain(|path| path.is_dir());
    scenarios.sort();
    for batch in scenarios.iter().flat_map(|scenario| recorded::requests(scenario)) {
        let path = match batch.signal() {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        };
        let headers = [("content-type", "application/x-protobuf")];
        assert_eq!(collector.post(path, &headers, batch.bytes().clone()).await.status, 200);
    }
    let json = [("content-type", "application/json")];
    let code = CODE.replace("NOW", &format!("{}000000000", seconds_now() as u64));
    for (path, body) in [("/v1/metrics", code), ("/v1/events", MORE.to_owned())] {
        let answer = collector.post(path, &json, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

pub fn seconds_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
