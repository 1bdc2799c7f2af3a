//! What the spans of Rust programs mean: our own fields, and those of the crates that agents are made of.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use spanlight::derive::cost::By;
use spanlight::dialect::Op;

use super::dialects::{payloads, understand, understand_in};
use super::scene::{Scene, agent, attribute, bare_chat, int, span, text};

/// The dialect and the operation of a span.
fn kind(instrumentation: &str, name: &str, attributes: &[(&str, &str)]) -> Option<(&'static str, Op)> {
    let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
    understand_in(instrumentation, &span(1, 9, (0, 1), name, attributes), |meaning| {
        meaning.map(|meaning| (meaning.dialect, meaning.op))
    })
}

fn with(mut sent: Span, attributes: Vec<KeyValue>) -> Span {
    sent.attributes.extend(attributes);
    sent
}

#[test]
fn a_scope_is_one_of_a_few_words() {
    for (word, op) in [
        ("workflow", Op::InvokeWorkflow),
        ("step", Op::Step),
        ("workflow_step", Op::Step),
        ("agent", Op::InvokeAgent),
        ("llm", Op::Chat),
        ("llm_request", Op::Chat),
        ("Tool", Op::ExecuteTool),
        ("AGENT", Op::InvokeAgent),
    ] {
        for key in ["scope", "spanlight.scope"] {
            assert_eq!(kind("", "x", &[(key, word)]), Some(("spanlight", op)), "{key}={word}");
        }
    }
    for word in ["", "global", "agents", "an agent", "system", "request"] {
        for key in ["scope", "spanlight.scope"] {
            assert_eq!(kind("", "x", &[(key, word), ("model", "gpt-4o")]), None, "{key}={word}");
        }
    }
    let both = [("scope", "agent"), ("spanlight.scope", "tool")];
    assert_eq!(kind("", "x", &both), Some(("spanlight", Op::ExecuteTool)), "our own key goes first");
    let foreign = [("scope", "global"), ("gen_ai.operation.name", "chat")];
    assert_eq!(kind("", "x", &foreign), Some(("otel_genai", Op::Chat)));
}

#[test]
fn the_name_of_an_operation_is_finer_than_a_scope() {
    let named = |operation: &str| kind("", "x", &[("scope", "llm"), ("gen_ai.operation.name", operation)]);
    assert_eq!(named("embeddings"), Some(("spanlight", Op::Embeddings)));
    assert_eq!(named("Invoke_Agent"), Some(("spanlight", Op::InvokeAgent)));
    assert_eq!(named("of tomorrow"), Some(("spanlight", Op::Chat)), "an unknown one says less than the scope");
}

#[test]
fn plain_names_are_read_where_a_scope_is_said_and_nowhere_else() {
    let fields = || {
        vec![
            text("model", "gpt-4o"),
            text("gen_ai.request.model", "another"),
            text("provider", "OpenAI"),
            text("agent", "scribe"),
            int("input_tokens", 10),
            int("gen_ai.usage.input_tokens", 99),
            text("output_tokens", "20"),
            int("cache_read_tokens", 3),
            int("cache_write_tokens", 2),
            int("reasoning_tokens", 4),
            attribute("cost_usd", Value::DoubleValue(0.25)),
            int("ttft_ms", 350),
            attribute("gen_ai.response.time_to_first_chunk", Value::DoubleValue(9.0)),
            text("conversation_id", "c"),
            int("user_id", 12),
        ]
    };
    let ours = with(span(1, 0, (0, 1), "draft", fields()), vec![text("scope", "llm")]);
    understand(&ours, |meaning| {
        let meaning = meaning.unwrap();
        assert_eq!((meaning.request_model, meaning.provider.as_deref()), (Some("gpt-4o"), Some("openai")));
        let usage = meaning.usage;
        assert_eq!((usage.input, usage.output, usage.reasoning), (Some(10), Some(20), Some(4)));
        assert_eq!((usage.cache_read, usage.cache_write, usage.repaired), (Some(3), Some(2), false));
        assert_eq!((meaning.reported_usd, meaning.ttft_s), (Some(0.25), Some(0.35)));
        let ids = (meaning.conversation_id.as_deref(), meaning.session_id.as_deref(), meaning.user_id.as_deref());
        assert_eq!((meaning.agent_name, ids), (Some("scribe"), (Some("c"), Some("c"), Some("12"))));
    });
    let foreign = with(span(1, 0, (0, 1), "draft", fields()), vec![text("gen_ai.operation.name", "chat")]);
    understand(&foreign, |meaning| {
        let meaning = meaning.unwrap();
        assert_eq!(
            (meaning.request_model, meaning.usage.input, meaning.ttft_s),
            (Some("another"), Some(99), Some(9.0))
        );
        assert_eq!((meaning.reported_usd, meaning.agent_name, meaning.user_id), (None, None, None));
    });
}

