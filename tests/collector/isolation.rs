//! What is somebody else's is seen by nobody: every route of the document, every message of a WebSocket, asked for it with
//! a token that is good, and not for that.

use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::auth::{asking, token};
use super::support::client::{Answer, get_with, post};
use super::support::collector::{Collector, Port};
use super::support::{PATIENCE, until};

/// What only eve's work has in it: text, the name of an agent, and what it cost.
const MARKS: [&str; 2] = ["EVE", "31337"];
const EVES_RUN: &str = "e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0";
const EVES_SPAN: &str = "e1e1e1e1e1e1e1e1";

/// A collector that keeps everything everywhere, with work of dana and of eve.
async fn collector() -> Collector {
    let beside = "  journal: {sync_interval: 10ms}
exporters: {history: {}, websocket: {summary_interval: 50ms}, prometheus: {}}
connectors: {agent: {budgets: [{name: all, limit_usd: 1, per: total, each: agent}]}}
service:
  extensions: [web, journal]
  pipelines:
    traces: {receivers: [otlp], exporters: [agent]}
    logs: {receivers: [otlp], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [history, websocket]}
    metrics: {receivers: [agent], exporters: [prometheus]}
";
    let collector = asking(beside).await;
    // Eve's comes between dana's, so that whoever reads past it has it in their hands.
    spans(&collector, "dana", &"d0".repeat(16), &"d1".repeat(8), "danas-agent", 0.5).await;
    spans(&collector, "eve", EVES_RUN, EVES_SPAN, "EVE-agent", 31337.0).await;
    for (user, agent, run) in [
        ("dana", "danas-writer", "dana-events"),
        ("eve", "EVE-writer", "eve-events"),
        ("dana", "last-of-dana", "dana-events"),
    ] {
        let event = json!({"name": "agent.failed", "agent": agent, "user_id": user, "execution_id": run,
                           "conversation_id": format!("{user}-talk"), "message": format!("the words of {}", agent)});
        let answer = collector.post("/v1/events", &[], event.to_string()).await;
        assert_eq!(answer.json(), json!({"accepted": 1}));
    }
    // All of it is in history, and found by its words.
    until("all of it in history", async || {
        let found = ask(&collector, "/api/v1/events?q=words&limit=10", "root", &[]).await.json();
        (found["events"].as_array()?.len() == 3).then_some(())
    })
    .await;
    collector
}

