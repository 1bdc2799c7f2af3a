//! Events from an agent's own layer beside its spans: every fact once.

use std::collections::HashSet;

use spanlight::derive::cost::By;
use spanlight::event::{Event, Performance};

use super::scene::{Scene, agent, chat};

/// The events that another deriver, in the agent's process, makes of the same spans.
fn layer_events(spans: &[opentelemetry_proto::tonic::trace::v1::Span]) -> Vec<Event> {
    let mut scene = Scene::new();
    scene.arrive(spans).finish();
    scene.out.events
}

#[test]
fn spans_after_their_events_tell_nothing_twice() {
    let spans = [chat(2, 1, (10, 20), 1000, 10), agent(1, 0, (0, 30), "writer")];
    let mut scene = Scene::new();
    for event in layer_events(&spans) {
        scene.event(event);
    }
    scene.arrive(&spans).pass(10_000);
    assert_eq!(scene.names(), ["agent.started", "llm.started", "llm.completed", "agent.completed"]);
    assert_eq!((scene.totals().llm_calls, scene.totals().input_tokens), (1, Some(1000)));
    assert_eq!(scene.counted().calls["writer"], 1);
}

#[test]
fn events_after_their_spans_tell_nothing_twice() {
    let spans = [chat(2, 1, (10, 20), 1000, 10), agent(1, 0, (0, 30), "writer")];
    let mut scene = Scene::new();
    scene.arrive(&spans).pass(1_000);
    for event in layer_events(&spans) {
        scene.event(event);
    }
    scene.pass(10_000);
    assert_eq!(scene.tally().values().sum::<usize>(), 4);
    assert_eq!(scene.deriver.counts().duplicate_events, 4);
    assert_eq!(scene.totals().llm_calls, 1);
}

#[test]
fn an_event_that_is_sent_again_is_passed_on_once() {
    let events = layer_events(&[agent(1, 0, (0, 30), "writer")]);
    let mut scene = Scene::new();
    for event in events.iter().chain(&events) {
        scene.event(event.clone());
    }
    assert_eq!(scene.names(), ["agent.started", "agent.completed"]);
    assert_eq!(scene.deriver.counts().duplicate_events, 2);
}

#[test]
fn a_started_event_shows_what_is_in_flight_and_silence_makes_it_lost() {
    let started = layer_events(&[agent(1, 0, (0, 30), "writer")]).remove(0);
    let mut scene = Scene::new();
    scene.event(started).pass(59_000);
    assert_eq!(scene.deriver.running(), 1);
    assert_eq!(scene.names(), ["agent.started"]);
    scene.pass(2_000);
    assert_eq!(scene.names(), ["agent.failed"]);
    assert_eq!(scene.deriver.summaries(|_| true)[0].status.as_str(), "lost");
    assert_eq!(scene.counted().agents["writer"], 1);
    scene.arrive(&[agent(1, 0, (0, 90_000), "writer")]).pass(10_000);
    assert_eq!(scene.names(), ["agent.completed"], "it was alive after all");
    assert_eq!(scene.counted().agents["writer"], 1, "one run is one run");
    assert_eq!(scene.deriver.summaries(|_| true)[0].status.as_str(), "completed");
}

