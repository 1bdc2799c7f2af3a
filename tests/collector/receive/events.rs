//! Events as JSON: one, an array, or lines; a bad one among good ones; and where they come out.

use serde_json::{Value, json};

use super::{accepted, forwarding, refused};
use crate::support::client::{gzip, post, zstd};
use crate::support::collector::{Collector, Port};
use crate::support::until;

fn event(number: u8) -> Value {
    json!({"name": "order.shipped", "event_id": format!("018f0000-0000-7000-8000-0000000000{number:02x}"),
        "timestamp": "2026-11-21T06:28:00.000001Z", "data": {"number": number}})
}

/// The numbers of the events, in order.
fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["data"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn one_many_and_lines_come_out_in_the_file_and_the_api() {
    let collector = Collector::start().await;
    let lines = format!("{}\n\n{}\n", event(5), event(6));
    for (body, count) in [
        (event(1).to_string(), 1),
        (serde_json::to_string_pretty(&event(2)).unwrap(), 1),
        (json!([event(3), event(4)]).to_string(), 2),
        (lines, 2),
    ] {
        let answer = collector.post("/v1/events", &[("content-type", "application/json")], body).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"accepted": count})));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let packed =
        collector.post("/v1/events", &[("content-encoding", "gzip")], gzip(event(7).to_string().as_bytes())).await;
    assert_eq!(packed.json(), json!({"accepted": 1}));
    let packed =
        collector.post("/v1/events", &[("content-encoding", "zstd")], zstd(event(8).to_string().as_bytes())).await;
    assert_eq!(packed.json(), json!({"accepted": 1}));
    let in_file = collector.events(8).await;
    assert_eq!(numbers(&in_file), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(in_file[0]["timestamp"], "2026-11-21T06:28:00.000001Z");
    assert_eq!((&in_file[0]["name"], &in_file[0]["source"]["kind"]), (&json!("order.shipped"), &json!("http")));
    // The file may have them before those who read the stream do.
    let of_api = until("the events in the API", async || {
        let page = collector.json("/api/v1/events").await;
        let events: Vec<Value> = page["events"].as_array()?.iter().map(|entry| entry["event"].clone()).collect();
        (events.len() == in_file.len()).then_some(events)
    })
    .await;
    assert_eq!(of_api, in_file);
    collector.sample_becomes(&accepted("events", "http"), 8.0).await;
}

#[tokio::test]
async fn the_web_endpoint_takes_events_too() {
    let collector = Collector::start().await;
    let url = format!("{}/v1/events", collector.url(Port::Web).await);
    let answer = post(&url, &[], event(1).to_string().into()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"accepted": 1})));
    assert_eq!(numbers(&collector.events(1).await), [1]);
    let packed = gzip(event(2).to_string().as_bytes());
    assert_eq!(post(&url, &[("content-encoding", "gzip")], packed).await.status, 200);
    let many = vec![event(3).to_string(); 20_000].join("\n");
    assert!(many.len() > 2 << 20, "more than a web framework allows by default");
    assert_eq!(post(&url, &[], many.into()).await.json(), json!({"accepted": 20_000}));
    let answer = post(&url, &[("origin", "https://evil.example")], event(2).to_string().into()).await;
    assert_eq!(answer.status, 403, "a page elsewhere must not make events up: {answer:?}");
}

