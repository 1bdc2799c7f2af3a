//! What one span means, in each generation of the conventions.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_proto::tonic::trace::v1::span::Event as SentEvent;
use serde_json::{Map, Value as Json};
use spanlight::derive::cost::By;
use spanlight::dialect::{self, Attributes, Lexicon, Meaning, Op, Spot, Usage};
use spanlight::otlp::view::Span;

use super::scene::{Scene, agent, attribute, bare_chat, batch, chat, int, span, text, tool};

/// Shows what a span means to `look`.
pub fn understand<T>(sent: &Sent, look: impl FnOnce(Option<Meaning<'_>>) -> T) -> T {
    understand_in("", sent, look)
}

/// Shows what a span of an instrumentation scope means to `look`.
pub fn understand_in<T>(instrumentation: &str, sent: &Sent, look: impl FnOnce(Option<Meaning<'_>>) -> T) -> T {
    let (batch, lexicon) = (batch(std::slice::from_ref(sent)), Lexicon::with([]));
    let group = batch.groups().next().unwrap();
    let mut attributes = Attributes::new();
    let record = group.records().next().unwrap();
    let span = Span::read_with(record, |_, attribute| attributes.take(&lexicon, attribute));
    let marks = lexicon.marks_of_scope(instrumentation);
    let spot = Spot::new(instrumentation, marks, &span, &attributes, &lexicon);
    dialect::read(&spot, |meaning| look(meaning.cloned()))
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
pub fn payloads(sent: &Sent) -> (Map<String, Json>, Map<String, Json>) {
    payloads_in("", sent)
}

/// The same of a span of an instrumentation scope.
pub fn payloads_in(instrumentation: &str, sent: &Sent) -> (Map<String, Json>, Map<String, Json>) {
    let mut scene = Scene::new();
    scene.arrive_in(instrumentation, std::slice::from_ref(sent)).finish();
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

/// A figure of a meaning by its name.
fn count(usage: &Usage, name: &str) -> Option<u64> {
    match name {
        "input" => usage.input,
        "output" => usage.output,
        "cache_read" => usage.cache_read,
        "cache_write" => usage.cache_write,
        "cache_write_5m" => usage.cache_write_5m,
        "cache_write_1h" => usage.cache_write_1h,
        "reasoning" => usage.reasoning,
        "input_audio" => usage.input_audio,
        "output_audio" => usage.output_audio,
        other => panic!("{other}"),
    }
}

#[test]
fn tokens_are_read_in_every_generation_of_their_keys() {
    // In order of preference, as the conventions list them.
    let generations: &[(&str, &[&str])] = &[
        ("input", &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "gen_ai.response.prompt_tokens"]),
        (
            "output",
            &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "gen_ai.response.completion_tokens"],
        ),
        (
            "cache_read",
            &[
                "gen_ai.usage.cache_read.input_tokens",
                "gen_ai.usage.cache_read_input_tokens",
                "gen_ai.usage.details.cache_read_tokens",
                "gen_ai.usage.cache_read_tokens",
                "gen_ai.usage.prompt_tokens_details.cached_tokens",
            ],
        ),
        (
            "cache_write",
            &[
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation.input_tokens",
                "gen_ai.usage.cache_creation_input_tokens",
                "gen_ai.usage.cache_write_input_tokens",
                "gen_ai.usage.details.cache_write_tokens",
                "gen_ai.usage.cache_creation_tokens",
                "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
            ],
        ),
        (
            "cache_write_5m",
            &[
                "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
                "gen_ai.usage.cache_creation.input_tokens.ephemeral_5m",
            ],
        ),
        (
            "cache_write_1h",
            &[
                "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
                "gen_ai.usage.cache_creation.input_tokens.ephemeral_1h",
            ],
        ),
        (
            "reasoning",
            &[
                "gen_ai.usage.reasoning.output_tokens",
                "gen_ai.usage.reasoning_tokens",
                "gen_ai.usage.details.reasoning_tokens",
                "gen_ai.usage.completion_tokens_details.reasoning_tokens",
                "gen_ai.usage.thinking_tokens",
            ],
        ),
        ("input_audio", &["gen_ai.usage.audio.input_tokens", "gen_ai.usage.input_audio_tokens"]),
        ("output_audio", &["gen_ai.usage.audio.output_tokens", "gen_ai.usage.output_audio_tokens"]),
    ];
    let figure = |name: &str, attributes: Vec<KeyValue>| {
        let mut sent = bare_chat(1, 0, (0, 1));
        sent.attributes.extend(attributes);
        understand(&sent, |meaning| count(&meaning.unwrap().usage, name))
    };
    for (name, keys) in generations {
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(figure(name, vec![int(key, 7)]), Some(7), "{key}");
            assert_eq!(figure(name, vec![text(key, " 7 ")]), Some(7), "{key} as text");
            assert_eq!(figure(name, vec![attribute(key, Value::DoubleValue(7.0))]), Some(7), "{key} as a double");
            assert_eq!(figure(name, vec![int(key, -1)]), None, "{key}: unknown is absent");
            let older = keys[place..].iter().rev().map(|key| int(key, if *key == keys[place] { 7 } else { 9 }));
            assert_eq!(figure(name, older.collect()), Some(7), "{key} goes before older ones");
        }
    }
}

#[test]
fn fields_are_read_in_every_generation_of_their_keys() {
    type Field = fn(&Meaning<'_>) -> Option<String>;
    let generations: &[(Field, &[&str])] = &[
        (|meaning| meaning.provider.as_deref().map(str::to_owned), &["gen_ai.provider.name", "gen_ai.system"]),
        (|meaning| meaning.request_model.map(str::to_owned), &["gen_ai.request.model"]),
        (|meaning| meaning.response_model.map(str::to_owned), &["gen_ai.response.model"]),
        (|meaning| meaning.conversation_id.as_deref().map(str::to_owned), &["gen_ai.conversation.id"]),
        (|meaning| meaning.session_id.as_deref().map(str::to_owned), &["session.id", "gen_ai.conversation.id"]),
        (
            |meaning| meaning.user_id.as_deref().map(str::to_owned),
            &["user.id", "enduser.id", "gen_ai.user.id", "gen_ai.user", "gen_ai.request.user"],
        ),
        (|meaning| meaning.agent_name.map(str::to_owned), &["gen_ai.agent.name"]),
        (|meaning| meaning.workflow_name.map(str::to_owned), &["gen_ai.workflow.name", "workflow.name"]),
        (|meaning| meaning.step_name.map(str::to_owned), &["gen_ai.task.name", "executor.id", "graph.node.id"]),
        (|meaning| meaning.tool_name.map(str::to_owned), &["gen_ai.tool.name", "mcp.tool.name"]),
        (
            |meaning| meaning.service_tier.map(str::to_owned),
            &[
                "openai.response.service_tier",
                "anthropic.response.service_tier",
                "gen_ai.response.service_tier",
                "gen_ai.openai.response.service_tier",
            ],
        ),
    ];
    for (field, keys) in generations {
        for place in 0..keys.len() {
            let older =
                keys[place..].iter().rev().map(|key| text(key, if *key == keys[place] { "new" } else { "old" }));
            let operation = text("gen_ai.operation.name", "chat");
            let sent = span(1, 0, (0, 1), "chat", std::iter::once(operation).chain(older).collect());
            assert_eq!(
                understand(&sent, |meaning| field(&meaning.unwrap())).as_deref(),
                Some("new"),
                "{}",
                keys[place]
            );
        }
    }
}

#[test]
fn what_a_span_does_shows_without_the_name_of_an_operation() {
    let op = |name: &str, attributes: &[&str]| {
        let attributes = attributes.iter().map(|key| match key.split_once('=') {
            Some((key, value)) => text(key, value),
            None => int(key, 1),
        });
        understand(&span(1, 0, (0, 1), name, attributes.collect()), |meaning| meaning.map(|meaning| meaning.op))
    };
    for (name, attributes, expected) in [
        ("x", &["gen_ai.operation.name=Chat"][..], Some(Op::Chat)),
        ("x", &["gen_ai.operation.name=fetch_response"], Some(Op::Step)),
        ("x", &["gen_ai.operation.name=of tomorrow"], Some(Op::Step)),
        ("x", &["gen_ai.operation.name=upsert_memory"], Some(Op::Memory)),
        ("x", &["gen_ai.tool.name=search", "gen_ai.usage.input_tokens"], Some(Op::ExecuteTool)),
        ("x", &["gen_ai.tool.call_id=1"], Some(Op::ExecuteTool)),
        ("x", &["gen_ai.workflow.name=w", "gen_ai.agent.name=a"], Some(Op::InvokeWorkflow)),
        ("x", &["gen_ai.request.model=m", "gen_ai.agent.name=a"], Some(Op::InvokeAgent)),
        ("x", &["gen_ai.agent.name=a", "gen_ai.usage.output_tokens"], Some(Op::Chat)),
        ("x", &["gen_ai.usage.prompt_tokens"], Some(Op::Chat)),
        ("x", &["gen_ai.response.finish_reasons=stop"], Some(Op::Chat)),
        ("embeddings text-embedding-3-small", &["gen_ai.system=openai"], Some(Op::Embeddings)),
        ("x", &["gen_ai.request.model=m"], None),
        ("tools/call search", &["mcp.method.name=tools/call"], Some(Op::Mcp)),
        ("tools/list", &["mcp.method.name=tools/list"], Some(Op::Step)),
        ("prompts/get p", &["mcp.method.name=prompts/get", "gen_ai.prompt.name=p"], Some(Op::Step)),
        ("chat", &["http.request.method=GET"], None),
    ] {
        assert_eq!(op(name, attributes), expected, "{name} {attributes:?}");
    }
}

#[test]
fn messages_are_found_in_every_generation_of_their_places() {
    let word = |word: &str| Value::StringValue(word.into());
    let event = |name: &str, key: &str, value: &str| SentEvent {
        name: name.into(),
        attributes: vec![text(key, value)],
        ..SentEvent::default()
    };
    let details = "gen_ai.client.inference.operation.details";
    let answer = r#"[{"role":"assistant","parts":[],"finish_reason":"tool_calls"}]"#;
    type Place<'p> = (&'p [(&'p str, &'p str)], &'p [SentEvent]);
    let places: &[Place<'_>] = &[
        (&[("gen_ai.input.messages", "[1]"), ("gen_ai.output.messages", answer)], &[]),
        (&[], &[event(details, "gen_ai.input.messages", "[1]"), event(details, "gen_ai.output.messages", answer)]),
        (&[("gen_ai.prompt", "[1]"), ("gen_ai.completion", answer)], &[]),
        (
            &[],
            &[
                event("gen_ai.content.prompt", "gen_ai.prompt", "[1]"),
                event("gen_ai.content.completion", "gen_ai.completion", answer),
            ],
        ),
    ];
    for (place, (attributes, events)) in places.iter().enumerate() {
        let mut sent = chat(1, 0, (0, 1), 10, 10);
        sent.attributes.extend(attributes.iter().map(|(key, value)| text(key, value)));
        sent.events = events.to_vec();
        // Whatever is older is there too, and says something else.
        for (attributes, events) in &places[place + 1..] {
            let old = |key: &str| attribute(key, word("old"));
            sent.attributes.extend(attributes.iter().map(|(key, _)| old(key)));
            sent.events.extend(events.iter().map(|older| event(&older.name, &older.attributes[0].key, "old")));
        }
        let (start, end) = payloads(&sent);
        assert_eq!(start["messages"], serde_json::json!([1]), "{place}");
        assert_eq!((&end["response"][0]["role"], &end["finish_reason"]), (&"assistant".into(), &"tool_call".into()));
    }
    let mut template = chat(1, 0, (0, 1), 10, 10);
    template.attributes.push(text("gen_ai.prompt.name", "greeting"));
    assert_eq!(payloads(&template).0.get("messages"), None, "the name of a template is no message");
}
