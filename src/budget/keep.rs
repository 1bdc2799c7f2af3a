//! Keeping the books: what was spent of each budget, in which window, by which value.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::crossing::{self, Crossing};
use super::definition::Budget;
use super::means::Means;
use super::usd::Usd;
use super::verdict::Decision;
use super::window::Window;
use crate::derive::{Cost, Name, Statement, Whose};
use crate::event::Timestamp;

/// All budgets, and what was spent of them.
#[derive(Debug, Default)]
pub struct Budgets {
    pub(super) books: Vec<Book>,
    /// What each run in memory has part in.
    runs: HashMap<u64, Vec<Share>, RandomState>,
    /// The calls that go on in each run that has any.
    pub(super) open: HashMap<u64, Open, RandomState>,
    /// Whether any emitter tells of calls that go on; of most nothing is heard before they have ended.
    pub(super) hears_of_open_calls: bool,
    pub(super) means: Means,
    /// When the newest of the telemetry was taken in that this is made of.
    pub(super) newest: Option<Timestamp>,
    touched: HashSet<Place, RandomState>,
    has_changed: bool,
    has_crossed: bool,
    counts: Counts,
}

/// One budget, and what was spent of it.
#[derive(Debug)]
pub struct Book {
    pub budget: Budget,
    pub windows: HashMap<Key, Spent, RandomState>,
    /// How often each verdict was given: allow, warn, stop.
    pub verdicts: [u64; 3],
}

/// In which window, and, where each value of a dimension has as much, of which one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub window: Window,
    pub value: Option<Name>,
}

/// What was spent under one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    pub usd: Usd,
    /// The warning that was told of: what it was at then.
    pub warned_at: Option<Usd>,
    /// The same of the limit.
    pub exceeded_at: Option<Usd>,
    /// How often somebody was told to stop.
    pub stops: u64,
    pub touched: Timestamp,
}

/// Where something was spent: the number of the budget, and the key.
type Place = (usize, Key);

/// What one run has spent at one place.
#[derive(Debug)]
struct Share {
    place: Place,
    usd: Usd,
}

/// The calls that go on in one run.
#[derive(Debug)]
pub struct Open {
    pub run: Name,
    pub calls: Vec<Whose>,
}

/// What was done and left out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spending that found no room, because there are too many values or windows of one budget.
    pub no_room: u64,
}

/// How a budget stands, for metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which budget.
    pub budget: Name,
    /// Spent in the window that is open now; where there are several, in the one with the most.
    pub spent: Usd,
    /// How much may be.
    pub limit: Usd,
    /// When the next window begins; never of runs and of all time.
    pub resets_at: Option<Timestamp>,
    /// How often each verdict was given.
    pub verdicts: [(Decision, u64); 3],
}

impl Budgets {
    /// The most windows and values of one budget that are kept apart.
    pub const MOST: usize = 10_000;

    /// Of which nothing is spent yet.
    pub fn new(budgets: Vec<Budget>) -> Budgets {
        let book = |budget| Book { budget, windows: HashMap::default(), verdicts: [0; 3] };
        Budgets { books: budgets.into_iter().map(book).collect(), ..Budgets::default() }
    }

    /// Notes that telemetry was taken in: what is said now is as old as that.
    pub fn took_in(&mut self, now: Timestamp) {
        self.newest = Some(now);
    }

    /// Learns what a call of a model costs.
    pub fn learn(&mut self, model: &Name, usd: f64) {
        self.means.learn(model, usd);
    }

    /// Takes in what a run has cost so far, in place of what it was said to have cost before.
    pub fn state(&mut self, statement: Statement, now: Timestamp) {
        let Statement { run, id, costs, open, is_last } = statement;
        let shares = self.shares(&id, &costs, now);
        self.hears_of_open_calls |= !open.is_empty();
        let before = self.runs.remove(&run).unwrap_or_default();
        for Share { place, usd } in &before {
            if let Some(spent) = self.books[place.0].windows.get_mut(&place.1) {
                spent.usd = spent.usd.minus(*usd);
                self.touched.insert(place.clone());
            }
        }
        let mut kept = Vec::with_capacity(shares.len());
        for share in shares {
            let (at, key) = &share.place;
            if !self.books[*at].make_room(key) {
                self.counts.no_room += 1;
                continue;
            }
            let spent = self.books[*at].windows.entry(key.clone()).or_default();
            (spent.usd, spent.touched) = (spent.usd.plus(share.usd), now);
            self.touched.insert(share.place.clone());
            kept.push(share);
        }
        if !is_last && !kept.is_empty() {
            self.runs.insert(run, kept);
        }
        if is_last || open.is_empty() {
            self.open.remove(&run);
        } else {
            self.open.insert(run, Open { run: id, calls: open });
        }
    }

