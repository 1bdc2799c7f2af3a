//! What programs say in the words of other systems is emitted as events of the catalogue.

#[path = "../data/references/cases.rs"]
mod cases;

use serde_json::{Value, json};

use crate::support::Scene;

#[test]
fn every_example_can_be_emitted() {
    let scene = Scene::new();
    let cases = cases::all();
    for case in &cases {
        let emitted = spanlight::emit_event(&case.name, case.rest.clone());
        emitted.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    }
    let events: Vec<Value> =
        scene.events().iter().map(|event| serde_json::from_str(&event.to_json()).unwrap()).collect();
    let mut rest = events.as_slice();
    for case in &cases {
        let (own, others) = rest.split_at(case.expected.len());
        for (event, expected) in own.iter().zip(&case.expected) {
            assert_eq!(event["name"], expected["name"], "{}", case.place);
        }
        rest = others;
    }
    assert!(rest.is_empty());
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
