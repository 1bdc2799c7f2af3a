//! What is stated of spending: at once, and put right with whatever turns up later.

use opentelemetry_proto::tonic::common::v1::ArrayValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanlight::derive::{Limits, Settings, Statement, Whose};

use super::scene::{Scene, agent, attribute, chat, nanodollars, span, text, tool};

fn scene_with(limits: Limits) -> Scene {
    Scene::of(Settings { states_spending: true, limits, ..Settings::default() })
}

fn scene() -> Scene {
    scene_with(Limits::default())
}

/// What is stated of the changes since the last time.
fn statements(scene: &mut Scene) -> Vec<Statement> {
    let mut stated = Vec::new();
    scene.deriver.statements(scene.now, |statement| stated.push(statement));
    stated
}

/// The only statement.
fn statement(scene: &mut Scene) -> Statement {
    let mut stated = statements(scene);
    assert_eq!(stated.len(), 1, "{stated:?}");
    stated.remove(0)
}

fn spent(statement: &Statement) -> i64 {
    statement.costs.iter().map(|cost| nanodollars(cost.usd)).sum()
}

#[test]
fn a_call_is_stated_as_soon_as_it_is_here_and_put_down_to_those_who_come_later() {
    let mut scene = scene();
    let mut work = agent(1, 0, (0, 100), "writer");
    let tags = [text("", "nightly"), text("", "eu")].map(|tag| tag.value.unwrap_or_default());
    work.attributes.extend([
        text("feature", "checkout"),
        text("user.id", "ada"),
        attribute("langfuse.trace.tags", Value::ArrayValue(ArrayValue { values: tags.to_vec() })),
    ]);
    let stated = statement(scene.arrive(&[chat(3, 2, (20, 50), 1000, 10)]));
    assert_eq!((spent(&stated), stated.costs[0].whose.agent.as_deref()), (2_600_000, None));
    let stated = statement(scene.arrive(&[tool(2, 1, (10, 60), "ask"), work]));
    let name = |text: &str| Some(text.into());
    let whose = Whose {
        feature: name("checkout"),
        agent: name("writer"),
        model: name("gpt-4o"),
        provider: name("openai"),
        tool: name("ask"),
        user: name("ada"),
        tags: Some(["nightly".into(), "eu".into()].into()),
    };
    assert_eq!((spent(&stated), &stated.costs[0].whose), (2_600_000, &whose));
    assert!(statements(&mut scene).is_empty());
}

#[test]
fn a_call_that_a_deeper_one_tells_better_is_no_longer_stated() {
    let mut scene = scene();
    assert_eq!(spent(&statement(scene.arrive(&[chat(2, 1, (10, 60), 2000, 20)]))), 5_200_000);
    scene.pass(6000);
    let stated = statement(scene.arrive(&[chat(3, 2, (20, 50), 1000, 10)]));
    assert_eq!((spent(&stated), stated.costs.len()), (2_600_000, 1));
}

#[test]
fn what_an_agent_says_that_it_cost_is_stated_until_a_call_of_it_has_a_price() {
    let mut scene = scene();
    scene.json(
        r#"{"name":"agent.completed","agent":"writer","trace_id":"01010101010101010101010101010101",
            "span_id":"0000000000000001","performance":{"cost_usd":0.5}}"#,
    );
    assert_eq!(spent(&statement(&mut scene)), 500_000_000);
    assert_eq!(spent(&statement(scene.arrive(&[chat(2, 1, (10, 60), 1000, 10)]))), 2_600_000);
}

#[test]
fn calls_that_go_on_are_stated_until_they_end() {
    let mut scene = scene();
    scene.json(
        r#"{"name":"llm.started","agent":"writer","model":"gpt-4o","trace_id":"01010101010101010101010101010101",
            "span_id":"0000000000000002"}"#,
    );
    let stated = statement(&mut scene);
    assert_eq!((stated.open.len(), stated.open[0].model.as_deref()), (1, Some("gpt-4o")));
    let stated = statement(scene.arrive(&[chat(2, 0, (10, 60), 1000, 10)]));
    assert_eq!((stated.open.len(), spent(&stated)), (0, 2_600_000));
}

#[test]
fn a_run_that_leaves_memory_is_stated_for_the_last_time() {
    let mut scene = scene_with(Limits { spans: 2, ..Limits::default() });
    scene.arrive(&[chat(1, 0, (10, 60), 1000, 10)]).pass(5000);
    let first = statement(&mut scene).run;
    let mut others = [span(7, 0, (0, 1), "x", vec![]), span(8, 0, (0, 1), "x", vec![])];
    others.iter_mut().for_each(|span| span.trace_id = vec![2; 16]);
    let stated = statements(scene.arrive(&others));
    let of_first: Vec<_> = stated.iter().filter(|stated| stated.run == first).collect();
    assert!(of_first[0].is_last && spent(of_first[0]) == 2_600_000, "{stated:?}");
}

#[test]
fn long_runs_are_looked_through_now_and_then() {
    let mut scene = scene();
    let calls: Vec<_> = (0..300).map(|at| chat(at + 2, 1, (at, at + 1), 1000, 10)).collect();
    scene.arrive(&calls);
    assert_eq!(spent(&statement(&mut scene)), 300 * 2_600_000);
    scene.arrive(&[chat(9001, 1, (10, 60), 1000, 10)]);
    assert!(statements(&mut scene).is_empty());
    scene.pass(100);
    assert_eq!(spent(&statement(&mut scene)), 301 * 2_600_000);
}

#[test]
fn nothing_is_stated_unless_somebody_keeps_budgets() {
    let mut scene = Scene::new();
    scene.arrive(&[chat(1, 0, (10, 60), 1000, 10)]);
    assert!(statements(&mut scene).is_empty());
}
