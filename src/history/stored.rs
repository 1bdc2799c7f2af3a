//! An event in the journal: its JSON, under a kind of its own.

use crate::event::{Event, Source, SourceKind, Timestamp, read_events};

/// The kind of records that are events.
pub const EVENT: u8 = 1;

/// The event that a payload is.
pub fn event_of(payload: &[u8]) -> Option<Event> {
    let unknown = Source { kind: SourceKind::Bus, dialect: None, instance: None, service: None };
    let events = read_events(payload, &unknown, Timestamp::now());
    events.into_iter().next()?.ok()?.into_iter().next()
}
