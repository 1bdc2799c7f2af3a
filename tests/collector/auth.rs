//! Who may read what, where somebody asks.

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use spanlight::Telemetry;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::support::client::{get_with, post};
use super::support::collector::{Collector, Port, run};
use super::support::{PATIENCE, until};

pub const SECRET: &str = "thirty-two bytes are what it takes";

/// Whom the web endpoint asks who they are.
const ASKING: &str = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
extensions:
  web:
    endpoint: '127.0.0.1:0'
    auth: {token: root, jwt: {algorithm: HS256, secret: '${env:JWT_SECRET}', audience: spanlight}}
";

/// A collector that asks for tokens. What it has beside that begins with further extensions.
pub async fn asking(beside: &str) -> Collector {
    Collector::with_environment(&format!("{ASKING}{beside}"), &[("JWT_SECRET", SECRET)]).await
}

/// One with work of dana and of eve.
async fn collector() -> Collector {
    let beside = "connectors: {agent: {budgets: [{name: all, limit_usd: 1, per: total}]}}
service:
  extensions: [web]
  pipelines:
    logs: {receivers: [otlp], exporters: [agent]}
";
    let collector = asking(beside).await;
    for (user, agent) in [("dana", "writer"), ("eve", "critic"), ("dana", "critic")] {
        let event = json!({"name": "agent.started", "agent": agent, "user_id": user, "execution_id": format!("{user}-{agent}")});
        let root = [("authorization", "Bearer root")];
        let answer = post(&(web(&collector).await + "/v1/events"), &root, event.to_string().into()).await;
        assert_eq!(answer.json(), json!({"accepted": 1}));
    }
    collector
}

async fn web(collector: &Collector) -> String {
    collector.url(Port::Web).await
}