#[test]
fn content_under_plain_names_is_in_the_events() {
    let call = vec![
        text("scope", "llm"),
        text("messages", "[1]"),
        text("response", "{\"a\":2}"),
        text("finish_reason", "max_tokens"),
        attribute("stream", Value::BoolValue(true)),
    ];
    let (start, end) = payloads(&span(1, 0, (0, 1), "draft", call));
    assert_eq!((&start["messages"], &start["stream"]), (&serde_json::json!([1]), &true.into()));
    assert_eq!((&end["response"]["a"], &end["finish_reason"]), (&2.into(), &"length".into()));
    let tool = vec![text("scope", "tool"), text("call_id", "c1"), text("arguments", "{}"), text("result", "ok")];
    let (start, end) = payloads(&span(1, 0, (0, 1), "search", tool));
    assert_eq!((&start["arguments"], &start["call_id"]), (&serde_json::json!({}), &"c1".into()));
    assert_eq!((&end["result"], &end["tool_name"]), (&"ok".into(), &"search".into()));
    let agent = vec![text("scope", "agent"), text("input", "in"), text("output", "out")];
    let (start, end) = payloads(&span(1, 0, (0, 1), "write", agent));
    assert_eq!((&start["input"], &end["output"]), (&"in".into(), &"out".into()));
}

#[test]
fn a_crate_is_known_by_its_target_in_process_and_over_the_wire() {
    let chat = ("gen_ai.operation.name", "chat");
    for (target, dialect) in [
        ("rig::agent_chat", "rig"),
        ("rig::completions", "rig"),
        ("rig_agent::agent::telemetry", "rig"),
        ("genai::otel::span", "genai"),
        ("goose::state_machine", "goose"),
        ("rigging::agent", "otel_genai"),
        ("my::rig::agent", "otel_genai"),
        ("gooseberry", "otel_genai"),
    ] {
        assert_eq!(kind(target, "chat", &[chat]), Some((dialect, Op::Chat)), "{target}");
        for key in ["target", "code.module.name", "code.namespace"] {
            assert_eq!(kind("my-service", "chat", &[chat, (key, target)]), Some((dialect, Op::Chat)), "{key}={target}");
        }
    }
    assert_eq!(kind("", "chat", &[chat, ("rig.completion_parent", "true")]), Some(("rig", Op::Chat)));
    assert_eq!(kind("rig::completions", "anything", &[]), None);
    assert_eq!(
        kind("rig::modalities", "x", &[("gen_ai.operation.name", "audio_generation")]),
        Some(("rig", Op::GenerateContent))
    );
}

/// A chat of rig that was called for an agent.
fn rig_chat(id: u64, parent: u64, time: (u64, u64), agent: &str, answer: Vec<KeyValue>) -> Span {
    let sent =
        with(bare_chat(id, parent, time), vec![text("target", "rig::agent_chat"), text("gen_ai.agent.name", agent)]);
    with(sent, answer)
}

#[test]
fn a_chat_of_rig_without_an_answer_has_failed() {
    let failure = |sent: &Span| {
        understand(sent, |meaning| meaning.unwrap().failure.and_then(|failure| failure.message.map(str::to_owned)))
    };
    let broken = rig_chat(1, 0, (0, 1), "a", Vec::new());
    assert!(failure(&broken).is_some_and(|message| message.contains("inferred")));
    for answer in
        [text("gen_ai.response.id", "r"), text("gen_ai.usage.input_tokens", "5"), text("gen_ai.output.messages", "[]")]
    {
        assert_eq!(failure(&rig_chat(1, 0, (0, 1), "a", vec![answer.clone()])), None, "{answer:?}");
    }
    assert_eq!(failure(&bare_chat(1, 0, (0, 1))), None, "others leave out what they please");
    let mut open = broken.clone();
    open.end_time_unix_nano = 0;
    assert_eq!(failure(&open), None, "an answer may still come");
    let embeddings = vec![text("gen_ai.operation.name", "embeddings"), text("target", "rig::modalities")];
    assert_eq!(failure(&span(1, 0, (0, 1), "embeddings", embeddings)), None, "some providers count no tokens for them");
    let off = with(broken, vec![text("spanlight.outcome", "canceled")]);
    understand(&off, |meaning| assert!(meaning.is_some_and(|meaning| meaning.canceled && meaning.failure.is_none())));
}

