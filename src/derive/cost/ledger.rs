//! The ledger: figures of the work by model, agent, tool, feature, run or day.
//!
//! Runs that are still in memory are read each time someone asks, so their figures are always right. What
//! leaves memory is posted here first, in slots of time, so that totals never forget.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::figures::Figures;
use super::making::{CallCost, LeftOut, Making, Reason, Sums};
use crate::event::Timestamp;

/// By what a report is broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The model that answered.
    Model,
    /// The agent that called or ran.
    Agent,
    /// The tool that ran, with the calls of models below it.
    Tool,
    /// What the work was for.
    Feature,
    /// The run.
    Run,
    /// The UTC day.
    Day,
}

/// The figures of one piece of work, and whose they are.
#[derive(Clone, Debug)]
pub struct Posting<'r> {
    /// When it ended.
    pub at: Timestamp,
    /// The model that answered.
    pub model: Option<&'r Arc<str>>,
    /// The agent at work.
    pub agent: Option<&'r Arc<str>>,
    /// The tool that ran or below which it happened.
    pub tool: Option<&'r Arc<str>>,
    /// What it was for.
    pub feature: Option<&'r Arc<str>>,
    /// The figures.
    pub figures: Figures,
    /// The price, if it is a call of a model that counts.
    pub call: Option<CallCost<'r>>,
    /// What it reports and does not count, with the reason.
    pub left_out: Option<LeftOut>,
}

/// What somebody asked the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Everything in the window.
    pub totals: Figures,
    /// How its cost was made.
    pub making: Making,
    /// The same, broken down; the most expensive first.
    pub rows: Vec<Row>,
}

/// One row of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Whose figures they are.
    pub key: Arc<str>,
    /// The figures.
    pub figures: Figures,
    /// How their cost was made.
    pub making: Making,
}

/// What has left memory: all-time totals, and slots for the windows of the last day.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ledger {
    /// By model, agent, tool, feature and day.
    accounts: [Accounts; 5],
    totals: Account,
    /// The last day that was posted to, and its name.
    #[serde(skip, default = "no_day")]
    today: (i64, Arc<str>),
    /// Postings whose account would have been one too many, and went to `(others)`.
    #[serde(skip)]
    pub overflowed: u64,
}

/// The row of work without an agent, a model or a feature.
static NONE: LazyLock<Arc<str>> = LazyLock::new(|| "(none)".into());
/// The row of whatever finds no account of its own.
static OTHERS: LazyLock<Arc<str>> = LazyLock::new(|| "(others)".into());

impl Ledger {
    /// The row of runs that left memory.
    pub const OLDER: &'static str = "(older runs)";
    const MOST_ACCOUNTS: usize = 10_000;
    /// More would take longer to find than to post.
    const MOST_SUMS: usize = 32;