/// A call of a model by an agent for a user, as OTLP/JSON.
async fn spans(collector: &Collector, user: &str, run: &str, span: &str, agent: &str, usd: f64) {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span_of = |id: &str, parent: &str, name: &str, attributes: Vec<Value>| {
        json!({"traceId": run, "spanId": id, "parentSpanId": parent, "name": name, "kind": 1,
               "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000", "attributes": attributes})
    };
    let of_agent = vec![
        text("gen_ai.operation.name", "invoke_agent"),
        text("gen_ai.agent.name", agent),
        text("user.id", user),
        text("gen_ai.conversation.id", &format!("{user}-talk")),
    ];
    let of_call = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", &format!("{agent}-model")),
        text("user.id", user),
        json!({"key": "gen_ai.usage.input_tokens", "value": {"intValue": "31337"}}),
        json!({"key": "gen_ai.usage.cost", "value": {"doubleValue": usd}}),
    ];
    let of_call = if user == "eve" { of_call } else { of_call[..3].to_vec() };
    let spans = [span_of(span, "", agent, of_agent), span_of(&run[..16], span, agent, of_call)];
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    let answer = collector.post("/v1/traces", &[("content-type", "application/json")], body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn ask(collector: &Collector, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    get_with(&(collector.url(Port::Web).await + path), &headers).await
}

fn has_marks(text: &str) -> bool {
    MARKS.iter().any(|mark| text.contains(mark))
}

/// The paths of the document with eve's names in them, as an attacker who knows them all would ask.
fn paths(document: &Value, method: &str) -> Vec<String> {
    let paths = document["paths"].as_object().unwrap().iter().filter(|(_, item)| !item[method].is_null());
    let filled = paths.flat_map(|(path, _)| {
        let of_spans = path.replace("{id}", EVES_RUN).replace("{span}", EVES_SPAN).replace("{name}", "all");
        let of_events = path.replace("{id}", "eve-events").replace("{span}", EVES_SPAN).replace("{name}", "all");
        [of_spans, of_events]
    });
    let mut paths: Vec<String> = filled.collect();
    paths.dedup();
    assert!(paths.iter().all(|path| !path.contains('{')), "a parameter is not known here: {paths:?}");
    paths
}

const QUERIES: [&str; 14] = [
    "",
    "?user=eve",
    "?q=EVE",
    "?agent=EVE-agent",
    "?execution=eve-events",
    "?conversation=eve-talk",
    "?from=0&limit=1000",
    "?by=agent&window=all",
    "?by=model&window=all&explain=true",
    "?by=run&window=all&explain=true",
    "?by=feature&window=all",
    "?status=completed",
    "?status=failed",
    "?since=2020-01-01T00:00:00Z",
];

#[tokio::test]
async fn no_route_shows_what_is_of_somebody_else() {
    let collector = collector().await;
    let document = collector.json("/api/openapi.json").await;
    let (dana, of_agents) = (token(json!({"sub": "dana"})), token(json!({"sub": "dana", "agents": ["danas-agent"]})));
    let nobody = token(json!({"sub": "nobody"}));
    let (mut shown_to_root, mut shown_to_dana) = (0, 0);
    let paths = paths(&document, "get");
    for path in paths.iter().filter(|path| !["/api/v1/stream", "/ws"].contains(&path.as_str())) {
        for query in QUERIES {
            let path = format!("{path}{query}");
            let whole = ask(&collector, &path, "root", &[]).await;
            let tag = whole.header("etag").unwrap_or("\"none\"").to_owned();
            let root_sees = has_marks(&whole.text());
            shown_to_root += usize::from(root_sees);
            for (who, limited) in [("dana", &dana), ("dana's agent", &of_agents), ("nobody", &nobody)] {
                // A tag that fits would say that what they see is what root sees.
                let answer = ask(&collector, &path, limited, &[("if-none-match", &tag)]).await;
                assert!(!has_marks(&answer.text()), "{who} at {path}: {}", answer.text());
                assert!(!root_sees || answer.status != 304, "{who} at {path}");
                let known = [200, 304, 400, 403, 404, 426];
                assert!(known.contains(&answer.status), "{who} at {path}: {} {}", answer.status, answer.text());
                shown_to_dana += usize::from(who == "dana" && answer.text().contains("dana"));
            }
            for stranger in ["wrong", ""] {
                let answer = ask(&collector, &path, stranger, &[]).await;
                assert!(!has_marks(&answer.text()), "{stranger:?} at {path}: {}", answer.text());
            }
        }
    }
    assert!(shown_to_root > 30 && shown_to_dana > 10, "there was nothing to see: {shown_to_root} {shown_to_dana}");
    for path in self::paths(&document, "post") {
        let bearer = format!("Bearer {dana}");
        let url = collector.url(Port::Web).await + &path;
        let answer = post(&url, &[("authorization", &bearer)], r#"{"name":"agent.started","agent":"a"}"#.into()).await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[tokio::test]
async fn no_stream_shows_what_is_of_somebody_else() {
    let collector = collector().await;
    let epoch = ask(&collector, "/api/v1/health", "root", &[]).await.json()["epoch"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", token(json!({"sub": "dana"})));
    let resumed = format!("{epoch}:0");
    for (query, headers) in [
        ("?from=0", vec![]),
        ("?from=0&user=dana&user=eve", vec![]),
        ("", vec![("last-event-id", resumed.as_str())]),
        ("", vec![("last-event-id", "another:7")]),
    ] {
        let url = collector.url(Port::Web).await + "/api/v1/stream" + query;
        let mut request = http::Request::get(url).header("authorization", &bearer);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<http_body_util::Empty<bytes::Bytes>>();
        let mut body = client.request(request.body(Default::default()).unwrap()).await.unwrap().into_body();
        let mut text = String::new();
        while !text.contains("last-of-dana") {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        assert!(text.contains("danas-writer") && !has_marks(&text), "{query}: {text}");
    }
}

#[tokio::test]
async fn no_message_of_a_websocket_shows_what_is_of_somebody_else() {
    let collector = collector().await;
    let url = collector.url(Port::Web).await.replace("http", "ws") + "/ws";
    let token = token(json!({"sub": "dana"}));
    let opening = json!({"type": "hello", "token": token, "resume_from": 0, "epoch": null});
    for query in [
        "",
        "?user=eve",
        "?envelope=bare&resume_from=0",
        "?execution=eve-events&resume_from=0",
        "?subscription=all_events",
    ] {
        let (mut socket, _) = connect_async(format!("{url}{query}")).await.unwrap();
        for message in [
            opening.clone(),
            json!({"type": "subscribe", "execution_id": "eve-events", "replay": 1000}),
            json!({"type": "subscribe", "execution_id": EVES_RUN, "replay": 1000}),
            json!({"type": "subscribe", "conversation_id": "eve-talk", "replay": 1000}),
            json!({"type": "subscribe", "subscription": "all_events", "replay": 1000}),
            json!({"type": "subscribe", "subscription": "agent_performance"}),
            json!({"type": "subscribe", "filter": {"user": "eve"}, "replay": 1000}),
            json!({"type": "filter_update", "filter": {"user": ["eve", "dana"]}}),
            json!({"type": "filter_update", "agent_filter": ["EVE-agent", "EVE-writer"]}),
            json!({"type": "filter_update", "subscriptions": ["all_events", "agent_performance"]}),
            json!({"type": "get_recent", "limit": 1000}),
            json!({"type": "get_recent", "limit": 1000, "event_types": ["agent.failed"]}),
            json!({"type": "unsubscribe"}),
            json!({"type": "ping"}),
        ] {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        // What is answered comes in order, so after the answer to the ping there is no more.
        loop {
            let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            // What was asked for is named where it is confirmed.
            let said: Value = serde_json::from_str(&text).unwrap();
            let is_echo =
                ["filter_updated", "connection_established"].contains(&said["type"].as_str().unwrap_or_default());
            assert!(is_echo || !has_marks(&text), "{query}: {text}");
            if said["type"] == "pong" {
                break;
            }
        }
    }
}