#[test]
fn a_run_of_rig_that_did_not_come_to_its_end_has_failed() {
    let run = |logs: &[&str], usage: bool| {
        let mut sent = with(agent(1, 0, (0, 1), "a"), vec![text("target", "rig_agent::agent::telemetry")]);
        sent.events = logs.iter().map(|log| Event { name: (*log).into(), ..Event::default() }).collect();
        if usage {
            sent.attributes.push(text("gen_ai.usage.input_tokens", "5"));
        }
        understand(&sent, |meaning| meaning.unwrap().failure.is_some())
    };
    assert!(run(&["Current conversation Turns: 1/5"], false));
    assert!(!run(&["Current conversation Turns: 1/5", "Agent run finished"], false));
    assert!(!run(&["Current conversation Turns: 1/5"], true));
    assert!(!run(&[], false), "without its logs nobody knows");
}

#[test]
fn tools_of_rig_end_in_four_ways() {
    let outcome = |word: &str| {
        let attributes = vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.call.outcome", word)];
        let sent =
            with(span(1, 0, (0, 1), "execute_tool", attributes), vec![text("target", "rig_agent::agent::telemetry")]);
        understand(&sent, |meaning| meaning.map(|meaning| (meaning.failure.is_some(), meaning.canceled)).unwrap())
    };
    assert_eq!((outcome("success"), outcome("error")), ((false, false), (true, false)));
    assert_eq!((outcome("denied"), outcome("skipped")), ((false, true), (false, true)));
}

#[test]
fn within_a_span_of_the_application_calls_of_rig_are_for_the_agent_that_they_name() {
    let mut scene = Scene::new();
    let answer = || vec![text("gen_ai.usage.input_tokens", "1000"), text("gen_ai.usage.output_tokens", "100")];
    scene
        .arrive(&[
            rig_chat(3, 2, (5, 15), "helper", answer()),
            span(2, 1, (4, 16), "POST /advice", Vec::new()),
            rig_chat(4, 1, (20, 30), "planner", answer()),
            agent(1, 0, (0, 40), "planner"),
        ])
        .finish();
    let counted = scene.counted().calls;
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("helper".to_owned(), 1), ("planner".to_owned(), 1)]);
    let report = scene.deriver.ledger(By::Agent, None);
    let costs: Vec<_> = report.rows.iter().map(|row| (&*row.key, row.figures.cost_usd)).collect();
    assert!(costs.contains(&("helper", Some(0.0035))), "{costs:?}");
    assert!(scene.out.events.iter().any(|event| event.component_id.to_string() == "helper:llm:0"));
}

#[test]
fn spans_of_langchain_are_known_by_name_and_fields_together() {
    let model = [("provider", "openai"), ("model", "gpt-4o"), ("stream", "false")];
    assert_eq!(kind("", "llm.generate", &model), Some(("langchain_rust", Op::Chat)));
    assert_eq!(kind("", "embed.query", &model[..2]), Some(("langchain_rust", Op::Embeddings)));
    assert_eq!(kind("", "llm.generate", &[]), None, "the name alone is anybody's");
    assert_eq!(kind("", "llm.generate", &model[..1]), None);
    assert_eq!(kind("", "agent.run", &[]), None);
    assert_eq!(kind("", "generate", &model), None, "the fields alone are, too");
    assert_eq!(kind("swiftide_agents::agent", "agent.run", &[]), Some(("swiftide", Op::InvokeAgent)));
    let other = [("gen_ai.operation.name", "execute_tool"), ("tool", "search")];
    assert_eq!(kind("", "tool.call", &other), Some(("otel_genai", Op::ExecuteTool)));
}

