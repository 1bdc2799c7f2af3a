//! Reading back: runs, ledger, events and metrics of what was sent.

use super::support::collector::Collector;
use super::support::telemetry::{agent, agents, chat, span, text, traces};
use super::support::until;

#[tokio::test]
async fn a_run_is_seen_everywhere() {
    let collector = Collector::start().await;
    collector.take_traces(traces(vec![chat(1, 2, 1), agent(1, 1, 0, "researcher")])).await;
    let ledger = collector.json("/api/v1/ledger?by=model").await;
    assert_eq!(ledger["totals"]["llm_calls"], 1, "{ledger}");
    let runs = collector.json("/api/v1/runs").await;
    assert_eq!(runs["runs"][0]["id"], "01".repeat(16), "{runs}");
}

#[tokio::test]
async fn pages_of_runs_hold_each_run_once() {
    let collector = Collector::start().await;
    let mut sent: Vec<String> = Vec::new();
    for trace in 1..=5 {
        collector.take_traces(traces(vec![agent(trace, 1, 0, "researcher")])).await;
        sent.push(format!("{trace:02x}").repeat(16));
    }
    let mut seen: Vec<String> = Vec::new();
    let mut path = "/api/v1/runs?limit=2".to_owned();
    loop {
        let page = collector.json(&path).await;
        seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        // What comes meanwhile is newer than any page that is still to come.
        collector.take_traces(traces(vec![agent(9, 1, 0, "late")])).await;
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/runs?limit=2&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, sent);
    let answer = collector.get("/api/v1/runs?cursor=nonsense").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("none that was given out"), "{}", answer.text());
}

#[tokio::test]
async fn tokens_and_cost_are_broken_down_by_whatever_they_belong_to() {
    let collector = Collector::start().await;
    let tool = span(1, 2, 1, "execute_tool ask", vec![text("gen_ai.operation.name", "execute_tool")]);
    collector.take_traces(traces(vec![chat(1, 3, 2), tool, agent(1, 1, 0, "researcher")])).await;
    for (by, key, runs) in [("agent", "researcher", 1), ("model", "gpt-4o-2024-08-06", 1), ("tool", "ask", 1)] {
        let row = until(by, async || {
            let metrics = collector.json(&format!("/api/v1/metrics?by={by}")).await;
            metrics["rows"].as_array().unwrap().first().cloned()
        })
        .await;
        let figures = [&row["tokens"], &row["runs"], &row["total_cost_usd"]].map(|figure| figure.as_f64().unwrap());
        assert_eq!((row["key"].as_str(), figures), (Some(key), [1100.0, f64::from(runs), 0.0035]), "{row}");
    }
}

#[tokio::test]
async fn a_large_request_is_taken_in_portions_and_counts_whole() {
    let collector = Collector::start().await;
    collector.take_traces(agents::request(25_000, 1, 0)).await;
    let figures = &collector.json("/api/v1/ledger").await["totals"];
    assert_eq!(
        (&figures["llm_calls"], &figures["tool_calls"], &figures["agent_runs"]),
        (&7500.into(), &5000.into(), &5000.into())
    );
    assert_eq!(collector.sample("spanlight_agent_spans_total").await, Some(25_000.0));
}
