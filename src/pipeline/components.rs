//! What components there are, and what each is told by its configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::alerts::AlertConfig;
use super::past::{HistoryConfig, JournalConfig};
use super::prices::PricesConfig;
use super::{authenticators, foreign};
use crate::archive;
use crate::auth::{self, BasicAuth, BearerTokens};
use crate::budget::{self, Budget};
use crate::config::types::Span;
use crate::config::{ComponentId, Node, Problem, Section, read};
use crate::derive::cost::PriceSettings;
use crate::derive::{self, Settings};
use crate::export::credentials::Auth;
use crate::export::otlp::Remote;
use crate::export::{debug, file, kafka, otlp as otlp_export, prometheus, redis, webhook};
use crate::health::Health;
use crate::measure::Alert;
use crate::nearest::nearest;
use crate::process::{attributes, batch, filter, memory_limiter, redaction};
use crate::receive::{kafka as kafka_receive, otlp as otlp_receive, redis as redis_receive};
use crate::tls;
use crate::web;

/// A component with its typed configuration.
#[derive(Clone, Debug)]
pub enum Component {
    /// Receiver `otlp`.
    OtlpReceiver(Box<otlp_receive::Config>),
    /// Receiver `redis`.
    RedisReceiver(Box<redis_receive::Config>),
    /// Receiver `kafka`.
    KafkaReceiver(Box<kafka_receive::Config>),
    /// Processor `memory_limiter`.
    MemoryLimiter(memory_limiter::Config),
    /// Processor `batch`.
    Batch(batch::Config),
    /// Processor `filter`.
    Filter(Box<filter::Config>),
    /// Processor `attributes`.
    Attributes(attributes::Config),
    /// Processor `redaction`.
    Redaction(redaction::Config),
    /// Connector `agent`.
    Agent(AgentConfig),
    /// Exporter `file`.
    File(file::Config),
    /// Exporter `debug`.
    Debug(debug::Config),
    /// Exporter `otlp`.
    Otlp(otlp_export::GrpcConfig),
    /// Exporter `otlphttp`.
    OtlpHttp(otlp_export::HttpConfig),
    /// Exporter `webhook`.
    Webhook(Box<webhook::Config>),
    /// Exporter `prometheus`.
    Prometheus(prometheus::Config),
    /// Exporter `redis`.
    Redis(Box<redis::Config>),
    /// Exporter `kafka`.
    Kafka(Box<kafka::Config>),
    /// Exporter `websocket`.
    WebSocket(web::SocketLimits),
    /// Exporter `history`.
    History(HistoryConfig),
    /// Extension `web`.
    Web(web::Config),
    /// Extension `health_check`.
    HealthCheck(web::HealthCheckConfig),
    /// Extension `bearertokenauth`.
    BearerTokens(BearerTokens),
    /// Extension `basicauth`.
    BasicAuth(BasicAuth),
    /// Extension `journal`.
    Journal(JournalConfig),
    /// Extension `archive`.
    Archive(Box<archive::Config>),
}

/// The connector `agent`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Where the dimensions are found that no convention has a name for.
    pub dimensions: Dimensions,
    /// What calls cost.
    pub prices: PricesConfig,
    /// What may be spent.
    pub budgets: Vec<Budget>,
    /// How often derived metrics go to exporters that are not scraped.
    pub metrics_interval: Interval,
    /// Spans kept in memory, of open and closed runs together.
    pub max_spans: Option<usize>,
    /// How long the events of a span wait for the spans above it, so that they can name their agent and workflow.
    pub hold_events: Option<Span>,
    /// How long at most work waits for the spans above it before it enters the counters.
    pub settle_timeout: Option<Span>,
    /// How long without a sign of life until open work counts as lost.
    pub heartbeat_timeout: Option<Span>,
    /// How long until a run whose root never came counts as lost.
    pub idle_timeout: Option<Span>,
    /// The most bytes of a value in an event's payload; 0 is no limit.
    pub max_value_bytes: Option<usize>,
    /// Which figures are watched.
    pub alerts: Vec<AlertConfig>,
    /// After which time escalations that nobody has answered are resolved as timed out.
    pub human_timeout: Option<Span>,
}

