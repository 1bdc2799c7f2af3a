//! The library as a whole: what a program that traces itself is wired with, so that its spans, and what is derived of
//! them, go where it wants them. The only place that knows every stage of the library, as `pipeline` does of the
//! collector.

mod bridge;
mod budgets;
mod builder;
mod emitter;
mod environment;
mod exporting;
mod global;
mod guard;
mod plan;
mod sink;
mod spans;
mod subscription;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

pub use crate::console::event::Level as Console;
use bridge::Bridge;
pub use budgets::BudgetQuery;
use budgets::RemoteBudgets;
pub use builder::Builder;
use emitter::Emitter;
use exporting::Exporting;
pub use global::{
    budget, emit, emit_event, flush, get_events, init, layer, metrics, record_critic_decision, shutdown, subscribe,
    telemetry,
};
pub use guard::{Guard, Report, Unflushed};
use sink::Sinks;
pub use subscription::Subscription;
use worker::Worker;

use crate::bus::Bus;
use crate::connector::{BudgetFile, Connector};
use crate::event::{self, Decision, Event, Filter, ReadError, Source, SourceKind, Timestamp};
use crate::export::Left;
use crate::health::{DROPPED, Health, QUEUE_BYTES, WITHHELD};
use crate::hub::{Hub, Page};
use crate::layer::{self, AgentLayer};
use crate::measure::{Dimension, Summary, SummaryRow};

/// Everything that this process derives of its own spans, and where it goes. A clone is the same.
///
/// ```
/// use spanlight::{Telemetry, agent_span};
/// use std::time::{Duration, Instant};
///
/// let telemetry = Telemetry::builder().service_name("newsroom").build();
/// tracing::subscriber::with_default(telemetry.subscriber(), || {
///     let _agent = agent_span!("scribe", feature = "articles").entered();
/// });
/// telemetry.flush(Duration::from_secs(5)).unwrap();
/// let names: Vec<String> =
///     telemetry.get_events(0).events.iter().map(|(_, record)| record.event().name.to_string()).collect();
/// assert_eq!(names, ["agent.started", "agent.completed"]);
/// ```
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

/// What the last handle takes with it.
pub(crate) struct Inner {
    emitter: Emitter,
    connector: Arc<Connector>,
    /// The budgets that a collector keeps.
    budgets: Option<RemoteBudgets>,
    budget_file: Option<Arc<BudgetFile>>,
    hub: Arc<Hub>,
    health: Arc<Health>,
    worker: Worker,
    exporting: Exporting,
    tracer_provider: Option<SdkTracerProvider>,
    sinks: Sinks,
    bridge: Bridge,
    /// What was lost, once it has ended.
    report: Mutex<Option<Report>>,
}

impl Telemetry {
    /// Chooses where events, spans and metrics go. Without further words nowhere, except to [`Telemetry::subscribe`],
    /// [`Telemetry::get_events`] and [`Telemetry::metrics`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A layer for a subscriber of your own, which may have others: add it to a `tracing_subscriber` registry.
    ///
    /// Beside `tracing_opentelemetry`, events carry its trace and span ids; either may be added first. Ask for it once:
    /// one telemetry follows the spans of one subscriber.
    ///
    /// ```
    /// use spanlight::Telemetry;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let telemetry = Telemetry::builder().build();
    /// let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    /// # drop(subscriber);
    /// ```
    pub fn layer(&self) -> AgentLayer {
        AgentLayer::new(self.0.emitter.source.clone(), self.0.clone())
    }