#[tokio::test]
async fn a_bad_event_loses_nothing_but_itself() {
    let collector = Collector::start().await;
    let array = json!([event(1), {"priority": 1}, event(2), 7]).to_string();
    let lines = format!("{}\nnonsense\n{}\n{{\"name\":\"a.b\",\"priority\":11}}\n", event(3), event(4));
    for (body, errors) in [(array, ["needs a `name`", "not a number"]), (lines, ["not JSON", "1 (most urgent) to 10"])]
    {
        let answer = collector.post("/v1/events", &[], body).await;
        assert_eq!(answer.status, 200);
        let outcome = answer.json();
        assert_eq!(outcome["accepted"], 2, "{outcome}");
        let rejected = outcome["rejected"].as_array().unwrap();
        assert_eq!(rejected.len(), 2, "{outcome}");
        for ((entry, index), error) in rejected.iter().zip([1, 3]).zip(errors) {
            assert_eq!(entry["index"], index, "{outcome}");
            assert!(entry["error"].as_str().unwrap().contains(error), "`{error}` is not in: {outcome}");
        }
    }
    assert_eq!(numbers(&collector.events(4).await), [1, 2, 3, 4]);
    collector.sample_becomes(&refused("invalid", "events", "http"), 4.0).await;
}

#[tokio::test]
async fn a_body_without_a_good_event_is_a_bad_request() {
    let collector = Collector::start().await;
    for (body, rejected) in [("{}", 1), ("nonsense", 1), ("[1, 2]", 2), ("[{\"name\":\"a.b\"}", 1), ("", 0), ("[]", 0)]
    {
        let answer = collector.post("/v1/events", &[], body).await;
        assert_eq!(answer.status, 400, "{body}");
        let outcome = answer.json();
        assert_eq!(outcome["accepted"], 0, "{body}: {outcome}");
        assert_eq!(outcome["rejected"].as_array().unwrap().len(), rejected, "{body}: {outcome}");
    }
    collector.sample_becomes(&refused("invalid", "events", "http"), 5.0).await;
    assert_eq!(collector.sample(&accepted("events", "http")).await, Some(0.0));
}

#[tokio::test]
async fn the_same_event_sent_again_comes_out_once() {
    let collector = Collector::start().await;
    let verdict = json!({"name": "agent.completed", "event_id": "018f0000-0000-7000-8000-000000000001",
        "agent": "critic", "task_id": "t", "data": {"status": "rejected"}});
    for _ in 0..2 {
        let answer = collector.post("/v1/events", &[], verdict.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    collector.post("/v1/events", &[], event(9).to_string()).await;
    let names: Vec<Value> = collector.events(3).await.iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names, ["agent.completed", "review.decided", "order.shipped"]);
}

#[tokio::test]
async fn figures_beyond_all_bounds_are_refused_by_name() {
    let collector = Collector::start().await;
    for (field, figure) in [("duration_ms", 1e300), ("duration_ms", -1.0), ("cost_usd", -5.0), ("ttft_ms", f64::MAX)] {
        let bad = json!({"name": "agent.completed", "execution_id": "x", "agent": "a", "performance": {field: figure}});
        let good = json!({"name": "agent.completed", "execution_id": "x", "agent": "a",
            "performance": {"duration_ms": 10, "input_tokens": u64::MAX}});
        let answer = collector.post("/v1/events", &[], json!([bad, good]).to_string()).await;
        let outcome = answer.json();
        assert_eq!((answer.status, &outcome["accepted"]), (200, &json!(1)), "{outcome}");
        assert!(outcome["rejected"].to_string().contains(field), "{outcome}");
    }
    collector.events(4).await;
    assert_eq!(collector.json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 1);
    assert!(collector.stop().await.status.success());
}

#[tokio::test]
async fn too_many_bytes_of_events_are_refused() {
    let exporter = "otlphttp: {endpoint: 'http://127.0.0.1:9'}";
    let collector = Collector::with(&forwarding(", max_request_body_size: 1000", "", exporter)).await;
    let body = json!([event(1), {"name": "a.b", "data": {"text": "x".repeat(2000)}}]).to_string();
    for (encoding, body) in [("identity", body.clone().into()), ("gzip", gzip(body.as_bytes()))] {
        let answer = collector.post("/v1/events", &[("content-encoding", encoding)], body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (413, &json!(8)), "{answer:?}");
    }
    collector.sample_becomes(&refused("too_large", "events", "http"), 2.0).await;
}