/// Attributes of spans or of their resources, in order of preference.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dimensions {
    /// What the work is for.
    pub feature: Vec<String>,
    /// The task worked on.
    pub task: Vec<String>,
    /// Tags, for budgets.
    pub tags: Vec<String>,
}

/// An interval that is ten seconds unless said otherwise.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Interval(pub Span);

impl Default for Interval {
    fn default() -> Interval {
        Interval(Span(std::time::Duration::from_secs(10)))
    }
}

impl Default for Dimensions {
    fn default() -> Dimensions {
        let Settings { feature, task, tags, .. } = Settings::default();
        Dimensions { feature, task, tags }
    }
}

impl AgentConfig {
    /// More alerts than that nobody looks at.
    const MOST_ALERTS: usize = 200;

    fn validate(&self) -> Result<(), String> {
        if let Some(problem) = budget::problem(&self.budgets) {
            return Err(problem);
        }
        if self.alerts.len() > AgentConfig::MOST_ALERTS {
            return Err(format!("there are {} alerts; {} are the most", self.alerts.len(), AgentConfig::MOST_ALERTS));
        }
        let names: Vec<&str> = self.alerts.iter().map(|alert| alert.0.name()).collect();
        match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            Some((_, name)) => Err(format!("two alerts are called `{name}`; each needs a name of its own")),
            None => Ok(()),
        }
    }

    /// What is watched.
    pub fn alerts(&self) -> Vec<Alert> {
        self.alerts.iter().map(|alert| alert.0.clone()).collect()
    }

    /// As the deriver wants it.
    pub fn settings(&self, prices: PriceSettings, wants_events: bool) -> Settings {
        let defaults = derive::Limits::default();
        Settings {
            feature: self.dimensions.feature.clone(),
            task: self.dimensions.task.clone(),
            tags: self.dimensions.tags.clone(),
            prices,
            limits: derive::Limits {
                spans: self.max_spans.unwrap_or(defaults.spans),
                heartbeat: self.heartbeat_timeout.map_or(defaults.heartbeat, |span| span.0),
                settle: self.settle_timeout.map_or(defaults.settle, |span| span.0),
                hold: self.hold_events.map_or(defaults.hold, |span| span.0),
                idle: self.idle_timeout.map_or(defaults.idle, |span| span.0),
                value_bytes: match self.max_value_bytes {
                    Some(0) => usize::MAX,
                    most => most.unwrap_or(defaults.value_bytes),
                },
                ..defaults
            },
            wants_events,
            ..Settings::default()
        }
    }
}