    /// A subscriber with this layer, and with that of OpenTelemetry if spans are sent somewhere.
    pub fn subscriber(&self) -> impl Subscriber + for<'r> LookupSpan<'r> + Send + Sync + use<> {
        use opentelemetry::trace::TracerProvider;
        let opentelemetry = self.0.tracer_provider.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("spanlight"));
            layer.with_location(false).with_threads(false).with_tracked_inactivity(false)
        });
        tracing_subscriber::registry()
            .with(environment::selection(self.0.emitter.source.clone()))
            .with(self.layer())
            .with(opentelemetry)
    }

    /// Says that something happened. Within a span of an agent's work the event belongs to that work: it gets its
    /// trace, execution, agent, feature and task, as far as it does not name others. Costs and durations that cannot be,
    /// such as negative ones, are left out; after [`Telemetry::shutdown`] the event is dropped and counted.
    ///
    /// ```
    /// use spanlight::event::Event;
    ///
    /// let telemetry = spanlight::Telemetry::builder().build();
    /// telemetry.emit(Event::quality_checked(0.9, true).agent("critic"));
    /// # telemetry.flush(std::time::Duration::from_secs(5)).unwrap();
    /// # assert_eq!(telemetry.get_events(0).events.len(), 1);
    /// ```
    pub fn emit(&self, event: Event) {
        self.0.emitter.emit_own(event, self.0.emitter.here());
    }

    /// The same for an event in JSON: `payload` has its fields, the catalogue's and those of the event itself. Any
    /// alias of a name will do.
    ///
    /// ```
    /// let telemetry = spanlight::Telemetry::builder().build();
    /// let payload = serde_json::json!({"task_id": "t-1", "feature": "checkout", "est_cost": 0.5});
    /// telemetry.emit_event("task_queued", payload).unwrap();
    /// # telemetry.flush(std::time::Duration::from_secs(5)).unwrap();
    /// # assert_eq!(telemetry.get_events(0).events[0].1.event().identity.task_id.as_deref(), Some("t-1"));
    /// ```
    ///
    /// # Errors
    /// The payload is no object, lacks a field that an event of the name needs and that the span around it does not give,
    /// or has one that is not what the catalogue says. The error names the field.
    pub fn emit_event(&self, name: &str, payload: Value) -> Result<(), ReadError> {
        let source = Source { kind: SourceKind::Layer, dialect: None, instance: None, service: None };
        let here = self.0.emitter.here();
        let events = event::read_event(name, payload, here.is_some(), &source, Timestamp::now())?;
        events.into_iter().for_each(|event| self.0.emitter.emit_own(event, here));
        Ok(())
    }

    /// A critic approved or rejected what an agent made. [`Event::review_decided`] says more.
    pub fn record_critic_decision(&self, rejected: bool) {
        self.emit(Event::review_decided("critic", if rejected { Decision::Rejected } else { Decision::Approved }));
    }

    /// A budget to ask before money is spent: one that [`Builder::budget`] defined, else one of the collector that
    /// [`Builder::budgets_from`] names.
    ///
    /// ```
    /// use spanlight::{Budget, Telemetry};
    ///
    /// let telemetry = Telemetry::builder().budget(Budget::daily("daily", 25.0)).build();
    /// let verdict = telemetry.budget("daily").estimate(0.50).verdict();
    /// if verdict.may_go_on() {
    ///     // Call the model.
    /// }
    /// assert_eq!((verdict.spent, verdict.remaining), (Some(0.0), Some(25.0)));
    /// ```
    pub fn budget(&self, name: &str) -> BudgetQuery {
        BudgetQuery::new(Some(self.clone()), name)
    }

    /// The summary of the last hour: the six ratios, and the sums behind them.
    pub fn metrics(&self) -> Summary {
        self.metrics_of(Duration::from_secs(3600))
    }

    /// The summary of another window that ends now.
    pub fn metrics_of(&self, window: Duration) -> Summary {
        self.0.connector.read(|core| core.measure.summary(window, Timestamp::now()))
    }

    /// The same, by agent, feature, model or tool; the most expensive first.
    pub fn metrics_by(&self, dimension: Dimension, window: Duration) -> Vec<SummaryRow> {
        self.0.connector.read(|core| core.measure.summary_by(dimension, window, Timestamp::now()))
    }

    /// Events that fit, from now on.
    ///
    /// ```
    /// use spanlight::event::{Filter, Timestamp};
    /// use std::time::{Duration, Instant};
    ///
    /// let telemetry = spanlight::Telemetry::builder().build();
    /// let filter = Filter::from_pairs([("scope", "tool")], Timestamp::now()).unwrap();
    /// let mut tools = telemetry.subscribe(filter);
    /// telemetry.emit_event("agent_started", serde_json::json!({"agent": "scribe"})).unwrap();
    /// telemetry.emit_event("TOOL_USAGE", serde_json::json!({"tool_name": "search"})).unwrap();
    /// let record = tools.recv_timeout(Duration::from_secs(5)).unwrap();
    /// assert_eq!(record.event().dimensions.tool.as_deref(), Some("search"));
    /// ```
    pub fn subscribe(&self, filter: Filter) -> Subscription {
        Subscription::new(self.0.hub.clone(), filter)
    }

    /// A bus for the program's own code, which is made when this is called first: whoever subscribes gets what is derived
    /// from then on, and what is published on it goes wherever telemetry goes, once. Unless [`Builder::bus`] gave one, it
    /// ends with telemetry.
    ///
    /// ```
    /// use spanlight::event::{Event, Filter, Timestamp};
    /// use std::time::Duration;
    ///
    /// let telemetry = spanlight::Telemetry::builder().build();
    /// let filter = Filter::from_pairs([("scope", "agent")], Timestamp::now()).unwrap();
    /// let agents = telemetry.bus().subscribe("agents", filter, |delivery| println!("{}", delivery.event().name)).unwrap();
    /// telemetry.emit(Event::agent_started("scribe"));
    /// telemetry.bus().publish(Event::agent_decided("scribe", "rewrite")).unwrap();
    /// telemetry.flush(Duration::from_secs(5)).unwrap();
    /// assert_eq!(agents.analytics().delivered, 2);
    /// assert_eq!(telemetry.get_events(0).events.len(), 2);
    /// ```
    pub fn bus(&self) -> &Bus {
        self.0.bridge.bus()
    }

    /// The events from an offset on that are still in memory. [`Page::next`] is where to go on, [`Page::gap`] says
    /// what is gone.
    pub fn get_events(&self, offset: u64) -> Page {
        self.0.hub.read(offset, usize::MAX, &Filter::default())
    }

    /// Our own counters: what was sent, retried and dropped, each under its reason.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Waits until everything that was said before has gone out, or nothing more can be done about it. Blocks the
    /// thread; call it from `spawn_blocking` where others share it.
    ///
    /// # Errors
    /// Something was still on its way when the time was over: which exporters, and how many items.
    pub fn flush(&self, timeout: Duration) -> Result<(), Unflushed> {
        let deadline = Instant::now() + timeout;
        // Spans and metrics let events go first.
        self.0.flush_once(deadline)?;
        self.0.flush_once(deadline)
    }

    /// Ends it: what is open is ended, what waits goes out until the deadline. Says what was lost since the start.
    /// Blocks the thread, as [`Telemetry::flush`] does. What is traced afterwards is not looked at any more.
    pub fn shutdown(&self, timeout: Duration) -> Report {
        self.0.shutdown(timeout)
    }

    /// That of the subscriber of the current thread.
    pub(crate) fn of(dispatch: &Dispatch) -> Option<Telemetry> {
        AgentLayer::of(dispatch)?.reader().map(Telemetry)
    }
}

