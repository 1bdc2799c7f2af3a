//! Content: what people and models said stays on this machine unless somebody says otherwise.

use std::collections::BTreeSet;
use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use spanlight::content::{Classes, Policy, Withholding};
use spanlight::health::Health;
use spanlight::otlp::Batch;
use spanlight::otlp::json::to_json;
use spanlight::{ContentPolicy, SpanExt, Telemetry, llm_span};

use super::recorded::requests;
use super::support::collector::{Collector, run_in};
use super::support::config::{through, traces_through, traces_to};
use super::support::sink::Sink;
use super::support::telemetry::{agent, chat, logs, text, traces};
use super::support::until;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A peer that is reached by an address that is not of the loopback network.
async fn elsewhere() -> Sink {
    Sink::at("0.0.0.0:0").await
}

/// A call with content of every class.
fn with_content() -> Span {
    let mut call = chat(1, 2, 1);
    call.attributes.extend([
        text("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"what is the weather"}]}]"#),
        text("gen_ai.system_instructions", "be kind to everybody"),
        text("gen_ai.tool.call.arguments", r#"{"city":"Oslo"}"#),
        text("output", "it rains"),
        text("http.route", "/weather"),
    ]);
    call.dropped_attributes_count = 1;
    call
}

fn keys(span: &Span) -> Vec<&str> {
    span.attributes.iter().map(|attribute| attribute.key.as_str()).filter(|key| !key.contains("usage")).collect()
}

fn holds(body: &[u8], words: &str) -> bool {
    body.windows(words.len()).any(|window| window == words.as_bytes())
}

#[tokio::test]
async fn beyond_this_machine_it_is_dropped_unless_asked_for() {
    let untouched = agent(1, 1, 0, "researcher");
    let request = traces(vec![with_content(), untouched.clone()]);
    for exporter in ["otlp", "otlphttp"] {
        let sink = elsewhere().await;
        let settings = format!("{{endpoint: '{}', compression: none, tls: {{insecure: true}}}}", sink.url());
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        let said = collector.line(&format!("`{exporter}` sends beyond this machine")).await;
        assert!(said.contains("WARN") && said.contains("`content: keep`"), "{said}");
        collector.take_traces(request.clone()).await;
        let spans = sink.spans(2).await;
        let plain = chat(1, 2, 1);
        assert_eq!(keys(&spans[0]), [&keys(&plain)[..], &["http.route"]].concat());
        assert_eq!((spans[0].dropped_attributes_count, &spans[1].attributes), (5, &untouched.attributes));
        let withheld = format!(r#"spanlight_withheld_total{{component="{exporter}",reason="dropped"}}"#);
        collector.sample_becomes(&withheld, 4.0).await;

        let settings = settings.replace('{', "{content: keep, ").replace("{content: keep, insecure", "{insecure");
        let collector = Collector::with(&traces_to(&[(exporter, &settings)])).await;
        collector.take_traces(request.clone()).await;
        sink.spans(4).await;
        let kept = &sink.received()[1].body;
        assert!(*kept == request, "{exporter}: what is kept goes on byte for byte");
    }
}

#[tokio::test]
async fn on_this_machine_it_is_kept_unless_asked_otherwise() {
    let request = traces(vec![with_content()]);
    for (content, left) in [("", 4), (", content: {messages: hash, tools: drop}", 3), (", content: drop", 0)] {
        let sink = Sink::start().await;
        let settings = format!("{{endpoint: '{}', compression: none{content}}}", sink.url());
        let collector = Collector::with(&traces_to(&[("otlphttp", &settings)])).await;
        collector.take_traces(request.clone()).await;
        let spans = sink.spans(1).await;
        assert_eq!(keys(&spans[0]).len() - keys(&chat(1, 2, 1)).len() - 1, left, "{content}");
        assert_eq!(holds(&sink.received()[0].body, "weather\""), content.is_empty(), "{content}");
    }
}

#[tokio::test]
async fn events_and_log_records_leave_without_it_too() {
    let sink = elsewhere().await;
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         connectors: {{agent: }}\nextensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         exporters: {{otlphttp: {{endpoint: '{}', compression: none}}, file: {{path: events.jsonl}}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [otlphttp, file]}}\n",
        sink.url()
    );
    let collector = Collector::with(&config).await;
    collector.take_traces(traces(vec![with_content(), agent(1, 1, 0, "researcher")])).await;
    let records = sink
        .until("4 events", |received| {
            let requests = received.iter().map(|request| ExportLogsServiceRequest::decode(&*request.body).unwrap());
            let scopes = requests.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
            let records: Vec<_> = scopes.flat_map(|scope| scope.log_records).collect();
            (records.len() >= 4).then_some(records)
        })
        .await;
    let started = records.iter().find(|record| record.event_name == "llm.started").unwrap();
    let started = format!("{started:?}");
    assert!(
        started.contains("withheld") && started.contains("\"messages\"") && started.contains("operation"),
        "{started}"
    );
    assert!(sink.received().iter().all(|request| !holds(&request.body, "what is the weather")));
    // The file is of this machine.
    until("the words in the file", async || {
        let kept = std::fs::read_to_string(collector.data("events.jsonl")).ok()?;
        kept.contains("what is the weather").then_some(())
    })
    .await;
}

#[tokio::test]
async fn log_records_of_programs_keep_their_words() {
    let sink = elsewhere().await;
    let settings = format!("{{endpoint: '{}', compression: none}}", sink.url());
    let collector = Collector::with(&through("logs", &[], &[("otlphttp", &settings)])).await;
    let request = logs("the output is 7");
    assert_eq!(collector.post("/v1/logs", &[PROTOBUF], request.clone()).await.status, 200);
    let received = sink.until("a request", |received| received.first().cloned()).await;
    assert!(received.body == request, "and nothing else is touched either");
}

#[tokio::test]
async fn a_program_asks_for_it_too() {
    for (policy, is_sent) in [(None, false), (Some(ContentPolicy::Keep), true), (Some(ContentPolicy::Drop), false)] {
        let sink = elsewhere().await;
        let mut builder = Telemetry::builder().otlp(sink.url());
        if let Some(policy) = policy {
            builder = builder.content(policy);
        }
        let telemetry = builder.build();
        tracing::subscriber::with_default(telemetry.subscriber(), || {
            let call = llm_span!("gpt-4o", provider = "openai", messages = "what is the weather").entered();
            call.record_output("it rains in Oslo");
        });
        let flushing = telemetry.clone();
        let flushed = tokio::task::spawn_blocking(move || flushing.flush(std::time::Duration::from_secs(20)));
        flushed.await.unwrap().unwrap();
        let received = sink.received();
        for signal in ["/v1/traces", "/v1/logs"] {
            let bodies = || received.iter().filter(|request| request.path == signal).map(|request| &request.body);
            assert!(bodies().any(|body| holds(body, "gpt-4o")), "{signal}");
            for words in ["what is the weather", "it rains in Oslo"] {
                assert_eq!(bodies().any(|body| holds(body, words)), is_sent, "{policy:?} {signal} {words}");
            }
        }
    }
}

#[tokio::test]
async fn who_says_what_is_to_become_of_it_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    for (settings, is_told) in [
        ("{endpoint: 'tempo:4317'}", true),
        ("{endpoint: 'https://localhost.example.org'}", true),
        ("{endpoint: 'tempo:4317', content: keep}", false),
        ("{endpoint: 'tempo:4317', content: drop}", false),
        ("{endpoint: 'tempo:4317', content: {tools: keep}}", false),
        ("{endpoint: 'localhost:4317'}", false),
        ("{endpoint: 'http://127.0.0.2:4317'}", false),
        ("{endpoint: '[::1]:4317'}", false),
    ] {
        std::fs::write(dir.path().join("collector.yaml"), traces_to(&[("otlp", settings)])).unwrap();
        let ended = run_in(dir.path(), &["config", "check", "collector.yaml"]).await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stdout.contains("sends beyond this machine"), is_told, "{settings}: {ended:?}");
    }
    std::fs::write(dir.path().join("collector.yaml"), traces_to(&[("otlp", "{endpoint: 'a:1', content: kep}")]))
        .unwrap();
    let ended = run_in(dir.path(), &["config", "check", "collector.yaml"]).await;
    assert!(!ended.status.success() && ended.stderr.contains("kep"), "{ended:?}");
}

