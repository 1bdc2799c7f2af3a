//! The connector `agent`: telemetry in, events and metrics out.
//!
//! It puts the pure core behind one lock and gives it a clock. One portion of work holds the lock for about as
//! long as it takes to read its spans once; whatever waits (files, networks) is behind the queues of exporters.

mod budgets;
mod kept_file;
mod ledger_file;
mod saving;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use budgets::Kept;
pub use ledger_file::LedgerFile;
pub use saving::BudgetFile;

use crate::budget::Budget;
use crate::derive::{Counts, Deriver, Note, Output, Settings};
use crate::event::{Event, SpanId, Timestamp, TraceId};
use crate::flow::{Record, SharedRecord};
use crate::health::{About, DROPPED, Health, WITHHELD};
use crate::measure::{Alert, Counted, LeftOut, Measure, SharedBuckets};
use crate::otlp::edit::Edit;
use crate::otlp::view::{AnyValue, Metric};
use crate::otlp::{Batch, Cursor, Limit, Signal};
use crate::recent::Recent;
use crate::semconv::resource;

/// Something that wants events, in order. It must not wait.
pub type EventSink = Box<dyn Fn(&[SharedRecord]) + Send + Sync>;

/// Something that is told how many measurements were added to the buckets by hour and by day. It must not wait.
pub type ChangeSink = Box<dyn Fn(usize) + Send + Sync>;

/// The connector.
pub struct Connector {
    core: Mutex<Core>,
    sinks: OnceLock<Vec<EventSink>>,
    recent: OnceLock<Arc<Recent>>,
    budgets: Option<Kept>,
    change_sinks: OnceLock<Vec<ChangeSink>>,
    /// When time last passed, for whoever asks whether it still does.
    last_tick: AtomicI64,
    /// Received metrics that are derived here as well.
    derived_here: AtomicU64,
    /// The most bytes of a value in an event's payload.
    max_value_bytes: usize,
    cut: AtomicU64,
}

/// What is behind the lock.
pub struct Core {
    /// Runs, and what they cost.
    pub deriver: Deriver,
    /// Counters and windows.
    pub measure: Measure,
    out: Output,
}

impl Connector {
    /// How much of other things than spans is taken in under one lock, for which readers and other requests wait: a few
    /// milliseconds.
    const PORTION: Limit = Limit { items: 2000, bytes: usize::MAX };
    /// How often time passes for open runs.
    pub const TICK: Duration = Duration::from_millis(250);

    /// With nothing seen yet.
    pub fn new(settings: Settings) -> Connector {
        Connector::with_budgets(settings, Vec::new(), "")
    }

    /// The same with budgets; `of` says whose they are.
    pub fn with_budgets(settings: Settings, budgets: Vec<Budget>, of: &str) -> Connector {
        let now = Timestamp::now();
        let kind = settings.source;
        let settings = Settings { states_spending: !budgets.is_empty(), ..settings };
        let max_value_bytes = settings.limits.value_bytes;
        Connector {
            core: Mutex::new(Core {
                deriver: Deriver::new(settings),
                measure: Measure::new(now),
                out: Output::default(),
            }),
            sinks: OnceLock::new(),
            recent: OnceLock::new(),
            budgets: Kept::of(budgets, of, kind, now),
            change_sinks: OnceLock::new(),
            last_tick: AtomicI64::new(now.as_micros()),
            derived_here: AtomicU64::new(0),
            max_value_bytes,
            cut: AtomicU64::new(0),
        }
    }

    /// Says where events go. Only the first call counts.
    pub fn send_events_to(&self, sinks: Vec<EventSink>) {
        self.sinks.get_or_init(|| sinks);
    }

    /// Says which figures are watched, and after which time nobody waits any more for people to answer.
    pub fn watch(&self, alerts: Vec<Alert>, human_timeout: Option<Duration>) {
        let measure = &mut self.lock().measure;
        measure.watch(alerts);
        measure.time_people_out_after(human_timeout);
    }

    /// Keeps what is counted by hour and by day as well, for whoever writes that somewhere.
    pub fn keep_buckets(&self) -> SharedBuckets {
        // Long enough that no two of those that count in the same day are called the same.
        let instance = || uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        self.lock().measure.keep_buckets(instance)
    }

    /// Says who writes those buckets, and is to know when they change. Only the first call counts.
    pub fn send_changes_to(&self, sinks: Vec<ChangeSink>) {
        self.change_sinks.get_or_init(|| sinks);
    }

    /// Says who keeps spans as they come. Only the first call counts.
    pub fn keep_spans_in(&self, recent: Arc<Recent>) {
        self.recent.get_or_init(|| recent);
    }

    /// Takes telemetry in: spans, log records that are events or tell of agents' work, and agents' metrics.
    pub fn batch(&self, batch: &Batch) {
        if let Some(recent) = self.recent.get() {
            recent.keep(batch);
        }
        match batch.signal() {
            // What came of some is used before more are taken in, because it is in the caches then.
            Signal::Traces => {
                let mut spans = batch.cursor();
                while self.some_spans(&mut spans) {}
            }
            Signal::Logs | Signal::Metrics => batch.split(Connector::PORTION).iter().for_each(|portion| {
                let now = Timestamp::now();
                self.take_in(now, |core| core.deriver.batch(portion, now, &mut core.out));
            }),
        }
    }