impl Inner {
    fn flush_once(&self, deadline: Instant) -> Result<(), Unflushed> {
        if !self.worker.flush(deadline) {
            return Err(Unflushed::behind());
        }
        let mut pending: Vec<Left> = self.sinks.wait(deadline);
        pending.extend(self.bridge.wait(deadline));
        self.exporting.flush(deadline)?;
        if pending.is_empty() { Ok(()) } else { Err(Unflushed { pending }) }
    }

    /// Whoever comes second waits for the first, and hears the same.
    fn shutdown(&self, timeout: Duration) -> Report {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.get_or_insert_with(|| self.end(timeout)).clone()
    }

    fn end(&self, timeout: Duration) -> Report {
        let deadline = Instant::now() + timeout;
        if let Some(provider) = &self.tracer_provider {
            // It only closes our queue of spans, which never waits and cannot fail but by being closed before.
            provider.shutdown().ok();
        }
        // What is not out by half the time goes together with the rest.
        self.flush_once(Instant::now() + timeout / 2).ok();
        let has_stopped = self.worker.stop(deadline);
        self.budget_file.iter().for_each(|file| file.end());
        let mut left = self.exporting.drain(deadline);
        left.extend(self.sinks.wait(deadline));
        left.extend(self.bridge.wait(deadline));
        self.sinks.end();
        self.bridge.end(deadline);
        self.hub.close();
        Report::new(left, self.emitter.source.lanes().dropped().counts(), &self.health, has_stopped)
    }
}

impl Drop for Inner {
    /// Whoever has not ended it gives what waits a moment.
    fn drop(&mut self) {
        // The worker ends by itself when nobody can ask it for anything any more.
        if self.worker.is_current() {
            return;
        }
        self.shutdown(Duration::from_secs(2));
    }
}

/// Shows what the layer dropped, and what waits in it.
fn show(source: &Arc<layer::Source>, health: &Health) {
    for (at, (kind, _)) in source.lanes().dropped().counts().into_iter().enumerate() {
        let source = source.clone();
        let labels = [("component", "layer"), ("signal", kind), ("reason", "no_room")];
        health.total(DROPPED, &labels, move || source.lanes().dropped().counts()[at].1 as f64);
    }
    let labels = [("component", "layer"), ("reason", "cut")];
    health.total(WITHHELD, &labels, || layer::values_cut() as f64);
    let waiting = source.clone();
    health.gauge(QUEUE_BYTES, &[("component", "layer")], move || waiting.lanes().bytes() as f64);
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("service", &self.0.emitter.service).finish_non_exhaustive()
    }
}
