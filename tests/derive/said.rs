//! What was said in calls, told in log records beside their spans.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value as Json, json};

use crate::coding_agents::{record, said};
use crate::scene::{Scene, agent, attribute, chat, text};

const SCOPE: &str = "opentelemetry.instrumentation.openai_v2";

fn of_call(at: u64, name: &str, attributes: Vec<KeyValue>, body: Option<Value>) -> LogRecord {
    LogRecord {
        trace_id: vec![1; 16],
        span_id: 2u64.to_be_bytes().to_vec(),
        body: body.map(|value| AnyValue { value: Some(value) }),
        ..record(at, name, attributes)
    }
}

fn map(values: Vec<KeyValue>) -> Value {
    Value::KvlistValue(KeyValueList { values })
}

/// A question and its answer, as the conventions had them up to 1.36.
fn asked_and_answered() -> Vec<LogRecord> {
    let answer = map(vec![text("role", "assistant"), text("content", "A coat.")]);
    vec![
        of_call(10, "gen_ai.system.message", vec![], Some(map(vec![text("content", "You know the weather.")]))),
        of_call(10, "gen_ai.user.message", vec![], Some(map(vec![text("content", "What shall I wear?")]))),
        of_call(
            90,
            "gen_ai.choice",
            vec![],
            Some(map(vec![text("finish_reason", "stop"), attribute("message", answer)])),
        ),
    ]
}

fn message(role: &str, content: &str) -> Json {
    json!({"role": role, "parts": [{"type": "text", "content": content}]})
}

/// What was recorded of calls: who calls, and what was said.
fn recorded(scene: &Scene) -> Vec<(String, Json)> {
    let events = scene.out.events.iter().filter(|event| event.name.as_str() == "messages.recorded");
    events.map(|event| (event.component_id.to_string(), Json::Object(event.data.to_map()))).collect()
}

#[test]
fn messages_are_told_with_their_call_whichever_comes_first() {
    let spans = [chat(2, 1, (0, 100), 100, 10), agent(1, 0, (0, 200), "stylist")];
    let mut answer = message("assistant", "A coat.");
    answer["finish_reason"] = "stop".into();
    let expected = json!({
        "messages": [message("system", "You know the weather."), message("user", "What shall I wear?")],
        "response": [answer],
    });
    for logs_first in [true, false] {
        let mut scene = Scene::new();
        if logs_first {
            said(&mut scene, SCOPE, asked_and_answered());
            assert_eq!(recorded(&scene), [], "it is not known yet who calls");
        }
        scene.arrive(&spans).pass(700);
        // A request that was answered too late comes again.
        (0..2).for_each(|_| said(&mut scene, SCOPE, asked_and_answered()));
        scene.pass(700);
        assert_eq!(recorded(&scene), [("stylist:llm:0".to_owned(), expected.clone())]);
        let of_call = scene.out.events.iter().filter(|event| event.component_id.to_string() == "stylist:llm:0");
        assert!(of_call.clone().all(|event| event.span_id == of_call.clone().next().unwrap().span_id));
        assert_eq!(scene.totals().llm_calls, 1);
    }
}

