//! Choosing where events, spans and metrics go.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::util::SubscriberInitExt;

use super::bridge::Bridge;
use super::budgets::RemoteBudgets;
use super::emitter::Emitter;
use super::environment::{self, console_level};
use super::exporting::{Exporting, Outlet};
use super::plan::{Plan, Plugged};
use super::sink::{Handler, Sinks};
use super::spans::Spans;
use super::worker::{Work, Worker};
use super::{Guard, Inner, Telemetry};
use crate::budget::Budget;
use crate::bus::Bus;
use crate::connector::{BudgetFile, Connector};
use crate::console::event::Level;
use crate::content::{Classes, Policy};
use crate::derive;
use crate::derive::cost::Overrides;
use crate::event::{Scope, SourceKind, Timestamp};
use crate::export::otlp::env::{self, Lookup};
use crate::export::otlp::{Remote, resource};
use crate::export::{Inlet, redis};
use crate::flow::SharedRecord;
use crate::health::Health;
use crate::hub::Hub;
use crate::layer::{self, Follower, Limits, Pattern};
use crate::measure::Alert;
use crate::otlp::Signal;
use crate::semconv::resource::{EVENTS_SENT, SERVICE_INSTANCE_ID, SERVICE_NAME};

/// How telemetry is wired. Get one from [`Telemetry::builder`].
pub struct Builder {
    resource: Vec<(String, String)>,
    console: Option<Level>,
    file: Option<PathBuf>,
    /// Where spans, metrics and events go.
    otlp: [Option<Remote>; 3],
    redis: Option<redis::Config>,
    content: Option<Policy>,
    metrics_interval: Duration,
    sinks: Vec<(usize, Handler)>,
    bus: Option<Bus>,
    patterns: Vec<Pattern>,
    settings: derive::Settings,
    budgets: Vec<Budget>,
    budget_file: Option<PathBuf>,
    budgets_from: Option<String>,
    budgets_token: Option<String>,
    alerts: Vec<Alert>,
    human_timeout: Option<Duration>,
    limits: Limits,
    ring: usize,
    problems: Vec<String>,
}

impl Default for Builder {
    fn default() -> Builder {
        let settings = derive::Settings {
            source: SourceKind::Layer,
            limits: derive::Limits {
                // Whatever is above and below a span is known in this process: nothing is waited for.
                hold: Duration::ZERO,
                settled: Duration::ZERO,
                quiet: Duration::ZERO,
                ..derive::Limits::default()
            },
            ..derive::Settings::default()
        };
        Builder {
            resource: resource::of_this_process(&|_| None).attributes,
            console: None,
            file: None,
            otlp: [None, None, None],
            redis: None,
            content: None,
            metrics_interval: Duration::from_secs(60),
            sinks: Vec::new(),
            bus: None,
            patterns: Vec::new(),
            settings,
            budgets: Vec::new(),
            budget_file: None,
            budgets_from: None,
            budgets_token: None,
            alerts: Vec::new(),
            human_timeout: None,
            limits: Limits::default(),
            ring: 10_000,
            problems: Vec::new(),
        }
    }
}

impl Builder {
    /// What the environment says: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_…`,
    /// `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`, `OBSERVABILITY_CONSOLE_LEVEL` (INFO unless it says otherwise; `off` is none) and
    /// `OBSERVABILITY_LOG_PATH` (`spanlight-data/agent-events.jsonl`), and `SPANLIGHT_BUDGETS_URL`, which is
    /// [`Builder::budgets_from`], with `SPANLIGHT_TOKEN`; with the feature `redis` also `REDIS_URL`, or `REDIS_HOST`, `REDIS_PORT`,
    /// `REDIS_PASSWORD` and `REDIS_DB`. What comes after this wins over it.
    pub fn from_env(self) -> Builder {
        self.from_lookup(&environment::of_process)
    }