#[test]
fn spans_of_swiftide_are_known_by_their_crate_or_their_fields() {
    let agents = "swiftide_agents::agent";
    assert_eq!(kind(agents, "tool.search", &[]), Some(("swiftide", Op::ExecuteTool)));
    assert_eq!(kind(agents, "hook.BeforeAll", &[]), Some(("swiftide", Op::Hook)));
    assert_eq!(kind(agents, "task.run", &[]), Some(("swiftide", Op::InvokeWorkflow)));
    assert_eq!(kind("swiftide_integrations::qdrant", "storage.qdrant.store", &[]), None);
    assert_eq!(kind("mine", "tool.search", &[]), None);
    assert_eq!(kind("", "complete", &[("langfuse.type", "GENERATION")]), Some(("swiftide", Op::Chat)));
    assert_eq!(kind("", "complete", &[("langfuse.type", "SPAN")]), Some(("swiftide", Op::Step)));
    let sent = span(1, 0, (0, 1), "tool.search", vec![text("target", agents)]);
    understand(&sent, |meaning| assert_eq!(meaning.unwrap().tool_name, Some("search")));
}

#[test]
fn what_swiftide_tells_in_events_is_of_the_span() {
    let usage = "{\n  \"prompt_tokens\": 5,\n  \"completion_tokens\": 9,\n  \"total_tokens\": 14\n}";
    let fields = [
        ("langfuse.model", "gpt-4o"),
        ("langfuse.input", "[1]"),
        ("langfuse.output", "[2]"),
        ("langfuse.usage", usage),
    ];
    let fields: Vec<KeyValue> = fields.iter().map(|(key, value)| text(key, value)).collect();
    let generation = || span(1, 0, (0, 1), "complete", vec![text("langfuse.type", "GENERATION")]);
    let mut in_event = generation();
    in_event.events = vec![Event { name: "event".into(), attributes: fields.clone(), ..Event::default() }];
    for sent in [in_event, with(generation(), fields)] {
        understand(&sent, |meaning| {
            let meaning = meaning.unwrap();
            assert_eq!((meaning.model(), meaning.provider.as_deref()), (Some("gpt-4o"), Some("openai")));
            assert_eq!((meaning.usage.input, meaning.usage.output), (Some(5), Some(9)));
        });
        let (start, end) = payloads(&sent);
        assert_eq!((&start["messages"], &end["response"]), (&serde_json::json!([1]), &serde_json::json!([2])));
    }
    for broken in ["", "none", "[]", "{\"prompt_tokens\":-1}", "{\"prompt_tokens\":\"5\"}"] {
        let sent = with(generation(), vec![text("langfuse.usage", broken)]);
        understand(&sent, |meaning| assert!(!meaning.unwrap().usage.is_known(), "{broken}"));
    }
}

#[test]
fn generations_of_goose_say_tokens_costs_and_times_in_their_own_way() {
    let sent = span(
        1,
        0,
        (0, 100),
        "provider_generation",
        vec![
            text("observation_type", "GENERATION"),
            text("provider", "openai"),
            text("model", "gpt-4o"),
            text("usage_details_json", "{\"input\":500,\"output\":40,\"total\":540,\"cache_read_input_tokens\":300}"),
            text("cost_details_json", "{\"total\":0.5}"),
            text("completion_start_time", "2026-11-21T12:00:00.025+00:00"),
        ],
    );
    understand(&sent, |meaning| {
        let meaning = meaning.unwrap();
        assert_eq!((meaning.dialect, meaning.op, meaning.model()), ("goose", Op::Chat, Some("gpt-4o")));
        assert_eq!(
            (meaning.usage.input, meaning.usage.output, meaning.usage.cache_read),
            (Some(500), Some(40), Some(300))
        );
        assert_eq!((meaning.reported_usd, meaning.ttft_s), (Some(0.5), Some(0.025)));
        assert_eq!(meaning.failure, None);
    });
    let broken = with(sent, vec![text("status_message", "overloaded")]);
    understand(&broken, |meaning| assert_eq!(meaning.unwrap().failure.unwrap().message, Some("overloaded")));
    assert_eq!(kind("weather", "x", &[("observation_type", "TEMPERATURE"), ("model", "m")]), None);
    assert_eq!(kind("weather", "x", &[("observation_type", "GENERATION")]), None);
}

#[test]
fn a_reply_of_goose_is_one_run_in_each_of_its_generations() {
    let reply_stream = ("session.agent_type", "goose");
    let agents = "goose::agents::agent";
    let named = ("gen_ai.operation.name", "invoke_agent");
    assert_eq!(kind(agents, "reply", &[named]), Some(("goose", Op::InvokeAgent)));
    assert_eq!(kind(agents, "reply_stream", &[named, reply_stream]), Some(("goose", Op::Step)));
    assert_eq!(kind(agents, "reply", &[("session.id", "1")]), None);
    assert_eq!(kind(agents, "reply_stream", &[reply_stream]), Some(("goose", Op::InvokeAgent)));
}
