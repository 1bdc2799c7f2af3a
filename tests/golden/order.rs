//! Coding agents tell of the same work in spans, log records and metrics, which come in any order, twice, or not at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use spanlight::derive::cost::{By, Making, Report};
use spanlight::derive::{Deriver, Output, Settings};
use spanlight::event::Timestamp;
use spanlight::otlp::{Batch, Signal};

use super::recorded::requests;

/// The scenarios of coding agents.
fn scenarios() -> Vec<PathBuf> {
    let all = std::fs::read_dir("tests/data/corpus").unwrap().map(|entry| entry.unwrap().path());
    let is_of_agent = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("cli-");
    let mut found: Vec<PathBuf> = all.filter(is_of_agent).collect();
    found.sort();
    found
}

/// The ledger after these requests, a second apart, and a long time.
fn ledger(requests: &[&Batch]) -> Vec<Report> {
    let mut deriver = Deriver::new(Settings::default());
    let mut out = Output::default();
    let mut now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
    for batch in requests {
        deriver.batch(batch, now, &mut out);
        now = now.plus(Duration::from_secs(1));
        deriver.tick(now, &mut out);
    }
    deriver.tick(now.plus(Duration::from_secs(3600)), &mut out);
    let mut reports = [By::Model, By::Agent, By::Tool].map(|by| deriver.ledger(by, None)).to_vec();
    // Sums of the same numbers in another order differ in their last digits, and rows stand by their cost.
    let round = |usd: f64| (usd * 1e9).round() / 1e9;
    for report in &mut reports {
        report.making = Making::default();
        for row in &mut report.rows {
            row.making = Making::default();
        }
        report.rows.sort_by(|a, b| a.key.cmp(&b.key));
        let figures = report.rows.iter_mut().map(|row| &mut row.figures).chain([&mut report.totals]);
        figures.for_each(|figures| {
            figures.cost_usd = figures.cost_usd.map(round);
            figures.compared = Default::default();
        });
    }
    reports
}

fn read(scenario: &Path) -> Vec<Batch> {
    requests(scenario).collect()
}

#[test]
fn whatever_the_order_the_ledger_is_the_same() {
    for scenario in scenarios() {
        let batches = read(&scenario);
        let expected = ledger(&batches.iter().collect::<Vec<_>>());
        let check = |order: Vec<&Batch>, what: &str| {
            let names: Vec<&str> = order.iter().map(|batch| batch.signal().name()).collect();
            assert_eq!(ledger(&order), expected, "{} {what}: {names:?}", scenario.display());
        };
        check(batches.iter().rev().collect(), "backwards");
        check(batches.iter().flat_map(|batch| [batch, batch]).collect(), "each twice");
        check(batches.iter().chain(&batches).collect(), "all twice");
        for seed in 0..24u64 {
            let mut order: Vec<&Batch> = batches.iter().collect();
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for place in (1..order.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                order.swap(place, (state >> 33) as usize % (place + 1));
            }
            check(order, "shuffled");
        }
    }
}

#[test]
fn every_signal_alone_has_the_tokens_and_together_they_count_once() {
    for (scenario, signals) in [
        ("cli-claude-tools", &[Signal::Traces, Signal::Logs, Signal::Metrics][..]),
        ("cli-claude-errors", &[Signal::Traces, Signal::Logs, Signal::Metrics]),
        ("cli-claude-subagent", &[Signal::Traces, Signal::Logs, Signal::Metrics]),
        ("cli-codex-tools", &[Signal::Traces, Signal::Logs, Signal::Metrics]),
        ("cli-gemini-tools", &[Signal::Logs, Signal::Metrics]),
        ("cli-qwen-tools", &[Signal::Traces, Signal::Logs, Signal::Metrics]),
        ("cli-copilot-tools", &[Signal::Traces, Signal::Metrics]),
    ] {
        let batches = read(&Path::new("tests/data/corpus").join(scenario));
        let all = ledger(&batches.iter().collect::<Vec<_>>());
        for signal in signals {
            let alone = ledger(&batches.iter().filter(|batch| batch.signal() == *signal).collect::<Vec<_>>());
            let tokens = |report: &Report| {
                let totals = &report.totals;
                let counts = [totals.input_tokens, totals.output_tokens, totals.cache_read_tokens];
                counts.map(|count| count.unwrap_or(0))
            };
            assert_eq!(tokens(&alone[0]), tokens(&all[0]), "{scenario} {}", signal.name());
        }
    }
}

#[test]
fn the_cost_that_claude_reports_is_the_same_in_logs_and_metrics() {
    let batches = read(Path::new("tests/data/corpus/cli-claude-subagent"));
    for signal in [Signal::Logs, Signal::Metrics] {
        let alone = ledger(&batches.iter().filter(|batch| batch.signal() == signal).collect::<Vec<_>>());
        let agents: Vec<&str> = alone[1].rows.iter().map(|row| &*row.key).collect();
        assert_eq!(agents, ["claude-code", "general-purpose"], "{}", signal.name());
        assert_eq!(alone[0].totals.cost_usd, Some(0.042855), "{}", signal.name());
    }
}
