//! An agent with the library in front of a collector: what both derive is one, and work is seen while it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use spanlight::{SpanExt, Telemetry, Usage, agent_span, llm_span, tool_span, workflow_span};

use super::support::collector::{Collector, Port};
use super::support::until;

const PATIENCE: Duration = Duration::from_secs(20);

async fn agent_of(collector: &Collector, protocol: &'static str) -> Telemetry {
    let port = if protocol == "grpc" { Port::Grpc } else { Port::Http };
    let endpoint = collector.url(port).await;
    let lookup = move |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        "OTEL_SERVICE_NAME" => Some("newsroom".to_owned()),
        _ => None,
    };
    Telemetry::builder().from_lookup(&lookup).no_console().no_file().build()
}

async fn flushed(telemetry: &Telemetry) {
    let telemetry = telemetry.clone();
    tokio::task::spawn_blocking(move || telemetry.flush(PATIENCE)).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_agent_and_collector_derive_of_one_span_is_one_event() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let collector = Collector::start().await;
        let telemetry = agent_of(&collector, protocol).await;
        let _default = tracing::subscriber::set_default(telemetry.subscriber());
        for number in 0..3 {
            let workflow = workflow_span!("publish", feature = "articles", task_id = &*format!("t-{number}"));
            let _workflow = workflow.entered();
            let agent = agent_span!("scribe").entered();
            {
                let call = llm_span!("gpt-4o", provider = "openai").entered();
                call.chunk("Once upon a time");
                call.record_usage(Usage::new(1840, 95));
            }
            tool_span!("search").in_scope(|| tracing::Span::current().record_error("no network"));
            spanlight::record_critic_decision(true);
            drop(agent);
        }
        flushed(&telemetry).await;
        let own = telemetry.get_events(0).events;
        assert_eq!(own.len(), 3 * (8 + 1 + 1));
        let seen: Vec<Value> = until("all events", async || {
            let page = collector.json("/api/v1/events?limit=1000").await;
            let events: Vec<Value> = page["events"].as_array()?.iter().map(|event| event["event"].clone()).collect();
            (events.len() >= own.len()).then_some(events)
        })
        .await;
        let ids = |events: &mut dyn Iterator<Item = String>| {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            events.for_each(|id| *counts.entry(id).or_default() += 1);
            counts
        };
        let sent = ids(&mut own.iter().map(|(_, record)| record.event().event_id.to_string()));
        // Spans and events come in requests of their own, in any order: each of them once, whichever was first.
        collector.sample_becomes("spanlight_agent_spans_total", 12.0).await;
        let page = collector.json("/api/v1/events?limit=1000").await;
        let got = ids(&mut page["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event"]["event_id"].as_str().unwrap().to_owned()));
        assert_eq!(got, sent, "{protocol}: {seen:#?}");
        let ledger = collector.json("/api/v1/ledger?by=feature").await;
        let figures = &ledger["totals"];
        for (figure, expected) in [
            ("llm_calls", 3.0),
            ("input_tokens", 5520.0),
            ("output_tokens", 285.0),
            ("cost_usd", 0.01665),
            ("tool_calls", 3.0),
            ("tool_failed", 3.0),
            ("agent_runs", 3.0),
        ] {
            assert_eq!(figures[figure].as_f64(), Some(expected), "{protocol} {figure}: {ledger}");
        }
        assert_eq!(ledger["rows"][0]["key"], "articles", "{ledger}");
        let (sum, scraped) = until("the cost", async || {
            let scraped = collector.get("/metrics").await.text();
            let costs = scraped.lines().filter(|line| line.starts_with("agent_cost_usd_total"));
            let sum: f64 = costs.map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()).sum();
            (sum > 0.0166).then_some((sum, scraped))
        })
        .await;
        assert!(sum < 0.0167, "{protocol}: derived twice");
        assert!(scraped.contains("instance="), "what the library says of itself stays");
        let names: Vec<&str> = seen.iter().filter_map(|event| event["name"].as_str()).collect();
        for (position, name) in names.iter().enumerate().filter(|(_, name)| **name == "llm.progress") {
            let before = names[..position].iter().filter(|name| **name == "llm.started").count();
            let ended = names[..position].iter().filter(|name| **name == "llm.completed").count();
            assert!(before > ended, "{protocol}: {name} at {position} of {names:?}");
        }
        let runs = collector.json("/api/v1/runs").await;
        assert_eq!(runs["runs"].as_array().unwrap().len(), 3, "{runs}");
        assert_eq!(runs["runs"][0]["service"], "newsroom");
    }
}

#[tokio::test]
async fn work_is_seen_in_the_collector_before_it_ends() {
    let collector = Collector::start().await;
    let telemetry = agent_of(&collector, "http/protobuf").await;
    let _default = tracing::subscriber::set_default(telemetry.subscriber());
    let agent = agent_span!("scribe").entered();
    let tool = tool_span!("search").entered();
    let run = until("a running run", async || {
        let runs = collector.json("/api/v1/runs?status=running").await;
        runs["runs"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!((run["name"].as_str(), run["status"].as_str()), (Some("scribe"), Some("running")), "{run}");
    let tree = until("the tool", async || {
        let tree = collector.json(&format!("/api/v1/runs/{}", run["id"].as_str()?)).await;
        tree["tree"][0]["children"][0].is_object().then_some(tree)
    })
    .await;
    assert_eq!(tree["tree"][0]["children"][0]["name"], "search", "{tree}");
    drop((tool, agent));
    flushed(&telemetry).await;
    until("the end", async || {
        let runs = collector.json("/api/v1/runs?status=completed").await;
        (runs["runs"].as_array()?.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_of_the_agent_reach_a_receiver() {
    let sink = super::support::sink::Sink::start().await;
    let endpoint = sink.url();
    let lookup = move |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("http/protobuf".to_owned()),
        "OTEL_SERVICE_NAME" => Some("newsroom".to_owned()),
        _ => None,
    };
    let telemetry = Telemetry::builder().from_lookup(&lookup).no_console().no_file().build();
    let _default = tracing::subscriber::set_default(telemetry.subscriber());
    llm_span!("gpt-4o", provider = "openai").in_scope(|| tracing::Span::current().record_usage(Usage::new(1000, 100)));
    flushed(&telemetry).await;
    let points = super::support::plain::points(&sink.received());
    let shown = format!("{points:?}");
    for metric in ["agent.cost.usd", "gen_ai.client.token.usage", "spanlight.exporter.sent"] {
        assert!(shown.contains(metric), "{metric}");
    }
    assert!(shown.contains("newsroom"));
}
