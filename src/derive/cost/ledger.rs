//! The ledger: figures of the work by model, agent, tool, feature, run or day.
//!
//! Runs that are still in memory are read each time someone asks, so their figures are always right. What
//! leaves memory is posted here first, in slots of time, so that totals never forget.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::account::Account;
use crate::event::{JsonObject, Timestamp};

/// Figures of some of the work. What no emitter reported is absent, never 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Calls of models that succeeded, each counted once.
    pub llm_calls: u64,
    /// Calls of models that failed.
    pub llm_failed: u64,
    /// Tokens read, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens written, reasoning included.
    pub output_tokens: Option<u64>,
    /// Of the input, read from caches.
    pub cache_read_tokens: Option<u64>,
    /// Of the input, written to caches.
    pub cache_write_tokens: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning_tokens: Option<u64>,
    /// US dollars, of the calls whose price is known.
    pub cost_usd: Option<f64>,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
    /// Calls of embedding models, which are not among `llm_calls`.
    pub embedding_calls: u64,
    /// Their tokens, which are not among `input_tokens`.
    pub embedding_tokens: Option<u64>,
    /// Tool calls.
    pub tool_calls: u64,
    /// Of these, failed.
    pub tool_failed: u64,
    /// Runs of agents.
    pub agent_runs: u64,
    /// Of these, failed.
    pub agent_failed: u64,
}

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
pub struct Posting {
    /// When it ended.
    pub at: Timestamp,
    /// The model that answered.
    pub model: Option<Arc<str>>,
    /// The agent at work.
    pub agent: Option<Arc<str>>,
    /// The tool that ran or below which it happened.
    pub tool: Option<Arc<str>>,
    /// What it was for.
    pub feature: Option<Arc<str>>,
    /// The figures.
    pub figures: Figures,
}

/// What somebody asked the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Everything in the window.
    pub totals: Figures,
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
}

/// What has left memory: all-time totals, and slots for the windows of the last day.
#[derive(Debug)]
pub struct Ledger {
    /// By model, agent, tool, feature and day.
    accounts: [HashMap<Arc<str>, Account, RandomState>; 5],
    totals: Account,
    /// The last day that was posted to, and its name.
    today: (i64, Arc<str>),
    /// Postings whose account would have been one too many, and went to `(others)`.
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
    pub fn post_all(&mut self, postings: impl Iterator<Item = Posting>, now: Timestamp) {
        // Whole runs leave at once and most of their work is alike: added up first, it costs one posting.
        let mut sums: Vec<Posting> = Vec::new();
        for mut posting in postings {
            // Days and slots that have not come would be kept for as long as it takes until they have.
            posting.at = posting.at.not_ahead_of(now);
            if let Some(sum) = sums.iter_mut().find(|sum| sum.goes_with(&posting)) {
                sum.figures.add(&posting.figures);
            } else if sums.len() < Ledger::MOST_SUMS {
                sums.push(posting);
            } else {
                self.post(&posting, now);
            }
        }
        sums.iter().for_each(|sum| self.post(sum, now));
    }

    fn post(&mut self, posting: &Posting, now: Timestamp) {
        self.totals.post(posting, now);
        let day = posting.at.as_seconds().div_euclid(86_400);
        if day != self.today.0 {
            self.today = (day, posting.at.date().into());
        }
        let today = self.today.1.clone();
        let keys = [By::Model, By::Agent, By::Tool, By::Feature].map(|by| posting.key(by));
        let keys = keys.into_iter().chain([Some(&today)]);
        for (accounts, key) in self.accounts.iter_mut().zip(keys) {
            let Some(key) = key else { continue };
            if let Some(account) = accounts.get_mut(key) {
                account.post(posting, now);
                continue;
            }
            let full = accounts.len() >= Ledger::MOST_ACCOUNTS;
            self.overflowed += u64::from(full);
            let key = if full { OTHERS.clone() } else { key.clone() };
            accounts.entry(key).or_default().post(posting, now);
        }
    }

