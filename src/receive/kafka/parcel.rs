//! Messages on their way into the pipelines: read, checked, and put together by what they are.

use rdkafka::message::{BorrowedMessage, Message};
use xxhash_rust::xxh3::Xxh3;

use super::config::Kind;
use super::progress::Place;
use crate::event::{Event, EventId, Source, SourceKind, Timestamp, TraceId, read_events};
use crate::kafka::Encoding;
use crate::otlp::json::from_json;
use crate::otlp::{Batch, Signal};

/// Messages of one kind, in the order in which they came.
#[derive(Debug)]
pub struct Parcel {
    /// What they are.
    pub kind: Kind,
    /// The messages.
    pub messages: Vec<Taken>,
}

/// One message.
#[derive(Debug)]
pub struct Taken {
    /// Its partition.
    pub place: Place,
    /// The share of the group's partitions as part of which it was fetched.
    pub share: u64,
    /// Where it stands there.
    pub offset: i64,
    /// Bytes as they came.
    pub bytes: usize,
    /// The traces that it tells of.
    pub traces: Vec<TraceId>,
    /// What it says.
    pub said: Said,
}

/// What a message says.
#[derive(Debug)]
pub enum Said {
    /// Telemetry.
    Telemetry(Batch),
    /// Events.
    Events(Vec<Event>),
    /// Nothing that can be used.
    Nothing,
}

/// What is wrong with a message.
#[derive(Debug)]
pub struct Wrong {
    /// How many of its items are left out; all of it counts as one.
    pub items: usize,
    /// Why.
    pub why: String,
}

/// Reads a message, as far as it can be read, and says what is wrong with the rest of it.
pub fn read(
    message: &BorrowedMessage<'_>,
    (place, share): (Place, u64),
    kind: Kind,
    now: Timestamp,
) -> (Taken, Option<Wrong>) {
    let payload = message.payload().unwrap_or_default();
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).and_then(TraceId::from_hex);
    let (said, wrong) = match kind {
        // What is deleted has nothing to tell.
        _ if payload.is_empty() => (Said::Nothing, None),
        Kind::Telemetry(signal, encoding) => telemetry(payload, signal, encoding),
        Kind::Events => events(payload, &Origin::of(message), now),
    };
    let traces = match (&said, key) {
        (Said::Nothing, _) => Vec::new(),
        (_, Some(trace)) => vec![trace],
        (Said::Telemetry(batch), None) => distinct(batch.traces().flatten()),
        (Said::Events(events), None) => distinct(events.iter().filter_map(|event| event.trace_id)),
    };
    (Taken { place, share, offset: message.offset(), bytes: payload.len(), traces, said }, wrong)
}

fn telemetry(payload: &[u8], signal: Signal, encoding: Encoding) -> (Said, Option<Wrong>) {
    let bytes = match encoding {
        Encoding::OtlpProto => Ok(payload.to_vec()),
        Encoding::OtlpJson => from_json(payload, signal.schema()).map_err(|error| error.to_string()),
    };
    match bytes.and_then(|bytes| Batch::read(signal, bytes.into()).map_err(|error| error.to_string())) {
        Ok(received) => {
            let why = || "spans without a valid trace id and span id".to_owned();
            let wrong = (received.rejected > 0).then(|| Wrong { items: received.rejected, why: why() });
            (Said::Telemetry(received.batch), wrong)
        }
        Err(why) => (Said::Nothing, Some(Wrong { items: 1, why })),
    }
}

/// Where a message stands, which tells its events from all others that bring no id of their own.
struct Origin<'m> {
    topic: &'m str,
    partition: i32,
    offset: i64,
}

impl Origin<'_> {
    fn of<'m>(message: &'m BorrowedMessage<'_>) -> Origin<'m> {
        Origin { topic: message.topic(), partition: message.partition(), offset: message.offset() }
    }

    /// The id of one of its events, so that a message that comes twice counts once.
    fn id(&self, event: &Event, index: usize) -> EventId {
        let mut hash = Xxh3::new();
        hash.update(self.topic.as_bytes());
        hash.update(&self.partition.to_be_bytes());
        hash.update(&self.offset.to_be_bytes());
        let message = EventId::parse(&format!("{:032x}", hash.digest128())).unwrap_or(event.event_id);
        EventId::of_implied(message, &format!("{}#{index}", event.name.as_str()))
    }
}

