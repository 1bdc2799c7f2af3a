//! Real telemetry of real agent software, posted to the binary as it was recorded, against what truly happened.
//!
//! `tests/golden` holds the core against the same truth; this is the way through receivers, pipelines and the API.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::collector::Collector;
use super::support::tools;
use super::truth::{Figures, Truth};

#[tokio::test]
async fn the_ledger_of_every_scenario_is_true() {
    let corpus = std::fs::read_dir(tools::file("tests/data/corpus")).unwrap();
    let mut scenarios: Vec<PathBuf> = corpus.map(|entry| entry.unwrap().path()).collect();
    scenarios.retain(|path| path.join("expected.json").exists());
    scenarios.sort();
    assert!(!scenarios.is_empty());
    let mut failures = Vec::new();
    for scenario in scenarios {
        let collector = Collector::start().await;
        post(&collector, &scenario).await;
        let truth = Truth::read(&scenario);
        let wrong = until_right(&collector, &truth).await;
        if !wrong.is_empty() {
            failures.push(format!("{}: {}", scenario.display(), wrong.join(" ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is wrong with the ledger, once nothing is or it has had its time.
async fn until_right(collector: &Collector, truth: &Truth) -> Vec<String> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let wrong = truth.compare_ledger(&ledger(collector).await);
        if wrong.is_empty() || Instant::now() > patience {
            return wrong;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Posts the recorded requests in the order in which they came.
pub async fn post(collector: &Collector, scenario: &Path) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(scenario).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((number, signal, kind)) = parts(&name) else { continue };
        let meta = std::fs::read(scenario.join(format!("{number}.{signal}.meta.json"))).unwrap_or_else(|_| "{}".into());
        let meta: Value = serde_json::from_slice(&meta).unwrap();
        let own = if kind == "pb" { "application/x-protobuf" } else { "application/json" };
        // What came over gRPC was recorded without its frame.
        let said = meta["content_type"].as_str().filter(|said| !said.starts_with("application/grpc"));
        let mut headers = vec![("content-type", said.unwrap_or(own))];
        headers.extend(meta["content_encoding"].as_str().filter(|e| !e.is_empty()).map(|e| ("content-encoding", e)));
        let answer = collector.post(&format!("/v1/{signal}"), &headers, std::fs::read(&file).unwrap()).await;
        assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.text());
    }
}

/// `001.traces.pb` is the first request, of traces, in protobuf.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let mut parts = name.splitn(3, '.');
    let (number, signal, kind) = (parts.next()?, parts.next()?, parts.next()?);
    ["pb", "otlp.json"].contains(&kind).then_some((number, signal, kind))
}

/// The ledger as it stands.
async fn ledger(collector: &Collector) -> Figures {
    let rows = async |by: &str| collector.json(&format!("/api/v1/ledger?by={by}&window=all")).await;
    let mut figures = Figures::new();
    let totals = rows("model").await["totals"].clone();
    figures
        .extend(totals.as_object().unwrap().iter().filter_map(|(name, figure)| Some((name.clone(), figure.as_u64()?))));
    let mut take = |ledger: &Value, names: &[(&str, &str)]| {
        for row in ledger["rows"].as_array().unwrap() {
            let key = row["key"].as_str().unwrap();
            figures.extend(names.iter().map(|(name, of)| (format!("{name}:{key}"), row[*of].as_u64().unwrap_or(0))));
        }
    };
    take(&rows("tool").await, &[("tool", "tool_calls"), ("tool_failed", "tool_failed")]);
    take(&rows("agent").await, &[("agent_runs", "agent_runs")]);
    figures
}