/// A token with these claims, for an hour.
pub fn token(mut claims: Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    claims["aud"] = "spanlight".into();
    if claims["exp"].is_null() {
        claims["exp"] = (now + 3600).into();
    } else {
        claims["exp"] = (now as i64 + claims["exp"].as_i64().unwrap()).into();
    }
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

pub async fn get(collector: &Collector, path: &str, token: &str) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers = if token.is_empty() { vec![] } else { vec![("authorization", bearer.as_str())] };
    let answer = get_with(&(web(collector).await + path), &headers).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn runs(page: &Value) -> Vec<&str> {
    let mut runs: Vec<&str> = page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    runs.sort_unstable();
    runs
}

fn agents(events: &Value) -> Vec<String> {
    let agent = |event: &Value| {
        format!("{}-{}", event["event"]["user_id"].as_str().unwrap(), event["event"]["agent"].as_str().unwrap())
    };
    events["events"].as_array().unwrap().iter().map(agent).collect()
}

#[tokio::test]
async fn everybody_sees_their_own() {
    let collector = collector().await;
    let (dana, of_critics) = (token(json!({"sub": "dana"})), token(json!({"sub": "dana", "agents": ["critic"]})));
    let all = token(json!({"sub": "ops", "permissions": ["all"]}));
    assert_eq!(runs(&get(&collector, "/api/v1/runs", "root").await.1), ["dana-critic", "dana-writer", "eve-critic"]);
    assert_eq!(runs(&get(&collector, "/api/v1/runs", &all).await.1).len(), 3);
    assert_eq!(runs(&get(&collector, "/api/v1/runs", &dana).await.1), ["dana-critic", "dana-writer"]);
    assert_eq!(runs(&get(&collector, "/api/v1/runs", &of_critics).await.1), ["dana-critic"]);
    assert_eq!(agents(&get(&collector, "/api/v1/events", &dana).await.1), ["dana-writer", "dana-critic"]);
    assert_eq!(agents(&get(&collector, "/api/v1/events?user=eve", &dana).await.1), [""; 0]);
    for path in ["", "/ledger"] {
        assert_eq!(get(&collector, &format!("/api/v1/runs/dana-writer{path}"), &dana).await.0, 200);
        assert_eq!(get(&collector, &format!("/api/v1/runs/eve-critic{path}"), &dana).await.0, 404);
    }
    assert_eq!(agents(&get(&collector, "/api/v1/runs/eve-critic/events", &dana).await.1), [""; 0]);
    for path in ["/metrics", "/api/v1/metrics", "/api/v1/health"] {
        assert_eq!(get(&collector, path, &dana).await.0, 403, "{path}");
        assert_eq!(get(&collector, path, &all).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn everybody_sees_what_their_own_runs_cost() {
    let collector = collector().await;
    for (user, agent, usd) in [("dana", "writer", 1.0), ("eve", "critic", 2.0), ("dana", "critic", 4.0)] {
        let call = json!({"name": "llm.completed", "agent": agent, "model": "m", "user_id": user, "cost_usd": usd,
                          "execution_id": format!("{user}-{agent}")});
        let root = [("authorization", "Bearer root")];
        let answer = post(&(web(&collector).await + "/v1/events"), &root, call.to_string().into()).await;
        assert_eq!(answer.json(), json!({"accepted": 1}));
    }
    let cost_of = async |claims: Value| {
        let (status, ledger) = get(&collector, "/api/v1/ledger?by=run&explain=true", &token(claims)).await;
        assert_eq!(status, 200);
        (ledger["totals"]["cost_usd"].as_f64(), ledger["rows"].as_array().unwrap().len(), ledger["limited"].as_bool())
    };
    assert_eq!(cost_of(json!({"sub": "dana"})).await, (Some(5.0), 2, Some(true)));
    assert_eq!(cost_of(json!({"sub": "dana", "agents": ["critic"]})).await, (Some(4.0), 1, Some(true)));
    assert_eq!(cost_of(json!({"sub": "nobody"})).await, (None, 0, Some(true)));
    assert_eq!(cost_of(json!({"sub": "ops", "permissions": ["all"]})).await, (Some(7.0), 3, None));
}

#[tokio::test]
async fn without_a_token_there_is_nothing() {
    let collector = collector().await;
    let expired = token(json!({"sub": "dana", "exp": -60}));
    for path in ["/metrics", "/api/v1/runs", "/api/v1/events", "/api/v1/stream", "/api/v1/ledger", "/api/v1/runs/x"] {
        for token in ["", "wrong", expired.as_str()] {
            assert_eq!(get(&collector, path, token).await.0, 401, "{path} {token}");
        }
    }
    for path in ["/healthz", "/readyz", "/", "/api/openapi.json", "/api/asyncapi.json"] {
        assert_eq!(get(&collector, path, "").await.0, 200, "{path}");
    }
    let event = json!({"name": "agent.started", "agent": "x"}).to_string();
    let answer = post(&(web(&collector).await + "/v1/events"), &[], event.into()).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    until("the count of those who were not believed", async || {
        let text = get_with(&(web(&collector).await + "/metrics"), &[("authorization", "Bearer root")]).await;
        text.text().contains("spanlight_web_denied_total{component=\"web\"} 19").then_some(())
    })
    .await;
}

#[tokio::test]
async fn commands_and_programs_say_who_they_are() {
    let collector = collector().await;
    let url = web(&collector).await;
    let ask = async |token: &[&str]| run(&[&["runs", "--url", &url][..], token].concat()).await;
    let refused = ask(&[]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--token or SPANLIGHT_TOKEN"), "{}", refused.stderr);
    let listed = ask(&["--token", "root"]).await;
    assert!(listed.status.success() && listed.stdout.contains("writer"), "{listed:?}");

    let program = Telemetry::builder().budgets_from(url.as_str()).budgets_token("root").build();
    until("the collector's word", async || program.budget("all").verdict().limit).await;
    tokio::task::spawn_blocking(move || drop(program)).await.unwrap();
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn next(socket: &mut Socket) -> Message {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if !matches!(message, Message::Ping(_)) {
            return message;
        }
    }
}

async fn next_json(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

async fn closed_with(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.unwrap().code.into();
        }
    }
}

#[tokio::test]
async fn a_websocket_says_who_it_is_first() {
    let collector = collector().await;
    let url = web(&collector).await.replace("http", "ws") + "/ws";
    let (mut socket, _) = connect_async(&url).await.unwrap();
    let hello = json!({"type": "hello", "token": token(json!({"sub": "dana"})), "epoch": null, "resume_from": 0});
    socket.send(Message::text(hello.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "connection_established");
    let event = next_json(&mut socket).await;
    assert_eq!(
        (&event["offset"], &event["event"]["agent"]),
        (&json!(2), &json!("critic")),
        "eve's is not dana's: {event}"
    );
    socket.send(Message::text(json!({"type": "get_recent"}).to_string())).await.unwrap();
    assert_eq!(agents(&next_json(&mut socket).await), ["dana-writer", "dana-critic"]);
    let replay = json!({"type": "subscribe", "execution_id": "eve-critic"});
    socket.send(Message::text(replay.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["replayed"], 0);
    let performance = json!({"type": "subscribe", "subscription": "agent_performance"});
    socket.send(Message::text(performance.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["code"], "forbidden");
    let performance = json!({"type": "filter_update", "subscriptions": ["agent_performance"]});
    socket.send(Message::text(performance.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["code"], "forbidden");
    let (mut socket, _) = connect_async(format!("{url}?subscription=agent_performance")).await.unwrap();
    socket.send(Message::text(hello.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "connection_established");
    assert_eq!(next_json(&mut socket).await["code"], "forbidden");

    let mut request = (url.clone() + "?subscription=agent_performance").into_client_request().unwrap();
    let bearer = format!("Bearer {}", token(json!({"sub": "dana"})));
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "connection_established");
    assert_eq!(next_json(&mut socket).await["code"], "forbidden", "neither by the URL");

    for first in [json!({"type": "subscribe"}), json!({"type": "hello"}), json!({"type": "hello", "token": "wrong"})] {
        let (mut socket, _) = connect_async(&url).await.unwrap();
        socket.send(Message::text(first.to_string())).await.unwrap();
        assert_eq!(next_json(&mut socket).await["code"], "unauthorized", "{first}");
        assert_eq!(closed_with(&mut socket).await, 1008);
    }
    let mut request = url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer root".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    assert_eq!(next_json(&mut socket).await["offset"], 2);
}

#[tokio::test]
async fn a_token_that_expires_ends_its_websocket() {
    let collector = collector().await;
    let url = web(&collector).await.replace("http", "ws") + "/ws";
    let (mut socket, _) = connect_async(&url).await.unwrap();
    // Clocks may differ by five seconds, so it is believed for one more.
    let hello = json!({"type": "hello", "token": token(json!({"sub": "dana", "exp": -4}))});
    socket.send(Message::text(hello.to_string())).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "connection_established");
    assert_eq!(closed_with(&mut socket).await, 1008);
}

#[tokio::test]
async fn a_token_that_expires_ends_its_stream() {
    let collector = collector().await;
    let url = web(&collector).await + "/api/v1/stream?from=0";
    let bearer = format!("Bearer {}", token(json!({"sub": "dana", "exp": -4})));
    // It would go on for ever.
    let stream = get_with(&url, &[("authorization", &bearer)]).await;
    assert_eq!(stream.status, 200);
    assert!(stream.text().contains("writer") && !stream.text().contains("\"eve\""), "{}", stream.text());
}
