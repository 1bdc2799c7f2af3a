//! The noun: a domain event, one type wherever it goes.
//!
//! The same [`Event`] is used in process, in JSONL, over HTTP and, as a log record, over OTLP. Plain data: no I/O.

pub mod catalogue;
pub mod figures;
pub mod words;

mod aliases;
mod bare;
mod component;
mod cut;
mod data;
mod entry;
mod envelope;
mod fields;
mod filter;
mod id;
mod json;
mod kind;
mod life;
mod make;
mod needs;
mod outcome;
mod read;
mod time;
mod verdict;
mod with;
mod wrapped;
mod write;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

pub use component::ComponentId;
pub use cut::cut;
pub use data::Data;
pub use entry::read_stream_entry;
pub use filter::{Filter, FilterError};
pub use id::{EventId, SpanId, TraceId};
pub use json::{JsonObject, push_f64, push_str};
pub use kind::{EventName, EventType, Scope, SourceKind, Status};
pub use read::{ReadError, read_event, read_events};
pub use time::Timestamp;
pub use verdict::{Decision, Resolution, Urgency};
pub use write::EventWriter;

/// The longest [`Event::message`], in bytes; longer ones are cut at a character.
pub const MAX_MESSAGE: usize = 1024;

/// The [`Event::message`] of a failure of which nothing more is known.
pub(crate) const NO_REASON: &str = "failed; the emitter gave no reason";

/// Something that happened in the life of an agent's work.
///
/// ```
/// use spanlight::event::{Event, EventName, Timestamp};
///
/// let at = Timestamp::parse("2026-11-21T06:28:00Z").unwrap();
/// let mut event = Event::named(EventName::parse("review.decided").unwrap(), at);
/// event.dimensions.agent = Some("critic".into());
/// assert!(event.to_json().contains(r#""scope":"agent","type":"completed","status":"completed""#));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an event reaches nobody until it is emitted: `spanlight::emit(event)`"]
pub struct Event {
    /// The same fact has the same id wherever it is derived.
    pub event_id: EventId,
    /// `subject.verb`.
    pub name: EventName,
    /// What kind of component it speaks of.
    pub scope: Scope,
    /// Where in the component's life it stands.
    pub event_type: EventType,
    /// The component's state after it.
    pub status: Status,
    /// Which component.
    pub component_id: ComponentId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When Spanlight saw it.
    pub observed_at: Timestamp,
    /// Text for people, at most [`MAX_MESSAGE`] bytes; always there on failures.
    pub message: Option<Arc<str>>,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span it is a fact of.
    pub span_id: Option<SpanId>,
    /// The parent of that span.
    pub parent_span_id: Option<SpanId>,
    /// To whom and to what work it belongs.
    pub identity: Identity,
    /// The dimensions by which metrics can be broken down.
    pub dimensions: Dimensions,
    /// 1 (most urgent) to 10.
    pub priority: Priority,
    /// Seconds after which it is not worth delivering.
    pub ttl_s: Option<u64>,
    /// Free labels.
    pub tags: Vec<Arc<str>>,
    /// Figures.
    pub performance: Performance,
    /// What else there is to say, by the catalogue.
    pub data: Data,
    /// How it came here.
    pub source: Source,
}

/// To whom and to what work an event belongs. In JSON these are members of the event itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// One run of a workflow.
    pub workflow_id: Option<Arc<str>>,
    /// The run of the workflow around it.
    pub parent_workflow_id: Option<Arc<str>>,
    /// One execution from end to end: by default the trace.
    pub execution_id: Option<Arc<str>>,
    /// A conversation of several executions.
    pub conversation_id: Option<Arc<str>>,
    /// A user's session.
    pub session_id: Option<Arc<str>>,
    /// The user.
    pub user_id: Option<Arc<str>>,
    /// What ties events of different executions together.
    pub correlation_id: Option<Arc<str>>,
    /// The task worked on.
    pub task_id: Option<Arc<str>>,
}

/// The dimensions of metrics. In JSON these are members of the event itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dimensions {
    /// What the work is for.
    pub feature: Option<Arc<str>>,
    /// The agent at work.
    pub agent: Option<Arc<str>>,
    /// The model called.
    pub model: Option<Arc<str>>,
    /// Whose model it is.
    pub provider: Option<Arc<str>>,
    /// The tool called.
    pub tool: Option<Arc<str>>,
}

/// Figures of an event; what is not known is absent, never 0.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Performance {
    /// How long the work took, in milliseconds.
    pub duration_ms: Option<f64>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// Tokens read, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens written, reasoning included.
    pub output_tokens: Option<u64>,
    /// Of the input, tokens read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input, tokens written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the output, tokens of reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Milliseconds until the first piece of the answer.
    pub ttft_ms: Option<f64>,
    /// Whether it worked.
    pub success: Option<bool>,
    /// 0 to 1.
    pub confidence: Option<f64>,
}

/// How an event came to Spanlight.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Through what.
    pub kind: SourceKind,
    /// In which dialect its telemetry was.
    pub dialect: Option<Cow<'static, str>>,
    /// `service.instance.id` of its emitter.
    pub instance: Option<Arc<str>>,
    /// `service.name` of its emitter.
    pub service: Option<Arc<str>>,
}

/// How urgent an event is: 1 is most urgent, 5 the default, 10 the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Event {
    /// An event of a name that happened at a time, with what the catalogue says of the name and a new id.
    /// A custom name is a progress of the system until told otherwise.
    pub fn named(name: EventName, at: Timestamp) -> Event {
        let entry = catalogue::entry(name.as_str());
        Event {
            event_id: EventId::new_random(),
            scope: entry.map_or(Scope::System, |entry| entry.scope),
            event_type: entry.map_or(EventType::Progress, |entry| entry.event_type),
            status: entry.map_or(Status::Running, |entry| entry.status),
            component_id: ComponentId::System(name.as_str().split('.').next().unwrap_or_default().into()),
            name,
            timestamp: at,
            observed_at: at,
            message: None,
            trace_id: None,
            span_id: None,
            parent_span_id: None,
            identity: Identity::default(),
            dimensions: Dimensions::default(),
            priority: Priority::default(),
            ttl_s: None,
            tags: Vec::new(),
            performance: Performance::default(),
            data: Data::default(),
            source: Source { kind: SourceKind::Otlp, dialect: None, instance: None, service: None },
        }
    }

    /// Whether its component ended with it.
    pub fn is_end(&self) -> bool {
        matches!(self.event_type, EventType::Completed | EventType::Failed | EventType::Canceled)
    }

    /// Whether its [`Event::ttl_s`] is over, so that it is not worth delivering any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.ttl_s.is_some_and(|ttl| now.micros_since(self.timestamp) > ttl.saturating_mul(1_000_000))
    }

    /// The execution it belongs to: the one named, else the trace.
    pub fn execution_id(&self) -> Option<Cow<'_, str>> {
        let named = self.identity.execution_id.as_deref().map(Cow::Borrowed);
        named.or_else(|| self.trace_id.map(|id| id.to_string().into()))
    }
}

impl Performance {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Performance::default()
    }
}

impl Priority {
    /// The priority, unless it is not 1 to 10.
    pub fn new(priority: u8) -> Option<Priority> {
        (1..=10).contains(&priority).then_some(Priority(priority))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Priority {
        Priority(5)
    }
}

/// The text as a message: cut at a character where it is too long.
pub fn message(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(MAX_MESSAGE.min(text.len()))].into()
}
