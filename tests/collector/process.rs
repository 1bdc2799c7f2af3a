//! Processors: what arrives downstream is changed as configured, and nothing else is.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::Event};
use prost::Message;
use sha2::{Digest, Sha256};

use super::support::client;
use super::support::collector::{Collector, Port};
use super::support::config::{through, traces_through};
use super::support::sink::Sink;
use super::support::telemetry::{
    agent, agents, attribute, chat, int, logs, metrics, span, text, traces, traces_request,
};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A collector with these processors in front of a peer.
async fn collector(processors: &[(&str, &str)], sink: &Sink) -> Collector {
    let settings = format!("{{endpoint: '{}', compression: none}}", sink.url());
    Collector::with(&traces_through(processors, &[("otlphttp", &settings)])).await
}

/// The sample of what a processor of the pipeline `traces` dropped.
fn dropped(processor: &str, reason: &str) -> String {
    format!(r#"spanlight_dropped_total{{component="{processor}",pipeline="traces",reason="{reason}"}}"#)
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// A text of a span's attribute.
fn value<'s>(attributes: &'s [KeyValue], key: &str) -> Option<&'s str> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

fn keys(attributes: &[KeyValue]) -> Vec<&str> {
    attributes.iter().map(|attribute| attribute.key.as_str()).collect()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a span of which no decoder here knows everything.
fn with_unknown_field(span: &Span) -> Vec<u8> {
    let mut bytes = span.encode_to_vec();
    bytes.extend([0x98, 0x06, 0x01]);
    bytes
}

/// A request of encoded spans.
fn request(spans: &[Vec<u8>]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        field.extend_from_slice(bytes);
        field
    };
    let scope: Vec<u8> = spans.iter().flat_map(|span| field(2, span)).collect();
    field(1, &field(2, &scope))
}

#[tokio::test]
async fn a_filter_drops_what_does_not_pass_and_counts_it() {
    let sink = Sink::start().await;
    let rules = "{spans: {include: {match_type: regexp, span_names: ['^chat', '^invoke']}, exclude: {attributes: [{key: gen_ai.agent.name, value: noisy}]}}}";
    let collector = collector(&[("filter", rules)], &sink).await;
    let kept = with_unknown_field(&chat(1, 2, 1));
    let spans = [
        span(1, 3, 1, "GET /health", vec![]).encode_to_vec(),
        kept.clone(),
        agent(1, 4, 1, "noisy").encode_to_vec(),
        agent(1, 1, 0, "researcher").encode_to_vec(),
    ];
    collector.take_traces(request(&spans)).await;
    let names: Vec<String> = sink.spans(2).await.into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["chat gpt-4o", "invoke_agent researcher"]);
    assert!(holds(&sink.received()[0].body, &kept), "a span that passes stays as it is");
    collector.sample_becomes(&dropped("filter", "filtered"), 2.0).await;
    // Where nothing passes, nothing is sent.
    collector.take_traces(traces(vec![span(2, 1, 0, "GET /health", vec![])])).await;
    collector.sample_becomes(&dropped("filter", "filtered"), 3.0).await;
    collector.take_traces(traces(vec![chat(3, 2, 0)])).await;
    sink.spans(3).await;
    assert_eq!(sink.received().len(), 2);
}

#[tokio::test]
async fn a_filter_knows_logs_and_metrics() {
    for (signal, rules, requests) in [
        ("logs", "{logs: {exclude: {bodies: [noise]}}}", [logs("noise"), logs("signal")]),
        ("metrics", "{metrics: {include: {metric_names: [cost]}}}", [metrics("noise", 1.0), metrics("cost", 2.0)]),
    ] {
        let sink = Sink::start().await;
        let settings = format!("{{endpoint: '{}', compression: none}}", sink.url());
        let collector = Collector::with(&through(signal, &[("filter", rules)], &[("otlphttp", &settings)])).await;
        for request in &requests {
            let answer = collector.post(&format!("/v1/{signal}"), &[PROTOBUF], request.clone()).await;
            assert_eq!(answer.status, 200);
        }
        let received = sink.until("a request", |received| received.first().cloned()).await;
        assert!(received.body == requests[1], "{signal}: {received:?}");
    }
}

