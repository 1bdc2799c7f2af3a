//! The official OpenTelemetry SDKs: what an agent tells with them is understood, and goes on as it was.
//!
//! `tests/sdk/agent.*` do the same work in two languages and print what they know of it; everything that comes out
//! of the collector is held against that.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use spanlight::event::Timestamp;
use tokio::process::Command;

use super::support::collector::{Collector, Port};
use super::support::sink::Sink;
use super::support::{PATIENCE, plain, tools};

#[tokio::test]
async fn python_is_heard_over_grpc() {
    Story::told(python(), "grpc", None).await.holds().await;
}

#[tokio::test]
async fn python_is_heard_over_http() {
    Story::told(python(), "http/protobuf", Some("gzip")).await.holds().await;
}

#[tokio::test]
async fn javascript_is_heard_over_grpc() {
    Story::told(javascript(), "grpc", Some("gzip")).await.holds().await;
}

#[tokio::test]
async fn javascript_is_heard_over_http() {
    Story::told(javascript(), "http/protobuf", None).await.holds().await;
}

#[tokio::test]
async fn javascript_is_heard_over_http_in_json() {
    Story::told(javascript(), "http/json", Some("gzip")).await.holds().await;
}

/// A collector that was told of a run, the peers behind it, and what truly happened.
struct Story {
    collector: Collector,
    /// Behind the exporters `otlp` and `otlphttp`.
    peers: [Sink; 2],
    truth: Value,
    transport: &'static str,
}

fn python() -> Command {
    let mut command = tools::python();
    command.arg(tools::file("tests/sdk/agent.py"));
    command
}

fn javascript() -> Command {
    let mut command = tools::node();
    command.arg(tools::file("tests/sdk/agent.mjs"));
    command
}

fn config([grpc, http]: &[Sink; 2]) -> String {
    format!(
        r#"
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:0"}}, http: {{endpoint: "127.0.0.1:0"}}}}}}}}
connectors: {{agent: {{metrics_interval: 1s}}}}
exporters:
  file: {{path: agent-events.jsonl}}
  prometheus: {{}}
  otlp: {{endpoint: "{}"}}
  otlphttp: {{endpoint: "{}"}}
extensions: {{web: {{endpoint: "127.0.0.1:0"}}}}
service:
  extensions: [web]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent, otlp, otlphttp]}}
    logs: {{receivers: [otlp], exporters: [agent, otlp, otlphttp]}}
    logs/events: {{receivers: [agent], exporters: [file]}}
    metrics: {{receivers: [otlp, agent], exporters: [prometheus, otlp, otlphttp]}}
"#,
        grpc.url(),
        http.url()
    )
}

