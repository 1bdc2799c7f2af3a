//! What waits for what, and for how long.

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::RunStatus;
use spanlight::event::Status;

use super::scene::{Scene, agent, chat, span, tool, workflow};

#[test]
fn events_wait_half_a_second_for_the_spans_above() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(3, 2, (10, 20), 100, 10)]).pass(400);
    assert!(scene.names().is_empty());
    scene.arrive(&[agent(2, 0, (0, 30), "writer")]);
    let agents: Vec<_> = scene.out.events.iter().map(|event| event.dimensions.agent.clone()).collect();
    assert!(agents.iter().all(|agent| agent.as_deref() == Some("writer")), "{agents:?}");
    assert_eq!(scene.names(), ["agent.started", "llm.started", "llm.completed", "agent.completed"]);
}

#[test]
fn events_do_not_wait_for_ever() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(3, 2, (10, 20), 100, 10)]).pass(501);
    assert_eq!(scene.names(), ["llm.started", "llm.completed"]);
    scene.arrive(&[agent(2, 0, (0, 30), "writer")]).pass(10_000);
    assert_eq!(scene.names(), ["agent.started", "agent.completed"]);
}

#[test]
fn work_enters_the_counters_when_its_run_is_over_or_its_surroundings_are_known() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 1, (10, 20), 100, 10), agent(1, 0, (0, 30), "writer")]).pass(1_900);
    assert_eq!(scene.counted().calls.len(), 0);
    scene.pass(200);
    assert_eq!(scene.counted().calls["writer"], 1, "two quiet seconds after its root, a run is over");

    let mut scene = Scene::new();
    scene.arrive(&[chat(3, 2, (10, 20), 100, 10)]).pass(60_000);
    assert_eq!(scene.counted().calls.len(), 0);
    scene.arrive(&[agent(2, 0, (0, 60_000), "writer"), chat(4, 2, (10, 20), 100, 10)]).pass(1_000);
    assert_eq!(scene.counted().calls.len(), 0);
    scene.pass(4_100);
    assert_eq!(scene.counted().calls["writer"], 2, "what waited is counted for the agent it belongs to");

    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 1, (10, 20), 100, 10)]).pass(299_000);
    assert_eq!(scene.counted().calls.len(), 0);
    scene.pass(2_000);
    assert_eq!(scene.counted().calls["-"], 1, "nobody waits for ever");
}

#[test]
fn a_deeper_call_that_comes_too_late_is_corrected_and_not_counted_twice() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 1, (10, 20), 1000, 0), agent(1, 0, (0, 30), "writer")]).pass(10_000);
    assert_eq!((scene.counted().cost, scene.counted().overcounted), (2_500_000, 0));
    scene.arrive(&[chat(3, 2, (11, 19), 1000, 0)]).pass(10_000);
    let counted = scene.counted();
    assert_eq!(counted.cost - counted.overcounted, 2_500_000, "{counted:?}");
    assert_eq!(scene.totals().llm_calls, 1);
}

#[test]
fn a_run_without_a_root_is_lost_after_ten_minutes() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 1, (10, 20), 100, 10)]).pass(599_000);
    assert_eq!(scene.deriver.running(), 1);
    scene.pass(2_000);
    assert_eq!(scene.deriver.running(), 0);
    assert_eq!(scene.totals().llm_calls, 1, "its calls count all the same");
}

#[test]
fn a_run_comes_back_to_life_with_a_late_span() {
    let mut scene = Scene::new();
    scene.arrive(&[agent(2, 1, (0, 30), "writer"), workflow(1, 0, (0, 40))]).pass(10_000);
    assert!(!scene.deriver.is_provisional());
    scene.arrive(&[tool(3, 2, (10, 20), "search")]);
    assert!(scene.deriver.is_provisional());
    scene.pass(10_000);
    assert_eq!((scene.deriver.is_provisional(), scene.totals().tool_calls), (false, 1));
    let run = &scene.deriver.summaries(|_| true)[0];
    assert_eq!(run.status, RunStatus::Completed);
}

#[test]
fn what_is_open_when_the_program_stops_is_told() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(2, 1, (10, 20), 100, 10)]).finish();
    assert_eq!(scene.names(), ["llm.started", "llm.completed"]);
    assert_eq!(scene.counted().calls["-"], 1);
    assert!(scene.out.events.iter().all(|event| event.status != Status::Lost));
}

#[test]
fn work_below_a_parent_that_reports_elsewhere_ends_as_it_ended() {
    let mut scene = Scene::new();
    scene.arrive(&[agent(2, 1, (0, 30), "writer")]).pass(700_000);
    let run = &scene.deriver.summaries(|_| true)[0];
    assert_eq!((run.status, scene.deriver.running()), (RunStatus::Completed, 0));
    // A span that says that its parent is in another process is not waited for.
    let mut scene = Scene::new();
    scene.arrive(&[Span { flags: 0x301, ..agent(2, 1, (0, 30), "writer") }]);
    assert_eq!(scene.deriver.running(), 0);
    scene.pass(3_000);
    assert_eq!(scene.counted().agents["writer"], 1);
}

#[test]
fn what_is_lost_says_what_it_was() {
    let mut scene = Scene::new();
    scene
        .json(r#"{"name":"agent.started","agent":"writer","task_id":"t1","feature":"login","execution_id":"e"}"#)
        .pass(61_000);
    let lost = scene.out.events.iter().find(|event| event.name.as_str() == "agent.failed").unwrap();
    assert_eq!((lost.status, lost.component_id.to_string()), (Status::Lost, "writer".to_owned()));
    assert_eq!(lost.identity.task_id.as_deref(), Some("t1"));
    assert_eq!(lost.dimensions.feature.as_deref(), Some("login"));
}

#[test]
fn a_root_that_ended_decides_though_work_below_it_never_did() {
    let status_below = |root: Span| {
        let mut scene = Scene::new();
        scene.json(
            r#"{"name":"agent.started","agent":"writer","trace_id":"01010101010101010101010101010101",
                "span_id":"0000000000000002","parent_span_id":"0000000000000001"}"#,
        );
        scene.arrive(&[root]).pass(120_000);
        let lost = scene.out.events.iter().filter(|event| event.status == Status::Lost).count();
        assert_eq!(lost, 1, "of the agent it is told");
        scene.deriver.summaries(|_| true)[0].status
    };
    assert_eq!(status_below(workflow(1, 0, (0, 40))), RunStatus::Completed);
    assert_eq!(
        status_below(span(1, 0, (0, 40), "POST /plan", vec![])),
        RunStatus::Lost,
        "a root that knows of no agents"
    );
}