    /// The same with variables from elsewhere.
    pub fn from_lookup(mut self, lookup: Lookup<'_>) -> Builder {
        let resource = resource::of_this_process(lookup);
        self.problems.extend(resource.problem);
        self.resource = resource.attributes;
        let said = environment::read(lookup);
        self.console = match said.console_level.as_deref().map(console_level) {
            None => Some(Level::Info),
            Some(Ok(console)) => console,
            Some(Err(problem)) => {
                self.problems.push(problem);
                Some(Level::Info)
            }
        };
        self.budgets_from = said.budgets_url.or(self.budgets_from);
        self.budgets_token = said.token.or(self.budgets_token);
        self.file = Some(said.log_path.unwrap_or_else(|| Path::new("spanlight-data").join("agent-events.jsonl")));
        if !env::is_disabled(lookup) {
            for (place, signal) in self.otlp.iter_mut().zip([Signal::Traces, Signal::Metrics, Signal::Logs]) {
                match env::remote(signal, lookup) {
                    Ok(remote) => *place = remote,
                    Err(problem) => self.problems.push(problem),
                }
            }
        }
        match redis::Config::from_lookup(lookup) {
            // Whoever derives what we derive would count it once more, in the same buckets.
            Ok(Some(_)) if self.otlp[2].is_some() => crate::report::warn(
                "REDIS_URL and REDIS_HOST are left to whoever gets the events over OTLP; Builder::redis writes from here \
                 all the same",
            ),
            Ok(redis) => self.redis = redis,
            Err(problem) => self.problems.push(problem),
        }
        if let Some(interval) = lookup("OTEL_METRIC_EXPORT_INTERVAL").and_then(|text| text.trim().parse().ok()) {
            self.metrics_interval = Duration::from_millis(interval).max(Duration::from_millis(100));
        }
        self
    }

    /// The name of this program, `service.name`.
    pub fn service_name(self, name: impl Into<String>) -> Builder {
        self.resource_attribute(SERVICE_NAME, name)
    }

