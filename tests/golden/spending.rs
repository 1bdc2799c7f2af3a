//! What budgets are told was spent is what the ledger says, of whatever agent, however its telemetry arrives.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use spanlight::budget::{Budget, Budgets, Dimension, Question};
use spanlight::derive::cost::By;
use spanlight::derive::{Deriver, Limits, Output, Settings, Whose};
use spanlight::event::Timestamp;
use spanlight::otlp::{Batch, Signal};

use super::delivery::{scenarios, shuffled};
use super::recorded::requests;

#[test]
fn what_is_spent_is_what_the_ledger_says() {
    let mut failures = String::new();
    for scenario in scenarios() {
        let as_recorded = || requests(&scenario).map(|batch| (batch, Duration::from_millis(100))).collect();
        let deliveries = [(as_recorded(), 100_000), (shuffled(&scenario, 1), 100_000), (as_recorded(), 20)];
        for (number, (parts, spans)) in deliveries.into_iter().enumerate() {
            let (ledger, spent) = keep(parts, spans);
            if ledger != spent {
                writeln!(failures, "{}, delivery {number}: {ledger:?}, but {spent:?}", name(&scenario)).unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn name(scenario: &Path) -> String {
    scenario.file_name().unwrap().to_string_lossy().into_owned()
}

/// The cost by model and in all, in millionths, by the ledger and by budgets, with so many spans kept in memory.
fn keep(parts: Vec<(Batch, Duration)>, spans: usize) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let limits = Limits { spans, ..Limits::default() };
    let mut deriver = Deriver::new(Settings { states_spending: true, limits, ..Settings::default() });
    let mut budgets =
        Budgets::new(vec![Budget::total("all", 1.0), Budget::total("models", 1.0).each(Dimension::Model)]);
    let mut out = Output::default();
    let mut now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
    for (batch, then) in parts {
        match batch.signal() {
            Signal::Traces => deriver.spans(&batch, now, &mut out),
            Signal::Logs => deriver.logs(&batch, now, &mut out),
            Signal::Metrics => deriver.metrics(&batch, now, &mut out),
        }
        deriver.statements(now, |statement| budgets.state(statement, now));
        now = now.plus(then);
    }
    for _ in 0..8 {
        now = now.plus(Duration::from_secs(600));
        deriver.tick(now, &mut out);
        deriver.statements(now, |statement| budgets.state(statement, now));
    }
    let millionths = |usd: f64| (usd * 1e6).round() as i64;
    let report = deriver.ledger(By::Model, None);
    let rows = report.rows.iter().filter(|row| &*row.key != "(none)");
    let rows = rows.filter_map(|row| Some((row.key.to_string(), millionths(row.figures.cost_usd?))));
    let total = millionths(report.totals.cost_usd.unwrap_or(0.0));
    let ledger = rows.chain([("in all".to_owned(), total)]).filter(|(_, usd)| *usd != 0).collect();
    let mut spent = BTreeMap::new();
    let mut ask = |name: &str, of: &str, question: &Question| {
        let verdict = budgets.judge(name, question, now).unwrap();
        spent.insert(of.to_owned(), millionths(verdict.spent.unwrap()));
    };
    ask("all", "in all", &Question::default());
    for row in report.rows.iter().filter(|row| &*row.key != "(none)") {
        let whose = Whose { model: Some(row.key.clone()), ..Whose::default() };
        ask("models", &row.key, &Question { whose, ..Question::default() });
    }
    spent.retain(|_, usd| *usd != 0);
    (ledger, spent)
}
