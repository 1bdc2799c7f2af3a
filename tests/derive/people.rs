//! People who are asked: what agents wait for them is no work, however it is told.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::event::EventType;

use super::scene::{Scene, agent, span, text};

/// Seconds in which each agent was at work.
fn at_work(scene: &Scene) -> Vec<(String, f64)> {
    let day = Duration::from_secs(24 * 3600);
    let rows = scene.measured().summary_by(spanlight::measure::Dimension::Agent, day, scene.now);
    let seconds = |share: f64| (share * day.as_secs_f64() * 1e6).round() / 1e6;
    let mut found: Vec<(String, f64)> =
        rows.iter().filter_map(|row| Some((row.key.to_string(), seconds(row.summary.agent_utilization?)))).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A prompt of ten seconds, in which the user is asked for four, of which two are asked twice.
fn prompt() -> Vec<Span> {
    let phase = |kind: &str, more: Vec<KeyValue>| -> Vec<KeyValue> {
        [text("span.type", kind)].into_iter().chain(more).collect()
    };
    let asked = |id: u64, parent: u64, time: (u64, u64)| {
        let answer = vec![text("decision", "accept"), text("source", "user_temporary")];
        span(id, parent, time, "claude_code.tool.blocked_on_user", phase("tool.blocked_on_user", answer))
    };
    let tool = |id: u64, time: (u64, u64)| {
        let named = vec![text("gen_ai.tool.name", "Edit"), text("tool_use_id", &id.to_string())];
        span(id, 1, time, "claude_code.tool", phase("tool", named))
    };
    vec![
        asked(11, 10, (1_000, 4_000)),
        tool(10, (1_000, 5_000)),
        asked(21, 20, (2_000, 5_000)),
        tool(20, (2_000, 6_000)),
        span(1, 0, (0, 10_000), "claude_code.interaction", phase("interaction", vec![])),
    ]
}

#[test]
fn a_run_does_not_work_while_its_user_is_asked_even_if_that_is_told_late() {
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 4, 3, 0, 2]] {
        for patience in [10, 20_000] {
            let mut scene = Scene::new();
            for place in order {
                scene.arrive(&[prompt()[place].clone()]).pass(patience);
            }
            scene.pass(700_000);
            assert_eq!(at_work(&scene), [("claude-code".into(), 6.0)], "{order:?}, {patience} ms");
        }
    }
}

#[test]
fn runs_of_a_task_that_is_with_people_do_not_work_and_others_of_the_agent_do() {
    let of = |trace: u8, task: &str, mut span: Span| {
        span.trace_id = vec![trace; 16];
        span.attributes.push(text("task_id", task));
        span
    };
    let runs = [of(1, "t1", agent(1, 0, (0, 10_000), "scribe")), of(2, "t2", agent(2, 0, (8_000, 12_000), "scribe"))];
    let event = |name: &str, second: u64, decision: &str| {
        format!(r#"{{"name":"{name}","task_id":"t1","timestamp":"2026-11-21T12:00:0{second}Z","data":{{{decision}}}}}"#)
    };
    let told = [event("hitl.escalated", 2, ""), event("hitl.resolved", 9, r#""decision":"approved""#)];
    for before in [true, false] {
        let mut scene = Scene::new();
        scene.now = scene.now.plus(Duration::from_secs(20));
        if before {
            for event in &told {
                scene.json(event);
            }
        }
        scene.arrive(&runs).pass(60_000);
        if !before {
            for event in told.iter().rev() {
                scene.json(event);
            }
        }
        assert_eq!(at_work(&scene), [("scribe".into(), 6.0)], "{before}: two seconds, and four of the other run");
        assert_eq!(scene.summary().mean_human_wait, Some(7.0));
    }
}

#[test]
fn what_waits_for_people_is_not_lost_meanwhile() {
    let mut scene = Scene::new();
    scene.json(r#"{"name":"agent.started","agent":"scribe","task_id":"t"}"#);
    scene.json(r#"{"name":"hitl.escalated","task_id":"t"}"#).pass(30 * 60_000);
    assert_eq!(scene.deriver.running(), 1);
    scene.json(r#"{"name":"hitl.resolved","task_id":"t","data":{"decision":"approved"}}"#).pass(30_000);
    assert_eq!(scene.deriver.running(), 1);
    scene.pass(60_000);
    assert!(scene.out.events.iter().any(|event| event.event_type == EventType::Failed), "nothing more was heard of it");
}
