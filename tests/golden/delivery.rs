//! The corpus as it arrives: as recorded, and in other orders, in other batches, twice and late, which must mean the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spanlight::derive::cost::{By, Figures};
use spanlight::derive::{Deriver, Output, Settings};
use spanlight::event::{Event, EventId, Timestamp};
use spanlight::otlp::{Batch, Limit, Signal};

use super::recorded::requests;

#[test]
fn any_delivery_of_a_scenario_means_the_same() {
    let mut failures = String::new();
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let meaning = |parts: Vec<(Batch, Duration)>| Meaning::of(&deliver(parts.into_iter()));
        let mut as_recorded = meaning(requests(&scenario).map(|batch| (batch, Duration::from_millis(100))).collect());
        let is_told_twice = requests(&scenario).any(|batch| batch.signal() == Signal::Logs);
        for seed in 1..=5 {
            let mut otherwise = meaning(shuffled(&scenario, seed));
            if is_told_twice {
                // Who of the two tells of it first gives the events their ids.
                as_recorded.events.clear();
                otherwise.events.clear();
            }
            if let Some(difference) = as_recorded.difference(&otherwise) {
                writeln!(failures, "{name}, seed {seed}: {difference}").unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// What must not depend on how telemetry arrives.
struct Meaning {
    rows: Vec<(String, Figures)>,
    events: BTreeSet<(String, EventId)>,
    /// How runs ended.
    runs: BTreeSet<(String, &'static str)>,
}

impl Meaning {
    fn of((deriver, events): &(Deriver, Vec<Event>)) -> Meaning {
        let rows = [By::Model, By::Agent, By::Tool].into_iter().flat_map(|by| {
            let report = deriver.ledger(by, None);
            report.rows.into_iter().map(move |row| {
                // Sums of the same costs in another order differ in the last digit.
                let rounded = |usd: f64| (usd * 1e9).round() / 1e9;
                let mut figures = row.figures;
                figures.cost_usd = figures.cost_usd.map(rounded);
                figures.compared.reported_usd = rounded(figures.compared.reported_usd);
                figures.compared.computed_usd = rounded(figures.compared.computed_usd);
                (format!("{by:?} {}", row.key), figures)
            })
        });
        Meaning {
            rows: rows.collect(),
            events: events.iter().map(|event| (event.name.as_str().to_owned(), event.event_id)).collect(),
            runs: deriver.summaries(|_| true).iter().map(|run| (run.id.to_string(), run.status.as_str())).collect(),
        }
    }

    fn difference(&self, other: &Meaning) -> Option<String> {
        let rows = self.rows.iter().zip(&other.rows).find(|(one, other)| one != other);
        if self.rows.len() != other.rows.len() || rows.is_some() {
            return Some(format!("{rows:?}"));
        }
        if self.runs != other.runs {
            return Some(format!("{:?}", self.runs.symmetric_difference(&other.runs).collect::<Vec<_>>()));
        }
        let names = |of: &Meaning, but: &Meaning| -> Vec<String> {
            of.events.difference(&but.events).map(|(name, _)| name.clone()).collect()
        };
        let (missing, more) = (names(self, other), names(other, self));
        (missing != more || !missing.is_empty()).then(|| format!("without {missing:?}, with {more:?}"))
    }
}

/// The folders of the corpus, or those that `SCENARIOS` names.
pub fn scenarios() -> Vec<PathBuf> {
    let corpus = Path::new("tests/data/corpus");
    let mut scenarios: Vec<PathBuf> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    scenarios.retain(|path| path.join("expected.json").exists());
    scenarios.sort();
    let chosen = std::env::var("SCENARIOS").unwrap_or_default();
    scenarios.retain(|path| chosen.is_empty() || chosen.split(',').any(|name| path.ends_with(name)));
    assert!(!scenarios.is_empty());
    scenarios
}

/// Everything that the deriver makes of batches, each followed by some time.
pub fn deliver(parts: impl Iterator<Item = (Batch, Duration)>) -> (Deriver, Vec<Event>) {
    let mut deriver = Deriver::new(Settings::default());
    let mut out = Output::default();
    let mut now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
    for (batch, then) in parts {
        deriver.batch(&batch, now, &mut out);
        now = now.plus(then);
        deriver.tick(now, &mut out);
    }
    // Runs that nobody ends are over after a while.
    for _ in 0..8 {
        now = now.plus(Duration::from_secs(600));
        deriver.tick(now, &mut out);
    }
    (deriver, out.events)
}

/// Every record by itself, in another order, a tenth of them twice, within two seconds.
pub fn shuffled(scenario: &Path, seed: u64) -> Vec<(Batch, Duration)> {
    let mut chance = Chance(seed);
    let one_by_one = |batch: Batch| batch.split(Limit { items: 1, bytes: usize::MAX });
    let mut records: Vec<Batch> = requests(scenario).flat_map(one_by_one).collect();
    for at in 0..records.len() / 10 {
        let again = records[(at * 10 + chance.below(10)).min(records.len() - 1)].clone();
        records.push(again);
    }
    for at in (1..records.len()).rev() {
        records.swap(at, chance.below(at + 1));
    }
    let pause = Duration::from_secs(2) / records.len() as u32;
    records.into_iter().map(|record| (record, pause)).collect()
}

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}
