//! Writing events: into a stream, and to whoever listens.

use std::sync::Arc;

use redis::Value;

use super::{Config, failed};
use crate::export::Outcome;
use crate::flow::SharedRecord;
use crate::health::{Count, DROPPED, Health};
use crate::redis::{Link, Script};

/// Writes events in order, each once.
pub struct EventWriter {
    link: Link,
    script: Script,
    stream: Option<Stream>,
    channel: String,
    by_execution: bool,
    /// The number of the load that is being written.
    number: u64,
    /// Its first event, which tells it from others for as long as we hold it, and how many there are.
    load: Option<(SharedRecord, usize)>,
    unpublished: Count,
    id: String,
}

struct Stream {
    key: String,
    /// Where the server remembers the number of the last load of this writer.
    written: String,
    most: String,
}

impl EventWriter {
    /// For so many seconds, a day, it is known what was written.
    const REMEMBERED: &'static str = "86400";

    pub fn new(link: Link, config: &Config, id: &str, health: &Health) -> EventWriter {
        let writer = uuid::Uuid::new_v4().simple();
        let stream = config.stream.as_ref().map(|key| Stream {
            key: key.clone(),
            written: in_the_same_slot(key, &format!("writer:{writer}")),
            most: config.stream_max_length.to_string(),
        });
        EventWriter {
            link,
            script: Script::new(include_str!("events.lua")),
            stream,
            channel: config.pubsub.clone().unwrap_or_default(),
            by_execution: config.pubsub_by_execution,
            number: 0,
            load: None,
            unpublished: health.counter(DROPPED, &[("component", id), ("signal", "events"), ("reason", "unpublished")]),
            id: id.to_owned(),
        }
    }

    /// Writes a load once, however often it is tried.
    pub async fn write(&mut self, events: &[SharedRecord]) -> Outcome {
        let Some(first) = events.first() else { return Outcome::DONE };
        let same = |(known, count): &(SharedRecord, usize)| Arc::ptr_eq(known, first) && *count == events.len();
        if !self.load.as_ref().is_some_and(same) {
            self.load = Some((first.clone(), events.len()));
            self.number += 1;
        }
        let number = self.number.to_string();
        let identities = events.iter().map(identity).collect::<Vec<_>>();
        let by_execution: &[u8] = if self.by_execution { b"1" } else { b"" };
        let (most, keys) = match &self.stream {
            Some(stream) => (stream.most.as_bytes(), vec![stream.key.as_str(), stream.written.as_str()]),
            None => (&b"0"[..], Vec::new()),
        };
        let mut arguments =
            vec![number.as_bytes(), most, EventWriter::REMEMBERED.as_bytes(), self.channel.as_bytes(), by_execution];
        for (record, (id, time)) in events.iter().zip(&identities) {
            let event = record.event();
            arguments.extend([
                record.json().as_bytes(),
                event.name.as_str().as_bytes(),
                id.as_bytes(),
                time.as_bytes(),
                event.identity.execution_id.as_deref().unwrap_or_default().as_bytes(),
                event.dimensions.agent.as_deref().unwrap_or_default().as_bytes(),
            ]);
        }
        match self.link.run(&self.script, &keys, &arguments).await {
            Ok(Value::Int(_)) => Outcome::DONE,
            Ok(trouble) => {
                self.unpublished.add(events.len());
                let trouble = redis::from_redis_value::<String>(trouble).unwrap_or_default();
                crate::report::warn(&format!("{}: {} does not publish: {trouble}", self.id, self.link.server()));
                Outcome::DONE
            }
            Err(error) => failed(&self.link, "events", &error),
        }
    }
}

/// The id and the time of an event as text.
fn identity(record: &SharedRecord) -> (String, String) {
    let event = record.event();
    (event.event_id.to_string(), String::from_utf8_lossy(&event.timestamp.to_rfc3339()).into_owned())
}

/// A key that a cluster keeps on the same node as another.
fn in_the_same_slot(key: &str, suffix: &str) -> String {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(tag, _)| !tag.is_empty());
    if tag { format!("{key}:{suffix}") } else { format!("{{{key}}}:{suffix}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_of_a_key_have_its_hash_tag() {
        assert_eq!(in_the_same_slot("spanlight:events", "w"), "{spanlight:events}:w");
        assert_eq!(in_the_same_slot("a{b}c", "w"), "a{b}c:w");
    }
}