    /// Whether taking so many in takes so long that a caller's other tasks should not wait for it on the same thread.
    pub fn takes_long(items: usize) -> bool {
        items > Connector::PORTION.items
    }

    fn some_spans(&self, spans: &mut Cursor<'_>) -> bool {
        let now = Timestamp::now();
        self.take_in(now, |core| core.deriver.some_spans(spans, now, &mut core.out))
    }

    /// Takes spans of this process in; those without an end are open.
    pub fn live_spans(&self, batch: &Batch) {
        let now = Timestamp::now();
        self.take_in(now, |core| core.deriver.live_spans(batch, now, &mut core.out));
    }

    /// Takes a sign of life of an open span in.
    pub fn note(&self, trace: TraceId, span: SpanId, note: Note) {
        let now = Timestamp::now();
        self.take_in(now, |core| core.deriver.note(trace, span, note, now, &mut core.out));
    }

    /// Takes an event in that happened in a span.
    pub fn event_within(&self, mut event: Event, trace: TraceId, span: SpanId) {
        let now = Timestamp::now();
        self.take_in(now, |core| {
            core.deriver.place(&mut event, trace, span, now);
            core.deriver.event(event, now, &mut core.out);
        });
    }

    /// Takes events in.
    pub fn events(&self, events: Vec<Event>) {
        let mut events = events.into_iter();
        while events.len() > 0 {
            let now = Timestamp::now();
            let portion = events.by_ref().take(Connector::PORTION.items);
            self.take_in(now, |core| portion.for_each(|event| core.deriver.event(event, now, &mut core.out)));
        }
    }

    /// Received metrics without those that libraries of ours derived from what they send here as well: they are derived
    /// here once more, and would count twice. What a library says of itself stays, and so do its
    /// budgets, which nobody has here.
    pub fn without_what_is_derived_here(&self, batch: Batch) -> Batch {
        let mut left_out = 0;
        let edited = batch.edit(|group, record| {
            let is_sent = || group.resource.get(resource::EVENTS_SENT).and_then(AnyValue::text);
            let ours = group.scope.name == *"spanlight" && is_sent().is_some_and(|text| text == *"true");
            let name = Metric::read(record).name;
            let is_of_itself = ["spanlight.", "agent.budget."].iter().any(|of| name.as_str().starts_with(of));
            if !ours || is_of_itself {
                return Edit::Keep;
            }
            left_out += 1;
            Edit::Drop
        });
        self.derived_here.fetch_add(left_out, Relaxed);
        edited.unwrap_or(batch)
    }

    /// Forgets what is in progress of these traces, because another process goes on with it: nothing more is told or
    /// counted of it here.
    pub fn forget(&self, traces: &[TraceId]) {
        if !traces.is_empty() {
            let deriver = &mut self.lock().deriver;
            traces.iter().for_each(|trace| deriver.forget(*trace));
        }
    }

    /// Lets time pass.
    pub fn tick(&self) {
        let now = Timestamp::now();
        self.last_tick.store(now.as_micros(), Relaxed);
        self.change(now, |core| {
            core.deriver.tick(now, &mut core.out);
            core.measure.tick(now);
            for event in core.measure.timed_out(now) {
                core.deriver.event(event, now, &mut core.out);
            }
            core.out.events.extend(core.measure.check_alerts(now));
        });
    }

    /// Ends everything that is open, because the program stops.
    pub fn finish(&self) {
        let now = Timestamp::now();
        self.change(now, |core| core.deriver.finish(now, &mut core.out));
        self.lock().measure.finish(now);
    }

    /// How long ago time last passed.
    pub fn since_tick(&self) -> Duration {
        Duration::from_micros(Timestamp::now().micros_since(Timestamp::from_micros(self.last_tick.load(Relaxed))))
    }

    /// Reads under the lock: quickly, please.
    pub fn read<T>(&self, read: impl FnOnce(&Core) -> T) -> T {
        read(&self.lock())
    }

    /// The metrics as they stand.
    pub fn metrics(&self) -> Vec<Counted> {
        let mut counted = self.read(|core| core.measure.snapshot(&core.deriver.in_flight()));
        counted.extend(self.budgets.iter().flat_map(Kept::counted));
        counted
    }