/// Reads the configuration of a component. What is wrong with it becomes a problem, what nothing comes of a warning.
pub fn component(
    section: Section,
    id: &ComponentId,
    node: &Node,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Option<Component> {
    let path = format!("{}.{id}", section.name());
    let before = problems.len();
    if section == Section::Extensions && foreign::is_extension(id, node, warnings) {
        return None;
    }
    let node = &foreign::set_aside(section, id, node, warnings);
    let component = match (section, id.kind.as_str()) {
        (Section::Receivers, "otlp") => read(node, &path, problems).map(Box::new).map(Component::OtlpReceiver),
        (Section::Receivers, "redis") => read(node, &path, problems).map(Component::RedisReceiver),
        (Section::Receivers, "kafka") => read(node, &path, problems).map(Component::KafkaReceiver),
        (Section::Processors, "memory_limiter") => read(node, &path, problems).map(Component::MemoryLimiter),
        (Section::Processors, "batch") => read(node, &path, problems).map(Component::Batch),
        (Section::Processors, "filter") => read(node, &path, problems).map(Component::Filter),
        (Section::Processors, "attributes") => read(node, &path, problems).map(Component::Attributes),
        (Section::Processors, "redaction") => read(node, &path, problems).map(Component::Redaction),
        (Section::Connectors, "agent") => read(node, &path, problems).map(Component::Agent),
        (Section::Exporters, "file") => read(node, &path, problems).map(Component::File),
        (Section::Exporters, "debug") => read(node, &path, problems).map(Component::Debug),
        (Section::Exporters, "otlp" | "otlp_grpc") => read(node, &path, problems).map(Component::Otlp),
        (Section::Exporters, "otlphttp" | "otlp_http") => read(node, &path, problems).map(Component::OtlpHttp),
        (Section::Exporters, "webhook") => read(node, &path, problems).map(Box::new).map(Component::Webhook),
        (Section::Exporters, "prometheus") => read(node, &path, problems).map(Component::Prometheus),
        (Section::Exporters, "redis") => read(node, &path, problems).map(Component::Redis),
        (Section::Exporters, "kafka") => read(node, &path, problems).map(Component::Kafka),
        (Section::Exporters, "websocket") => read(node, &path, problems).map(Component::WebSocket),
        (Section::Exporters, "history") => read(node, &path, problems).map(Component::History),
        (Section::Extensions, "web") => read(node, &path, problems).map(Component::Web),
        (Section::Extensions, "health_check") => read(node, &path, problems).map(Component::HealthCheck),
        (Section::Extensions, "bearertokenauth") => read(node, &path, problems).map(Component::BearerTokens),
        (Section::Extensions, "basicauth") => read(node, &path, problems).map(Component::BasicAuth),
        (Section::Extensions, "journal") => read(node, &path, problems).map(Component::Journal),
        (Section::Extensions, "archive") => read(node, &path, problems).map(Box::new).map(Component::Archive),
        (section, kind) => {
            let known: Vec<&str> = components(section).iter().map(|(name, _)| *name).collect();
            let hint = match nearest(kind, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            let message = format!("`{kind}` is not among the {} of Spanlight; {hint}", section.name());
            problems.push(Problem { place: node.place, path: path.clone(), message });
            None
        }
    }?;
    if let Err(message) = component.validate()
        && problems.len() == before
    {
        problems.push(Problem { place: node.place, path, message });
    }
    Some(component)
}

impl Component {
    /// The receiver of OTLP that an exporter sends to.
    pub fn remote(&self) -> Option<Remote> {
        match self {
            Component::Otlp(config) => Some(Remote::Grpc(config.clone())),
            Component::OtlpHttp(config) => Some(Remote::Http(config.clone())),
            _ => None,
        }
    }

    /// What it asks whoever comes, for each of its ports.
    pub fn auths(&self) -> Vec<&auth::Config> {
        match self {
            Component::OtlpReceiver(config) => {
                let grpc = config.protocols.grpc.as_ref().and_then(|grpc| grpc.auth.as_ref());
                grpc.into_iter().chain(config.protocols.http.as_ref().and_then(|http| http.auth.as_ref())).collect()
            }
            Component::Web(config) => config.auth.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Who an exporter says it is, with the other headers that it sends.
    pub fn identity(&self) -> Option<(&Auth, &BTreeMap<String, String>)> {
        let (auth, headers) = match self {
            Component::Otlp(config) => (&config.auth, &config.headers),
            Component::OtlpHttp(config) => (&config.auth, &config.headers),
            Component::Webhook(config) => (&config.auth, &config.headers),
            _ => return None,
        };
        auth.as_ref().map(|auth| (auth, headers))
    }

    /// Whether an exporter sends beyond this machine without TLS.
    pub fn sends_in_the_clear(&self) -> bool {
        match self {
            Component::Webhook(config) => config.sends_in_the_clear(),
            _ => self.remote().is_some_and(|remote| remote.sends_in_the_clear()),
        }
    }

    /// Checks what the types alone do not.
    fn validate(&self) -> Result<(), String> {
        match self {
            Component::OtlpReceiver(config) => config.validate(),
            Component::BearerTokens(_) | Component::BasicAuth(_) => authenticators::validate(self),
            Component::Prometheus(config) => config.tls.as_ref().map_or(Ok(()), tls::Server::validate),
            Component::Agent(config) => config.validate(),
            Component::MemoryLimiter(config) => config.limits().map(drop),
            Component::Batch(config) => config.validate(),
            Component::Filter(config) => filter::Filter::new(config).map(drop),
            Component::Attributes(config) => attributes::Attributes::new(config).map(drop),
            Component::Redaction(config) => redaction::Redaction::new(config, "", &Health::default()).map(drop),
            Component::Debug(config) => debug::DebugExporter::new(config).map(drop),
            Component::Webhook(config) => config.validate(),
            Component::Otlp(config) => {
                config.sending_queue.validate()?;
                config.retry_on_failure.validate()?;
                config.resolve().map(drop)
            }
            Component::OtlpHttp(config) => {
                config.sending_queue.validate()?;
                config.retry_on_failure.validate()?;
                config.resolve()?;
                config.urls().map(drop)
            }
            Component::Redis(config) => config.validate(),
            Component::RedisReceiver(config) => config.validate(),
            Component::Kafka(config) => config.validate(),
            Component::KafkaReceiver(config) => config.validate(),
            Component::WebSocket(config) => config.validate(),
            Component::Web(config) => {
                config.tls.as_ref().map_or(Ok(()), tls::Server::validate)?;
                config.auth.as_ref().map_or(Ok(()), auth::Config::validate)
            }
            Component::HealthCheck(config) => config.validate(),
            Component::Journal(config) => config.validate(),
            Component::Archive(config) => config.validate(),
            Component::History(config) => config.validate(),
            _ => Ok(()),
        }
    }
}

/// The components of a section, each with what it does in a sentence.
pub fn components(section: Section) -> &'static [(&'static str, &'static str)] {
    match section {
        Section::Receivers => &[
            ("otlp", "OTLP over gRPC and HTTP, protobuf and JSON; and JSON events"),
            ("redis", "events from streams of Redis or Valkey, shared by a group of collectors"),
            ("kafka", "OTLP and JSON events from topics of Kafka, shared by a group of collectors"),
        ],
        Section::Processors => &[
            ("memory_limiter", "refuses requests while memory is short, before their bodies are read"),
            ("batch", "lets exporters send more at a time"),
            ("filter", "lets through what matches"),
            ("attributes", "sets, removes and hashes attributes"),
            ("redaction", "withholds content and secrets"),
        ],
        Section::Connectors => &[("agent", "runs, events, cost and metrics from spans and events")],
        Section::Exporters => &[
            ("file", "JSON lines, rotated daily"),
            ("debug", "the console"),
            ("otlp", "OTLP over gRPC"),
            ("otlphttp", "OTLP over HTTP"),
            ("webhook", "events as JSON to a URL, signed: of budgets, unless told otherwise"),
            ("prometheus", "metrics at /metrics of the web extension, and on a port of its own"),
            ("redis", "sums by hour and day, and events in a stream and on a channel, of Redis or Valkey"),
            ("kafka", "OTLP by trace, and events as JSON, into topics of Kafka"),
            ("history", "an index of all events on disk, by what they say"),
            ("websocket", "events as they happen, at /ws of the web extension"),
        ],
        Section::Extensions => &[
            ("web", "the HTTP API, the stream of events, /metrics and health"),
            ("health_check", "whether the pipelines move, on a port of its own"),
            ("bearertokenauth", "tokens that ports ask for and exporters say, by `auth.authenticator`"),
            ("basicauth", "a name and its password that exporters say, by `auth.authenticator`"),
            ("journal", "events on disk, so that they and their offsets outlive the process"),
            ("archive", "what the journal holds as Parquet, on S3-compatible storage or in a directory"),
        ],
    }
}
