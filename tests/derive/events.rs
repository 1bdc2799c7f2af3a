//! Events from an agent's own layer beside its spans: every fact once.

use std::collections::HashSet;

use spanlight::event::{Event, Source, SourceKind, read_events};

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
    let json = br#"{"name":"review.decided","data":{"decision":"approved"},"agent":"critic"}"#;
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let mut scene = Scene::new();
    let read = read_events(json, &source, scene.now).remove(0).unwrap();
    read.into_iter().for_each(|event| {
        scene.event(event);
    });
    assert_eq!(scene.out.from_outside, [0]);
    assert_eq!(scene.names(), ["review.decided"]);
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
    let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
    let mut scene = Scene::new();
    for duration in [1e300, -1e300, 0.0] {
        let json = format!(
            r#"{{"name":"llm.completed","trace_id":"01010101010101010101010101010101","agent":"a",
            "performance":{{"input_tokens":{}}}}}"#,
            u64::MAX
        );
        for mut event in read_events(json.as_bytes(), &source, scene.now).remove(0).unwrap() {
            // The door refuses these; whatever came in another way must not overflow either.
            (event.performance.duration_ms, event.performance.cost_usd) = (Some(duration), Some(1e300));
            scene.event(event);
        }
    }
    scene.pass(10_000).finish();
    assert_eq!(scene.totals().llm_calls, 3);
    assert_eq!(scene.totals().input_tokens, Some(u64::MAX));
}