#[tokio::test]
async fn presets_mask_and_what_is_too_long_is_cut_where_it_says_so() {
    let sink = Sink::start().await;
    let settings = format!("{{endpoint: '{}', compression: none}}", sink.url());
    let rules = "{presets: [secrets, personal_data], max_value_bytes: 40}";
    let collector = Collector::with(&traces_through(&[("redaction", rules)], &[("otlphttp", &settings)])).await;
    let long = format!("[{}]", vec!["\"é\""; 50].join(","));
    let mut call = chat(1, 2, 0);
    call.attributes = vec![
        text("note", "write to kim@example.org"),
        text("headers", "Authorization: Bearer 0123456789abcdef01"),
        text("gen_ai.input.messages", &long),
        text("short", "forty bytes are enough for this one here"),
    ];
    collector.take_traces(traces(vec![call])).await;
    let span = &sink.spans(1).await[0];
    let cut = format!("{}…[cut: 40 of {} bytes]", &long[..40], long.len());
    let expected = [
        text("note", "write to ****"),
        text("headers", "Authorization: Bearer ****"),
        text("gen_ai.input.messages", &cut),
        text("short", "forty bytes are enough for this one here"),
    ];
    assert_eq!(span.attributes, expected);
    for (reason, count) in [("masked", 2.0), ("cut", 1.0)] {
        let withheld = format!(r#"spanlight_withheld_total{{component="redaction",reason="{reason}"}}"#);
        collector.sample_becomes(&withheld, count).await;
    }
}

#[tokio::test]
async fn events_fit_into_what_readers_take() {
    let collector = Collector::start().await;
    let mut call = chat(1, 2, 0);
    let huge = format!("[{{\"role\":\"user\",\"content\":\"{}\"}}]", "\\n\\\"".repeat(1 << 20));
    call.attributes.push(text("gen_ai.input.messages", &huge));
    collector.take_traces(traces(vec![call])).await;
    let events = collector.events(2).await;
    let messages = events[0]["data"]["messages"].as_str().unwrap();
    // They are counted in the form of the conventions, in which the event has them.
    let end = &messages[messages.len() - 50..];
    let all = messages.rsplit_once(" of ").and_then(|(_, rest)| rest.strip_suffix(" bytes]")?.parse::<usize>().ok());
    assert!(all.is_some_and(|all| all > 4 << 20) && end.contains("…[cut: "), "{end}");
    assert!(events[0].to_string().len() < 1 << 20);
    collector.sample_becomes(r#"spanlight_withheld_total{component="agent",reason="cut"}"#, 1.0).await;
}

/// Whatever emitters call it and wherever they put it: nothing that anybody said is left.
#[test]
fn of_real_telemetry_no_word_is_left() {
    let corpus = std::env::var_os("CORPUS").map_or_else(|| PathBuf::from("tests/data/corpus"), PathBuf::from);
    let mut said_at_all = 0;
    let mut left = Vec::new();
    for scenario in std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let health = Health::default();
        let withholding = Withholding::new(Classes::all(Policy::Drop), "test", &health);
        let batches: Vec<Batch> = requests(&scenario).collect();
        let mut said: BTreeSet<String> = batches.iter().flat_map(|batch| said(&readable(batch))).collect();
        // What went wrong is no content, also where a model is told of it.
        let failures: String = batches.iter().flat_map(|batch| failures(&readable(batch))).collect();
        said.retain(|words| !failures.contains(words));
        said_at_all += said.len();
        for batch in &batches {
            let without = withholding.batch(batch).unwrap_or_else(|| batch.clone());
            let checked = Batch::read(batch.signal(), without.bytes().clone()).unwrap();
            assert_eq!((checked.rejected, checked.batch.items()), (0, batch.items()), "{}", scenario.display());
            let text = readable(&without).to_string();
            let is_left = |words: &&String| text.contains(Value::from(words.as_str()).to_string().trim_matches('"'));
            left.extend(said.iter().filter(is_left).map(|words| format!("{}: {words}", scenario.display())));
        }
    }
    assert!(said_at_all > 0, "the words were not found");
    assert!(left.is_empty(), "{}", left.join("\n"));
}

fn readable(batch: &Batch) -> Value {
    serde_json::from_str(&to_json(batch.bytes(), batch.signal().schema())).unwrap()
}

/// What went wrong, wherever it is said.
fn failures(value: &Value) -> Vec<String> {
    let key = value["key"].as_str().unwrap_or_default();
    if key.contains("exception") || key.starts_with("error") {
        return value["value"]["stringValue"].as_str().map(str::to_owned).into_iter().collect();
    }
    match value {
        Value::Object(members) => {
            let status = members.get("status").and_then(|status| status["message"].as_str().map(str::to_owned));
            members.values().flat_map(failures).chain(status).collect()
        }
        Value::Array(items) => items.iter().flat_map(failures).collect(),
        _ => Vec::new(),
    }
}

/// What messages say, wherever there are any: in attributes, or in JSON that is their text.
fn said(value: &Value) -> Vec<String> {
    const HOLD_WORDS: &[&str] = &["content", "text", "prompt", "user_prompt", "arguments", "input", "output"];
    let mut found = Vec::new();
    let words = |key: &str, text: &str| {
        let is_words = text.len() >= 24 && text.contains(' ') && serde_json::from_str::<Value>(text).is_err();
        (HOLD_WORDS.contains(&key.rsplit('.').next().unwrap()) && is_words).then(|| text.to_owned())
    };
    match value {
        Value::Object(members) => {
            // An attribute of OTLP.
            let value = members.get("value").and_then(|value| value["stringValue"].as_str());
            if let (Some(key), Some(text)) = (members.get("key").and_then(Value::as_str), value)
                && !key.starts_with("db.")
            {
                found.extend(words(key, text));
            }
            for (key, value) in members {
                found.extend(value.as_str().and_then(|text| words(key, text)));
                found.extend(said(value));
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(said)),
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            found.extend(serde_json::from_str::<Value>(text).iter().flat_map(said));
        }
        _ => {}
    }
    found
}