    /// Everything that was posted.
    pub fn totals(&self) -> Figures {
        self.totals.since(None)
    }

    /// Adds what was posted since `since` to a report; nothing means since ever.
    pub fn add_to(&self, report: &mut ReportBuilder, by: By, since: Option<Timestamp>) {
        let totals = self.totals.since(since);
        report.totals.add(&totals);
        let accounts = match by {
            By::Model => &self.accounts[0],
            By::Agent => &self.accounts[1],
            By::Tool => &self.accounts[2],
            By::Feature => &self.accounts[3],
            By::Day => &self.accounts[4],
            By::Run => {
                if totals != Figures::default() {
                    report.row(Ledger::OLDER.into()).add(&totals);
                }
                return;
            }
        };
        for (key, account) in accounts {
            let figures = account.since(since);
            if figures != Figures::default() {
                report.row(key.clone()).add(&figures);
            }
        }
    }
}

/// A report being added up.
#[derive(Debug, Default)]
pub struct ReportBuilder {
    totals: Figures,
    rows: HashMap<Arc<str>, Figures, RandomState>,
}

impl ReportBuilder {
    /// Adds one posting.
    pub fn add(&mut self, posting: &Posting, by: By, run: &Arc<str>) {
        self.totals.add(&posting.figures);
        let day = (by == By::Day).then(|| posting.at.date().into());
        let key = match by {
            By::Run => Some(run),
            By::Day => day.as_ref(),
            by => posting.key(by),
        };
        if let Some(key) = key {
            self.row(key.clone()).add(&posting.figures);
        }
    }

    fn row(&mut self, key: Arc<str>) -> &mut Figures {
        self.rows.entry(key).or_default()
    }

    /// The report, the most expensive rows first.
    pub fn finish(self) -> Report {
        let mut rows: Vec<Row> = self.rows.into_iter().map(|(key, figures)| Row { key, figures }).collect();
        rows.sort_by(|a, b| {
            let cost = |row: &Row| row.figures.cost_usd.unwrap_or(0.0);
            cost(b).total_cmp(&cost(a)).then_with(|| a.key.cmp(&b.key))
        });
        Report { totals: self.totals, rows }
    }
}

impl Posting {
    /// The row it belongs to; work that is no tool's has no row among the tools.
    fn key(&self, by: By) -> Option<&Arc<str>> {
        match by {
            By::Model => self.is_of_models().then(|| self.model.as_ref().unwrap_or(&NONE)),
            By::Agent => Some(self.agent.as_ref().unwrap_or(&NONE)),
            By::Tool => self.tool.as_ref(),
            By::Feature => Some(self.feature.as_ref().unwrap_or(&NONE)),
            By::Day | By::Run => None,
        }
    }

    fn is_of_models(&self) -> bool {
        let figures = &self.figures;
        figures.llm_calls + figures.llm_failed + figures.embedding_calls > 0 || figures.total_tokens().is_some()
    }

    /// Whether it belongs to the same accounts and slots as another. Names are shared, so that a look at where
    /// they are tells; one that is not shared costs a posting of its own and nothing else.
    fn goes_with(&self, other: &Posting) -> bool {
        let same = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let slot = |posting: &Posting| posting.at.as_seconds().div_euclid(Account::FINE);
        slot(self) == slot(other)
            && self.is_of_models() == other.is_of_models()
            && same(&self.model, &other.model)
            && same(&self.agent, &other.agent)
            && same(&self.tool, &other.tool)
            && same(&self.feature, &other.feature)
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger { accounts: Default::default(), totals: Account::default(), today: (i64::MIN, "".into()), overflowed: 0 }
    }
}

// === impl Figures, By ===

