//! Thresholds that were crossed, and the events that tell of them.

use std::sync::Arc;

use super::definition::{Budget, Dimension};
use super::keep::{Key, Spent};
use super::usd::Usd;
use super::window::Window;
use crate::event::{Event, EventId, SourceKind, Timestamp};

/// A threshold that was crossed.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    budget: Budget,
    key: Key,
    is_limit: bool,
    spent: Usd,
    threshold: Usd,
    stops: u64,
}

/// What was crossed with what was spent. Spending that goes over both at once crosses the limit: nobody needs to be
/// warned of what has come to pass. One threshold is crossed once, and once more if it has been raised since.
pub fn crossed(budget: &Budget, key: &Key, spent: &mut Spent) -> Option<Crossing> {
    let is_new = |threshold: Usd, told: Option<Usd>| {
        spent.usd >= threshold && spent.usd > Usd::ZERO && told.is_none_or(|told| told < threshold)
    };
    let (limit, warning) = (budget.limit(), budget.warning());
    let is_limit = is_new(limit, spent.exceeded_at);
    let is_warning = is_new(warning, spent.warned_at) && spent.usd < limit;
    if !is_limit && !is_warning {
        return None;
    }
    spent.warned_at = Some(warning);
    if is_limit {
        spent.exceeded_at = Some(limit);
    }
    let threshold = if is_limit { limit } else { warning };
    let (budget, key) = (budget.clone(), key.clone());
    Some(Crossing { budget, key, is_limit, spent: spent.usd, threshold, stops: spent.stops })
}

impl Crossing {
    /// The event that tells of it. `of` says whose budgets these are, so that another's of the same name are others. Its
    /// id is the same whenever it is told, also after a restart.
    pub fn event(&self, of: &str, kind: SourceKind, now: Timestamp) -> Event {
        let Crossing { budget, key, .. } = self;
        let (spent, limit) = (self.spent.dollars(), budget.limit.dollars());
        let mut event = match self.is_limit {
            true => Event::budget_exceeded(&budget.name, spent, limit).with("tasks_blocked", self.stops),
            false => Event::budget_warning(&budget.name, spent, limit),
        };
        event = event.with("per", budget.per.as_str());
        if let Some(start) = key.window.start() {
            event = event.with("window_start", start.to_string());
        }
        if let Some(end) = key.window.end(budget.per) {
            event = event.with("window_end", end.to_string());
        }
        if let (Some(dimension), Some(value)) = (budget.each, &key.value) {
            event = event.with("each", dimension.as_str()).with("value", &**value);
        }
        let share = spent / limit.max(1e-9) * 100.0;
        let digits = if limit < 1.0 { 4 } else { 2 };
        event = event.message(&format!(
            "{}: {spent:.digits$} of {limit:.digits$} US dollars are spent ({share:.0} %)",
            self.of()
        ));
        self.say_whose(&mut event);
        (event.timestamp, event.observed_at) = (now, now);
        event.source.kind = kind;
        event.event_id = self.id(of, event.name.as_str());
        event
    }

    /// The budget, and whose it is.
    fn of(&self) -> String {
        match (&self.key.value, &self.key.window) {
            (Some(value), _) => format!("budget {} of {value}", self.budget.name),
            (None, Window::Run(run)) => format!("budget {} of run {run}", self.budget.name),
            (None, _) => format!("budget {}", self.budget.name),
        }
    }

    /// What the budget is for is what the event is about.
    fn say_whose(&self, event: &mut Event) {
        if let Window::Run(run) = &self.key.window {
            event.identity.execution_id = Some(run.clone());
        }
        let only = self.budget.only.named().filter_map(|(dimension, values)| match values {
            [one] if !one.ends_with('*') => Some((dimension, one.as_str())),
            _ => None,
        });
        let each = self.budget.each.zip(self.key.value.as_deref());
        for (dimension, value) in only.chain(each) {
            let value: Arc<str> = value.into();
            match dimension {
                Dimension::Feature => event.dimensions.feature = Some(value),
                Dimension::Agent => event.dimensions.agent = Some(value),
                Dimension::Model => event.dimensions.model = Some(value),
                Dimension::Provider => event.dimensions.provider = Some(value),
                Dimension::Tool => event.dimensions.tool = Some(value),
                Dimension::User => event.identity.user_id = Some(value),
                Dimension::Tag => event.tags.push(value),
            }
        }
    }

    fn id(&self, of: &str, name: &str) -> EventId {
        let Crossing { budget, key, threshold, .. } = self;
        let window = match &key.window {
            Window::Ever => String::new(),
            Window::From(start) => start.to_string(),
            Window::Run(run) => run.to_string(),
        };
        let value = key.value.as_deref().unwrap_or_default();
        let threshold = threshold.dollars().to_string();
        EventId::of_words(&[of, &budget.name, budget.per.as_str(), &window, value, &threshold, name])
    }
}
