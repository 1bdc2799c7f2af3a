//! What only an agent tells of its calls counts; what it adds up of those below does not.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::cost::{By, Figures};

use super::scene::{Scene, agent, attribute, bare_chat, chat, int, nanodollars, text, tool, workflow};

/// The agent, which tells what its calls of gpt-4o took.
fn telling(mut agent: Span, input: i64, output: i64) -> Span {
    agent.attributes.extend([
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o"),
        int("gen_ai.usage.input_tokens", input),
        int("gen_ai.usage.output_tokens", output),
    ]);
    agent
}

fn reported(mut agent: Span, usd: f64) -> Span {
    agent.attributes.push(attribute("gen_ai.usage.cost", Value::DoubleValue(usd)));
    agent
}

/// The figures of spans that arrive together, which are also what was counted.
fn figures(spans: &[Span]) -> Figures {
    let mut scene = Scene::new();
    scene.arrive(spans).finish();
    let (totals, counted) = (scene.totals(), scene.counted());
    assert_eq!(counted.input_tokens, totals.input_tokens.unwrap_or(0));
    totals
}

fn told(spans: &[Span]) -> (u64, Option<u64>, Option<i64>) {
    let totals = figures(spans);
    (totals.llm_calls, totals.input_tokens, totals.cost_usd.map(nanodollars))
}

#[test]
fn tokens_that_only_an_agent_tells_count_and_have_a_price() {
    let mut scene = Scene::new();
    scene.arrive(&[tool(2, 1, (10, 20), "search"), telling(agent(1, 0, (0, 100), "writer"), 1000, 10)]).finish();
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.input_tokens, totals.output_tokens), (0, Some(1000), Some(10)));
    assert_eq!((totals.cost_usd.map(nanodollars), scene.counted().cost), (Some(2_600_000), 2_600_000));
    let end = scene.out.events.iter().find(|event| event.name.as_str() == "agent.completed").unwrap();
    let said = |key: &str| end.data.get(key).map(|value| value.to_string());
    assert_eq!(said("usage_promoted").as_deref(), Some("true"));
    assert_eq!(said("total_tokens").as_deref(), Some("1010"));
    assert_eq!(
        (end.performance.input_tokens, end.performance.cost_usd.map(nanodollars)),
        (Some(1000), Some(2_600_000))
    );
    let report = scene.deriver.ledger(By::Model, None);
    let row = report.rows.iter().find(|row| &*row.key == "gpt-4o").unwrap();
    assert_eq!((row.making.promoted, row.making.lines.len(), row.making.left_out.len()), (1, 1, 0));
    let calls = scene.deriver.calls(&"01".repeat(16)).unwrap();
    assert_eq!(calls.iter().map(|call| (call.operation, call.counts)).collect::<Vec<_>>(), [("invoke_agent", true)]);
}

#[test]
fn what_a_call_tells_is_not_told_again() {
    let outer = telling(agent(1, 0, (0, 100), "writer"), 3000, 10);
    let own = chat(2, 1, (10, 20), 1000, 10);
    assert_eq!(told(&[own, outer.clone()]), (1, Some(1000), Some(2_600_000)));
    let by_another = [chat(4, 3, (20, 30), 1000, 10), agent(3, 2, (15, 40), "critic"), tool(2, 1, (10, 50), "ask")];
    assert_eq!(told(&[&by_another[..], std::slice::from_ref(&outer)].concat()), (1, Some(1000), Some(2_600_000)));
    assert_eq!(told(&[bare_chat(2, 1, (10, 20)), outer]), (1, Some(3000), Some(7_600_000)), "it tells no tokens");
}

#[test]
fn the_outermost_of_agents_tells() {
    let inner = telling(agent(2, 1, (10, 50), "critic"), 1000, 10);
    assert_eq!(told(&[inner.clone(), agent(1, 0, (0, 100), "writer")]), (0, Some(1000), Some(2_600_000)));
    let outer = telling(agent(1, 0, (0, 100), "writer"), 3000, 10);
    assert_eq!(told(&[inner.clone(), outer]), (0, Some(3000), Some(7_600_000)));
    // Of the cost one agent knows more, of the tokens the other.
    let outer = reported(agent(1, 0, (0, 100), "writer"), 0.5);
    assert_eq!(told(&[inner, outer]), (0, Some(1000), Some(500_000_000)));
}

#[test]
fn calls_beside_an_agent_may_be_its_own() {
    let writer = telling(agent(2, 1, (10, 50), "writer"), 1000, 10);
    let beside = chat(3, 1, (20, 30), 1000, 10);
    assert_eq!(told(&[beside, writer.clone(), workflow(1, 0, (0, 100))]), (1, Some(1000), Some(2_600_000)));
    let of_another = [chat(4, 3, (60, 70), 500, 0), agent(3, 1, (55, 80), "critic")];
    let spans = [&of_another[..], &[writer, workflow(1, 0, (0, 100))]].concat();
    assert_eq!(told(&spans), (1, Some(1500), Some(3_850_000)));
}

#[test]
fn a_cost_goes_before_prices_and_a_model_without_one_is_told() {
    let writer = telling(agent(1, 0, (0, 100), "writer"), 1000, 10);
    assert_eq!(
        told(&[reported(telling(agent(1, 0, (0, 100), "writer"), 1000, 10), 0.5)]),
        (0, Some(1000), Some(500_000_000))
    );
    let mut unknown = writer;
    unknown.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
    unknown.attributes.push(text("gen_ai.request.model", "our-own-model-7b"));
    let figures = figures(std::slice::from_ref(&unknown));
    assert_eq!((figures.cost_usd, figures.input_tokens, figures.unpriced_calls), (None, Some(1000), 1));
}

#[test]
fn a_call_that_comes_late_counts_instead() {
    let mut scene = Scene::new();
    scene.arrive(&[telling(agent(1, 0, (0, 100), "writer"), 1000, 10)]).pass(6_000);
    assert_eq!(scene.counted().cost, 2_600_000);
    scene.arrive(&[chat(2, 1, (10, 20), 500, 0)]).pass(400_000);
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.input_tokens), (1, Some(500)));
    assert_eq!(totals.cost_usd.map(nanodollars), Some(1_250_000));
    assert_eq!((scene.counted().cost, scene.counted().overcounted), (3_850_000, 2_600_000));
}

#[test]
fn an_event_tells_it_as_a_span_does() {
    let mut scene = Scene::new();
    scene.json(
        r#"{"name":"agent.completed","agent":"writer","execution_id":"e","model":"gpt-4o","provider":"openai",
        "performance":{"input_tokens":1000,"output_tokens":10}}"#,
    );
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.input_tokens), (0, Some(1000)));
    assert_eq!(totals.cost_usd.map(nanodollars), Some(2_600_000));
}
