//! Loops: the same tool with the same arguments, again and again.

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::event::Event;

use super::made_up::Dice;
use super::scene::{Scene, agent, chat, text, tool};

fn search(id: u64, parent: u64, at: u64, arguments: &str) -> Span {
    let mut span = tool(id, parent, (at, at + 500), "search");
    span.attributes.push(text("gen_ai.tool.call.arguments", arguments));
    span
}

fn diagnostics(scene: &Scene) -> Vec<&Event> {
    let is_one = |event: &&Event| event.component_id.to_string() == "system:tool_loop_detection";
    scene.out.events.iter().filter(is_one).collect()
}

/// An agent that looks for the same ten times, and for something else in between; another one does so twice.
fn stuck() -> Vec<Span> {
    let mut spans = vec![agent(1, 0, (0, 60_000), "scribe"), agent(2, 1, (0, 50_000), "reader")];
    for call in 0..10 {
        spans.push(search(10 + call, 1, call * 1000, r#"{"query":"login"}"#));
        spans.push(search(30 + call, 1, call * 1000 + 500, &format!(r#"{{"query":"{call}"}}"#)));
    }
    spans.push(chat(50, 12, (2_000, 2_100), 100_000, 0));
    spans.extend((0..2).map(|call| search(60 + call, 2, call * 1000, r#"{"query":"login"}"#)));
    spans
}

#[test]
fn the_third_and_the_tenth_call_are_told_with_what_they_wasted() {
    let mut scene = Scene::new();
    scene.arrive(&stuck()).pass(10_000);
    let [third, tenth] = diagnostics(&scene)[..] else { panic!("{:?}", diagnostics(&scene)) };
    assert_eq!(third.message.as_deref(), Some("the tool search was called 3 times with the same arguments"));
    assert_eq!((third.name.as_str(), third.dimensions.agent.as_deref()), ("system.progress", Some("scribe")));
    let figure = |event: &Event, key: &str| event.data.get(key).and_then(|value| value.as_f64());
    assert_eq!((figure(third, "call_count"), figure(third, "wasted_ms")), (Some(3.0), Some(1000.0)));
    assert_eq!((figure(tenth, "call_count"), figure(tenth, "wasted_ms")), (Some(10.0), Some(4500.0)));
    assert_eq!(figure(tenth, "wasted_usd"), Some(0.25));
    assert!(third.data.get("arguments").is_some());
    assert_eq!(
        third.timestamp,
        scene
            .out
            .events
            .iter()
            .find(|event| event.name.as_str() == "agent.started")
            .unwrap()
            .timestamp
            .plus(std::time::Duration::from_millis(2500))
    );
}

#[test]
fn in_any_order_and_twice_the_same_is_told() {
    let told = |spans: &[Span]| {
        let mut scene = Scene::new();
        for chunk in spans.chunks(3) {
            scene.arrive(chunk).pass(10);
        }
        scene.pass(10_000);
        diagnostics(&scene).iter().map(|event| event.event_id).collect::<Vec<_>>()
    };
    let mut spans = stuck();
    let expected = told(&spans);
    let mut dice = Dice::new(7);
    for _ in 0..20 {
        dice.shuffle(&mut spans);
        let twice = [&spans[..], &spans[..10]].concat();
        assert_eq!(told(&twice), expected);
    }
}

#[test]
fn events_tell_of_loops_too() {
    let mut scene = Scene::new();
    scene.json(r#"{"name":"agent.started","agent":"scribe","task_id":"t"}"#);
    for call in 0..4 {
        scene.json(
            r#"{"name":"tool.started","tool":"search","agent":"scribe","task_id":"t","data":{"arguments":{"q":1}}}"#,
        );
        scene.pass(1000);
        scene.json(r#"{"name":"tool.completed","tool":"search","agent":"scribe","task_id":"t"}"#);
        assert_eq!(diagnostics(&scene).len(), usize::from(call >= 2), "{call}");
    }
    let told = diagnostics(&scene)[0];
    assert_eq!(told.dimensions.agent.as_deref(), Some("scribe"));
}