#[tokio::test]
async fn attributes_are_set_removed_and_hashed() {
    let sink = Sink::start().await;
    let actions = "{actions: [{key: env, action: insert, value: prod}, {key: user, action: hash}, \
                   {key: tier, action: update, value: gold}, {key: absent, action: update, value: x}, \
                   {key: copy, action: upsert, from_attribute: tier}, {pattern: '^internal\\.', action: delete}, \
                   {key: retries, action: upsert, value: 3}], exclude: {span_names: [untouched]}}";
    let collector = collector(&[("attributes", actions)], &sink).await;
    let attributes =
        vec![text("user", "ada"), text("tier", "basic"), text("internal.a", "x"), int("internal.b", 1), text("k", "v")];
    let untouched = with_unknown_field(&span(1, 2, 1, "untouched", attributes.clone()));
    let changed = span(1, 1, 0, "changed", attributes).encode_to_vec();
    collector.take_traces(request(&[untouched.clone(), changed])).await;
    let spans = sink.spans(2).await;
    let found = &spans[1].attributes;
    assert_eq!(keys(found), ["user", "tier", "k", "env", "copy", "retries"]);
    assert_eq!(value(found, "user"), Some(&*sha256("ada")));
    assert_eq!((value(found, "tier"), value(found, "copy")), (Some("gold"), Some("gold")));
    assert_eq!((value(found, "k"), value(found, "env")), (Some("v"), Some("prod")));
    assert_eq!(found.last(), Some(&int("retries", 3)));
    assert!(holds(&sink.received()[0].body, &untouched));
    assert_eq!(collector.sample(&dropped("attributes", "processed")).await, Some(0.0));
}

#[tokio::test]
async fn processors_work_in_their_order() {
    let mark = ("attributes", "{actions: [{key: mark, action: upsert, value: yes}]}");
    let only_marked = ("filter", "{spans: {include: {attributes: [{key: mark}]}}}");
    for (processors, passes) in [([mark, only_marked], true), ([only_marked, mark], false)] {
        let sink = Sink::start().await;
        let collector = collector(&processors, &sink).await;
        collector.take_traces(traces(vec![chat(1, 2, 0)])).await;
        if passes {
            sink.spans(1).await;
        } else {
            collector.sample_becomes(&dropped("filter", "filtered"), 1.0).await;
            assert!(sink.received().is_empty());
        }
    }
}

/// A call with content of every class.
fn with_content(name: &str) -> Span {
    let mut call = chat(1, 2, 1);
    call.name = name.into();
    call.attributes.extend([
        text("gen_ai.input.messages", "what is the weather"),
        text("gen_ai.system_instructions", "be kind"),
        text("gen_ai.tool.call.arguments", "{\"city\":\"Oslo\"}"),
    ]);
    call.events.push(Event { attributes: vec![text("gen_ai.prompt", "hello")], ..Event::default() });
    call
}

#[tokio::test]
async fn content_is_kept_dropped_or_hashed_by_class() {
    let classes = ["gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments"];
    for (policy, expected) in [
        ("{content: drop}", [None, None, None]),
        (
            "{content: {messages: drop, tools: hash}}",
            [None, Some("be kind".to_owned()), Some(sha256("{\"city\":\"Oslo\"}"))],
        ),
        (
            "{content: hash}",
            [Some(sha256("what is the weather")), Some(sha256("be kind")), Some(sha256("{\"city\":\"Oslo\"}"))],
        ),
    ] {
        let sink = Sink::start().await;
        let collector = collector(&[("redaction", policy)], &sink).await;
        let untouched = with_unknown_field(&agent(1, 1, 0, "researcher"));
        collector.take_traces(request(&[with_content("chat").encode_to_vec(), untouched.clone()])).await;
        let spans = sink.spans(2).await;
        let found = classes.map(|key| value(&spans[0].attributes, key).map(str::to_owned));
        assert_eq!(found, expected, "{policy}");
        assert!(keys(&spans[0].attributes).contains(&"gen_ai.usage.input_tokens"));
        let body = &sink.received()[0].body;
        assert!(!holds(body, b"what is the weather") && !holds(body, b"hello"), "{policy}");
        assert!(holds(body, &untouched), "{policy}");
    }
}

#[tokio::test]
async fn content_that_is_kept_goes_on_byte_for_byte() {
    let sink = Sink::start().await;
    let collector = collector(&[("redaction", "{content: keep, blocked_values: ['sk-[a-z0-9]+']}")], &sink).await;
    let request = request(&[with_unknown_field(&with_content("chat"))]);
    collector.take_traces(request.clone()).await;
    sink.spans(1).await;
    assert!(sink.received()[0].body == request);
}