    /// An attribute of this program's resource.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Builder {
        let (key, value) = (key.into(), value.into());
        self.resource.retain(|(known, _)| *known != key);
        self.resource.push((key, value));
        self
    }

    /// Events on standard error, from a level on.
    pub fn console(mut self, console: Level) -> Builder {
        self.console = Some(console);
        self
    }

    /// Nothing on the console.
    pub fn no_console(mut self) -> Builder {
        self.console = None;
        self
    }

    /// Events to a file of JSON lines, which is rotated daily; old ones are packed after a week and deleted after a
    /// month.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.file = Some(path.into());
        self
    }

    /// No file.
    pub fn no_file(mut self) -> Builder {
        self.file = None;
        self
    }

    /// Spans, events and metrics over OTLP, to the base URL of a receiver: `http://localhost:4318`.
    pub fn otlp(mut self, endpoint: impl Into<String>) -> Builder {
        let endpoint = endpoint.into();
        let lookup = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            _ => None,
        };
        for (place, signal) in self.otlp.iter_mut().zip([Signal::Traces, Signal::Metrics, Signal::Logs]) {
            match env::remote(signal, &lookup) {
                Ok(remote) => *place = remote,
                Err(problem) => self.problems.push(problem),
            }
        }
        self
    }

    /// Sums by hour and by day, a stream and a channel of events at a server of Redis or Valkey:
    /// `redis://localhost:6379`, `rediss://…` with TLS. A collector that gets the events as well and writes to the same
    /// server would count everything twice.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, url: impl Into<String>) -> Builder {
        let config = redis::Config::usual(url);
        match config.validate() {
            Ok(()) => self.redis = Some(config),
            Err(problem) => self.problems.push(format!("redis: {problem}")),
        }
        self
    }

    /// What becomes of prompts, answers, and what tools were given and gave, over OTLP and in Redis. Unless it is said here or in
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`, they go to receivers on this machine and to no other.
    pub fn content(mut self, policy: Policy) -> Builder {
        self.content = Some(policy);
        self
    }

    /// How often metrics go out over OTLP: every minute, unless told otherwise.
    pub fn metrics_interval(mut self, interval: Duration) -> Builder {
        self.metrics_interval = interval;
        self
    }

    /// Calls a function with events, in order, on a thread of its own. Should it panic or hang, nobody else notices:
    /// at most `capacity` events wait for it, and what does not fit is dropped and counted.
    pub fn sink(mut self, capacity: usize, handle: impl FnMut(&SharedRecord) + Send + 'static) -> Builder {
        self.sinks.push((capacity, Box::new(handle)));
        self
    }

    /// Has derived events published on a bus of the program's own, such as [`bus::global`](crate::bus::global), and what is
    /// published there go wherever telemetry goes. One bus is connected to one telemetry.
    pub fn bus(mut self, bus: Bus) -> Builder {
        self.bus = Some(bus);
        self
    }

    /// Spans whose name, or `target::name`, fits a glob (`*` is anything) are pieces of work, even if they do not say
    /// so: the first that fits counts.
    pub fn span_pattern(mut self, glob: impl Into<String>, scope: Scope) -> Builder {
        self.patterns.push(Pattern { glob: glob.into(), scope });
        self
    }

    /// Fields that name what work is for, in order of preference, instead of `spanlight.feature`, `feature` and
    /// `app.feature`.
    pub fn feature_fields<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Builder {
        self.settings.feature = names.into_iter().map(Into::into).collect();
        self
    }

    /// Fields that name the task, in order of preference, instead of `spanlight.task.id` and `task_id`.
    pub fn task_fields<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Builder {
        self.settings.task = names.into_iter().map(Into::into).collect();
        self
    }

    /// Prices that go before those of the built-in table, from a file of JSON in our layout or LiteLLM's.
    pub fn prices(mut self, path: impl AsRef<Path>) -> Builder {
        let name = path.as_ref().display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"));
        match text.and_then(|text| Overrides::from_json(&name, &text)) {
            Ok(overrides) => {
                self.problems.extend(overrides.warnings.iter().cloned());
                self.settings.prices.overrides = Some(Arc::new(overrides));
            }
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// What may be spent. `budget.warning` and `budget.exceeded` tell of it, and [`Telemetry::budget`] can be asked.
    /// Of several of one name the last counts.
    pub fn budget(mut self, budget: Budget) -> Builder {
        self.budgets.retain(|known| known.name() != budget.name());
        self.budgets.push(budget);
        self
    }

    /// The file in which is kept what was spent of [budgets](Builder::budget), so that a restart does not forget it.
    /// Without one they begin anew with the process. One file is for one process at a time.
    pub fn budget_file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.budget_file = Some(path.into());
        self
    }

    /// The web endpoint of a collector that keeps budgets, such as `http://127.0.0.1:3010`: [`Telemetry::budget`] asks
    /// those that are not kept here. They are fetched every two seconds, in the background.
    pub fn budgets_from(mut self, url: impl Into<String>) -> Builder {
        self.budgets_from = Some(url.into());
        self
    }

    /// The token for it, where that collector asks for one. It has to be one that sees everything.
    pub fn budgets_token(mut self, token: impl Into<String>) -> Builder {
        self.budgets_token = Some(token.into());
        self
    }

    /// Tells with an event `performance.alert` when a figure of [`Telemetry::metrics`] crosses a bound, and with
    /// `error.recovered` when it is back. [`Alert`] says more.
    pub fn alert(mut self, alert: Alert) -> Builder {
        self.alerts.push(alert);
        self
    }

    /// Escalations that nobody has answered after so long are resolved as timed out. Unless this is said, people are
    /// waited for forever.
    pub fn human_timeout(mut self, timeout: Duration) -> Builder {
        self.human_timeout = Some(timeout);
        self
    }

    /// How many events stay in memory for [`Telemetry::get_events`] and slow subscriptions: 10,000, unless told
    /// otherwise.
    pub fn ring(mut self, events: usize) -> Builder {
        self.ring = events.max(1);
        self
    }

    /// How much may wait between the agent's threads and ours, and how many spans may be open.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Starts it. What cannot be done is said on standard error; the rest is done.
    pub fn build(mut self) -> Telemetry {
        self.settle_content();
        let health = Arc::new(Health::default());
        let hub = Arc::new(Hub::new(self.ring));
        let (service, instance) = (self.attribute(SERVICE_NAME), self.attribute(SERVICE_INSTANCE_ID));
        let budgets = std::mem::take(&mut self.budgets);
        let connector = Arc::new(Connector::with_budgets(self.settings.clone(), budgets, &service));
        let budget_file = self.budget_file.take().and_then(|path| BudgetFile::read(&connector, path)).map(Arc::new);
        let budgets = self.budgets_from.is_some().then(RemoteBudgets::default);
        connector.watch(std::mem::take(&mut self.alerts), self.human_timeout);
        let dimensions = self.settings.feature.iter().chain(&self.settings.task).map(String::as_str);
        let source = Arc::new(layer::Source::new(dimensions, std::mem::take(&mut self.patterns), &self.limits));
        let metrics_resource = self.metrics_resource();
        let plan = Plan {
            console: self.console,
            file: self.file.take(),
            otlp: std::mem::take(&mut self.otlp),
            redis: self.redis.take(),
            connector: connector.clone(),
            health: health.clone(),
            budget_file: budget_file.clone(),
            budgets: budgets.clone().zip(self.budgets_from.take()),
            budgets_token: self.budgets_token.take(),
        };
        let (exporting, plugged) = Exporting::run(|| plan.start()).unwrap_or_else(|error| {
            self.problems.push(format!("there is no thread for exporters, which get nothing: {error}"));
            Default::default()
        });
        let Plugged { mut sinks, spans, metrics, events, changes, problems } = plugged;
        self.problems.extend(problems);
        let of_hub = hub.clone();
        sinks.push(Box::new(move |records| of_hub.publish(records)));
        let of_program = self.start_sinks(&health);
        sinks.extend(of_program.entrance());
        let emitter = Emitter { source: source.clone(), service: service.clone(), instance: instance.clone() };
        let bridge = Bridge::new(self.bus.take(), emitter.clone(), health.clone());
        sinks.push(bridge.entrance());
        connector.send_events_to(sinks);
        connector.send_changes_to(changes.into_iter().map(Inlet::into_change_sink).collect());
        connector.show(&health);
        super::show(&source, &health);
        let tracer_provider = spans.as_ref().map(|(spans, _)| self.provider(spans.clone()));
        let work = Work {
            follower: Follower::new(source.clone(), &service, &instance),
            source,
            limits: self.limits,
            connector: connector.clone(),
            outlet: Outlet {
                connector: connector.clone(),
                health: health.clone(),
                spans,
                metrics,
                events,
                spans_wait_until: None,
                resource: metrics_resource,
                interval: self.metrics_interval,
                began: Timestamp::now(),
                next_metrics: Instant::now() + self.metrics_interval,
            },
        };
        let worker = Worker::start(work);
        self.problems.iter().for_each(|problem| crate::report::error(problem));
        Telemetry(Arc::new(Inner {
            emitter,
            connector,
            budgets,
            budget_file,
            hub,
            health,
            worker,
            exporting,
            tracer_provider,
            sinks: of_program,
            bridge,
            report: Mutex::new(None),
        }))
    }

    /// Starts it, and makes it that of the whole process. If another subscriber is set already, that one stays.
    pub fn init(self) -> Guard {
        let telemetry = self.build();
        if telemetry.subscriber().try_init().is_err() {
            crate::report::error(
                "another tracing subscriber is set already, so nothing is seen; add spanlight::layer() to that one",
            );
        }
        Guard::new(telemetry)
    }

    /// What was asked for holds wherever telemetry goes; what nobody asked for is told.
    fn settle_content(&mut self) {
        let content = self.content.map(Classes::all);
        if let Some(content) = content {
            self.otlp.iter_mut().flatten().for_each(|remote| remote.ask(content));
            self.redis.iter_mut().for_each(|redis| redis.ask(content));
        }
        let [spans, _, events] = &self.otlp;
        let redis_drops = self.redis.as_ref().is_some_and(redis::Config::drops_unasked);
        if redis_drops || [spans, events].into_iter().flatten().any(Remote::drops_unasked) {
            crate::report::warn(
                "telemetry goes beyond this machine without prompts, answers, and what tools were given and gave; \
                 Builder::content, or OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true, sends them",
            );
        }
    }

    /// The resource of the metrics. Who gets the events as well, and derives, must not count twice.
    fn metrics_resource(&self) -> Vec<(String, String)> {
        let [_, metrics, logs] = &self.otlp;
        let to = |remote: &Option<Remote>, signal| remote.as_ref()?.authority(signal);
        let metrics_to = to(metrics, Signal::Metrics);
        let both = metrics_to.is_some() && metrics_to == to(logs, Signal::Logs);
        let says_so = both.then(|| (EVENTS_SENT.to_owned(), "true".to_owned()));
        self.resource.iter().cloned().chain(says_so).collect()
    }

    fn start_sinks(&mut self, health: &Health) -> Sinks {
        let sinks = Sinks::new(health);
        for (number, (capacity, handler)) in self.sinks.drain(..).enumerate() {
            if let Err(error) = sinks.add(number, capacity, handler, health) {
                self.problems.push(format!("a sink gets nothing: {error}"));
            }
        }
        sinks
    }

    fn attribute(&self, key: &str) -> Arc<str> {
        let value = self.resource.iter().find(|(known, _)| known == key);
        value.map(|(_, value)| value.as_str().into()).unwrap_or_default()
    }

    fn provider(&self, spans: Spans) -> SdkTracerProvider {
        let attributes = self.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        SdkTracerProvider::builder().with_resource(resource).with_span_processor(spans).build()
    }
}