    /// Posts what left memory, for good.
    pub fn post_all<'r>(&mut self, postings: impl Iterator<Item = Posting<'r>>, now: Timestamp) {
        // Whole runs leave at once and most of their work is alike: added up first, it costs one posting.
        let mut known: Vec<(Posting<'r>, Sums)> = Vec::with_capacity(8);
        for mut posting in postings {
            // Days and slots that have not come would be kept for as long as it takes until they have.
            posting.at = posting.at.not_ahead_of(now);
            if let Some((_, sums)) = known.iter_mut().find(|(first, _)| first.goes_with(&posting)) {
                posting.add_to(sums);
                continue;
            }
            let sums = posting.sums();
            match known.len() < Ledger::MOST_SUMS {
                true => known.push((posting, sums)),
                false => self.post(&posting, &sums, now),
            }
        }
        known.iter().for_each(|(first, sums)| self.post(first, sums, now));
    }

    /// Posts sums that are all whose a posting is.
    fn post(&mut self, posting: &Posting<'_>, sums: &Sums, now: Timestamp) {
        let at = posting.at;
        self.totals.post(at, sums, now);
        let day = posting.at.as_seconds().div_euclid(86_400);
        if day != self.today.0 {
            self.today = (day, posting.at.date().into());
        }
        let today = self.today.1.clone();
        let keys = [By::Model, By::Agent, By::Tool, By::Feature].map(|by| posting.key(by));
        let keys = keys.into_iter().chain([Some(&today)]);
        for (accounts, key) in self.accounts.iter_mut().zip(keys) {
            let Some(key) = key else { continue };
            account_of(accounts, key, &mut self.overflowed).post(at, sums, now);
        }
    }

    /// Adds all that was posted to another one.
    pub fn add(&mut self, other: &Ledger, now: Timestamp) {
        self.totals.add(&other.totals, now);
        for (accounts, others) in self.accounts.iter_mut().zip(&other.accounts) {
            for (key, account) in others {
                account_of(accounts, key, &mut self.overflowed).add(account, now);
            }
        }
    }

    /// Everything that was posted.
    pub fn totals(&self) -> &Figures {
        &self.totals.all().figures
    }

    /// Adds what was posted since `since` to a report; nothing means since ever.
    pub fn add_to(&self, report: &mut ReportBuilder, by: By, since: Option<Timestamp>) {
        let totals = self.totals.since(since, &self.totals);
        report.totals += &totals;
        let accounts = match by {
            By::Model => &self.accounts[0],
            By::Agent => &self.accounts[1],
            By::Tool => &self.accounts[2],
            By::Feature => &self.accounts[3],
            By::Day => &self.accounts[4],
            By::Run => {
                if totals != Sums::default() {
                    *report.row(Ledger::OLDER.into()) += &totals;
                }
                return;
            }
        };
        for (key, account) in accounts {
            let sums = account.since(since, &self.totals);
            if sums != Sums::default() {
                *report.row(key.clone()) += &sums;
            }
        }
    }
}

type Accounts = HashMap<Arc<str>, Account, RandomState>;

/// The account of a key, or, beyond as many as there may be, the one of all others.
fn account_of<'a>(accounts: &'a mut Accounts, key: &Arc<str>, overflowed: &mut u64) -> &'a mut Account {
    let is_full = accounts.len() >= Ledger::MOST_ACCOUNTS && !accounts.contains_key(key);
    *overflowed += u64::from(is_full);
    accounts.entry(if is_full { OTHERS.clone() } else { key.clone() }).or_default()
}

fn no_day() -> (i64, Arc<str>) {
    (i64::MIN, "".into())
}

/// A report being added up.
#[derive(Debug, Default)]
pub struct ReportBuilder {
    totals: Sums,
    rows: HashMap<Arc<str>, Sums, RandomState>,
}

impl ReportBuilder {
    /// Adds one posting.
    pub fn add(&mut self, posting: &Posting<'_>, by: By, run: &Arc<str>) {
        posting.add_to(&mut self.totals);
        let day = (by == By::Day).then(|| posting.at.date().into());
        let key = match by {
            By::Run => Some(run),
            By::Day => day.as_ref(),
            by => posting.key(by),
        };
        if let Some(key) = key {
            posting.add_to(self.row(key.clone()));
        }
    }

    fn row(&mut self, key: Arc<str>) -> &mut Sums {
        self.rows.entry(key).or_default()
    }

    /// The report, the most expensive rows first.
    pub fn finish(self) -> Report {
        // What was only left out is a row of nothing; the totals tell of it.
        let rows = self.rows.into_iter().filter(|(_, sums)| sums.figures != Figures::default());
        let mut rows: Vec<Row> = rows.map(|(key, Sums { figures, making })| Row { key, figures, making }).collect();
        rows.sort_by(|a, b| {
            let cost = |row: &Row| row.figures.cost_usd.unwrap_or(0.0);
            cost(b).total_cmp(&cost(a)).then_with(|| a.key.cmp(&b.key))
        });
        Report { totals: self.totals.figures, making: self.totals.making, rows }
    }
}