#[tokio::test]
async fn secrets_are_masked_wherever_they_stand() {
    let rules = "{blocked_values: ['sk-[a-z0-9]+'], blocked_key_patterns: ['(?i)password']}";
    let sink = Sink::start().await;
    let collector = collector(&[("redaction", rules)], &sink).await;
    let array = |values: [&str; 2]| {
        let values = values.map(|text| AnyValue { value: Some(Value::StringValue(text.into())) });
        attribute("args", Value::ArrayValue(ArrayValue { values: values.to_vec() }))
    };
    let map = |values| attribute("request", Value::KvlistValue(KeyValueList { values }));
    let mut leaking = span(
        1,
        1,
        0,
        "leak",
        vec![
            text("note", "use sk-abc1 and sk-def2"),
            text("db.Password", "hunter2"),
            array(["--key=sk-abc1", "plain"]),
            map(vec![text("header", "sk-abc1"), text("password", "hunter2"), text("k", "v")]),
            text("k", "v"),
        ],
    );
    leaking.events.push(Event { attributes: vec![text("message", "sk-ghi3!")], ..Event::default() });
    leaking.status = Some(Status { message: "401 for sk-abc1".into(), code: 2 });
    let mut request = traces_request(vec![leaking]);
    request.resource_spans[0].resource.as_mut().unwrap().attributes.push(array(["serve", "--key=sk-abc1"]));
    collector.take_traces(request.encode_to_vec()).await;
    let found = &sink.spans(1).await[0];
    let changed = map(vec![text("header", "****"), text("k", "v")]);
    let expected = [text("note", "use **** and ****"), array(["--key=****", "plain"]), changed, text("k", "v")];
    assert_eq!(found.attributes, expected);
    assert_eq!(found.events[0].attributes, [text("message", "****!")]);
    assert_eq!(found.status.as_ref().unwrap().message, "401 for ****");
    assert!(!holds(&sink.received()[0].body, b"sk-"), "nor does the resource tell");

    let sink = Sink::start().await;
    let settings = format!("{{endpoint: '{}'}}", sink.url());
    let collector = Collector::with(&through("logs", &[("redaction", rules)], &[("otlphttp", &settings)])).await;
    assert_eq!(collector.post("/v1/logs", &[PROTOBUF], logs("the key is sk-abc1")).await.status, 200);
    let received = sink.until("a request", |received| received.first().cloned()).await;
    let request = ExportLogsServiceRequest::decode(received.body).unwrap();
    let body = request.resource_logs[0].scope_logs[0].log_records[0].body.clone();
    assert_eq!(body, Some(AnyValue { value: Some(Value::StringValue("the key is ****".into())) }));
}

#[tokio::test]
async fn large_batches_are_split_and_small_ones_wait_a_moment() {
    let sink = Sink::start().await;
    let sizes = "{send_batch_size: 20, send_batch_max_size: 20, timeout: 100ms}";
    let collector = collector(&[("batch", sizes)], &sink).await;
    let request = agents::request(50, 1, 0);
    collector.take_traces(request.clone()).await;
    let spans = sink.spans(50).await;
    let mut sizes: Vec<usize> = sink.received().iter().map(|received| received.spans().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 20, 20]);
    // Four workers send at a time, so requests may overtake one another; within one the order stays.
    let sent = super::support::sink::spans_of(&request);
    assert!(sent.iter().all(|span| spans.contains(span)));
    for received in sink.received() {
        assert!(holds_in_order(&sent, &received.spans()));
    }
}

fn holds_in_order(all: &[Span], part: &[Span]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn without_memory_nothing_is_let_in() {
    let sink = Sink::start().await;
    let collector = collector(&[("memory_limiter", "{check_interval: 10ms, limit_mib: 1}")], &sink).await;
    let refused = super::support::until("a refusal", async || {
        let answer = collector.post("/v1/traces", &[PROTOBUF], traces(vec![chat(1, 2, 0)])).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("memory is short"), "{}", refused.text());
    let url = collector.url(Port::Grpc).await;
    let request = traces_request(vec![chat(1, 2, 0)]).encode_to_vec();
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let grpc = client::call(&url, path, &request).await;
    assert_eq!(grpc.code, 14, "{grpc:?}");
    let refused =
        r#"spanlight_receiver_refused_total{reason="overloaded",receiver="otlp",signal="traces",transport="grpc"}"#;
    collector.sample_becomes(refused, 1.0).await;
    // Who asks how it is doing is still answered.
    let health = tokio::time::timeout(Duration::from_secs(10), collector.get("/healthz")).await.unwrap();
    assert_eq!(health.status, 200);
}
