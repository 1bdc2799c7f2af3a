//! Measured outcomes: one run gives the same figures wherever they are read; alerts, and people who do not answer.

use std::time::Duration;

use serde_json::Value;
use spanlight::event::{Decision, Event, Resolution, Urgency};
use spanlight::{SpanExt, Telemetry, Usage, agent_span, llm_span, tool_span};

use super::support::collector::{Collector, Port};
use super::support::sink::Sink;
use super::support::{plain, until};

fn config(agent: &str, metrics_to: &str) -> String {
    format!(
        r#"
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:0"}}}}}}}}
connectors: {{agent: {{{agent}}}}}
exporters:
  prometheus: {{}}
  otlphttp: {{endpoint: "{metrics_to}"}}
extensions: {{web: {{endpoint: "127.0.0.1:0"}}}}
service:
  extensions: [web]
  pipelines:
    traces: {{receivers: [otlp], exporters: [agent]}}
    logs: {{receivers: [otlp], exporters: [agent]}}
    metrics: {{receivers: [agent], exporters: [prometheus, otlphttp]}}
"#
    )
}

/// Two attempts at a task, the second of which is good, and one that goes to people.
fn work() {
    spanlight::emit(Event::task_queued("t-1").feature("login"));
    for attempt in 0..2 {
        let agent = agent_span!("scribe", feature = "login", task_id = "t-1").entered();
        llm_span!("gpt-4o", provider = "openai")
            .in_scope(|| tracing::Span::current().record_usage(Usage::new(1000, 100)));
        tool_span!("search").in_scope(|| {
            if attempt == 0 {
                tracing::Span::current().record_error("no network");
            }
        });
        drop(agent);
        let decision = if attempt == 0 { Decision::Rejected } else { Decision::Approved };
        spanlight::emit(Event::review_decided("critic", decision).task("t-1"));
    }
    spanlight::emit(Event::validation_completed(true).task("t-1").feature("login"));
    agent_span!("medic", feature = "search", task_id = "t-2").in_scope(|| {
        tracing::Span::current().record_error("it cannot be mended");
    });
    spanlight::emit(Event::hitl_escalated("t-2", 3, "it cannot be mended", Urgency::High).feature("search"));
    spanlight::emit(Event::hitl_resolved(Resolution::Rejected, Duration::from_millis(1500)).task("t-2"));
}

