//! Events on disk by what they say: after restarts and kill -9, when a file is gone or damaged, and for whom.

use serde_json::{Value, json};

use super::support::client::post;
use super::support::collector::{Collector, Port};
use super::support::until;

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
            let files: Vec<_> =
                std::fs::read_dir(collector.data("history")).unwrap().map(|file| file.unwrap().path()).collect();
            for path in files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "db")) {
                match damage {
                    "gone" => std::fs::remove_file(path).unwrap(),
                    _ => std::fs::write(path, "no database at all, and longer than nothing".repeat(100)).unwrap(),
                }
            }
        }
        collector = collector.restart("KILL").await;
        entered_all(&collector).await;
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

/// Waits until all runs have all their events.
async fn entered_all(collector: &Collector) {
    until("history", async || {
        let page = collector.json("/api/v1/runs").await;
        let events: u64 = page["runs"].as_array()?.iter().filter_map(|run| run["events"].as_u64()).sum();
        (events == TOLD).then_some(())
    })
    .await;
}
