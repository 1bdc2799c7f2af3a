//! What programs say in the words of other systems is emitted as events of the catalogue.

#[path = "../data/references/cases.rs"]
mod cases;

use serde_json::{Value, json};

use crate::support::Scene;

#[test]
fn every_example_can_be_emitted() {
    let scene = Scene::new();
    for case in cases::all() {
        let before = scene.events().len();
        let emitted = spanlight::emit_event(&case.name, case.rest.clone());
        emitted.unwrap_or_else(|error| panic!("{}: {error}", case.place));
        let events = scene.events().split_off(before);
        let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.to_json()).unwrap()).collect();
        let names: Vec<&Value> = events.iter().map(|event| &event["name"]).collect();
        let expected: Vec<&Value> = case.expected.iter().map(|event| &event["name"]).collect();
        // Behind them may come those of an agent of which only the call of its model tells.
        assert!(names.starts_with(&expected), "{}: {names:?}", case.place);
    }
}

#[test]
fn what_is_missing_is_named() {
    let _scene = Scene::new();
    let error = spanlight::emit_event("review.decided", json!({"desicion": "approved"})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`review.decided` needs `decision`: approved, rejected or revise; did you mean `decision` by `desicion`?"
    );
    let escalation = || json!({"attempts": 3});
    assert!(spanlight::emit_event("hitl.escalated", escalation()).is_err());
    let span = spanlight::agent_span!("scribe", task_id = "t-1");
    span.in_scope(|| spanlight::emit_event("hitl.escalated", escalation())).unwrap();
}