#[test]
fn other_events_pass_through_as_they_are() {
    let mut scene = Scene::new();
    scene.json(r#"{"name":"review.decided","data":{"decision":"approved"},"agent":"critic"}"#);
    assert_eq!(scene.out.from_outside, [0]);
    assert_eq!(scene.names(), ["review.decided"]);
}

#[test]
fn a_span_fills_in_what_its_event_left_out() {
    let spans = [chat(2, 1, (10, 20), 1000, 10), agent(1, 0, (0, 30), "writer")];
    let mut scene = Scene::new();
    for mut event in layer_events(&spans) {
        event.performance = Performance::default();
        event.parent_span_id = None;
        scene.event(event);
    }
    scene.arrive(&spans).pass(10_000);
    let totals = scene.totals();
    assert_eq!((totals.input_tokens, totals.unpriced_calls, totals.agent_runs), (Some(1000), 0, 1));
    assert_eq!(scene.deriver.counts().duplicate_spans, 0);
    assert_eq!(scene.tally().values().sum::<usize>(), 4);
    let tree = scene.deriver.tree(&"01".repeat(16)).unwrap();
    assert_eq!((tree.roots.len(), tree.roots[0].children.len()), (1, 1));
}

#[test]
fn a_step_has_the_name_that_its_events_give_it() {
    let trace = "01".repeat(16);
    let step = |name: &str, span: &str, more: &str| {
        format!(r#"{{"name":"step.{name}","trace_id":"{trace}","span_id":"{span}","component_id":"w:step:0"{more}}}"#)
    };
    let (plan, write) = ("00000000000000a1", "00000000000000a2");
    let mut scene = Scene::new();
    scene.json(&step("started", plan, r#","data":{"step_name":"plan"}"#));
    scene.json(&step("started", write, r#","step_name":"write""#)).json(&step("completed", write, ""));
    let roots = scene.deriver.tree(&trace).unwrap().roots;
    let named: Vec<_> = roots.iter().map(|node| (node.name.as_deref(), node.status.as_str())).collect();
    assert_eq!(named, [(Some("plan"), "running"), (Some("write"), "completed")]);
}

#[test]
fn each_event_says_what_its_work_is_for() {
    let mut scene = Scene::new();
    for (agent, feature, usd) in [("a", "login", 1.0), ("b", "search", 2.0)] {
        for name in ["agent.started", "agent.completed"] {
            let performance = if name == "agent.completed" {
                format!(r#","performance":{{"cost_usd":{usd}}}"#)
            } else {
                String::new()
            };
            scene.json(&format!(
                r#"{{"name":"{name}","agent":"{agent}","feature":"{feature}","execution_id":"e"{performance}}}"#
            ));
        }
    }
    let report = scene.deriver.ledger(By::Feature, None);
    let of = |feature: &str| report.rows.iter().find(|row| &*row.key == feature).unwrap().figures.cost_usd;
    assert_eq!((of("login"), of("search")), (Some(1.0), Some(2.0)));
}

#[test]
fn a_reported_cost_holds_those_below_it() {
    let mut scene = Scene::new();
    let event = |name: &str, agent: &str, usd: f64| {
        let ids = r#""trace_id":"01010101010101010101010101010101","span_id":"#;
        let (span, parent) = if agent == "inner" {
            ("0000000000000002", r#","parent_span_id":"0000000000000001""#)
        } else {
            ("0000000000000001", "")
        };
        format!(r#"{{"name":"{name}","agent":"{agent}",{ids}"{span}"{parent},"performance":{{"cost_usd":{usd}}}}}"#)
    };
    scene.json(&event("agent.completed", "inner", 0.1)).pass(400_000);
    assert_eq!(scene.totals().cost_usd, Some(0.1));
    scene.json(&event("agent.completed", "outer", 0.3)).pass(400_000);
    assert_eq!(scene.totals().cost_usd, Some(0.3));
    let counted = scene.counted();
    assert_eq!(counted.overcounted, 100_000_000, "what was counted inside is taken back: {counted:?}");
}

#[test]
fn ids_of_events_are_those_of_their_facts() {
    let spans = [chat(2, 1, (10, 20), 1000, 10), agent(1, 0, (0, 30), "writer")];
    let ids = |events: Vec<Event>| events.iter().map(|event| event.event_id.to_string()).collect::<HashSet<_>>();
    let (one, other) = (ids(layer_events(&spans)), ids(layer_events(&spans)));
    assert_eq!(one, other, "derived twice, in two processes, they are the same");
    assert_eq!(one.len(), 4);
    assert!(one.iter().all(|id| id.as_bytes()[14] == b'8'), "they are UUIDs of version 8: {one:?}");
}

#[test]
fn figures_beyond_all_bounds_are_kept_within_them() {
    let mut scene = Scene::new();
    for duration in [1e300, -1e300, 0.0] {
        let json = format!(
            r#"{{"name":"llm.completed","trace_id":"01010101010101010101010101010101","agent":"a",
            "performance":{{"input_tokens":{}}}}}"#,
            u64::MAX
        );
        for mut event in scene.read(&json) {
            // The door refuses these; whatever came in another way must not overflow either.
            (event.performance.duration_ms, event.performance.cost_usd) = (Some(duration), Some(1e300));
            scene.event(event);
        }
    }
    scene.pass(10_000).finish();
    assert_eq!(scene.totals().llm_calls, 3);
    assert_eq!(scene.totals().input_tokens, Some(u64::MAX));
}