impl Story {
    async fn told(mut agent: Command, protocol: &str, compression: Option<&str>) -> Story {
        let peers = [Sink::start().await, Sink::start().await];
        let collector = Collector::with(&config(&peers)).await;
        let (port, transport) = if protocol == "grpc" { (Port::Grpc, "grpc") } else { (Port::Http, "http") };
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            agent.env_remove(name);
        }
        agent.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url(port).await);
        agent.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        if let Some(compression) = compression {
            agent.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        }
        let output = tokio::time::timeout(PATIENCE, agent.kill_on_drop(true).output()).await.unwrap().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{complaints}");
        let truth = serde_json::from_slice(&output.stdout).unwrap();
        Story { collector, peers, truth, transport }
    }

    /// Everything at once: each test starts programs, which is what takes the time.
    async fn holds(&self) {
        for peer in &self.peers {
            self.spans_go_on_as_they_were(peer).await;
            self.logs_go_on_as_they_were(peer).await;
            self.metrics_go_on(peer).await;
        }
        self.metrics_are_counted().await;
        // The counters move once the run is over: nothing more comes now.
        self.each_piece_of_work_has_its_events_once().await;
        self.the_ledger_is_exact().await;
        self.the_run_is_a_tree().await;
        self.nothing_is_refused_or_dropped().await;
    }

    async fn spans_go_on_as_they_were(&self, peer: &Sink) {
        let sent = by_id(self.spans());
        peer.spans(sent.len()).await;
        let arrived = plain::spans(&peer.received());
        assert_eq!(arrived.len(), sent.len(), "each span arrives once");
        let arrived = by_id(&arrived);
        for (id, span) in sent {
            assert_eq!(arrived.get(id).copied(), Some(span), "{id}");
        }
    }

    async fn logs_go_on_as_they_were(&self, peer: &Sink) {
        let logs = peer.until("the log", |received| Some(plain::logs(received)).filter(|logs| !logs.is_empty())).await;
        let mut sent = self.truth["log"].clone();
        sent["severity"] = json!([13, "WARN"]);
        sent["body"] = "booking failed: «Zürich → 東京»".into();
        sent["attributes"] = json!({"attempt": 1, "airline": "LX"});
        sent["resource"] = self.spans()[0]["resource"].clone();
        assert_eq!(logs, [sent]);
    }

    async fn metrics_go_on(&self, peer: &Sink) {
        let resource = &self.spans()[0]["resource"];
        let derived =
            |points: &[Value]| points.iter().any(|point| point["name"] == "agent.runs" && point["sum"] == 1.0);
        let points =
            peer.until("the metrics", |received| Some(plain::points(received)).filter(|points| derived(points))).await;
        let own: Vec<&Value> = points.iter().filter(|point| point["resource"] == *resource).collect();
        let sent = |name: &str, unit: &str, description: &str, kind: &str, attributes: Value, sum: f64| {
            json!({"name": name, "unit": unit, "description": description, "kind": kind, "attributes": attributes,
                "count": 1, "sum": sum, "resource": resource})
        };
        let (tried, took) = ("Bookings that were tried.", "How long the airline took.");
        let bookings = sent("app.bookings", "{booking}", tried, "counter", json!({"channel": "web"}), 3.0);
        let latency = sent("app.latency", "s", took, "histogram", json!({"airline": "LX"}), 1.5);
        assert_eq!(own, [&bookings, &latency]);
    }

    async fn metrics_are_counted(&self) {
        let instance = self.spans()[0]["resource"]["service.instance.id"].as_str().unwrap();
        let emitter = format!(r#"instance="{instance}",job="trip-service",otel_scope_name="trip.planner""#);
        let call = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_response_model="gpt-4o-2024-08-06""#;
        let by_agent = r#"agent="trip-planner""#;
        let scope = r#"otel_scope_name="spanlight""#;
        let cost = self.truth["totals"]["cost_usd"].as_f64().unwrap();
        let tokens = |kind| {
            let labels = format!(r#"{by_agent},feature="travel",{call},gen_ai_token_type="{kind}",{scope}"#);
            format!("gen_ai_client_token_usage_sum{{{labels}}}")
        };
        let tool = |tool, outcome| {
            format!(r#"agent_tool_calls_total{{{by_agent},{scope},outcome="{outcome}",tool="{tool}"}}"#)
        };
        let price = format!(
            r#"{by_agent},feature="travel",model="gpt-4o-2024-08-06",{scope},price_source="genai-prices",provider="openai""#
        );
        for (series, value) in [
            (format!(r#"agent_runs_total{{{by_agent},{scope},outcome="completed"}}"#), 1.0),
            (format!("agent_active_time_seconds_total{{{by_agent},{scope}}}"), 7.0),
            (format!(r#"agent_run_duration_seconds_sum{{{by_agent},{scope},outcome="completed"}}"#), 7.0),
            (format!(r#"agent_workflow_duration_seconds_sum{{name="plan-trip",{scope},outcome="completed"}}"#), 8.0),
            (format!("gen_ai_client_operation_duration_seconds_sum{{{call},{scope}}}"), 3.0),
            (tokens("input"), 2500.0),
            (tokens("output"), 160.0),
            (format!("agent_cost_usd_total{{{price}}}"), cost),
            (tool("search_flights", "completed"), 1.0),
            (tool("book_flight", "failed"), 1.0),
            (format!(r#"app_bookings_total{{channel="web",{emitter}}}"#), 3.0),
            (format!(r#"app_latency_seconds_sum{{airline="LX",{emitter}}}"#), 1.5),
        ] {
            self.collector.sample_becomes(&series, value).await;
        }
    }

    async fn each_piece_of_work_has_its_events_once(&self) {
        let mut expected: Vec<Value> = self.work().flat_map(|span| self.events_of(span)).collect();
        let mut told: Vec<Value> = self.collector.events(expected.len()).await.iter().map(gist).collect();
        let order = |event: &Value| (event["span_id"].to_string(), event["name"].to_string());
        expected.sort_by_key(order);
        told.sort_by_key(order);
        assert_eq!(told, expected);
    }

    fn events_of(&self, span: &Value) -> [Value; 2] {
        let (subject, component) = self.subject(span);
        let failed = span["status"]["code"] == "ERROR";
        let end = if failed { "failed" } else { "completed" };
        let root = &self.root()["span_id"];
        let event = |what: &str, time: &str| {
            let mut event = json!({
                "name": format!("{subject}.{what}"),
                "component_id": component,
                "timestamp": time_of(&span[time]).to_string(),
                "trace_id": span["trace_id"],
                "span_id": span["span_id"],
                "workflow_id": root,
                "execution_id": span["trace_id"],
                "conversation_id": "conversation-9",
                "feature": "travel",
                "task_id": "trip-7",
            });
            if span["parent_span_id"] != "" {
                event["parent_span_id"] = span["parent_span_id"].clone();
            }
            event
        };
        let (started, mut ended) = (event("started", "start"), event(end, "end"));
        if failed {
            ended["message"] = "TimeoutError: the airline did not answer".into();
        }
        [started, ended]
    }

    async fn the_ledger_is_exact(&self) {
        let truth = &self.truth["totals"];
        for by in ["model", "agent", "feature", "run"] {
            let ledger = self.collector.json(&format!("/api/v1/ledger?by={by}&window=1h")).await;
            assert_eq!(ledger["provisional"], false, "{ledger}");
            for (figure, value) in truth.as_object().unwrap() {
                assert!(is_same(&ledger["totals"][figure], value), "{figure} is {value}: {ledger}");
            }
            let keys: Vec<&str> =
                ledger["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
            let trace = self.root()["trace_id"].as_str().unwrap();
            let row = match by {
                "model" => "gpt-4o-2024-08-06",
                "agent" => "trip-planner",
                "feature" => "travel",
                _ => trace,
            };
            assert!(keys.contains(&row), "{ledger}");
        }
        let ledger = self.collector.json("/api/v1/ledger?by=tool").await;
        let rows = by(ledger["rows"].as_array().unwrap(), "key");
        assert_eq!(
            (&rows["search_flights"]["tool_calls"], &rows["search_flights"]["tool_failed"]),
            (&json!(1), &json!(0))
        );
        assert_eq!((&rows["book_flight"]["tool_calls"], &rows["book_flight"]["tool_failed"]), (&json!(1), &json!(1)));
    }

    async fn the_run_is_a_tree(&self) {
        let root = self.root();
        let run = self.collector.json(&format!("/api/v1/runs/{}", root["trace_id"].as_str().unwrap())).await;
        assert_eq!(
            (&run["name"], &run["status"], &run["agents"]),
            (&json!("plan-trip"), &json!("completed"), &json!(["trip-planner"]))
        );
        assert_eq!(run["tree"].as_array().unwrap().iter().map(branch).collect::<Vec<_>>(), [self.branch_of(root)]);
    }

    fn branch_of(&self, span: &Value) -> Value {
        let mut below: Vec<&Value> = self.work().filter(|other| other["parent_span_id"] == span["span_id"]).collect();
        below.sort_by_key(|span| time_of(&span["start"]));
        let status = if span["status"]["code"] == "ERROR" { "failed" } else { "completed" };
        let below: Vec<Value> = below.into_iter().map(|span| self.branch_of(span)).collect();
        json!({"span_id": span["span_id"], "operation": operation(span), "status": status, "children": below})
    }

    async fn nothing_is_refused_or_dropped(&self) {
        let (spans, transport) = (self.spans().len() as f64, self.transport);
        let received =
            |items: &str| format!(r#"otelcol_receiver_accepted_{items}{{receiver="otlp",transport="{transport}"}}"#);
        for (series, value) in [
            (received("spans"), spans),
            (received("log_records"), 1.0),
            (received("metric_points"), 2.0),
            (r#"otelcol_exporter_sent_spans{exporter="otlp"}"#.into(), spans),
            (r#"otelcol_exporter_sent_spans{exporter="otlphttp"}"#.into(), spans),
            (r#"otelcol_exporter_sent_log_records{exporter="otlp"}"#.into(), 1.0),
            (r#"otelcol_exporter_sent_log_records{exporter="otlphttp"}"#.into(), 1.0),
        ] {
            self.collector.sample_becomes(&series, value).await;
        }
        let text = self.collector.get("/metrics").await.text();
        let is_loss =
            |line: &&str| ["refused", "dropped", "failed", "retried"].iter().any(|word| name_of(line).contains(word));
        let losses: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).filter(is_loss).collect();
        assert!(losses.len() > 20, "{losses:?}");
        assert!(losses.iter().all(|line| line.ends_with(" 0")), "{losses:?}");
    }

    fn spans(&self) -> &[Value] {
        self.truth["spans"].as_array().unwrap()
    }

    /// The spans that mean work; the HTTP request below a tool is none of Spanlight's.
    fn work(&self) -> impl Iterator<Item = &Value> {
        self.spans().iter().filter(|span| operation(span).is_some())
    }

    fn root(&self) -> &Value {
        self.spans().iter().find(|span| span["parent_span_id"] == "").unwrap()
    }

    /// The subject of a span's events, and its component.
    fn subject(&self, span: &Value) -> (&'static str, String) {
        match operation(span).unwrap() {
            "invoke_workflow" => ("workflow", "plan-trip".into()),
            "invoke_agent" => ("agent", "trip-planner".into()),
            "execute_tool" => ("tool", span["attributes"]["gen_ai.tool.name"].as_str().unwrap().into()),
            _ => {
                let calls = self.work().filter(|span| operation(span) == Some("chat"));
                let before = calls.filter(|call| time_of(&call["start"]) < time_of(&span["start"]));
                ("llm", format!("trip-planner:llm:{}", before.count()))
            }
        }
    }
}

fn operation(span: &Value) -> Option<&str> {
    span["attributes"]["gen_ai.operation.name"].as_str()
}

fn time_of(nanos: &Value) -> Timestamp {
    Timestamp::from_unix_nanos(nanos.as_str().unwrap().parse().unwrap())
}

/// The members of an event that a test can know.
fn gist(event: &Value) -> Value {
    let known = [
        "name",
        "component_id",
        "timestamp",
        "trace_id",
        "span_id",
        "parent_span_id",
        "workflow_id",
        "execution_id",
        "conversation_id",
        "feature",
        "task_id",
        "message",
    ];
    let event = event.as_object().unwrap();
    event.iter().filter(|(key, _)| known.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn branch(node: &Value) -> Value {
    let below: Vec<Value> = node["children"].as_array().into_iter().flatten().map(branch).collect();
    json!({"span_id": node["span_id"], "operation": node["operation"], "status": node["status"], "children": below})
}

fn by_id(spans: &[Value]) -> BTreeMap<&str, &Value> {
    by(spans, "span_id")
}

fn by<'a>(values: &'a [Value], key: &str) -> BTreeMap<&'a str, &'a Value> {
    values.iter().map(|value| (value[key].as_str().unwrap(), value)).collect()
}

fn name_of(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap_or_default()
}

/// Sums of prices depend on the order of summing in their last digit.
fn is_same(one: &Value, other: &Value) -> bool {
    one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| (one - other).abs() < 1e-12)
}