#[test]
fn what_the_span_says_itself_is_not_told_again() {
    let with = |key: &str, value: Json| {
        let mut call = chat(2, 0, (0, 100), 100, 10);
        call.attributes.push(text(key, &value.to_string()));
        let mut scene = Scene::new();
        said(&mut scene, SCOPE, asked_and_answered());
        scene.arrive(&[call]).pass(700);
        let keys = recorded(&scene).into_iter().flat_map(|(_, data)| data.as_object().unwrap().clone());
        keys.map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(with("gen_ai.input.messages", json!([message("user", "What shall I wear?")])), ["response"]);
    assert_eq!(with("gen_ai.output.messages", json!([message("assistant", "A coat.")])), ["messages"]);
    assert_eq!(with("gen_ai.response.id", json!("r1")), ["messages", "response"]);
}

#[test]
fn details_of_a_call_have_all_that_was_said() {
    let mut scene = Scene::new();
    let input = json!([message("user", "What shall I wear?")]).to_string();
    let output = json!([message("assistant", "A coat.")]).to_string();
    let instructions = json!([{"type": "text", "content": "You know the weather."}]).to_string();
    let details = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "gpt-4o"),
        text("gen_ai.input.messages", &input),
        text("gen_ai.output.messages", &output),
        text("gen_ai.system_instructions", &instructions),
    ];
    scene.arrive(&[chat(2, 0, (0, 100), 100, 10)]).pass(700);
    said(&mut scene, SCOPE, vec![of_call(90, "gen_ai.client.inference.operation.details", details, None)]);
    scene.pass(700);
    let expected = json!({
        "system_instructions": [{"type": "text", "content": "You know the weather."}],
        "messages": [message("user", "What shall I wear?")],
        "response": [message("assistant", "A coat.")],
    });
    let [(_, data)] = &recorded(&scene)[..] else { panic!("{:?}", recorded(&scene)) };
    assert_eq!(*data, expected);
}

#[test]
fn a_call_that_never_comes_is_not_waited_for_for_ever() {
    let mut scene = Scene::new();
    said(&mut scene, SCOPE, asked_and_answered());
    scene.pass(9_000);
    assert_eq!(recorded(&scene), []);
    scene.pass(2_000);
    assert_eq!(recorded(&scene).len(), 1);
    assert_eq!(scene.deriver.summaries(|_| true).len(), 0, "what was said is no run");
    said(&mut scene, SCOPE, asked_and_answered().into_iter().take(1).collect());
    scene.finish();
    assert_eq!(recorded(&scene).len(), 1, "it was told already");
}

#[test]
fn what_nobody_wanted_recorded_is_nothing() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 0, (0, 100), 100, 10)]).pass(700);
    let choice = map(vec![text("finish_reason", "stop"), attribute("message", map(vec![text("role", "assistant")]))]);
    let nothing = vec![
        of_call(10, "gen_ai.user.message", vec![], None),
        of_call(10, "gen_ai.user.message", vec![], Some(map(vec![]))),
        of_call(90, "gen_ai.choice", vec![], Some(choice)),
    ];
    said(&mut scene, SCOPE, nothing);
    scene.pass(20_000);
    assert_eq!(recorded(&scene), []);
}

#[test]
fn a_body_may_be_a_text_or_json() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 0, (0, 100), 100, 10)]).pass(700);
    let as_text = |said: &str| Some(Value::StringValue(said.into()));
    let bodies = vec![
        of_call(10, "gen_ai.user.message", vec![], as_text("What shall I wear?")),
        of_call(20, "gen_ai.tool.message", vec![], as_text(r#"{"content":"3 degrees","id":"call_1"}"#)),
    ];
    said(&mut scene, SCOPE, bodies);
    scene.pass(700);
    let response = json!({"type": "tool_call_response", "id": "call_1", "response": "3 degrees"});
    let expected = json!([message("user", "What shall I wear?"), {"role": "tool", "parts": [response]}]);
    assert_eq!(recorded(&scene)[0].1["messages"], expected);
}

#[test]
fn what_waits_for_its_call_is_bounded() {
    let mut scene = Scene::new();
    let of_calls = |calls: std::ops::Range<u64>| {
        let body = || Some(map(vec![text("content", "What shall I wear?")]));
        let asked = |call: u64| LogRecord {
            span_id: call.to_be_bytes().to_vec(),
            ..of_call(call, "gen_ai.user.message", vec![], body())
        };
        calls.map(asked).collect::<Vec<_>>()
    };
    said(&mut scene, SCOPE, of_calls(1..4097));
    assert_eq!(recorded(&scene).len(), 0);
    said(&mut scene, SCOPE, of_calls(4097..4098));
    assert_eq!(recorded(&scene).len(), 2049, "the older half");
    scene.pass(20_000);
    assert_eq!(recorded(&scene).len(), 4097, "none is lost");
}
