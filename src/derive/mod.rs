//! Derivation: from telemetry to runs, events, cost and facts. Pure: the clock is passed in, and nothing waits.
//!
//! [`Deriver`] owns the runs in memory. Spans and events go in; out come the events of what began and ended,
//! and the facts that enter the counters. [`Deriver::tick`] lets time pass.

mod absorb;
mod ahead;
mod apart;
mod besides;
mod billing;
mod called;
pub mod cost;
mod due;
mod emit;
mod held;
mod infer;
mod joined;
mod lineage;
mod logs;
mod loops;
mod metrics;
mod names;
mod node;
mod now;
mod pairing;
mod partial;
mod promoted;
mod read;
mod run;
mod running;
mod runs;
mod said;
mod seen;
mod series;
mod sessions;
mod settle;
pub(crate) mod slots;
mod spans;
mod spend;
mod totals;
mod turn;
mod twins;
mod waits;
mod within;

use std::time::Duration;

use apart::Apart;
use cost::{By, Figures, Ledger, PriceSettings, Prices, Report, ReportBuilder};
use metrics::Meters;
pub use metrics::{Tallied, Tally};
pub use names::Name;
use names::Names;
use node::NodeIx;
pub use node::Outcome;
pub use now::{OpenWork, RunningRun};
pub use read::{CallRecord, RunStatus, RunSummary, RunTree, TreeNode};
use run::{Run, RunKey};
pub use runs::Limits;
use runs::{RunIx, Runs};
use seen::Seen;
use sessions::Sessions;
pub use settle::{CallFact, Fact, FactKind};
use spans::DimensionKeys;
use spend::Spending;
pub use spend::{Cost, Statement, Whose};
pub use waits::without;
pub use within::{Note, NoteKind};

use crate::dialect::{Habits, Lexicon};
use crate::event::{Event, SourceKind, Timestamp, TraceId};
use crate::otlp::{Batch, Signal};
use crate::semconv::spanlight;

/// How to derive.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Attributes that name what the work is for, in order of preference.
    pub feature: Vec<String>,
    /// Attributes that name the task, in order of preference.
    pub task: Vec<String>,
    /// Attributes that hold tags, which are only looked for if spending is stated.
    pub tags: Vec<String>,
    /// Which prices.
    pub prices: PriceSettings,
    /// How long and how much.
    pub limits: Limits,
    /// Whether anyone wants the derived events; if not, none are built.
    pub wants_events: bool,
    /// Whether what runs cost is to be stated whenever it changes, for whoever keeps budgets.
    pub states_spending: bool,
    /// Through what the spans come.
    pub source: SourceKind,
}

/// What came of the input.
#[derive(Debug, Default)]
pub struct Output {
    /// Events in the order in which they happened, run by run: derived ones, and those from outside.
    pub events: Vec<Event>,
    /// The places in `events` of those from outside, which no fact speaks of.
    pub from_outside: Vec<usize>,
    /// What entered the counters.
    pub facts: Vec<Fact>,
    /// What only metrics have counted.
    pub tallies: Vec<Tally>,
}

/// What the deriver did, in numbers. Nothing it leaves out is left out in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans taken in, ours or not.
    pub spans: u64,
    /// Spans that were here already.
    pub duplicate_spans: u64,
    /// Events that were here already.
    pub duplicate_events: u64,
    /// Events that came after their time to live.
    pub expired_events: u64,
    /// Component ids that do not have the format of their scope.
    pub malformed_component_ids: u64,
    /// Spans without valid ids.
    pub invalid_ids: u64,
    /// Runs that had to leave memory before they were over.
    pub runs_cut_short: u64,
    /// Runs that left memory after they were over.
    pub runs_evicted: u64,
    /// Runs in progress that another process goes on with.
    pub runs_handed_over: u64,
    /// Work that left memory and found no row of its own in the ledger.
    pub ledger_overflow: u64,
}

/// The state of derivation.
pub struct Deriver {
    lexicon: Lexicon,
    /// How the names of attributes came last: of spans as they arrive, and of those that are read again to be told.
    habits: Habits,
    dimension_keys: DimensionKeys,
    limits: Limits,
    wants_events: bool,
    source: SourceKind,
    names: Names,
    prices: Prices,
    runs: Runs,
    seen: Seen,
    sessions: Sessions,
    meters: Meters,
    ledger: Ledger,
    /// What was posted before this program started.
    earlier: Ledger,
    counts: Counts,
    apart: Apart,
    unsaid: said::Unsaid,
    spending: Option<Spending>,
}

