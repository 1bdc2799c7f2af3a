//! An event as it stands in the journal: what columns are made of, read where its JSON lies.

use serde::Deserialize;

use crate::event::{Performance, Timestamp};
use crate::history::Text;

/// An event, and where in which journal it stands.
#[derive(Debug)]
pub struct Row<'a> {
    pub journal: &'a str,
    pub offset: u64,
    pub json: &'a str,
    pub time: Timestamp,
    pub event: Event<'a>,
}

/// What of an event has a column.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    #[serde(borrow)]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub event_type: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub component_id: Text<'a>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    observed_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    #[serde(borrow)]
    pub trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub span_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub parent_span_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub workflow_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub parent_workflow_id: Option<Text<'a>>,
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
    pub provider: Option<Text<'a>>,
    #[serde(borrow)]
    pub tool: Option<Text<'a>>,
    pub priority: Option<i64>,
    #[serde(default)]
    pub performance: Performance,
    #[serde(borrow, default)]
    pub source: Source<'a>,
}

/// How an event came to Spanlight.
#[derive(Debug, Default, Deserialize)]
pub struct Source<'a> {
    #[serde(borrow)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub dialect: Option<Text<'a>>,
    #[serde(borrow)]
    pub instance: Option<Text<'a>>,
    #[serde(borrow)]
    pub service: Option<Text<'a>>,
}

impl<'a> Row<'a> {
    /// Of a record's payload; nothing if it is no event as Spanlight writes them.
    pub fn read(journal: &'a str, offset: u64, payload: &'a [u8]) -> Option<Row<'a>> {
        let json = std::str::from_utf8(payload).ok()?;
        let event: Event<'a> = serde_json::from_str(json).ok()?;
        let time = Timestamp::parse(event.timestamp.as_str())?;
        Some(Row { journal, offset, json, time, event })
    }
}

impl Event<'_> {
    /// The execution it belongs to: the one named, else the trace.
    pub fn execution_id(&self) -> Option<&Text<'_>> {
        self.execution_id.as_ref().or(self.trace_id.as_ref())
    }

    /// When Spanlight saw it.
    pub fn observed_at(&self) -> Option<Timestamp> {
        self.observed_at.as_ref().and_then(|text| Timestamp::parse(text.as_str()))
    }
}
