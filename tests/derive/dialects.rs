//! What one span means, in each generation of the conventions.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use serde_json::{Map, Value as Json};
use spanlight::derive::cost::By;
use spanlight::dialect::{self, Attributes, Meaning, Spot};
use spanlight::otlp::view::Span;
use spanlight::semconv::KeyTable;

use super::scene::{Scene, agent, attribute, batch, chat, span, text, tool};

/// Shows what a span means to `look`.
fn understand<T>(sent: &Sent, look: impl FnOnce(Option<Meaning<'_>>) -> T) -> T {
    let (batch, table) = (batch(std::slice::from_ref(sent)), KeyTable::with([]));
    let group = batch.groups().next().unwrap();
    let mut attributes = Attributes::new();
    let record = group.records().next().unwrap();
    let span = Span::read_with(record, |attribute| attributes.take(&table, attribute));
    let spot = Spot { instrumentation: "", span: &span, attributes: &attributes };
    look(dialect::read(&spot))
}

/// A span of MCP that says nothing of GenAI.
fn mcp(id: u64, parent: u64, time: (u64, u64), name: &str) -> Sent {
    let method = name.split(' ').next().unwrap();
    span(id, parent, time, name, vec![text("mcp.method.name", method)])
}

#[test]
fn client_and_server_of_a_tool_call_are_one_call_of_the_tool_in_the_spans_name() {
    let mut scene = Scene::new();
    scene
        .arrive(&[
            mcp(4, 3, (25, 35), "tools/call search"),
            mcp(3, 2, (22, 38), "tools/call search"),
            tool(2, 1, (20, 40), "search"),
            mcp(5, 1, (50, 60), "tools/call fetch page"),
            mcp(6, 1, (5, 10), "tools/list"),
            agent(1, 0, (0, 100), "writer"),
        ])
        .finish();
    assert_eq!(scene.totals().tool_calls, 2);
    let counted = scene.counted().tools;
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("fetch page".to_owned(), 1), ("search".to_owned(), 1)]);
    let report = scene.deriver.ledger(By::Tool, None);
    assert!(report.rows.iter().all(|row| !row.key.contains("tools/call")), "{report:?}");
}

#[test]
fn a_tools_name_is_an_attribute_or_what_follows_the_method() {
    let named = |name: &str, more: &[(&str, &str)]| {
        let attributes = [("mcp.method.name", "tools/call")].iter().chain(more);
        let sent = span(1, 0, (0, 1), name, attributes.map(|(key, value)| text(key, value)).collect());
        understand(&sent, |meaning| meaning.unwrap().tool_name.map(str::to_owned))
    };
    assert_eq!(named("tools/call search", &[]).as_deref(), Some("search"));
    assert_eq!(named("tools/call search", &[("gen_ai.operation.name", "execute_tool")]).as_deref(), Some("search"));
    assert_eq!(named("tools/call x", &[("gen_ai.tool.name", "search")]).as_deref(), Some("search"));
    assert_eq!(named("tools/call x", &[("mcp.tool.name", "search")]).as_deref(), Some("search"));
    assert_eq!((named("tools/call", &[]), named("tools/call ", &[]), named("POST /mcp", &[])), (None, None, None));
}

#[test]
fn what_is_no_duration_is_not_taken_for_one() {
    let waited = |value: Value| {
        let attributes = vec![attribute("gen_ai.response.time_to_first_chunk", value)];
        let mut sent = chat(1, 0, (0, 1), 10, 10);
        sent.attributes.extend(attributes);
        understand(&sent, |meaning| meaning.unwrap().ttft_s)
    };
    for invalid in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5] {
        assert_eq!(waited(Value::DoubleValue(invalid)), None, "{invalid}");
    }
    for invalid in ["NaN", "inf", "-1", "soon", ""] {
        assert_eq!(waited(Value::StringValue(invalid.into())), None, "{invalid}");
    }
    assert_eq!(waited(Value::DoubleValue(0.0)), Some(0.0));
    assert_eq!(waited(Value::StringValue(" 0.25 ".into())), Some(0.25));
    assert_eq!(waited(Value::IntValue(2)), Some(2.0));
}

/// The payloads of the events of the beginning and the end of one span.
fn payloads(sent: &Sent) -> (Map<String, Json>, Map<String, Json>) {
    let mut scene = Scene::new();
    scene.arrive(std::slice::from_ref(sent)).finish();
    let [start, end] = &scene.out.events[..] else { panic!("{:?}", scene.out.events) };
    (start.data.to_map(), end.data.to_map())
}

#[test]
fn the_events_of_a_call_say_whether_it_streamed_how_it_stopped_and_what_the_answer_is_called() {
    let mut sent = chat(1, 0, (0, 1), 10, 10);
    let (start, end) = payloads(&sent);
    assert_eq!((start.get("stream"), end.get("response_id"), end.get("finish_reason")), (None, None, None));
    sent.attributes.push(attribute("gen_ai.request.stream", Value::BoolValue(true)));
    sent.attributes.push(text("gen_ai.response.id", "chatcmpl-1"));
    sent.attributes.push(text("gen_ai.response.finish_reasons", "[\"tool_calls\"]"));
    let (start, end) = payloads(&sent);
    assert_eq!(start["stream"], true);
    assert_eq!((&end["response_id"], &end["finish_reason"]), (&"chatcmpl-1".into(), &"tool_call".into()));
}

#[test]
fn finish_reasons_come_as_a_word_a_list_or_the_json_of_either() {
    let stopped = |key: &str, value: Value| {
        let mut sent = chat(1, 0, (0, 1), 10, 10);
        sent.attributes.push(attribute(key, value));
        payloads(&sent).1.get("finish_reason").and_then(Json::as_str).map(str::to_owned)
    };
    let word = |word: &str| Value::StringValue(word.into());
    let list = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(word("max_tokens")) }] });
    assert_eq!(stopped("gen_ai.response.finish_reasons", list).as_deref(), Some("length"));
    for (text, reason) in [
        ("stop", Some("stop")),
        ("[\"tool_calls\"]", Some("tool_call")),
        (" [ \"end_turn\", \"length\" ] ", Some("stop")),
        ("[null, \"SAFETY\"]", Some("content_filter")),
        ("\"length\"", Some("length")),
        ("\"\"", None),
        ("[]", None),
        ("[not json", None),
        ("", None),
    ] {
        assert_eq!(stopped("gen_ai.response.finish_reasons", word(text)).as_deref(), reason, "{text}");
    }
    assert_eq!(stopped("gen_ai.response.finish_reason", word("MAX_TOKENS")).as_deref(), Some("length"));
    assert_eq!(stopped("gen_ai.response.stop_reason", word("tool_use")).as_deref(), Some("tool_call"));
}