    /// Shows what was left out, and what is in memory.
    pub fn show(self: &Arc<Connector>, health: &Health) {
        let count = |pick: fn(&Counts) -> u64| {
            let connector = self.clone();
            move || connector.read(|core| pick(&core.deriver.counts())) as f64
        };
        let dropped = |reason, pick| {
            health.total(DROPPED, &[("component", "agent"), ("reason", reason)], count(pick));
        };
        dropped("duplicate_span", |counts| counts.duplicate_spans);
        dropped("duplicate_event", |counts| counts.duplicate_events);
        dropped("expired", |counts| counts.expired_events);
        dropped("invalid_ids", |counts| counts.invalid_ids);
        let connector = self.clone();
        let labels = [("component", "agent"), ("reason", "derived_here")];
        health.total(DROPPED, &labels, move || connector.derived_here.load(Relaxed) as f64);
        let connector = self.clone();
        let labels = [("component", "agent"), ("reason", "cut")];
        health.total(WITHHELD, &labels, move || connector.cut.load(Relaxed) as f64);
        health.total(SPANS, &[], count(|counts| counts.spans));
        health.total(MALFORMED_IDS, &[], count(|counts| counts.malformed_component_ids));
        health.total(CUT_SHORT, &[], count(|counts| counts.runs_cut_short));
        health.total(EVICTED, &[], count(|counts| counts.runs_evicted));
        health.total(HANDED_OVER, &[], count(|counts| counts.runs_handed_over));
        health.total(LEDGER_OVERFLOW, &[], count(|counts| counts.ledger_overflow));
        let connector = self.clone();
        health.gauge(RUNS, &[], move || connector.read(|core| core.deriver.in_memory().1) as f64);
        let left_out = |about, pick: fn(LeftOut) -> u64| {
            let connector = self.clone();
            health.total(about, &[], move || connector.read(|core| pick(core.measure.left_out())) as f64);
        };
        left_out(OVERFLOW, |left_out| left_out.overflowed);
        left_out(TOO_LATE, |left_out| left_out.too_late);
        left_out(INVALID, |left_out| left_out.invalid);
        self.show_budgets(health);
    }

    fn take_in<T>(&self, now: Timestamp, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        let result = change(&mut core);
        self.hand_on(&mut core, now, true);
        result
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Core)) {
        let mut core = self.lock();
        change(&mut core);
        self.hand_on(&mut core, now, false);
    }

    /// Counts what came out, and hands the events to whoever wants them.
    fn hand_on(&self, core: &mut Core, now: Timestamp, takes_in: bool) {
        if let Some(budgets) = &self.budgets {
            budgets.follow(core, now, takes_in);
        }
        for index in core.out.from_outside.drain(..) {
            core.measure.event(&core.out.events[index], now);
        }
        for fact in &core.out.facts {
            core.measure.fact(fact, now);
        }
        for tally in &core.out.tallies {
            core.measure.tally(tally, now);
        }
        core.out.facts.clear();
        core.out.tallies.clear();
        let changes = core.measure.take_changes();
        if changes > 0 {
            self.change_sinks.get().into_iter().flatten().for_each(|sink| sink(changes));
        }
        if core.out.events.is_empty() {
            return;
        }
        core.out.events.iter_mut().for_each(|event| self.keep_within_limit(event));
        let records: Vec<SharedRecord> = core.out.events.drain(..).map(|event| Arc::new(Record::new(event))).collect();
        // Under the lock, so that every sink sees the same order. Sinks only put things into queues.
        for sink in self.sinks.get().into_iter().flatten() {
            sink(&records);
        }
    }

    /// Cuts values of an event that are longer than what every reader takes.
    fn keep_within_limit(&self, event: &mut Event) {
        if let Some((cut, values)) = event.data.cut(self.max_value_bytes) {
            event.data = cut;
            self.cut.fetch_add(values as u64, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SPANS: About =
    About { name: "spanlight.agent.spans", unit: "{span}", help: "Spans that the agent connector took in." };
const RUNS: About = About { name: "spanlight.agent.runs", unit: "{run}", help: "Runs in memory." };
const MALFORMED_IDS: About = About {
    name: "spanlight.agent.malformed_component_ids",
    unit: "{event}",
    help: "Events whose component id does not have the format of its scope; they are kept.",
};
const CUT_SHORT: About = About {
    name: "spanlight.agent.runs_cut_short",
    unit: "{run}",
    help: "Runs that left memory before they were over, because there was no more room.",
};
const EVICTED: About = About {
    name: "spanlight.agent.runs_evicted",
    unit: "{run}",
    help: "Runs that were over and left memory to make room; the ledger keeps their sums.",
};
const HANDED_OVER: About = About {
    name: "spanlight.agent.runs_handed_over",
    unit: "{run}",
    help: "Runs in progress that left memory because another process goes on with them.",
};
const TOO_LATE: About = About {
    name: "spanlight.agent.too_late",
    unit: "{measurement}",
    help: "Measurements of work that ended before the oldest window; counters have them, the summary does not.",
};
const OVERFLOW: About = About {
    name: "spanlight.agent.series_overflow",
    unit: "{measurement}",
    help: "Measurements that found no room for a series of their own.",
};
const INVALID: About = About {
    name: "spanlight.agent.invalid_values",
    unit: "{measurement}",
    help: "Measurements that are negative or no number, which no counter can take.",
};
const LEDGER_OVERFLOW: About = About {
    name: "spanlight.agent.ledger_overflow",
    unit: "{posting}",
    help: "Work that left memory and found no row of its own in the ledger; it is under `(others)`.",
};