    /// What a run has part in, added up by place.
    fn shares(&self, run: &Name, costs: &[Cost], now: Timestamp) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        let mut add = |place: Place, usd: Usd| match shares.iter_mut().find(|share| share.place == place) {
            Some(share) => share.usd = share.usd.plus(usd),
            None => shares.push(Share { place, usd }),
        };
        for cost in costs {
            // A clock that is far ahead must not spend of windows that nobody lives to see.
            let at = cost.at.not_ahead_of(now);
            for (number, book) in self.books.iter().enumerate() {
                let Budget { per, only, each, .. } = &book.budget;
                if !only.accepts(&cost.whose) {
                    continue;
                }
                let window = Window::of(*per, at, run);
                match each {
                    None => add((number, Key { window, value: None }), Usd::of(cost.usd)),
                    Some(dimension) => dimension.values(&cost.whose).iter().for_each(|value| {
                        let key = Key { window: window.clone(), value: Some(value.clone()) };
                        add((number, key), Usd::of(cost.usd));
                    }),
                }
            }
        }
        shares
    }

    /// The thresholds that were crossed since this was asked last. Each is told of once.
    pub fn crossings(&mut self) -> Vec<Crossing> {
        let mut crossings = Vec::new();
        let mut touched: Vec<Place> = self.touched.drain().collect();
        self.has_changed |= !touched.is_empty();
        touched.sort_unstable();
        for (number, key) in touched {
            let Some(book) = self.books.get_mut(number) else { continue };
            let Some(spent) = book.windows.get_mut(&key) else { continue };
            crossings.extend(crossing::crossed(&book.budget, &key, spent));
            if spent.usd == Usd::ZERO && spent.warned_at.is_none() && spent.stops == 0 {
                book.windows.remove(&key);
            }
        }
        self.has_crossed |= !crossings.is_empty();
        crossings
    }

    /// How all of them stand.
    pub fn standings(&self, now: Timestamp) -> Vec<Standing> {
        let standing = |book: &Book| {
            let spent = book.current(now).map(|(_, spent)| spent.usd).max();
            Standing {
                budget: book.budget.name().into(),
                spent: spent.unwrap_or_default().max(Usd::ZERO),
                limit: book.budget.limit(),
                resets_at: Window::of(book.budget.per(), now, &"".into()).end(book.budget.per()),
                verdicts: [Decision::Allow, Decision::Warn, Decision::Stop].map(|d| (d, book.verdicts[d as usize])),
            }
        };
        self.books.iter().map(standing).collect()
    }

    /// What was left out so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether there is something to save that was not there when it was saved last, and whether it is urgent, because
    /// a threshold was crossed that must not be told of again.
    pub fn unsaved(&self) -> Option<Urgency> {
        match (self.has_crossed, self.has_changed) {
            (true, _) => Some(Urgency::Now),
            (false, true) => Some(Urgency::Soon),
            (false, false) => None,
        }
    }

    /// Says that it is saved as it stands.
    pub(super) fn is_saved(&mut self) {
        (self.has_changed, self.has_crossed) = (false, false);
    }

    /// Says that it could not be saved.
    pub fn was_not_saved(&mut self) {
        self.has_changed = true;
    }

    pub(super) fn changed(&mut self) {
        self.has_changed = true;
    }
}

/// How soon something has to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At once.
    Now,
    /// In a moment.
    Soon,
}

impl Book {
    /// What was spent in the windows that are open now.
    pub fn current(&self, now: Timestamp) -> impl Iterator<Item = (&Key, &Spent)> {
        let open = match self.budget.per {
            super::Per::Run => None,
            per => Some(Window::of(per, now, &"".into())),
        };
        self.windows.iter().filter(move |(key, _)| open.as_ref().is_none_or(|open| key.window == *open))
    }

    /// Forgets windows that were over at a time, and runs that nothing was heard of since.
    pub fn forget_before(&mut self, time: Timestamp) {
        let per = self.budget.per;
        self.windows.retain(|key, spent| match &key.window {
            Window::Ever => true,
            Window::Run(_) => spent.touched >= time,
            window => window.end(per).is_none_or(|end| end >= time),
        });
    }

    /// Whether there is room for a key. Windows that are over go first, and of runs those that nothing was heard of for
    /// the longest time; values of one and the same window stay.
    fn make_room(&mut self, key: &Key) -> bool {
        if self.windows.len() < Budgets::MOST || self.windows.contains_key(key) {
            return true;
        }
        let is_older = |window: &Window| window.start() < key.window.start();
        if self.windows.keys().any(|known| is_older(&known.window)) {
            self.windows.retain(|known, _| !is_older(&known.window));
        } else if matches!(key.window, Window::Run(_)) {
            let mut times: Vec<Timestamp> = self.windows.values().map(|spent| spent.touched).collect();
            times.sort_unstable();
            let oldest = times[times.len() / 10];
            self.windows.retain(|_, spent| spent.touched > oldest);
        }
        self.windows.len() < Budgets::MOST
    }
}
