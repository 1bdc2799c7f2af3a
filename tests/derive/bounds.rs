//! Memory is bounded, and what leaves it is not forgotten.

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::Limits;
use spanlight::derive::cost::By;

use super::scene::{Scene, agent, chat, rounded};

/// A run of two spans, of a trace of its own.
fn run(trace: u32) -> [Span; 2] {
    [chat(2, 1, (10, 20), 1000, 10), agent(1, 0, (0, 30), "writer")].map(|mut span| {
        span.trace_id = [&[7; 12], &trace.to_be_bytes()[..]].concat();
        span
    })
}

#[test]
fn totals_stay_right_while_runs_leave_memory() {
    let mut scene = Scene::with(Limits { spans: 100, ..Limits::default() });
    for trace in 1..=1000 {
        scene.arrive(&run(trace)).pass(100);
        assert!(scene.deriver.in_memory().0 <= 100);
    }
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.agent_runs), (1000, 1000));
    assert_eq!((totals.input_tokens, totals.output_tokens), (Some(1_000_000), Some(10_000)));
    assert_eq!(rounded(scene.deriver.totals()), totals);
    let by_agent = scene.deriver.ledger(By::Agent, None);
    assert_eq!(rounded(by_agent.rows[0].figures.clone()), totals);
    let counts = scene.deriver.counts();
    assert_eq!(counts.runs_cut_short, 0);
    assert_eq!(counts.runs_evicted as usize + scene.deriver.in_memory().1, 1000);
    scene.finish();
    assert_eq!(scene.counted().calls["writer"], 1000);
    assert_eq!(scene.tally()["llm.completed"], 1000);
}

#[test]
fn agents_without_a_row_of_their_own_are_counted() {
    let mut scene = Scene::with(Limits { spans: 2, ..Limits::default() });
    for trace in 1..=10_100u32 {
        let mut span = agent(1, 0, (0, 30), &format!("agent {trace}"));
        span.trace_id = [&[7; 12], &trace.to_be_bytes()[..]].concat();
        scene.arrive(&[span]);
    }
    let overflow = scene.deriver.counts().ledger_overflow;
    assert!((90..=100).contains(&overflow), "{overflow}");
    assert_eq!(scene.totals().agent_runs, 10_100);
}

#[test]
fn work_of_a_clock_that_is_ahead_is_of_today() {
    let mut scene = Scene::with(Limits { spans: 10, ..Limits::default() });
    for trace in 1..=1000u32 {
        let time = u64::from(trace) * 7_200_000;
        let mut span = agent(1, 0, (time, time + 30), "a");
        span.trace_id = [&[7; 12], &trace.to_be_bytes()[..]].concat();
        scene.arrive(&[span]);
    }
    let days = scene.deriver.ledger(By::Day, None);
    let today = days.rows.iter().find(|row| *row.key == *"2026-11-21").unwrap();
    assert!(today.figures.agent_runs >= 990, "{days:?}");
    assert_eq!(days.totals.agent_runs, 1000);
}

#[test]
fn runs_that_are_not_over_leave_too_and_are_counted() {
    let mut scene = Scene::with(Limits { spans: 10, ..Limits::default() });
    for trace in 1..=20 {
        scene.arrive(&run(trace)[..1]);
    }
    assert!(scene.deriver.in_memory().0 <= 10);
    assert!(scene.deriver.counts().runs_cut_short > 0);
    scene.finish();
    assert_eq!(scene.totals().llm_calls, 20);
    assert_eq!(scene.tally()["llm.completed"], 20, "what left early was told when it left");
}

#[test]
fn one_endless_run_does_not_grow_without_bound() {
    let mut scene = Scene::with(Limits { spans: 1000, ..Limits::default() });
    for first in (0..20_000).step_by(100) {
        let calls: Vec<Span> = (first..first + 100).map(|id| chat(id + 10, 1, (10, 20), 10, 1)).collect();
        scene.arrive(&calls).pass(10);
        assert!(scene.deriver.in_memory().0 <= 1000, "{:?}", scene.deriver.in_memory());
    }
    scene.finish();
    assert_eq!(scene.totals().llm_calls, 20_000);
    assert_eq!(scene.tally()["llm.completed"], 20_000);
}

#[test]
fn a_window_looks_at_when_work_ended() {
    let mut scene = Scene::with(Limits { spans: 10, ..Limits::default() });
    for trace in 1..=20 {
        scene.arrive(&run(trace)).pass(10_000);
    }
    let since = |minutes: u64| scene.now.minus(std::time::Duration::from_secs(minutes * 60));
    assert_eq!(scene.deriver.ledger(By::Model, Some(since(60))).totals.llm_calls, 20);
    scene.pass(3 * 3_600_000);
    let since = scene.now.minus(std::time::Duration::from_secs(3600));
    assert_eq!(scene.deriver.ledger(By::Model, Some(since)).totals.llm_calls, 0);
    assert_eq!(scene.totals().llm_calls, 20);
}

#[test]
fn hostile_depth_and_cycles_end() {
    let mut scene = Scene::new();
    let deep: Vec<Span> = (1..5000).map(|id| agent(id, id - 1, (id, 20_000 - id), &format!("a{id}"))).collect();
    scene.arrive(&deep).pass(10_000);
    assert_eq!(scene.totals().agent_runs, 4999);
    let circle: Vec<Span> = (1..10)
        .map(|id| {
            let mut span = agent(id, if id == 9 { 1 } else { id + 1 }, (0, 10), &format!("a{id}"));
            span.trace_id = vec![2; 16];
            span
        })
        .collect();
    scene.arrive(&circle).pass(700_000);
    assert!(scene.deriver.tree(&"02".repeat(16)).is_some());
    let own_parent = Span { trace_id: vec![3; 16], ..agent(1, 1, (0, 10), "a") };
    scene.arrive(&[own_parent]).pass(700_000).finish();
    assert!(scene.deriver.tree(&"03".repeat(16)).is_some());
}
