//! Sums by hour and by day: what they say, who merges them, and how long they stay.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Kind, Server, on_both, post, run, writing};
use crate::support::{PATIENCE, until};

on_both!(
    instances_merge,
    a_write_that_is_repeated_changes_nothing,
    those_that_have_ended_become_one,
    whoever_is_away_is_waited_for,
    nothing_is_lost_or_doubled_when_it_is_killed,
);

type Bucket = BTreeMap<String, String>;

fn seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The hour before this one: it is over, and nothing else counts in it.
fn hour() -> i64 {
    seconds().div_euclid(3600) * 3600 - 3600
}

fn name_of(hour: i64) -> String {
    let start = jiff::Timestamp::from_second(hour).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    format!("metrics:hourly:{}", start.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn day_of(hour: i64) -> String {
    let start = jiff::Timestamp::from_second(hour).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    format!("metrics:daily:{}", start.strftime("%Y-%m-%d"))
}

/// The bucket once it says this of a field.
async fn once(server: &Server, key: &str, field: &str, value: &str) -> Bucket {
    until(&format!("{field} {value} in {key}"), async || {
        let bucket: Bucket = server.ask(&["HGETALL", key]).await;
        (bucket.get(field).map(String::as_str) == Some(value)).then_some(bucket)
    })
    .await
}

fn without_raw(bucket: &Bucket) -> BTreeMap<&str, f64> {
    let figures = bucket.iter().filter(|(name, _)| !name.starts_with("raw:"));
    figures.map(|(name, value)| (name.as_str(), value.parse().unwrap())).collect()
}

async fn instances_merge(kind: Kind) {
    let server = Server::start(kind).await;
    let exporter = format!("{{url: '{}'}}", server.url());
    let (first, second) = (writing(&exporter).await, writing(&exporter).await);
    let at = hour();
    let mut events = run(at, 0, "scribe", "checkout", "t1", 0.25).to_vec();
    events.push(json!({"name": "review.decided", "decision": "approved", "reviewer": "critic", "timestamp": at + 70}));
    post(&first, &events).await;
    let mut events = run(at, 600, "scribe", "checkout", "t2", 0.5).to_vec();
    events.extend(run(at, 1200, "runner", "login", "t3", 0.125));
    events
        .push(json!({"name": "review.decided", "decision": "rejected", "reviewer": "critic", "timestamp": at + 1300}));
    events.push(json!({"name": "validation.completed", "passed": true, "feature": "login", "timestamp": at + 1400}));
    events.push(json!({"name": "validation.completed", "passed": false, "feature": "login", "timestamp": at + 1400}));
    post(&second, &events).await;
    assert!(first.stop().await.status.success() && second.stop().await.status.success());

    let hourly = once(&server, &name_of(at), "runs", "3").await;
    let expected = BTreeMap::from([
        ("agent_utilization", (120.0 / 3600.0 + 60.0 / 3600.0) / 2.0),
        ("agent_utilization:scribe", 120.0 / 3600.0),
        ("agent_utilization:runner", 60.0 / 3600.0),
        ("cost_per_feature", 0.875 / 3.0),
        ("cost_per_feature:checkout", 0.375),
        ("cost_per_feature:login", 0.125),
        ("average_retry_count", 0.0),
        ("critic_rejection_rate", 0.5),
        ("validation_pass_rate", 0.5),
        ("time_to_completion", 60.0),
        ("total_cost_usd", 0.875),
        ("unpriced_calls", 0.0),
        ("tokens", 0.0),
        ("runs", 3.0),
        ("errors", 0.0),
    ]);
    let found = without_raw(&hourly);
    let close = |(name, value): (&&str, &f64)| (found[name] - value).abs() < 1e-12;
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(expected.iter().all(close), "{found:?}");
    let states: Vec<&String> =
        hourly.iter().filter(|(name, _)| name.starts_with("raw:")).map(|(_, state)| state).collect();
    assert!(states.len() == 2 && states.iter().all(|state| state.starts_with("{\"ended\":")), "{states:?}");
    // A week, and thirty days, after they are over.
    assert_eq!(server.ask::<i64>(&["EXPIRETIME", &name_of(at)]).await, at + 3600 + 7 * 86_400);
    let day = at.div_euclid(86_400) * 86_400;
    assert_eq!(server.ask::<i64>(&["EXPIRETIME", &day_of(at)]).await, day + 86_400 + 30 * 86_400);
    let daily = once(&server, &day_of(at), "runs", "3").await;
    assert_eq!((daily["total_cost_usd"].as_str(), daily["cost_per_feature:checkout"].as_str()), ("0.875", "0.375"));
    // A third process begins from nothing, and adds to what the others have left.
    let third = writing(&exporter).await;
    post(&third, &run(at, 1800, "scribe", "checkout", "t4", 1.0)).await;
    assert!(third.stop().await.status.success());
    once(&server, &name_of(at), "runs", "4").await;
}

async fn a_write_that_is_repeated_changes_nothing(kind: Kind) {
    let server = Server::start(kind).await;
    let mut connection = server.connection().await;
    let script = redis::Script::new(include_str!("../../../src/export/redis/bucket.lua"));
    let mut write = async |field: &str, sequence: u64, runs: u64| {
        let sums = json!({"seq": sequence, "sums": {"runs": runs}, "features": {}, "agents": {"a": 1_800_000_000_u64}});
        let mut call = script.key("b");
        call.arg(field).arg(sequence).arg(sums.to_string()).arg(seconds() + 100).arg(3600).arg(9).arg(2).arg(60);
        call.invoke_async::<i64>(&mut connection).await.unwrap()
    };
    assert_eq!((write("raw:x", 7, 3).await, write("raw:y", 1, 2).await), (1, 1));
    let bucket: Bucket = server.ask(&["HGETALL", "b"]).await;
    assert_eq!((bucket["runs"].as_str(), bucket["agent_utilization"].as_str()), ("5", "1"));
    // The same again, and an older state that comes late.
    assert_eq!((write("raw:x", 7, 3).await, write("raw:x", 6, 1).await), (0, 0));
    assert_eq!(server.ask::<Bucket>(&["HGETALL", "b"]).await, bucket);
    // More instances than there may be are refused, and those that are there go on.
    assert_eq!((write("raw:z", 1, 1).await, write("raw:x", 8, 4).await), (-1, 1));
    assert_eq!(server.ask::<String>(&["HGET", "b", "runs"]).await, "6");
}

async fn those_that_have_ended_become_one(kind: Kind) {
    let server = Server::start(kind).await;
    let mut connection = server.connection().await;
    let write = redis::Script::new(include_str!("../../../src/export/redis/bucket.lua"));
    let end = redis::Script::new(include_str!("../../../src/export/redis/ended.lua"));
    for number in 0..100 {
        let sums = json!({"seq": 1, "sums": {"cost_usd": 0.1, "tasks": 1, "task_cost_usd": 0.1},
                          "features": {"f": {"task_cost_usd": 0.1, "tasks": 1}}, "agents": {"a \"quoted\" name": 1_000_000}});
        let field = format!("raw:{number:03}");
        let mut call = write.key("b");
        call.arg(&field).arg(1).arg(sums.to_string()).arg(seconds() + 100).arg(100).arg(10).arg(50).arg(0);
        assert_eq!(call.invoke_async::<i64>(&mut connection).await.unwrap(), 1);
        // Two of three end, and one of them tells it twice.
        for _ in 0..number % 3 {
            end.key("b").arg(&field).invoke_async::<i64>(&mut connection).await.unwrap();
        }
    }
    let bucket: Bucket = server.ask(&["HGETALL", "b"]).await;
    let apart = bucket.keys().filter(|name| name.starts_with("raw:")).count();
    assert!((35..=45).contains(&apart), "{apart}");
    let figure = |name: &str| bucket[name].parse::<f64>().unwrap();
    assert!((figure("total_cost_usd") - 10.0).abs() < 1e-9 && (figure("cost_per_feature:f") - 0.1).abs() < 1e-9);
    assert_eq!(figure("agent_utilization:a \"quoted\" name"), 1.0);
}

async fn whoever_is_away_is_waited_for(kind: Kind) {
    let mut server = Server::absent(kind, &[]);
    let collector = writing(&format!("{{url: '{}', stream: events}}", server.url())).await;
    let at = hour();
    for task in 0..150 {
        post(&collector, &run(at, task, "scribe", "checkout", &task.to_string(), 0.5)).await;
    }
    collector.line("WARN redis: ").await;
    assert_eq!(collector.get("/readyz").await.status, 200);
    server.up().await;
    once(&server, &name_of(at), "runs", "150").await;
    server.becomes(&["XLEN", "events"], 300).await;
    // It loses everything, and is told again what is still known.
    server.kill().await;
    std::fs::remove_dir_all(server.path().join("appendonlydir")).unwrap();
    server.up().await;
    post(&collector, &run(at, 200, "scribe", "checkout", "last", 0.5)).await;
    let bucket = once(&server, &name_of(at), "runs", "151").await;
    assert_eq!(bucket["total_cost_usd"], "75.5");
    assert!(collector.stop().await.status.success());
}

async fn nothing_is_lost_or_doubled_when_it_is_killed(kind: Kind) {
    let mut server = Server::start(kind).await;
    let collector = writing(&format!("{{url: '{}', stream: events}}", server.url())).await;
    let at = hour();
    for task in 0..400 {
        post(&collector, &run(at, task, "scribe", "checkout", &task.to_string(), 0.25)).await;
        if task % 100 == 50 {
            server.kill().await;
            server.spawn();
        }
    }
    let bucket = once(&server, &name_of(at), "runs", "400").await;
    assert_eq!(bucket["total_cost_usd"], "100");
    server.becomes(&["XLEN", "events"], 800).await;
    let ended = tokio::time::timeout(PATIENCE, collector.stop()).await.unwrap();
    assert!(ended.status.success(), "{}", ended.stdout);
    assert_eq!(once(&server, &name_of(at), "runs", "400").await["total_cost_usd"], "100");
    // Every event once, although nobody knows of some attempts what became of them.
    let entries: Vec<(String, BTreeMap<String, String>)> = server.ask(&["XRANGE", "events", "-", "+"]).await;
    let mut ids: Vec<&str> = entries.iter().map(|(_, fields)| fields["event_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((entries.len(), ids.len()), (800, 800));
    assert!(entries.iter().all(|(_, fields)| serde_json::from_str::<Value>(&fields["event"]).is_ok()));
}
