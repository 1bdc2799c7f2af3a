//! How costs are made, and that the ledger says so.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlight::derive::cost::{By, Overrides, Policy, PriceSettings, PriceSource, Reason, Report};
use spanlight::derive::{Limits, Settings};

use super::scene::{Scene, agent, attribute, bare_chat, chat, int, nanodollars, span, text};

/// A call of a model at a time of its own: the hour since the beginning of the scene.
fn call(id: u64, parent: u64, model: &str, usage: &[(&str, i64)]) -> Span {
    let mut call = bare_chat(id, parent, (10, 20));
    call.attributes.retain(|attribute| attribute.key == "gen_ai.operation.name");
    call.attributes.push(text("gen_ai.request.model", model));
    call.attributes.extend(usage.iter().map(|(key, count)| int(&format!("gen_ai.usage.{key}"), *count)));
    call
}

fn reported(mut call: Span, usd: f64) -> Span {
    call.attributes.push(attribute("gen_ai.usage.cost", Value::DoubleValue(usd)));
    call
}

fn with(prices: PriceSettings, spans: &[Span]) -> Scene {
    let mut scene = Scene::of(Settings { prices, ..Settings::default() });
    scene.arrive(spans);
    scene
}

fn by_model(scene: &Scene) -> Report {
    scene.deriver.ledger(By::Model, None)
}

/// The parts of each line of an explanation: what, how much, and nanodollars.
fn parts(report: &Report) -> Vec<Vec<(&'static str, u64, i64)>> {
    let lines = report.making.lines.iter();
    lines
        .map(|line| line.rates.items(&line.amounts).map(|i| (i.part.as_str(), i.amount, nanodollars(i.usd))).collect())
        .collect()
}

#[test]
fn the_conformance_vector_is_made_of_its_parts() {
    let usage = [
        ("input_tokens", 130_213),
        ("cache_read.input_tokens", 128_955),
        ("cache_write.input_tokens", 1253),
        ("output_tokens", 10),
    ];
    let scene = with(PriceSettings::default(), &[call(1, 0, "claude-sonnet-4-5", &usage)]);
    let report = by_model(&scene);
    assert_eq!(nanodollars(report.totals.cost_usd.unwrap()), 43_550_250);
    let expected = [
        ("uncached_input", 5, 15_000),
        ("cache_read", 128_955, 38_686_500),
        ("cache_write", 1253, 4_698_750),
        ("output", 10, 150_000),
    ];
    assert_eq!(parts(&report), [expected]);
    let rates = &report.making.lines[0].rates;
    assert_eq!((rates.source, &*rates.model), (PriceSource::Table, "claude-sonnet-4-5"));
    assert_eq!(report.making.counting, [1, 0, 0]);
}

#[test]
fn each_call_has_the_price_of_its_own_time() {
    let at = |id: u64, date: &str| {
        let nanos = spanlight::event::Timestamp::parse(date).unwrap().as_unix_nanos();
        let mut call = call(id, 0, "o3", &[("input_tokens", 1_000_000), ("output_tokens", 0)]);
        call.trace_id = vec![id as u8; 16];
        (call.start_time_unix_nano, call.end_time_unix_nano) = (nanos - 1_000_000, nanos);
        call
    };
    let scene = with(PriceSettings::default(), &[at(1, "2025-06-09T23:00:00Z"), at(2, "2025-06-10T01:00:00Z")]);
    assert_eq!(scene.totals().cost_usd, Some(12.0));
    assert_eq!(by_model(&scene).making.lines.len(), 2);
}

#[test]
fn what_is_reported_and_what_it_comes_to_stand_beside_one_another() {
    let spans = [reported(chat(1, 0, (0, 10), 1000, 10), 0.002), chat(2, 0, (20, 30), 1000, 10)];
    for (policy, usd, lines) in [(Policy::Reported, 4_600_000, 2), (Policy::Recompute, 5_200_000, 1)] {
        let scene = with(PriceSettings { policy, ..PriceSettings::default() }, &spans);
        let report = by_model(&scene);
        assert_eq!(nanodollars(report.totals.cost_usd.unwrap()), usd);
        assert_eq!(report.making.lines.len(), lines);
        let compared = report.totals.compared;
        let usd = (nanodollars(compared.reported_usd), nanodollars(compared.computed_usd));
        assert_eq!((compared.calls, usd), (1, (2_000_000, 2_600_000)));
        assert_eq!(report.rows[0].figures.compared, compared);
    }
}

