//! Whether work should go on: what is asked of a budget, and what it answers.

use std::fmt;
use std::time::Duration;

use super::definition::{Budget, Dimension, Per};
use super::keep::{Book, Budgets, Key};
use super::usd::Usd;
use super::window::Window;
use crate::derive::{Name, Whose};
use crate::event::Timestamp;
use crate::nearest::nearest;

/// Whether work should go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// There is enough.
    Allow,
    /// There is not much left.
    Warn,
    /// It is spent, or will be with what goes on already.
    Stop,
}

/// Why it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is enough.
    Enough,
    /// More is spent than the share from which on it warns.
    Warning,
    /// All is spent.
    Spent,
    /// What is spent and what goes on will come to more.
    InFlight,
    /// With what was asked for it would be more.
    TooMuch,
    /// The budget is not for this.
    NotForThis,
    /// There is no such budget, and work is not stopped for that.
    NoSuchBudget,
    /// Each of something has a budget of its own, and it was not said which; work is not stopped for that.
    OfWhich,
    /// Nobody knows how it stands, and work is not stopped for that.
    Unknown,
    /// What is known is too old to go by, and work is not stopped for that.
    Stale,
}

/// What somebody wants to do, as far as they say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Whose it is.
    pub whose: Whose,
    /// In which run.
    pub run: Option<Name>,
    /// What it will probably cost, in US dollars.
    pub estimated_usd: Option<f64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether work should go on.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Of which budget.
    pub budget: Name,
    /// Of which value, where each has as much.
    pub value: Option<Name>,
    /// What is spent, in US dollars.
    pub spent: Option<f64>,
    /// What may be.
    pub limit: Option<f64>,
    /// What is left; never less than nothing.
    pub remaining: Option<f64>,
    /// What the calls that go on will probably cost; absent where nobody tells of such, or knows what they cost.
    pub in_flight_estimate: Option<f64>,
    /// When the window began.
    pub since: Option<Timestamp>,
    /// When there is as much again.
    pub resets_at: Option<Timestamp>,
    /// How long ago the newest of the telemetry was taken in that this is made of; absent if there was none.
    pub age: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// There is no such budget.
    NoSuchBudget {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// Each of these has a budget of its own, and it was not said which is asked for.
    OfWhich {
        /// The budget.
        name: String,
        /// Of what: `run`, or a dimension.
        of: &'static str,
    },
}

impl Budgets {
    /// Whether work should go on that one budget is for.
    pub fn judge(&mut self, name: &str, question: &Question, now: Timestamp) -> Result<Verdict, Unanswerable> {
        let verdict = self.look_at(name, question, now)?;
        if let Some(book) = self.books.iter_mut().find(|book| book.budget.name == name) {
            book.verdicts[verdict.decision as usize] += 1;
            let key = book.key(question, now);
            if verdict.decision == Decision::Stop
                && let Some(spent) = key.and_then(|key| book.windows.get_mut(&key))
            {
                spent.stops += 1;
                self.changed();
            }
        }
        Ok(verdict)
    }

    /// The same without counting it as asked for.
    pub fn look_at(&self, name: &str, question: &Question, now: Timestamp) -> Result<Verdict, Unanswerable> {
        let Some(book) = self.books.iter().find(|book| book.budget.name == name) else {
            let meant = nearest(name, self.names()).map(str::to_owned);
            return Err(Unanswerable::NoSuchBudget { name: name.to_owned(), meant });
        };
        let budget = &book.budget;
        if !budget.only.may_accept(&question.whose) {
            return Ok(Verdict::without_figures(name, Decision::Allow, Reason::NotForThis));
        }
        let of = budget.each.map_or("run", Dimension::as_str);
        let of_which = Unanswerable::OfWhich { name: name.to_owned(), of };
        let key = book.key(question, now).ok_or(of_which)?;
        let estimated = Usd::of(question.estimated_usd.unwrap_or(0.0).max(0.0));
        Ok(self.verdict(book, &key, estimated, now))
    }