impl Posting<'_> {
    /// The row it belongs to; work that is no tool's has no row among the tools.
    fn key(&self, by: By) -> Option<&Arc<str>> {
        match by {
            By::Model => self.is_of_models().then(|| self.model.unwrap_or(&NONE)),
            By::Agent => Some(self.agent.unwrap_or(&NONE)),
            By::Tool => self.tool,
            By::Feature => Some(self.feature.unwrap_or(&NONE)),
            By::Day | By::Run => None,
        }
    }

    fn is_of_models(&self) -> bool {
        // What only metrics count has no calls.
        self.call.is_some()
            || self.figures.total_tokens().is_some()
            || self.left_out.is_some_and(|left_out| left_out.reason != Reason::SumOfCalls)
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.add_to(&mut sums);
        sums
    }

    fn add_to(&self, sums: &mut Sums) {
        sums.figures.add(&self.figures);
        match (&self.call, self.figures.cost_usd) {
            (Some(call), _) => sums.making.add_call(call, &self.figures),
            (None, Some(usd)) => sums.making.add_agent(usd),
            (None, None) => {}
        }
        if let Some(left_out) = &self.left_out {
            sums.making.leave_out(left_out);
        }
    }

    /// Whether it belongs to the same accounts and slots as another. Names are shared, so that a look at where
    /// they are tells; one that is not shared costs a posting of its own and nothing else.
    fn goes_with(&self, other: &Posting<'_>) -> bool {
        let same = |a: Option<&Arc<str>>, b: Option<&Arc<str>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let slot = |posting: &Posting<'_>| posting.at.as_seconds().div_euclid(Account::FINE);
        slot(self) == slot(other)
            && self.is_of_models() == other.is_of_models()
            && same(self.model, other.model)
            && same(self.agent, other.agent)
            && same(self.tool, other.tool)
            && same(self.feature, other.feature)
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { accounts: Default::default(), totals: Account::default(), today: no_day(), overflowed: 0 }
    }
}

impl By {
    /// The words for them.
    pub const WORDS: &'static [&'static str] = &["model", "agent", "tool", "feature", "run", "day"];

    /// The one of a word.
    pub fn parse(word: &str) -> Option<By> {
        Some(match word {
            "model" => By::Model,
            "agent" => By::Agent,
            "tool" => By::Tool,
            "feature" => By::Feature,
            "run" => By::Run,
            "day" => By::Day,
            _ => return None,
        })
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(By::WORDS[*self as usize])
    }
}

