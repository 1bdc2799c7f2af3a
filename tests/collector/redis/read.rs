//! Events from streams, shared by a group.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Kind, Server, on_both, reading};
use crate::support::collector::Collector;
use crate::support::until;

on_both!(
    entries_of_any_shape_are_read_once_and_bad_ones_are_put_aside,
    collectors_share_a_group_and_what_one_leaves_behind_is_claimed,
    a_server_that_begins_anew_is_joined_anew,
);

/// The ids of tasks in a collector's events so far.
fn tasks(collector: &Collector) -> Vec<String> {
    let text = std::fs::read_to_string(collector.data("agent-events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter_map(|event| Some(event["task_id"].as_str()?.to_owned())).collect()
}

async fn add(server: &Server, tasks: std::ops::Range<usize>) {
    let mut connection = server.connection().await;
    let mut pipeline = redis::pipe();
    for task in tasks {
        let event = format!(r#"{{"event_type": "task_queued", "payload": {{"task_id": "{task}", "feature": "f"}}}}"#);
        pipeline.cmd("XADD").arg("s").arg("*").arg("event").arg(event).ignore();
    }
    pipeline.query_async::<()>(&mut connection).await.unwrap();
}

async fn entries_of_any_shape_are_read_once_and_bad_ones_are_put_aside(kind: Kind) {
    let server = Server::start(kind).await;
    add(&server, 0..2).await;
    server.ask::<String>(&["XADD", "s", "*", "event", "{nonsense"]).await;
    server.ask::<String>(&["XADD", "s", "*", "event_type", "task_queued", "task_id", "2", "feature", "f"]).await;
    let receiver = format!("{{url: '{}', stream: s, start: all, dead_letters: true}}", server.url());
    let collector = reading(&receiver).await;
    until("three tasks", async || (tasks(&collector).len() == 3).then_some(())).await;
    server.becomes(&["XLEN", "s:dead"], 1).await;
    collector.line("is no event").await;
    let labels = r#"receiver="redis",signal="events",transport="stream"}"#;
    collector.sample_becomes(&format!("spanlight_receiver_accepted_total{{{labels}"), 3.0).await;
    collector.sample_becomes(&format!(r#"spanlight_receiver_refused_total{{reason="invalid",{labels}"#), 1.0).await;
    let pending: (u64, Option<String>, Option<String>, redis::Value) =
        server.ask(&["XPENDING", "s", "spanlight"]).await;
    assert_eq!(pending.0, 0);
    assert!(collector.stop().await.status.success());
    // Whoever leaves owing nothing is not remembered.
    let consumers: Vec<redis::Value> = server.ask(&["XINFO", "CONSUMERS", "s", "spanlight"]).await;
    assert_eq!(consumers, []);
    // The group goes on where it was.
    add(&server, 3..5).await;
    let again = reading(&receiver).await;
    until("two more tasks", async || (tasks(&again) == ["3", "4"]).then_some(())).await;
}

async fn collectors_share_a_group_and_what_one_leaves_behind_is_claimed(kind: Kind) {
    let server = Server::start(kind).await;
    let settings = format!("url: '{}', stream: s, start: all, claim_after: 1s, batch: 10", server.url());
    let (first, second) = (format!("{{{settings}, consumer: first}}"), format!("{{{settings}, consumer: second}}"));
    let (first, second) = (reading(&first).await, reading(&second).await);
    until("both in the group", async || {
        let consumers: redis::RedisResult<Vec<redis::Value>> =
            redis::cmd("XINFO").arg(&["CONSUMERS", "s", "spanlight"]).query_async(&mut server.connection().await).await;
        consumers.is_ok_and(|consumers| consumers.len() == 2).then_some(())
    })
    .await;
    for part in 0..20 {
        add(&server, part * 100..part * 100 + 100).await;
    }
    until("2000 tasks", async || (tasks(&first).len() + tasks(&second).len() == 2000).then_some(())).await;
    assert!(!tasks(&first).is_empty() && !tasks(&second).is_empty());
    // The first is given an entry and does not live to see it, which takes it waiting for one when it is stopped.
    let mut added = 2000;
    until("an entry that is given to the first", async || {
        first.signal("STOP").await;
        add(&server, added..added + 2).await;
        added += 2;
        let owed: Vec<redis::Value> = server.ask(&["XPENDING", "s", "spanlight", "-", "+", "9", "first"]).await;
        if owed.is_empty() {
            first.signal("CONT").await;
        }
        (!owed.is_empty()).then_some(())
    })
    .await;
    first.signal("KILL").await;
    until(&format!("{added} tasks"), async || {
        let all: BTreeSet<String> = tasks(&first).into_iter().chain(tasks(&second)).collect();
        (all.len() == added).then_some(())
    })
    .await;
    assert_eq!(tasks(&first).len() + tasks(&second).len(), added, "none twice");
    assert!(second.sample(r#"spanlight_receiver_claimed_total{receiver="redis"}"#).await > Some(0.0));
}

async fn a_server_that_begins_anew_is_joined_anew(kind: Kind) {
    let mut server = Server::absent(kind, &[]);
    let collector = reading(&format!("{{url: '{}', stream: s, start: all}}", server.url())).await;
    collector.line("cannot read `s`").await;
    server.up().await;
    add(&server, 0..10).await;
    until("10 tasks", async || (tasks(&collector).len() == 10).then_some(())).await;
    collector.line("can be read again").await;
    server.ask::<u64>(&["DEL", "s"]).await;
    add(&server, 10..20).await;
    until("20 tasks", async || (tasks(&collector).len() == 20).then_some(())).await;
    server.kill().await;
    std::fs::remove_dir_all(server.path().join("appendonlydir")).unwrap();
    server.up().await;
    add(&server, 20..30).await;
    until("30 tasks", async || (tasks(&collector).len() == 30).then_some(())).await;
    assert!(collector.stop().await.status.success());
}