impl Deriver {
    /// A deriver that has seen nothing.
    pub fn new(settings: Settings) -> Deriver {
        let tags: &[String] = if settings.states_spending { &settings.tags } else { &[] };
        let keys = settings.feature.iter().chain(&settings.task).chain(tags).map(String::as_str);
        let lexicon = Lexicon::with(keys);
        let find = |names: &[String]| names.iter().filter_map(|name| lexicon.find(name.as_bytes())).collect();
        Deriver {
            dimension_keys: DimensionKeys {
                feature: find(&settings.feature),
                task: find(&settings.task),
                tags: find(tags),
            },
            lexicon,
            habits: Habits::new(),
            limits: settings.limits,
            wants_events: settings.wants_events,
            source: settings.source,
            names: Names::default(),
            prices: Prices::new(settings.prices),
            runs: if settings.states_spending { Runs::with_changes_noted() } else { Runs::default() },
            seen: Seen::default(),
            sessions: Sessions::default(),
            meters: Meters::default(),
            ledger: Ledger::default(),
            earlier: Ledger::default(),
            apart: Apart::default(),
            unsaid: said::Unsaid::default(),
            counts: Counts::default(),
            spending: settings.states_spending.then(Spending::default),
        }
    }

    /// Takes telemetry in: spans, log records that are events or tell of agents' work, and agents' metrics.
    pub fn batch(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        match batch.signal() {
            Signal::Traces => self.spans(batch, now, out),
            Signal::Logs => self.logs(batch, now, out),
            Signal::Metrics => self.metrics(batch, now, out),
        }
    }

    /// Lets time pass: held events go out, work enters the counters, runs close.
    pub fn tick(&mut self, now: Timestamp, out: &mut Output) {
        while let Some(ix) = self.runs.next_due(now) {
            self.tell(ix, now, self.limits.hold, out);
            let (limits, meters) = (&self.limits, &self.meters);
            let over = self.runs.change(ix, |run| {
                meters.forget_told_by_spans(run);
                run.settle(now, limits, &mut out.facts);
                !run.closed && limits.over_at(run) <= now
            });
            if over == Some(true) {
                self.end(ix, now, out);
            }
            self.runs.schedule(ix, &self.limits);
        }
        self.say(now.minus(said::Unsaid::PATIENCE), now, out);
    }

    /// Ends everything that is open, as when the program stops: nothing derived so far is lost.
    pub fn finish(&mut self, now: Timestamp, out: &mut Output) {
        for ix in self.runs.places() {
            self.flush(ix, now, out);
        }
        self.say(now, now, out);
    }

    /// The ledger since a time, or since ever.
    pub fn ledger(&self, by: By, since: Option<Timestamp>) -> Report {
        let mut report = ReportBuilder::default();
        self.counted_runs().for_each(|run| run.add_to(&mut report, by, since));
        for (of, posting) in self.meters.postings() {
            if since.is_none_or(|since| posting.at >= since) {
                report.add(&posting, by, of);
            }
        }
        self.ledger.add_to(&mut report, by, since);
        self.earlier.add_to(&mut report, by, since);
        report.finish()
    }

    /// The ledger as it is to be kept over a restart: with what runs in memory come to, and without what only metrics tell,
    /// whose running totals tell it again.
    pub fn ledger_to_keep(&self, now: Timestamp) -> Ledger {
        let mut ledger = self.earlier.clone();
        ledger.add(&self.ledger, now);
        ledger.post_all(self.counted_runs().flat_map(Run::postings), now);
        ledger
    }

    /// Goes on from a ledger that was kept.
    pub fn go_on_from(&mut self, ledger: Ledger) {
        self.earlier = ledger;
    }

    /// The ledger of those runs in memory that somebody may see, and whether some rows of it may still change.
    pub fn ledger_of(&self, by: By, since: Option<Timestamp>, may_see: impl Fn(&RunSummary) -> bool) -> (Report, bool) {
        let mut report = ReportBuilder::default();
        let mut provisional = false;
        for run in self.counted_runs().filter(|run| may_see(&run.summary())) {
            run.add_to(&mut report, by, since);
            provisional |= !run.closed && run.has_meaning;
        }
        (report.finish(), provisional)
    }

