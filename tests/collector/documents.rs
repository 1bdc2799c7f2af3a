//! The OpenAPI and AsyncAPI documents: they are valid, they have every route and no other, and what a collector really
//! says is what they say.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::corpus;
use super::support::collector::{Collector, Port};
use super::support::{PATIENCE, client, tools, until};

fn document(name: &str) -> Value {
    let text = std::fs::read_to_string(tools::file("src/web/documents").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every route of the API must be in the document. What is for people to look at need not be.
#[test]
fn every_route_is_in_the_document_and_no_other() {
    let document = document("openapi.json");
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    let served: BTreeSet<String> = routes(&tools::file("src/web"))
        .into_iter()
        .filter(|route| {
            let path = route.split(' ').nth(1).unwrap();
            ["/api/", "/v1/"].iter().any(|begin| path.starts_with(begin))
                || ["/", "/ws", "/metrics", "/healthz", "/readyz"].contains(&path)
        })
        .collect();
    assert!(served.len() > 10, "the routes were not found");
    assert_eq!(documented, served, "src/web/documents/openapi.json has what is left, the router what is right");
}

/// `get /healthz` for `.route("/healthz", get(…))`, in every file of a folder.
fn routes(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(routes(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
            for route in text.split(".route(\"").skip(1) {
                let (path, handlers) = route.split_once("\",").unwrap();
                let handlers = handlers.split(".route(").next().unwrap().split('}').next().unwrap();
                let methods = ["get", "post", "put", "patch", "delete"].into_iter();
                let methods = methods.filter(|method| {
                    handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}("))
                });
                found.extend(methods.map(|method| format!("{method} {path}")));
            }
        }
    }
    found
}

#[test]
fn the_documents_are_of_this_version() {
    for name in ["openapi.json", "asyncapi.json"] {
        assert_eq!(document(name)["info"]["version"], env!("CARGO_PKG_VERSION"), "{name}");
    }
}

#[tokio::test]
async fn what_is_said_is_as_documented() {
    let collector = Collector::with(CONFIG).await;
    let messages = tokio::spawn(conversation(collector.url(Port::Web).await)).await;
    for scenario in ["anthropic_sdk_tools", "cli-claude-subagent", "agent_framework_native"] {
        corpus::post(&collector, &tools::file("tests/data/corpus").join(scenario)).await;
    }
    let (openapi, asyncapi) = (collector.json("/api/openapi.json").await, collector.json("/api/asyncapi.json").await);
    let said = json!({
        "openapi": openapi, "asyncapi": asyncapi,
        "answers": answers(&collector).await, "messages": messages.unwrap(),
    });
    let mut command = tools::node_for_specs();
    command.arg(tools::file("tests/specs/validate.mjs"));
    let output = tools::feed(command, &said.to_string()).await;
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{stdout}{stderr}");
}

const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
extensions: {web: {endpoint: '127.0.0.1:0'}}
connectors:
  agent:
    budgets:
      - {name: daily, limit_usd: 0.0001, per: day}
      - {name: agents, limit_usd: 5, per: hour, each: agent, match: {model: 'claude-*'}}
exporters: {websocket: {summary_interval: 20ms}}
service:
  extensions: [web]
  pipelines:
    traces: {receivers: [otlp], exporters: [agent]}
    logs: {receivers: [otlp], exporters: [agent]}
    metrics: {receivers: [otlp], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [websocket]}
";

/// An answer as the validator takes it: the path as the document has it, and what came.
async fn answer(collector: &Collector, template: &str, path: &str) -> Value {
    let answer = collector.get(path).await;
    json!({"method": "get", "path": template, "status": answer.status, "body": answer.json()})
}

/// What a collector answers about everything that it has seen.
async fn answers(collector: &Collector) -> Vec<Value> {
    let people = ["hitl.escalated", "hitl.escalated", "hitl.resolved"].into_iter().zip(["t1", "t2", "t1"]);
    let people = people.map(|(name, task)| json!({"name": name, "task_id": task, "decision": "approved"}).to_string());
    collector.post("/v1/events", &[], people.collect::<Vec<_>>().join("\n")).await;
    let runs = until("runs that are over", async || {
        let page = collector.json("/api/v1/runs?limit=1000").await;
        let runs = page["runs"].as_array()?.clone();
        (runs.len() > 3 && runs.iter().any(|run| run["ended_at"].is_string())).then_some(runs)
    })
    .await;
    let mut answers = Vec::new();
    for run in &runs {
        let id = run["id"].as_str().unwrap();
        let root =
            collector.json(&format!("/api/v1/runs/{id}")).await["tree"][0]["span_id"].as_str().map(str::to_owned);
        let span = format!("/api/v1/runs/{id}/spans/{}", root.as_deref().unwrap_or("none"));
        answers.push(answer(collector, "/api/v1/runs/{id}/spans/{span}", &span).await);
        for end in ["", "?tree=columns", "?tree=leafs", "/ledger", "/events?limit=1000"] {
            let template = format!("/api/v1/runs/{{id}}{}", end.split('?').next().unwrap());
            answers.push(answer(collector, &template, &format!("/api/v1/runs/{id}{end}")).await);
        }
    }
    for path in [
        "/api/v1/runs?limit=2",
        "/api/v1/runs?stauts=failed",
        "/api/v1/events?limit=1000",
        "/api/v1/events?scope=tools",
        "/api/v1/metrics?by=agent&window=24h",
        "/api/v1/metrics?by=nobody",
        "/api/v1/ledger?window=1w",
        "/api/v1/budgets",
        "/api/v1/now",
        "/api/v1/health",
        "/api/openapi.json",
        "/api/asyncapi.json",
    ] {
        answers.push(answer(collector, path.split('?').next().unwrap(), path).await);
    }
    for by in ["model", "agent", "tool", "feature", "run", "day"] {
        answers.push(answer(collector, "/api/v1/ledger", &format!("/api/v1/ledger?by={by}&explain=true")).await);
    }
    answers.push(answer(collector, "/api/v1/runs/{id}", "/api/v1/runs/none").await);
    for asked in ["daily/verdict?est_cost=1", "agents/verdict?agent=a", "agents/verdict", "dayly/verdict"] {
        let template = "/api/v1/budgets/{name}/verdict";
        answers.push(answer(collector, template, &format!("/api/v1/budgets/{asked}")).await);
    }
    let web = collector.url(Port::Web).await;
    for body in ["{\"name\":\"agent.started\",\"agent\":\"a\"}\n{\"name\":\"agent.started\"}", "{}", "", "["] {
        let answer = client::post(&format!("{web}/v1/events"), &[], body.into()).await;
        answers.push(json!({"method": "post", "path": "/v1/events", "status": answer.status, "body": answer.json()}));
    }
    answers
}

/// Everything that a client can say, and what it is told, each once at least.
async fn conversation(web: String) -> Vec<Value> {
    let events = format!("{web}/v1/events");
    let event = json!({"name": "agent.failed", "agent": "a", "message": "no", "execution_id": "run", "priority": 2,
                       "tags": ["t"], "confidence": 0.5, "data": {"output": {"any": [1]}}});
    let url = web.replace("http", "ws");
    let (mut bare, _) = connect_async(format!("{url}/")).await.unwrap();
    let (mut stream, _) = connect_async(format!("{url}/ws?envelope=stream_event")).await.unwrap();
    let (mut socket, _) = connect_async(format!("{url}/ws")).await.unwrap();
    let asked = [
        json!({"type": "hello", "token": "t", "resume_from": 1, "epoch": "another", "envelope": "event",
               "subscriptions": ["agent_activity", "agent_performance"], "filter": {"agent": ["a"], "q": "no"},
               "agent_filter": [], "performance_threshold": 0.1}),
        json!({"type": "subscribe", "executionId": "run", "replay": 3}),
        json!({"type": "subscribe", "conversation_id": "talk"}),
        json!({"type": "filter_update", "performance_threshold": 0.2}),
        json!({"type": "get_recent", "limit": 3, "event_types": ["agent.*"]}),
        json!({"type": "unsubscribe", "execution_id": "run"}),
        json!({"type": "subscribe", "filter": {"scope": ["agent"], "min_priority": 3}, "replay": 5}),
        json!({"type": "ping"}),
        json!({"type": "unsubscribe"}),
        json!({"type": "subscribe", "subscription": "agent_performance"}),
    ];
    let mut said = asked.to_vec();
    socket.send(Message::text(asked[0].to_string())).await.unwrap();
    // From then on it is told what happens.
    said.extend(listen(&mut socket, &["gap"]).await);
    for _ in 0..3 {
        client::post(&events, &[], event.to_string().into()).await;
    }
    for message in &asked[1..] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    socket.send(Message::text("{}")).await.unwrap();
    let told = ["event", "performance_summary", "pong", "error", "recent_events", "filter_updated"];
    said.extend(listen(&mut socket, &told).await);
    said.extend(listen(&mut bare, &["bare"]).await);
    said.extend(listen(&mut stream, &["stream_event"]).await);
    said
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// What a client is told until all of these were among it. Summaries come all the time, so there is an end to all together.
async fn listen(socket: &mut Socket, wanted: &[&str]) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    let kind = |message: &Value| message["type"].as_str().unwrap_or("bare").to_owned();
    let begun = Instant::now();
    while !wanted.iter().all(|wanted| told.iter().any(|message| kind(message) == *wanted)) {
        let message = tokio::time::timeout(PATIENCE.saturating_sub(begun.elapsed()), socket.next()).await;
        let message = message.unwrap_or_else(|_| panic!("of {wanted:?} there are only {told:?}")).unwrap().unwrap();
        if let Message::Text(text) = message {
            told.push(serde_json::from_str(&text).unwrap());
        }
    }
    told
}
