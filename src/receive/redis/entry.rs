//! Entries of a stream: out of the server's answers, and into events.

use redis::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::event::{Event, EventId, ReadError, Source, SourceKind, Timestamp, read_stream_entry};

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `1526919030474-55`
    pub id: String,
    /// Names and values; none where the entry was deleted after it was given to somebody.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Its events. Those that bring no id get one from the entry, so that an entry that comes twice counts once.
    ///
    /// # Errors
    /// Why it is none.
    pub fn events(&self, stream: &str, now: Timestamp) -> Result<Vec<Event>, ReadError> {
        let source = Source { kind: SourceKind::Redis, dialect: None, instance: None, service: None };
        let names: Vec<_> = self.fields.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        let fields = names.iter().zip(&self.fields).map(|(name, (_, value))| (name.as_ref(), value.as_slice()));
        let mut events = read_stream_entry(fields, &source, now)?;
        for (index, event) in events.iter_mut().enumerate() {
            if !self.names(event.event_id) {
                event.event_id = self.id_of(stream, event, index);
            }
        }
        Ok(events)
    }

    /// Where it stands among all entries that there ever are, as a number that a JavaScript client can hold: of milliseconds
    /// and a number within them. A server adds no 4096 entries in a millisecond.
    pub fn offset(&self) -> u64 {
        /// 2020 began.
        const BEGIN: u64 = 1_577_836_800_000;
        let (time, number) = self.id.split_once('-').unwrap_or((&self.id, "0"));
        let (time, number) = (time.parse().unwrap_or(BEGIN), number.parse().unwrap_or(0));
        (u64::saturating_sub(time, BEGIN) << 12).saturating_add(number)
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    fn names(&self, id: EventId) -> bool {
        let id = id.to_string();
        let within = |value: &[u8]| value.windows(id.len()).any(|part| part.eq_ignore_ascii_case(id.as_bytes()));
        self.fields.iter().any(|(_, value)| within(value))
    }

    fn id_of(&self, stream: &str, event: &Event, index: usize) -> EventId {
        let mut hash = Xxh3::new();
        [stream, "\0", &self.id].iter().for_each(|part| hash.update(part.as_bytes()));
        let entry = EventId::parse(&format!("{:032x}", hash.digest128())).unwrap_or(event.event_id);
        EventId::of_implied(entry, &format!("{}#{index}", event.name.as_str()))
    }
}

/// The entries in the answer to `XREADGROUP` of one stream; nothing came in time where it is nil.
pub fn of_read(answer: Value) -> Vec<Entry> {
    let streams = match answer {
        Value::Array(streams) => streams,
        _ => return Vec::new(),
    };
    let entries = |stream: Value| match stream {
        Value::Array(mut pair) if pair.len() == 2 => list(pair.swap_remove(1)),
        _ => Vec::new(),
    };
    streams.into_iter().flat_map(entries).collect()
}

/// The entries in the answer to `XAUTOCLAIM`, and where it goes on.
pub fn of_claim(answer: Value) -> (String, Vec<Entry>) {
    let Value::Array(parts) = answer else { return (END.into(), Vec::new()) };
    let mut parts = parts.into_iter();
    let next = parts.next().and_then(text).unwrap_or_else(|| END.into());
    (next, parts.next().map(list).unwrap_or_default())
}

/// Where claiming begins, and what it says when it is through.
pub const END: &str = "0-0";

/// Entries as the server lists them.
pub fn list(entries: Value) -> Vec<Entry> {
    let Value::Array(entries) = entries else { return Vec::new() };
    entries.into_iter().filter_map(entry).collect()
}

fn entry(entry: Value) -> Option<Entry> {
    let Value::Array(pair) = entry else { return None };
    let mut pair = pair.into_iter();
    let id = text(pair.next()?)?;
    let fields = match pair.next() {
        Some(Value::Array(fields)) => fields,
        _ => Vec::new(),
    };
    let mut fields = fields.into_iter().filter_map(bytes);
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        pairs.push((name, value));
    }
    Some(Entry { id, fields: pairs })
}

fn text(value: Value) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry(id: &str, event: &str) -> Entry {
        Entry { id: id.into(), fields: vec![(b"event".to_vec(), event.as_bytes().to_vec())] }
    }

    #[test]
    fn answers_are_read_whatever_is_missing_in_them() {
        let written = |id: &str| Value::Array(vec![bulk(id), Value::Array(vec![bulk("event"), bulk("{}")])]);
        let deleted = Value::Array(vec![bulk("1-2"), Value::Nil]);
        let entries = Value::Array(vec![written("1-1"), deleted, Value::Nil]);
        let expected = vec![entry("1-1", "{}"), Entry { id: "1-2".into(), fields: Vec::new() }];
        assert_eq!(of_read(Value::Array(vec![Value::Array(vec![bulk("s"), entries.clone()])])), expected);
        assert_eq!(of_read(Value::Nil), []);
        assert_eq!(of_claim(Value::Array(vec![bulk("2-0"), entries])), ("2-0".into(), expected));
        assert_eq!(of_claim(Value::Nil), (END.into(), vec![]));
    }

    #[test]
    fn offsets_grow_with_entries_and_are_numbers_everywhere() {
        let offset = |id: &str| entry(id, "{}").offset();
        let ids = ["1577836800000-0", "1577836800000-1", "1577836800001-0", "1794000000000-7", "3700000000000-4095"];
        assert!(ids.windows(2).all(|pair| offset(pair[0]) < offset(pair[1])));
        assert!(offset("3700000000000-4095") < 1 << 53, "in 2087");
        assert_eq!(offset("5-3"), 3);
    }

    #[test]
    fn an_entry_that_comes_twice_is_the_same_events() {
        let now = Timestamp::from_unix_seconds(1e9);
        let id = |entry: &Entry, stream: &str| entry.events(stream, now).unwrap()[0].event_id;
        let bare = r#"{"name": "agent.started", "agent": "a"}"#;
        let first = entry("1-1", bare);
        assert_eq!(id(&first, "s"), id(&first, "s"));
        assert_ne!(id(&first, "s"), id(&first, "t"));
        assert_ne!(id(&first, "s"), id(&entry("1-2", bare), "s"));
        let own = r#"{"name": "agent.started", "agent": "a", "event_id": "018F0000-0000-7000-8000-000000000001"}"#;
        assert_eq!(id(&entry("1-1", own), "s").to_string(), "018f0000-0000-7000-8000-000000000001");
        assert!(entry("1-1", "nonsense").events("s", now).is_err());
    }
}