fn events(payload: &[u8], origin: &Origin<'_>, now: Timestamp) -> (Said, Option<Wrong>) {
    let source = Source { kind: SourceKind::Kafka, dialect: None, instance: None, service: None };
    let (mut events, mut wrong) = (Vec::new(), None);
    for read in read_events(payload, &source, now) {
        match read {
            Ok(read) => events.extend(read),
            Err(error) => {
                let wrong = wrong.get_or_insert_with(|| Wrong { items: 0, why: error.to_string() });
                wrong.items += 1;
            }
        }
    }
    for (index, event) in events.iter_mut().enumerate() {
        if !brings(payload, event.event_id) {
            event.event_id = origin.id(event, index);
        }
    }
    (if events.is_empty() { Said::Nothing } else { Said::Events(events) }, wrong)
}

/// Whether an id stands in a message, or was made up for an event that brings none.
fn brings(payload: &[u8], id: EventId) -> bool {
    let id = id.to_string();
    payload.windows(id.len()).any(|part| part.eq_ignore_ascii_case(id.as_bytes()))
}

fn distinct(traces: impl Iterator<Item = TraceId>) -> Vec<TraceId> {
    let mut distinct: Vec<TraceId> = traces.collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

impl Parcel {
    /// Bytes as they came.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|taken| taken.bytes).sum()
    }

    /// All telemetry of it in one batch.
    pub fn batch(&self) -> Option<Batch> {
        let batches: Vec<Batch> = self.messages.iter().filter_map(Taken::batch).cloned().collect();
        Batch::merge(&batches)
    }

    /// All its events.
    pub fn events(&self) -> Vec<Event> {
        self.messages.iter().flat_map(Taken::events).cloned().collect()
    }

    /// Spans, log records, data points or events.
    pub fn items(&self) -> usize {
        self.messages.iter().map(|taken| taken.batch().map_or(taken.events().len(), Batch::items)).sum()
    }
}

impl Taken {
    fn batch(&self) -> Option<&Batch> {
        match &self.said {
            Said::Telemetry(batch) => Some(batch),
            Said::Events(_) | Said::Nothing => None,
        }
    }

    fn events(&self) -> &[Event] {
        match &self.said {
            Said::Events(events) => events,
            Said::Telemetry(_) | Said::Nothing => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(payload: &str, offset: i64) -> Vec<String> {
        let origin = Origin { topic: "t", partition: 1, offset };
        match events(payload.as_bytes(), &origin, Timestamp::from_unix_seconds(1e9)) {
            (Said::Events(events), None) => events.iter().map(|event| event.event_id.to_string()).collect(),
            (_, wrong) => panic!("{wrong:?}"),
        }
    }

    #[test]
    fn a_message_that_comes_twice_is_the_same_events() {
        let bare = r#"[{"name": "agent.started", "agent": "a"}, {"name": "agent.started", "agent": "b"}]"#;
        assert_eq!(ids(bare, 1), ids(bare, 1));
        assert_ne!(ids(bare, 1), ids(bare, 2));
        assert_ne!(ids(bare, 1)[0], ids(bare, 1)[1]);
        let own = r#"{"name": "agent.started", "agent": "a", "event_id": "018F0000-0000-7000-8000-000000000001"}"#;
        assert_eq!(ids(own, 1), ["018f0000-0000-7000-8000-000000000001"]);
    }

    #[test]
    fn what_is_broken_is_said_and_the_rest_is_read() {
        let origin = Origin { topic: "t", partition: 1, offset: 1 };
        let mixed = br#"[{"name": "agent.started", "agent": "a"}, {"no": "event"}]"#;
        let (said, wrong) = events(mixed, &origin, Timestamp::from_unix_seconds(1e9));
        assert!(matches!(said, Said::Events(events) if events.len() == 1));
        assert_eq!(wrong.unwrap().items, 1);
        for (signal, encoding) in [(Signal::Traces, Encoding::OtlpProto), (Signal::Logs, Encoding::OtlpJson)] {
            let (said, wrong) = telemetry(b"nonsense", signal, encoding);
            assert!(matches!(said, Said::Nothing) && wrong.is_some());
        }
        let json = br#"{"resourceSpans": []}"#;
        assert!(matches!(telemetry(json, Signal::Traces, Encoding::OtlpJson), (Said::Telemetry(_), None)));
    }
}
