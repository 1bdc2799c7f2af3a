//! Reading back: runs, ledger, events and metrics of what was sent.

use super::support::collector::Collector;
use super::support::telemetry::{agent, chat, traces};

#[tokio::test]
async fn a_run_is_seen_everywhere() {
    let collector = Collector::start().await;
    collector.take_traces(traces(vec![chat(1, 2, 1), agent(1, 1, 0, "researcher")])).await;
    let ledger = collector.json("/api/v1/ledger?by=model").await;
    assert_eq!(ledger["totals"]["llm_calls"], 1, "{ledger}");
    let runs = collector.json("/api/v1/runs").await;
    assert_eq!(runs["runs"][0]["id"], "01".repeat(16), "{runs}");
}