/// The window of a word: a duration of up to a day, or `all`, which is no window.
pub fn parse_window(word: &str) -> Result<Option<Duration>, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    if word == "all" {
        return Ok(None);
    }
    match crate::duration::parse(word) {
        Ok(window) if window <= LONGEST && !window.is_zero() => Ok(Some(window)),
        _ => Err(format!("`{word}` is no window; write a duration of at most 24h, such as 15m, or `all`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::price::Price;
    use super::*;
    use crate::dialect::Usage;

    fn posting(at: i64, cost: f64) -> Posting<'static> {
        static MODEL: LazyLock<Arc<str>> = LazyLock::new(|| "m".into());
        static FREE: LazyLock<(Usage, Price)> = LazyLock::new(|| (Usage::default(), Price::of_work(None)));
        Posting {
            at: Timestamp::from_micros(at * 1_000_000),
            model: Some(&MODEL),
            agent: None,
            tool: None,
            feature: None,
            figures: Figures { llm_calls: 1, cost_usd: Some(cost), ..Figures::default() },
            call: Some(CallCost { usage: &FREE.0, price: &FREE.1, provider: None, model: Some(&MODEL) }),
            left_out: None,
        }
    }

    fn post(ledger: &mut Ledger, posting: &Posting<'_>, now: i64) {
        ledger.post(posting, &posting.sums(), Timestamp::from_micros(now * 1_000_000));
    }

    fn cost_since(ledger: &Ledger, since: Option<i64>) -> Option<f64> {
        let mut builder = ReportBuilder::default();
        ledger.add_to(&mut builder, By::Model, since.map(|since| Timestamp::from_micros(since * 1_000_000)));
        builder.finish().totals.cost_usd
    }

    #[test]
    fn windows_forget_and_totals_do_not() {
        let mut ledger = Ledger::default();
        let day = 86_400;
        for hour in 0..48 {
            let at = day + hour * 3600 + 60;
            post(&mut ledger, &posting(at, 1.0), at + 5);
        }
        let now = day + 48 * 3600;
        assert_eq!(cost_since(&ledger, None), Some(48.0));
        assert_eq!(cost_since(&ledger, Some(now - 24 * 3600)), Some(24.0));
        assert_eq!(cost_since(&ledger, Some(now - 3600)), Some(1.0));
        assert_eq!(cost_since(&ledger, Some(now)), None);
        assert!(ledger.totals.slots().count() < 40);
    }

    #[test]
    fn rows_of_a_window_add_up_to_its_total() {
        let (mut ledger, mut report) = (Ledger::default(), ReportBuilder::default());
        let (scribe, critic) = ("scribe".into(), "critic".into());
        let at = 10 * 86_400;
        post(&mut ledger, &Posting { agent: Some(&scribe), ..posting(at, 1.0) }, at);
        let now = at + 4 * 3600;
        post(&mut ledger, &Posting { agent: Some(&critic), ..posting(now, 1.0) }, now);
        ledger.add_to(&mut report, By::Agent, Some(Timestamp::from_micros((at + 1800) * 1_000_000)));
        let Report { totals, rows, .. } = report.finish();
        let costs: Vec<_> = rows.iter().map(|row| row.figures.cost_usd).collect();
        assert_eq!((totals.cost_usd, costs), (Some(2.0), vec![Some(1.0); 2]));
    }

    #[test]
    fn times_to_come_make_no_slots_and_no_days() {
        let mut ledger = Ledger::default();
        let now = 10 * 86_400;
        let postings = (0..20_000).map(|at| posting(now + at * 7200, 1.0));
        ledger.post_all(postings, Timestamp::from_micros(now * 1_000_000));
        ledger.post_all([posting(i64::MAX / 1_000_000, 1.0)].into_iter(), Timestamp::from_micros(now * 1_000_000));
        assert_eq!((ledger.totals.slots().count(), ledger.accounts[4].len(), ledger.overflowed), (1, 1, 0));
        assert_eq!(cost_since(&ledger, Some(now)), Some(20_001.0));
        assert_eq!(cost_since(&ledger, None), Some(20_001.0));
    }

    proptest::proptest! {
        #[test]
        fn what_was_saved_is_gone_on_from(
            before in proptest::collection::vec((0i64..100_000, 0.0..5.0), 0..50),
            after in proptest::collection::vec((0i64..100_000, 0.0..5.0), 0..50),
        ) {
            let now = 10 * 86_400;
            let (mut first, mut second, mut both) = <(Ledger, Ledger, Ledger)>::default();
            for (part, ledger) in [(&before, &mut first), (&after, &mut second)] {
                for (ago, cost) in part {
                    post(ledger, &posting(now - ago, *cost), now);
                    post(&mut both, &posting(now - ago, *cost), now);
                }
            }
            let mut saved = Ledger::read(&first.save()).unwrap();
            saved.add(&second, Timestamp::from_micros(now * 1_000_000));
            for window in [None, Some(now - 3600), Some(now - 86_400)] {
                let (saved, both) = (cost_since(&saved, window), cost_since(&both, window));
                let is_same = saved.unwrap_or(0.0) - both.unwrap_or(0.0);
                proptest::prop_assert!(is_same.abs() < 1e-9 && saved.is_some() == both.is_some(), "{saved:?} {both:?}");
            }
        }

        #[test]
        fn slots_are_few_in_order_and_complete(steps in proptest::collection::vec((0i64..4000, 0i64..100_000), 1..200)) {
            let mut ledger = Ledger::default();
            let mut now = 10 * 86_400;
            let mut expected = 0.0;
            for (step, ago) in steps {
                now += step;
                post(&mut ledger, &posting(now - ago, 1.0), now);
                expected += 1.0;
            }
            let slots: Vec<i64> = ledger.totals.slots().collect();
            proptest::prop_assert!(slots.len() <= 3 * 12 + 25 && slots.is_sorted_by(|a, b| a < b));
            proptest::prop_assert_eq!(cost_since(&ledger, None), Some(expected));
        }
    }
}