impl Figures {
    /// Adds other figures; a count is known as soon as a part of it is. Counts of tokens are what an emitter says
    /// they are, so their sum may be too large to count.
    pub fn add(&mut self, other: &Figures) {
        fn known(sum: &mut Option<u64>, more: Option<u64>) {
            *sum = match (*sum, more) {
                (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
                (sum, more) => sum.or(more),
            };
        }
        self.llm_calls += other.llm_calls;
        self.llm_failed += other.llm_failed;
        known(&mut self.input_tokens, other.input_tokens);
        known(&mut self.output_tokens, other.output_tokens);
        known(&mut self.cache_read_tokens, other.cache_read_tokens);
        known(&mut self.cache_write_tokens, other.cache_write_tokens);
        known(&mut self.reasoning_tokens, other.reasoning_tokens);
        self.cost_usd = match (self.cost_usd, other.cost_usd) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
        self.unpriced_calls += other.unpriced_calls;
        self.embedding_calls += other.embedding_calls;
        known(&mut self.embedding_tokens, other.embedding_tokens);
        self.tool_calls += other.tool_calls;
        self.tool_failed += other.tool_failed;
        self.agent_runs += other.agent_runs;
        self.agent_failed += other.agent_failed;
    }

    /// Input and output together, as far as they are known.
    pub fn total_tokens(&self) -> Option<u64> {
        match (self.input_tokens, self.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }

    /// Writes the figures as members of an object.
    pub fn write(&self, object: &mut JsonObject<'_>) {
        object.u64("llm_calls", self.llm_calls);
        object.u64("llm_failed", self.llm_failed);
        object.opt_u64("input_tokens", self.input_tokens);
        object.opt_u64("output_tokens", self.output_tokens);
        object.opt_u64("cache_read_tokens", self.cache_read_tokens);
        object.opt_u64("cache_write_tokens", self.cache_write_tokens);
        object.opt_u64("reasoning_tokens", self.reasoning_tokens);
        object.opt_f64("cost_usd", self.cost_usd);
        object.u64("unpriced_calls", self.unpriced_calls);
        object.u64("embedding_calls", self.embedding_calls);
        object.opt_u64("embedding_tokens", self.embedding_tokens);
        object.u64("tool_calls", self.tool_calls);
        object.u64("tool_failed", self.tool_failed);
        object.u64("agent_runs", self.agent_runs);
        object.u64("agent_failed", self.agent_failed);
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
    use super::*;

    fn posting(at: i64, cost: f64) -> Posting {
        Posting {
            at: Timestamp::from_micros(at * 1_000_000),
            model: Some("m".into()),
            agent: None,
            tool: None,
            feature: None,
            figures: Figures { llm_calls: 1, cost_usd: Some(cost), ..Figures::default() },
        }
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
            ledger.post(&posting(at, 1.0), Timestamp::from_micros((at + 5) * 1_000_000));
        }
        let now = day + 48 * 3600;
        assert_eq!(cost_since(&ledger, None), Some(48.0));
        assert_eq!(cost_since(&ledger, Some(now - 24 * 3600)), Some(24.0));
        assert_eq!(cost_since(&ledger, Some(now - 3600)), Some(1.0));
        assert_eq!(cost_since(&ledger, Some(now)), None);
        assert!(ledger.totals.slots().count() < 40);
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
        fn slots_are_few_in_order_and_complete(steps in proptest::collection::vec((0i64..4000, 0i64..100_000), 1..200)) {
            let mut ledger = Ledger::default();
            let mut now = 10 * 86_400;
            let mut expected = 0.0;
            for (step, ago) in steps {
                now += step;
                ledger.post(&posting(now - ago, 1.0), Timestamp::from_micros(now * 1_000_000));
                expected += 1.0;
            }
            let slots: Vec<i64> = ledger.totals.slots().collect();
            proptest::prop_assert!(slots.len() <= 3 * 12 + 25 && slots.is_sorted_by(|a, b| a < b));
            proptest::prop_assert_eq!(cost_since(&ledger, None), Some(expected));
        }
    }

    #[test]
    fn unknown_stays_absent_and_known_adds_up() {
        let mut sum = Figures::default();
        sum.add(&Figures { input_tokens: Some(5), ..Figures::default() });
        sum.add(&Figures { llm_calls: 1, ..Figures::default() });
        assert_eq!((sum.input_tokens, sum.output_tokens, sum.cost_usd), (Some(5), None, None));
    }
}