    /// The runs in memory without those that others tell of better.
    fn counted_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| !self.meters.spans_tell_of(run))
    }

    /// The ledger's totals since this program started.
    pub fn totals(&self) -> Figures {
        let mut totals = self.ledger.totals().clone();
        for run in self.counted_runs() {
            totals.add(&run.sum());
        }
        for (_, posting) in self.meters.postings() {
            totals.add(&posting.figures);
        }
        totals
    }

    /// Whether some rows of the ledger may still change.
    pub fn is_provisional(&self) -> bool {
        self.runs.iter().any(|run| !run.closed && run.has_meaning)
    }

    /// What was done so far, in numbers.
    pub fn counts(&self) -> Counts {
        Counts { ledger_overflow: self.ledger.overflowed, ..self.counts }
    }

    /// Runs in which work goes on, or whose root is still to be heard of.
    pub fn running(&self) -> usize {
        self.runs.iter().filter(|run| run.has_meaning && run.is_running()).count()
    }

    /// Whether the run of a trace is in memory and not over.
    pub fn is_in_progress(&self, trace: TraceId) -> bool {
        self.runs.find(&RunKey::Trace(trace)).and_then(|ix| self.runs.get(ix)).is_some_and(|run| !run.closed)
    }

    /// Forgets the run of a trace, unless it is over: another process goes on with it, and tells and counts all of it. A
    /// run that is of more than this trace stays, because the other process may not get the rest of it.
    pub fn forget(&mut self, trace: TraceId) {
        let Some(ix) = self.runs.find(&RunKey::Trace(trace)) else { return };
        let is_whole = |run: &Run| !run.closed && run.aliases.is_empty() && run.other_traces.is_empty();
        if self.runs.get(ix).is_some_and(is_whole)
            && let Some(run) = self.runs.take(ix)
        {
            self.counts.runs_handed_over += 1;
            self.runs.recycle(run);
            self.unsaid.forget(trace);
        }
    }

    /// Spans and runs in memory.
    pub fn in_memory(&self) -> (usize, usize) {
        (self.runs.nodes(), self.runs.len())
    }

    fn tell(&mut self, ix: RunIx, now: Timestamp, patience: Duration, out: &mut Output) {
        if self.wants_events {
            let (lexicon, habits) = (&self.lexicon, &mut self.habits);
            self.runs.change(ix, |run| run.tell(lexicon, habits, now, patience, &mut out.events));
        }
    }

    /// Closes a run: everything it holds is told and counted.
    fn end(&mut self, ix: RunIx, now: Timestamp, out: &mut Output) {
        self.look_at_session(ix);
        self.runs.change(ix, |run| {
            run.end_turn(now);
            run.infer_missing_agents(now);
            run.infer_refusals(now);
        });
        self.tell(ix, now, Duration::ZERO, out);
        self.give_up_open_work(ix, now, out);
        self.flush(ix, now, out);
        self.runs.close(ix);
    }

    /// Tells and counts everything a run holds, without waiting for more.
    fn flush(&mut self, ix: RunIx, now: Timestamp, out: &mut Output) {
        self.tell(ix, now, Duration::ZERO, out);
        let meters = &self.meters;
        self.runs.change(ix, |run| {
            meters.forget_told_by_spans(run);
            run.settle_all(now, &mut out.facts);
        });
    }

    /// Open work that nothing was heard of is lost.
    fn give_up_open_work(&mut self, ix: RunIx, now: Timestamp, out: &mut Output) {
        let lost = self.runs.change(ix, |run| {
            let open: Vec<NodeIx> = run.open().collect();
            run.lost = !open.is_empty();
            open.into_iter().filter_map(|at| run.lose(at, now)).collect::<Vec<Event>>()
        });
        if self.wants_events {
            out.events.extend(lost.into_iter().flatten());
        }
    }

    fn keep_within_bounds(&mut self, now: Timestamp, out: &mut Output) {
        let mut leaving = self.runs.take_oldest(self.limits.spans);
        leaving.iter().take(2).for_each(|(_, run)| run.bring_nodes());
        for at in 0..leaving.len() {
            leaving.get(at + 2).into_iter().for_each(|(_, run)| run.bring_nodes());
            leaving.get(at + 1).into_iter().for_each(|(_, run)| run.bring_calls());
            let (ix, run) = &mut leaving[at];
            match run.closed {
                true => self.counts.runs_evicted += 1,
                false => self.counts.runs_cut_short += 1,
            }
            if self.wants_events {
                run.tell(&self.lexicon, &mut self.habits, now, Duration::ZERO, &mut out.events);
            }
            self.meters.forget_told_by_spans(run);
            run.settle_all(now, &mut out.facts);
            if let Some(spending) = &mut self.spending {
                spending.leave(*ix, run, &self.meters);
            }
        }
        if !leaving.is_empty() {
            let counted = leaving.iter().map(|(_, run)| run).filter(|run| !self.meters.spans_tell_of(run));
            self.ledger.post_all(counted.flat_map(|run| run.postings()), now);
            leaving.into_iter().for_each(|(_, run)| self.runs.recycle(run));
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Settings {
            feature: names(&["spanlight.feature", "feature", "app.feature"]),
            task: names(&["spanlight.task.id", "task_id"]),
            tags: names(&[spanlight::TAGS, "langfuse.trace.tags", "tag.tags", "langsmith.span.tags", "tags"]),
            prices: PriceSettings::default(),
            limits: Limits::default(),
            wants_events: true,
            states_spending: false,
            source: SourceKind::Otlp,
        }
    }
}