    /// The names of all budgets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.books.iter().map(|book| book.budget.name.as_str())
    }

    /// All budgets with the windows that are open now, those with the most spent first, at most so many of each. One
    /// that nothing was spent of yet has one all the same, unless it is for each of something.
    pub fn all(&self, most: usize, now: Timestamp) -> Vec<(&Budget, Vec<Verdict>)> {
        let of_book = |book: &Book| {
            let mut keys: Vec<(&Key, Usd)> = book.current(now).map(|(key, spent)| (key, spent.usd)).collect();
            keys.sort_unstable_by(|(a, spent_a), (b, spent_b)| spent_b.cmp(spent_a).then_with(|| a.cmp(b)));
            keys.truncate(most);
            let known = keys.into_iter().map(|(key, _)| self.verdict(book, key, Usd::ZERO, now));
            known.collect::<Vec<_>>()
        };
        let untouched = |book: &Book| {
            let key = book.key(&Question::default(), now);
            key.map(|key| self.verdict(book, &key, Usd::ZERO, now))
        };
        let with_one = |book: &Book| {
            let verdicts = of_book(book);
            if verdicts.is_empty() { untouched(book).into_iter().collect() } else { verdicts }
        };
        self.books.iter().map(|book| (&book.budget, with_one(book))).collect()
    }

    fn verdict(&self, book: &Book, key: &Key, estimated: Usd, now: Timestamp) -> Verdict {
        let budget = &book.budget;
        let spent = book.windows.get(key).map_or(Usd::ZERO, |spent| spent.usd.max(Usd::ZERO));
        let in_flight = self.in_flight(budget, key);
        let expected = spent.plus(in_flight.unwrap_or_default());
        let (limit, warning) = (budget.limit, budget.warning());
        let (decision, reason) = if spent >= limit {
            (Decision::Stop, Reason::Spent)
        } else if expected >= limit {
            (Decision::Stop, Reason::InFlight)
        } else if expected.plus(estimated) > limit {
            (Decision::Stop, Reason::TooMuch)
        } else if expected.plus(estimated) >= warning {
            (Decision::Warn, Reason::Warning)
        } else {
            (Decision::Allow, Reason::Enough)
        };
        let decision = if budget.hard { decision } else { decision.min(Decision::Warn) };
        Verdict {
            decision,
            reason,
            budget: budget.name.as_str().into(),
            value: key.name().cloned(),
            spent: Some(spent.dollars()),
            limit: Some(limit.dollars()),
            remaining: Some(limit.minus(spent).max(Usd::ZERO).dollars()),
            in_flight_estimate: in_flight.map(Usd::dollars),
            since: key.window.start(),
            resets_at: key.window.end(budget.per),
            age: self.newest.map(|newest| Duration::from_micros(now.micros_since(newest))),
        }
    }

    /// What the calls that go on will probably cost: each as much as those of its model have of late. Where none goes on
    /// it is nothing; where nobody tells of such, or of none is known what it costs, it is not known.
    fn in_flight(&self, budget: &Budget, key: &Key) -> Option<Usd> {
        if !self.hears_of_open_calls {
            return None;
        }
        let is_of_run = |run: &Name| match &key.window {
            Window::Run(known) => known == run,
            Window::Ever | Window::From(_) => true,
        };
        let is_of_value = |whose: &Whose| match (budget.each, &key.value) {
            (Some(dimension), Some(value)) => dimension.values(whose).contains(value),
            _ => true,
        };
        let open = self.open.values().filter(|open| is_of_run(&open.run)).flat_map(|open| &open.calls);
        let mut calls = open.filter(|whose| budget.only.accepts(whose) && is_of_value(whose)).peekable();
        if calls.peek().is_none() {
            return Some(Usd::ZERO);
        }
        let costs = calls.filter_map(|whose| self.means.of(whose.model.as_deref()?));
        costs.fold(None, |sum, usd| Some(sum.unwrap_or(Usd::ZERO).plus(Usd::of(usd))))
    }
}

impl Book {
    /// Where that is which somebody asks for; nothing if they do not say which of several.
    fn key(&self, question: &Question, now: Timestamp) -> Option<Key> {
        let window = match (self.budget.per, &question.run) {
            (Per::Run, None) => return None,
            (per, run) => Window::of(per, now, run.as_ref().unwrap_or(&"".into())),
        };
        let value = match self.budget.each {
            Some(dimension) => Some(dimension.values(&question.whose).first()?.clone()),
            None => None,
        };
        Some(Key { window, value })
    }
}

impl Key {
    /// What tells it from others of its time.
    fn name(&self) -> Option<&Name> {
        match &self.window {
            Window::Run(run) if self.value.is_none() => Some(run),
            _ => self.value.as_ref(),
        }
    }
}

impl Verdict {
    /// One that is not made of figures.
    pub fn without_figures(budget: &str, decision: Decision, reason: Reason) -> Verdict {
        Verdict {
            decision,
            reason,
            budget: budget.into(),
            value: None,
            spent: None,
            limit: None,
            remaining: None,
            in_flight_estimate: None,
            since: None,
            resets_at: None,
            age: None,
        }
    }

    /// Whether work should go on, with a warning or without.
    pub fn may_go_on(&self) -> bool {
        self.decision != Decision::Stop
    }
}

impl Decision {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Warn => "warn",
            Decision::Stop => "stop",
        }
    }

    /// The one of a word.
    pub fn parse(word: &str) -> Option<Decision> {
        [Decision::Allow, Decision::Warn, Decision::Stop].into_iter().find(|decision| decision.as_str() == word)
    }
}

impl Reason {
    const ALL: [Reason; 10] = [
        Reason::Enough,
        Reason::Warning,
        Reason::Spent,
        Reason::InFlight,
        Reason::TooMuch,
        Reason::NotForThis,
        Reason::NoSuchBudget,
        Reason::OfWhich,
        Reason::Unknown,
        Reason::Stale,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Enough => "enough",
            Reason::Warning => "warning",
            Reason::Spent => "spent",
            Reason::InFlight => "in_flight",
            Reason::TooMuch => "too_much",
            Reason::NotForThis => "not_for_this",
            Reason::NoSuchBudget => "no_such_budget",
            Reason::OfWhich => "of_which",
            Reason::Unknown => "unknown",
            Reason::Stale => "stale",
        }
    }

    /// The one of a word.
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl Unanswerable {
    /// The verdict where nobody can be asked again: work goes on.
    pub fn allow(&self) -> Verdict {
        let (name, reason) = match self {
            Unanswerable::NoSuchBudget { name, .. } => (name, Reason::NoSuchBudget),
            Unanswerable::OfWhich { name, .. } => (name, Reason::OfWhich),
        };
        Verdict::without_figures(name, Decision::Allow, reason)
    }
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswerable::NoSuchBudget { name, meant: Some(meant) } => {
                write!(f, "there is no budget `{name}`; did you mean `{meant}`?")
            }
            Unanswerable::NoSuchBudget { name, meant: None } => {
                write!(f, "there is no budget `{name}`; /api/v1/budgets lists them")
            }
            Unanswerable::OfWhich { name, of } => {
                write!(f, "every {of} has a budget `{name}` of its own: say which, with `{of}=`")
            }
        }
    }
}

impl std::error::Error for Unanswerable {}
