//! What a call costs, and that it costs it once.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::measure::{self, Measure, Series};

use super::scene::{Scene, agent, attribute, bare_chat, chat, failed, int, nanodollars, text, tool, workflow};

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

#[test]
fn a_cost_that_the_emitter_reports_is_the_cost() {
    let reported = |costs: &[(&str, Value)]| {
        let mut call = chat(1, 0, (0, 10), 1000, 10);
        call.attributes.extend(costs.iter().map(|(key, value)| attribute(key, value.clone())));
        let mut scene = Scene::new();
        scene.arrive(&[call]).finish();
        let end = scene.out.events.iter().find(|event| event.name.as_str() == "llm.completed").unwrap();
        let source = end.data.get("price_source").unwrap().as_str().unwrap().to_owned();
        assert_eq!(end.performance.cost_usd.map(nanodollars), scene.totals().cost_usd.map(nanodollars));
        assert_eq!(scene.counted().cost, nanodollars(scene.totals().cost_usd.unwrap()));
        (scene.counted().cost, source)
    };
    let (own, table) = ((1_000_000, "reported".to_owned()), (2_600_000, "genai-prices".to_owned()));
    for key in [
        "litellm.cost.total",
        "gen_ai.cost.total_cost",
        "llm.cost.total",
        "operation.cost",
        "gen_ai.usage.cost",
        "mlflow.llm.cost.total_cost",
    ] {
        assert_eq!(reported(&[(key, Value::DoubleValue(0.001))]), own, "{key}");
    }
    assert_eq!(reported(&[("gen_ai.usage.cost", Value::StringValue("0.001".into()))]), own);
    let two = [("gen_ai.usage.cost", Value::DoubleValue(7.0)), ("operation.cost", Value::DoubleValue(0.001))];
    assert_eq!(reported(&two), own, "in the order of the conventions");
    for none in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(reported(&[("gen_ai.usage.cost", Value::DoubleValue(none))]), table, "{none}");
    }
    assert_eq!(reported(&[("github.copilot.cost", Value::DoubleValue(1.0))]), table, "credits are no dollars");
}

#[test]
fn a_reported_cost_prices_what_no_table_knows_and_only_calls() {
    let mut call = bare_chat(2, 1, (10, 20));
    call.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
    call.attributes.push(attribute("gen_ai.usage.cost", Value::DoubleValue(0.25)));
    let mut above = agent(1, 0, (0, 30), "writer");
    above.attributes.push(attribute("gen_ai.usage.cost", Value::DoubleValue(0.25)));
    let mut scene = Scene::new();
    scene.arrive(&[call, above]).finish();
    let totals = scene.totals();
    assert_eq!((totals.cost_usd, totals.unpriced_calls, totals.llm_calls), (Some(0.25), 0, 1));
}

#[test]
fn a_model_that_nobody_named_as_answering_is_no_response_model() {
    let attributes_of = |call: Span| {
        let mut scene = Scene::new();
        scene.arrive(&[call]).finish();
        let mut measure = Measure::new(scene.now);
        scene.out.facts.iter().for_each(|fact| measure.fact(fact, scene.now));
        let families = measure.snapshot(&[]);
        let value = move |metric: &str, key: &str| {
            let mut families = families.iter().map(|counted| &counted.family);
            let series = families.find(|family| &*family.name == metric).map(|family| &family.series[0])?;
            let attribute = series.attributes.iter().find(|(name, _)| &**name == key)?;
            Some(attribute.1.to_string())
        };
        let metrics = ["token.usage", "operation.duration", "operation.time_to_first_chunk"];
        let answered = metrics.map(|metric| value(&format!("gen_ai.client.{metric}"), "gen_ai.response.model"));
        (answered, value("gen_ai.client.token.usage", "gen_ai.request.model"), value("agent.cost.usd", "model"))
    };
    let ttft = attribute("gen_ai.response.time_to_first_chunk", Value::DoubleValue(0.5));
    let mut call = chat(1, 0, (0, 10), 1000, 10);
    call.attributes.push(ttft);
    let asked = Some("gpt-4o".to_owned());
    assert_eq!(attributes_of(call.clone()), ([None, None, None], asked.clone(), asked.clone()));
    call.attributes.push(text("gen_ai.response.model", "gpt-4o-2024-08-06"));
    let answered = Some("gpt-4o-2024-08-06".to_owned());
    let all = [answered.clone(), answered.clone(), answered.clone()];
    assert_eq!(attributes_of(call.clone()), (all.clone(), asked, answered.clone()));
    call.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
    assert_eq!(attributes_of(call), (all, answered.clone(), answered), "it is the only name it has");
}

#[test]
fn input_is_told_apart_by_the_cache_it_came_from() {
    let mut call = chat(1, 0, (0, 10), 1000, 10);
    call.attributes.push(int("gen_ai.usage.cache_read.input_tokens", 600));
    call.attributes.push(int("gen_ai.usage.cache_creation.input_tokens", 100));
    let mut scene = Scene::new();
    scene.arrive(&[call, chat(2, 0, (0, 10), 50, 10)]).finish();
    let counted = scene.measured().snapshot(&[]);
    let family =
        counted.iter().map(|counted| &counted.family).find(|family| &*family.name == "agent.input.tokens").unwrap();
    let tokens = |cache: &str| {
        let is_it =
            |series: &&Series| series.attributes.iter().any(|(key, value)| &**key == "cache" && &**value == cache);
        family.series.iter().find(is_it).map(|series| series.value.clone())
    };
    let expected = [("read", 600.0), ("write", 100.0), ("none", 350.0)];
    for (cache, amount) in expected {
        assert_eq!(tokens(cache), Some(measure::Value::Number(amount)), "{cache}");
    }
}
