//! What the work cost, as the ledger has it: over restarts, and when its file cannot be used.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::corpus;
use super::support::collector::Collector;
use super::support::until;

fn scenario(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(name)
}

/// The ledger in total and by what does not end with a program, with how each cost was made.
async fn ledger(collector: &Collector) -> Value {
    let mut all = Map::new();
    for by in ["model", "agent", "tool", "feature", "day"] {
        for window in ["1h", "24h", "all"] {
            let mut said = collector.json(&format!("/api/v1/ledger?by={by}&window={window}&explain=true")).await;
            said["provisional"].take();
            // In which order sums are added up is nobody's concern.
            let rows = said["rows"].take();
            let rows =
                rows.as_array().unwrap().iter().map(|row| (row["key"].as_str().unwrap().to_owned(), row.clone()));
            said["rows"] = rounded(&Value::Object(rows.collect()));
            said["totals"] = rounded(&said["totals"]);
            all.insert(format!("{by} {window}"), said);
        }
    }
    Value::Object(all)
}

fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => ((number.as_f64().unwrap() * 1e9).round() / 1e9).into(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(rounded).collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), rounded(value))).collect())
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn what_the_work_cost_outlives_the_program() {
    let parts = ["strands_native", "langgraph_supervisor_oi", "litellm_otel"];
    let whole = Collector::start().await;
    let mut collector = Collector::start().await;
    for part in parts {
        corpus::post(&whole, &scenario(part)).await;
        corpus::post(&collector, &scenario(part)).await;
        collector = collector.restart("TERM").await;
    }
    let kept = ledger(&collector).await;
    assert_eq!(kept, ledger(&whole).await);
    assert!(kept["model all"]["totals"]["cost_usd"].as_f64().unwrap() > 0.0, "{kept}");
}

#[tokio::test]
async fn a_program_that_is_killed_forgets_no_more_than_the_last_moments() {
    let collector = Collector::start().await;
    corpus::post(&collector, &scenario("strands_native")).await;
    let path = collector.data("ledger.json");
    until("the ledger in its file", async || path.exists().then_some(())).await;
    let before = ledger(&collector).await;
    let collector = collector.restart("KILL").await;
    assert_eq!(ledger(&collector).await, before);
    std::fs::write(collector.data("ledger.json"), b"{\"version\":1,\"ledg").unwrap();
    let collector = collector.restart("KILL").await;
    let said = collector.line("ledger.json cannot be used").await;
    assert!(said.contains("it is damaged") && said.contains("ledger.json.damaged"), "{said}");
    assert_eq!(collector.json("/api/v1/ledger").await["rows"], Value::Array(Vec::new()));
}