#[test]
fn a_reported_zero_does_not_hide_a_price() {
    let scene = with(PriceSettings::default(), &[reported(chat(1, 0, (0, 10), 1000, 10), 0.0)]);
    assert_eq!(nanodollars(scene.totals().cost_usd.unwrap()), 2_600_000);
    let left_out: Vec<_> = by_model(&scene).making.left_out.iter().map(|left_out| left_out.reason).collect();
    assert_eq!(left_out, [Reason::ReportedZero]);
    let free = r#"{"prices": [{"model": "gpt-4o", "input": 0, "output": 0}]}"#;
    let overrides = Some(Overrides::from_json("free.json", free).unwrap().into());
    let scene =
        with(PriceSettings { overrides, ..PriceSettings::default() }, &[reported(chat(1, 0, (0, 10), 1000, 10), 0.0)]);
    assert_eq!(scene.totals().cost_usd, Some(0.0));
}

#[test]
fn what_does_not_count_is_there_with_the_reason() {
    let mut above = agent(1, 0, (0, 100), "writer");
    above.attributes.extend([int("gen_ai.usage.input_tokens", 2000), int("gen_ai.usage.output_tokens", 20)]);
    let scene = with(
        PriceSettings::default(),
        &[
            above,
            chat(2, 1, (10, 60), 1000, 10),
            chat(3, 2, (20, 50), 1000, 10),
            reported(agent(4, 1, (60, 70), "b"), 0.5),
        ],
    );
    let report = by_model(&scene);
    let left_out: Vec<_> = report.making.left_out.iter().map(|l| (l.reason, l.times, l.tokens, l.usd)).collect();
    assert_eq!(left_out, [(Reason::SumOfCalls, 1, 2020, None), (Reason::CallBelow, 1, 1010, None)]);
    assert_eq!((report.making.agents.calls, report.making.agents.usd), (1, 0.5), "it has no call below");
    let calls = scene.deriver.calls(&"01".repeat(16)).unwrap();
    let counts: Vec<_> = calls.iter().map(|call| (call.operation, call.counts)).collect();
    assert_eq!(counts, [("invoke_agent", false), ("chat", false), ("chat", true), ("invoke_agent", true)]);
}

#[test]
fn calls_without_a_price_are_counted_by_reason_and_model() {
    let mut nameless = bare_chat(4, 0, (0, 1));
    nameless.attributes.retain(|attribute| attribute.key != "gen_ai.request.model");
    let usage = [("input_tokens", 5), ("output_tokens", 5)];
    let ours = |id: u64| call(id, 0, "our-own-model", &usage);
    let scene = with(PriceSettings::default(), &[ours(1), ours(2), bare_chat(3, 0, (0, 1)), nameless]);
    let report = by_model(&scene);
    assert_eq!((report.totals.unpriced_calls, report.totals.unpriced), (4, [1, 0, 2, 1, 0]));
    let named: Vec<_> =
        report.making.unpriced.iter().map(|u| (u.reason.as_str(), u.model.as_deref(), u.calls)).collect();
    assert_eq!(
        named,
        [("unknown_model", Some("our-own-model"), 2), ("no_usage", Some("gpt-4o"), 1), ("no_model", None, 1)]
    );
}

#[test]
fn how_costs_were_made_outlives_the_runs() {
    let run = |trace: u32| {
        [reported(chat(2, 1, (10, 20), 1000, 10), 0.001), span(1, 0, (0, 30), "GET /", Vec::new())].map(|mut span| {
            span.trace_id = [&[7; 12], &trace.to_be_bytes()[..]].concat();
            span
        })
    };
    let mut scene = Scene::with(Limits { spans: 20, ..Limits::default() });
    for trace in 1..=100 {
        scene.arrive(&run(trace)).pass(100);
    }
    let report = by_model(&scene);
    assert_eq!(report.making.reported.calls, 100);
    assert_eq!(parts(&report), [[("uncached_input", 100_000, 250_000_000), ("output", 1000, 10_000_000)]]);
    assert_eq!((report.making.lines[0].calls, report.totals.compared.calls), (100, 100));
    assert_eq!(report.rows[0].making, report.making);
}
