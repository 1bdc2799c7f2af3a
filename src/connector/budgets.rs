//! The connector's budgets: told of spending under the connector's lock, and read under one of their own, so that
//! whoever asks for a verdict does not wait for telemetry to be read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Connector, Core};
use crate::budget::{Budget, Budgets, Question, Standing, Unanswerable, Verdict};
use crate::derive::{Fact, FactKind};
use crate::event::{SourceKind, Timestamp};
use crate::health::{DROPPED, Health};
use crate::measure::{Counted, Family, FamilyKind, Series, Value};

/// The budgets that are kept.
pub struct Kept {
    budgets: Mutex<Budgets>,
    /// Whose they are; the same in every life of the program.
    of: Arc<str>,
    /// Through what that comes of which they are told.
    kind: SourceKind,
    since: Timestamp,
}

impl Kept {
    /// Those that are defined, if any are.
    pub fn of(budgets: Vec<Budget>, of: &str, kind: SourceKind, now: Timestamp) -> Option<Kept> {
        let is_any = !budgets.is_empty();
        is_any.then(|| Kept { budgets: Mutex::new(Budgets::new(budgets)), of: of.into(), kind, since: now })
    }

    /// Tells of what was spent since, and has the events told of thresholds that were crossed.
    pub fn follow(&self, core: &mut Core, now: Timestamp, takes_in: bool) {
        let mut budgets = self.lock();
        if takes_in {
            budgets.took_in(now);
        }
        core.deriver.statements(now, |statement| budgets.state(statement, now));
        core.out.facts.iter().for_each(|fact| learn(&mut budgets, fact));
        let crossings = budgets.crossings();
        core.out.events.extend(crossings.iter().map(|crossing| crossing.event(&self.of, self.kind, now)));
    }

    fn lock(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As metrics.
    pub fn counted(&self) -> Vec<Counted> {
        let standings = self.lock().standings(Timestamp::now());
        let family = |name: &str, unit: &str, help: &str, kind, series: Vec<Series>| Counted {
            began: vec![self.since; series.len()],
            family: Family { name: name.into(), unit: unit.into(), help: help.into(), kind, series },
        };
        let gauge = |pick: fn(&Standing) -> f64| {
            let attributes = |standing: &Standing| vec![("budget".into(), standing.budget.clone())];
            let series = |s: &Standing| Series { attributes: attributes(s), value: Value::Number(pick(s)) };
            standings.iter().map(series).collect::<Vec<_>>()
        };
        let resets = standings.iter().filter_map(|standing| {
            let attributes = vec![("budget".into(), standing.budget.clone())];
            Some(Series { attributes, value: Value::Number(standing.resets_at?.as_micros() as f64 / 1e6) })
        });
        let resets = resets.collect();
        let verdicts = standings.iter().flat_map(|standing| {
            standing.verdicts.iter().map(|(decision, times)| Series {
                attributes: vec![
                    ("budget".into(), standing.budget.clone()),
                    ("verdict".into(), decision.as_str().into()),
                ],
                value: Value::Number(*times as f64),
            })
        });
        const SPENT: &str = "Spent of a budget in the window that is open; of several, in the one with the most.";
        const RESETS: &str = "When the next window of a budget begins, in seconds since 1970.";
        let verdicts = verdicts.collect();
        vec![
            family("agent.budget.spent.usd", "{USD}", SPENT, FamilyKind::Gauge, gauge(|s| s.spent.dollars())),
            family(
                "agent.budget.limit.usd",
                "{USD}",
                "What may be spent of a budget.",
                FamilyKind::Gauge,
                gauge(|s| s.limit.dollars()),
            ),
            family("agent.budget.reset.timestamp", "s", RESETS, FamilyKind::Gauge, resets),
            family("agent.budget.verdicts", "{verdict}", "Verdicts that were given.", FamilyKind::Counter, verdicts),
        ]
    }
}

fn learn(budgets: &mut Budgets, fact: &Fact) {
    if let FactKind::Call(call) = &fact.kind
        && let (Some(model), Some(usd)) = (&call.model, call.price.usd())
    {
        budgets.learn(model, usd);
    }
}

impl Connector {
    /// Whether there are budgets.
    pub fn has_budgets(&self) -> bool {
        self.budgets.is_some()
    }

    /// Whether work should go on that a budget is for. Of a budget that is not here there is no verdict.
    ///
    /// # Errors
    /// There is no such budget, or it was not said which of several.
    pub fn judge(&self, budget: &str, question: &Question) -> Result<Verdict, Unanswerable> {
        let no_budget = || Unanswerable::NoSuchBudget { name: budget.to_owned(), meant: None };
        self.budgets.as_ref().ok_or_else(no_budget)?.lock().judge(budget, question, Timestamp::now())
    }

    /// Reads or changes the budgets, if there are any: quickly, please.
    pub fn budgets<T>(&self, change: impl FnOnce(&mut Budgets) -> T) -> Option<T> {
        self.budgets.as_ref().map(|kept| change(&mut kept.lock()))
    }

    pub(super) fn show_budgets(self: &Arc<Connector>, health: &Health) {
        if self.has_budgets() {
            let connector = self.clone();
            let no_room = move || connector.budgets(|budgets| budgets.counts().no_room).unwrap_or(0) as f64;
            health.total(DROPPED, &[("component", "agent"), ("reason", "budget_no_room")], no_room);
        }
    }
}
