//! What a call costs, and that it costs it once.

use super::scene::{Scene, agent, bare_chat, chat, failed, int, nanodollars, text, tool, workflow};

#[test]
fn the_deepest_span_with_tokens_bills() {
    let mut scene = Scene::new();
    let mut reporting_agent = agent(1, 0, (0, 100), "writer");
    reporting_agent.attributes.extend([int("gen_ai.usage.input_tokens", 2000), int("gen_ai.usage.output_tokens", 20)]);
    scene.arrive(&[
        chat(4, 3, (30, 40), 1000, 10),
        chat(3, 2, (20, 50), 1000, 10),
        chat(2, 1, (10, 60), 1000, 10),
        reporting_agent,
    ]);
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.input_tokens, totals.output_tokens), (1, Some(1000), Some(10)));
    assert_eq!(nanodollars(totals.cost_usd.unwrap()), 2_600_000);
}

#[test]
fn a_span_without_tokens_below_one_with_tokens_is_not_another_call() {
    let mut scene = Scene::new();
    scene.arrive(&[bare_chat(3, 2, (20, 50)), chat(2, 1, (10, 60), 1000, 10), agent(1, 0, (0, 100), "writer")]);
    assert_eq!(scene.totals().llm_calls, 1);
}

#[test]
fn an_unknown_price_is_no_price_and_never_zero() {
    let mut scene = Scene::new();
    let mut call = chat(1, 0, (0, 10), 1000, 10);
    call.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
    call.attributes.push(text("gen_ai.request.model", "our-own-model-7b"));
    scene.arrive(&[call]);
    let totals = scene.totals();
    assert_eq!((totals.cost_usd, totals.unpriced_calls, totals.llm_calls), (None, 1, 1));
}

#[test]
fn failed_calls_are_failures_and_not_calls() {
    let mut scene = Scene::new();
    let call = failed(bare_chat(2, 1, (10, 20)), "RateLimitError", "429");
    let lookup = failed(tool(3, 1, (30, 40), "search"), "TimeoutError", "took too long");
    scene.arrive(&[call, lookup, failed(agent(1, 0, (0, 50), "writer"), "RateLimitError", "gave up")]).finish();
    let totals = scene.totals();
    assert_eq!((totals.llm_calls, totals.llm_failed, totals.unpriced_calls), (0, 1, 0));
    assert_eq!((totals.tool_calls, totals.tool_failed), (1, 1));
    assert_eq!((totals.agent_runs, totals.agent_failed), (1, 1));
    let failures = scene.out.events.iter().filter(|event| event.name.as_str().ends_with(".failed"));
    assert!(failures.clone().all(|event| event.message.as_deref().is_some_and(|message| !message.is_empty())));
    assert_eq!(failures.count(), 3);
}

#[test]
fn an_agent_that_calls_an_agent_owns_only_its_own_calls() {
    let mut scene = Scene::new();
    scene
        .arrive(&[
            chat(4, 3, (30, 40), 1000, 0),
            agent(3, 2, (20, 50), "critic"),
            chat(5, 2, (60, 70), 2000, 0),
            agent(2, 1, (10, 80), "writer"),
            workflow(1, 0, (0, 100)),
        ])
        .finish();
    let report = scene.deriver.ledger(spanlight::derive::cost::By::Agent, None);
    let of = |agent: &str| report.rows.iter().find(|row| &*row.key == agent).unwrap().figures.input_tokens;
    assert_eq!((of("critic"), of("writer")), (Some(1000), Some(2000)));
    let ends = |name: &str| scene.out.events.iter().filter(|event| event.name.as_str() == name).collect::<Vec<_>>();
    let total = ends("workflow.completed")[0].performance.cost_usd.unwrap();
    assert_eq!(nanodollars(total), 7_500_000, "a workflow's end tells what everything below cost");
}
