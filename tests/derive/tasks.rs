//! Tasks: what is one, what it cost, how long it took and how often it was tried, however its spans arrive.

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::measure::Summary;

use super::scene::{Scene, agent, chat, failed, text, workflow};

/// Cost per task, seconds per task and retries per task.
fn outcome(summary: &Summary) -> (Option<f64>, Option<f64>, Option<f64>) {
    let rounded = |figure: Option<f64>| figure.map(|figure| (figure * 1e6).round() / 1e6);
    (rounded(summary.cost_per_feature), rounded(summary.time_to_completion), summary.average_retry_count)
}

fn of_task(mut span: Span, task: &str) -> Span {
    span.attributes.push(text("task_id", task));
    span
}

/// The same run of another trace.
fn of_trace(spans: &[Span], trace: u8) -> Vec<Span> {
    spans.iter().map(|span| Span { trace_id: vec![trace; 16], ..span.clone() }).collect()
}

/// A workflow of a minute with two agents and a quarter of a dollar each.
fn minute() -> [Span; 5] {
    [
        chat(3, 2, (1_000, 9_000), 100_000, 0),
        agent(2, 1, (500, 10_000), "researcher"),
        chat(5, 4, (11_000, 19_000), 100_000, 0),
        agent(4, 1, (10_500, 20_000), "writer"),
        workflow(1, 0, (0, 60_000)),
    ]
}

#[test]
fn spans_that_are_sent_as_they_end_are_one_task() {
    let mut at_once = Scene::new();
    at_once.arrive(&minute()).pass(600_000).finish();
    assert_eq!(outcome(&at_once.summary()), (Some(0.5), Some(60.0), None));
    let mut as_they_end = Scene::new();
    for span in minute() {
        as_they_end.arrive(&[span]).pass(10_000);
    }
    as_they_end.pass(600_000).finish();
    assert_eq!(outcome(&as_they_end.summary()), (Some(0.5), Some(60.0), None));
    let counted = as_they_end.counted();
    assert_eq!((counted.calls.get("researcher"), counted.calls.get("writer")), (Some(&1), Some(&1)), "{counted:?}");
}

#[test]
fn a_task_with_an_id_costs_what_is_below_it_in_any_order() {
    let run = [of_task(agent(1, 0, (0, 60_000), "writer"), "t1"), chat(2, 1, (10, 20), 100_000, 0)];
    for order in [[0, 1], [1, 0]] {
        let mut scene = Scene::new();
        for place in order {
            scene.arrive(&run[place..=place]).pass(100);
        }
        scene.pass(100_000);
        assert_eq!(outcome(&scene.summary()), (Some(0.25), Some(60.0), Some(0.0)), "{order:?}");
    }
}

#[test]
fn a_task_that_is_tried_again_is_completed_once() {
    let run = |trace: u8, error: bool| {
        let run = of_task(agent(1, 0, (0, 1_000), "writer"), "t1");
        let run = if error { failed(run, "Timeout", "took too long") } else { run };
        of_trace(&[chat(2, 1, (10, 20), 100_000, 0), run], trace)
    };
    let mut scene = Scene::new();
    for (trace, error) in [(1, true), (2, true), (3, false)] {
        scene.arrive(&run(trace, error)).pass(10_000);
    }
    let (cost, _, retries) = outcome(&scene.summary());
    assert_eq!((cost, retries), (Some(0.75), Some(2.0)));
}

#[test]
fn tasks_within_a_run_have_costs_of_their_own() {
    let mut scene = Scene::new();
    scene
        .arrive(&[
            chat(3, 2, (10, 20), 100_000, 0),
            of_task(agent(2, 1, (0, 30), "writer"), "t1"),
            chat(5, 4, (40, 50), 200_000, 0),
            of_task(agent(4, 1, (35, 60), "writer"), "t2"),
            workflow(1, 0, (0, 100)),
        ])
        .pass(10_000);
    for (task, millis) in [("t1", 200), ("t2", 400)] {
        let passed = format!(r#"{{"name":"validation.completed","task_id":"{task}","data":{{"passed":true}}}}"#);
        scene.json(&passed).pass(millis);
    }
    // The run itself is a task too: three, of 0.75, 0.25 and 0.5 dollars.
    assert_eq!(outcome(&scene.summary()).0, Some(0.5));
}