#[tokio::test]
async fn one_run_has_the_same_figures_wherever_they_are_read() {
    let sink = Sink::start().await;
    let collector = Collector::with(&config("metrics_interval: 1s", &sink.url())).await;
    let endpoint = collector.url(Port::Http).await;
    let telemetry = Telemetry::builder().service_name("newsroom").otlp(endpoint).build();
    {
        let _default = tracing::subscriber::set_default(telemetry.subscriber());
        work();
    }
    let flushing = telemetry.clone();
    tokio::task::spawn_blocking(move || flushing.flush(Duration::from_secs(20))).await.unwrap().unwrap();
    let own = telemetry.metrics();
    assert_eq!((own.average_retry_count, own.critic_rejection_rate), (Some(1.5), Some(0.5)));
    assert_eq!((own.validation_pass_rate, own.mean_human_wait, own.escalations), (Some(1.0), Some(1.5), 1));
    assert_eq!((own.runs, own.errors, own.tokens, own.unpriced_calls), (3, 1, 2200, 0));

    let api = until("all runs", async || {
        let answer = collector.json("/api/v1/metrics?window=1h&by=tool").await;
        let summary = &answer["summary"];
        (summary["runs"] == 3 && summary["tokens"] == 2200 && answer["rows"][0]["runs"] == 2).then_some(answer)
    })
    .await;
    // Spans come from the SDK of OpenTelemetry, which looks at the clock a moment before or after the layer.
    let (exact, of_clock) = (1e-9, 1e-3);
    for (field, own, tolerance) in [
        ("agent_utilization", own.agent_utilization, of_clock / 3600.0),
        ("cost_per_feature", own.cost_per_feature, exact),
        ("average_retry_count", own.average_retry_count, exact),
        ("critic_rejection_rate", own.critic_rejection_rate, exact),
        ("validation_pass_rate", own.validation_pass_rate, exact),
        ("time_to_completion", own.time_to_completion, of_clock),
        ("total_cost_usd", Some(own.total_cost_usd), exact),
        ("errors", Some(own.errors as f64), exact),
        ("escalations", Some(own.escalations as f64), exact),
        ("mean_human_wait", own.mean_human_wait, exact),
    ] {
        let (read, own) = (api["summary"][field].as_f64().unwrap(), own.unwrap());
        assert!((read - own).abs() < tolerance, "{field}: {read} and {own}: {api}");
    }
    let of_api = |field: &str| api["summary"][field].as_f64().unwrap();
    for (name, prometheus, value) in [
        ("agent.runs", "agent_runs_total", 3.0),
        ("agent.cost.usd", "agent_cost_usd_total", own.total_cost_usd),
        ("agent.tool.calls", "agent_tool_calls_total", 2.0),
        ("agent.review.decisions", "agent_review_decisions_total", 2.0),
        ("agent.validation.results", "agent_validation_results_total", 1.0),
        ("agent.escalations", "agent_escalations_total", 1.0),
        ("agent.human.wait", "agent_human_wait_seconds_sum", 1.5),
        ("gen_ai.client.token.usage", "gen_ai_client_token_usage_sum", 2200.0),
        ("agent.active.time", "agent_active_time_seconds_total", of_api("agent_utilization") * 2.0 * 3600.0),
    ] {
        until(&format!("{name} at {value} in Prometheus and over OTLP"), async || {
            let scraped = collector.get("/metrics").await.text();
            let lines = scraped.lines().filter(|line| line.split(['{', ' ']).next() == Some(prometheus));
            let scraped: f64 = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            let sent = last(&plain::points(&sink.received()), name);
            ((scraped - value).abs() < 1e-9 && (sent - value).abs() < 1e-9).then_some(())
        })
        .await;
    }
    let durations =
        "agent_task_duration_seconds_sum{feature=\"login\",otel_scope_name=\"spanlight\",outcome=\"completed\"}";
    until("the task, once nothing is heard of it any more", async || {
        collector.sample(durations).await.filter(|seconds| (seconds - of_api("time_to_completion")).abs() < 1e-9)
    })
    .await;
}

/// The sum of the last points of each series of a metric.
fn last(points: &[Value], name: &str) -> f64 {
    let mut of_series: Vec<(&Value, f64)> = Vec::new();
    for point in points.iter().filter(|point| point["name"] == name) {
        of_series.retain(|(attributes, _)| **attributes != point["attributes"]);
        of_series.push((&point["attributes"], point["sum"].as_f64().unwrap_or_default()));
    }
    of_series.iter().map(|(_, sum)| sum).sum()
}

#[tokio::test]
async fn alerts_are_told_and_people_who_do_not_answer_are_timed_out() {
    let agent = "human_timeout: 1s, alerts: [{name: nobody answers, metric: mean_human_wait, above: 0.5, window: 10m}]";
    let collector = Collector::with(&config(agent, "http://127.0.0.1:9")).await;
    let escalated = r#"{"event_type":"hitl_escalated","payload":{"task_id":"t-9","attempts":3,"last_error":"x","priority":"high"}}"#;
    let answer = collector.post("/v1/events", &[("content-type", "application/json")], escalated).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let summary = collector.json("/api/v1/metrics").await["summary"].clone();
    assert_eq!((&summary["escalations"], &summary["mean_human_wait"]), (&1.into(), &Value::Null), "{summary}");
    let events = until("the alert", async || {
        let page = collector.json("/api/v1/events?name=hitl.resolved&name=performance.alert").await;
        let events: Vec<Value> = page["events"].as_array()?.iter().map(|event| event["event"].clone()).collect();
        (events.len() == 2).then_some(events)
    })
    .await;
    assert_eq!((&events[0]["data"]["decision"], &events[0]["task_id"]), (&"timed_out".into(), &"t-9".into()));
    assert_eq!(events[1]["message"], "nobody answers: mean_human_wait is 1, above 0.5");
    collector
        .sample_becomes(r#"agent_alerts_total{alert="nobody answers",otel_scope_name="spanlight",state="fired"}"#, 1.0)
        .await;
    let summary = collector.json("/api/v1/metrics").await["summary"].clone();
    assert_eq!((&summary["open_escalations"], &summary["mean_human_wait"]), (&0.into(), &1.into()), "{summary}");
}
