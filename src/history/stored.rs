//! An event in the journal: its JSON, under a kind of its own.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{Event, EventType, Scope, Source, SourceKind, Status, Timestamp, catalogue, read_events, words};

/// The kind of records that are events.
pub const EVENT: u8 = 1;

/// The event that a payload is.
pub fn event_of(payload: &[u8]) -> Option<Event> {
    let unknown = Source { kind: SourceKind::Bus, dialect: None, instance: None, service: None };
    let events = read_events(payload, &unknown, Timestamp::now());
    events.into_iter().next()?.ok()?.into_iter().next()
}

/// What an event is found by, where it stands in its JSON: what it says is not looked into.
#[derive(Debug, Deserialize)]
pub struct Narrow<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    scope: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    pub component_id: Text<'a>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub parent_span_id: Option<Text<'a>>,
    #[serde(borrow)]
    execution_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub conversation_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub session_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub correlation_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub task_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub feature: Option<Text<'a>>,
    #[serde(borrow)]
    pub agent: Option<Text<'a>>,
    #[serde(borrow)]
    pub model: Option<Text<'a>>,
    #[serde(borrow)]
    pub tool: Option<Text<'a>>,
    #[serde(borrow, default)]
    tags: Vec<Text<'a>>,
    #[serde(default)]
    pub performance: Performance,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub source: From<'a>,
}

/// A text in JSON, as it stands there where it can.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Figures of an event.
#[derive(Debug, Default, Deserialize)]
pub struct Performance {
    pub cost_usd: Option<f64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_read_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
}

/// From where an event came.
#[derive(Debug, Default, Deserialize)]
pub struct From<'a> {
    #[serde(borrow)]
    pub dialect: Option<Text<'a>>,
    #[serde(borrow)]
    pub service: Option<Text<'a>>,
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> Narrow<'a> {
    /// Of an event's JSON.
    pub fn read(json: &'a str) -> Option<Narrow<'a>> {
        serde_json::from_str(json).ok()
    }

    pub fn scope(&self) -> Option<Scope> {
        Scope::parse(self.scope.as_str())
    }

    pub fn event_type(&self) -> Option<EventType> {
        EventType::parse(self.event_type.as_str())
    }

    pub fn status(&self) -> Option<Status> {
        Status::parse(self.status.as_str())
    }

    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::parse(self.timestamp.as_str())
    }

    /// The execution it belongs to: the one named, else the trace.
    pub fn execution(&self) -> Option<&str> {
        self.execution_id.as_ref().or(self.trace_id.as_ref()).map(Text::as_str)
    }

    /// What it says and names, as [`words::searchable`] has it of an event.
    pub fn searchable(&self) -> String {
        let named = [&self.message, &self.agent, &self.feature, &self.model, &self.tool, &self.task_id];
        let belongs_to = [&self.conversation_id, &self.correlation_id, &self.user_id, &self.source.service];
        let said = named.into_iter().chain(belongs_to).flatten().chain(&self.tags);
        words::joined(self.name.as_str(), said.map(Text::as_str), self.data.map(RawValue::get))
    }

    /// Whether it tells of the beginning, progress or end of a piece of work, by its name.
    pub fn is_of_life(&self) -> bool {
        let (Some(scope), Some(event_type)) = (self.scope(), self.event_type()) else { return false };
        scope != Scope::System && catalogue::lifecycle(scope, event_type).as_str() == self.name.as_str()
    }

    /// A member of the payload, where the text of one with this value is there at all.
    pub fn says(&self, member: &str) -> bool {
        let Some(data) = self.data.map(RawValue::get).filter(|data| data.contains(member)) else { return false };
        let (Some((key, value)), Ok(members)) =
            (member.split_once(':'), serde_json::from_str::<std::collections::HashMap<Cow<'_, str>, &RawValue>>(data))
        else {
            return false;
        };
        members.get(key.trim_matches('"')).is_some_and(|said| said.get() == value)
    }
}
