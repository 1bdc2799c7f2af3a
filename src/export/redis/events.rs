//! Writing events: into a stream, which has each of them once, and to whoever listens.

use redis::Value;

use super::{Config, failed};
use crate::export::Outcome;
use crate::flow::SharedRecord;
use crate::health::{About, Count, DROPPED, Health};
use crate::redis::{Link, Script, beside};

/// Writes events in order.
pub struct EventWriter {
    link: Link,
    script: Script,
    stream: Option<Stream>,
    channel: String,
    by_execution: bool,
    unpublished: Count,
    known: Count,
    id: String,
}

struct Stream {
    key: String,
    /// Where the server remembers which events it has, so that what is tried again, or derived again by another process,
    /// is there once for whoever reads.
    ids: String,
    most: String,
    remembered: String,
}

impl EventWriter {
    /// Ids that are remembered of a stream that keeps fewer entries.
    const FEWEST_IDS: u64 = 10_000;

    pub fn new(link: Link, config: &Config, id: &str, health: &Health) -> EventWriter {
        let stream = config.stream.as_ref().map(|key| Stream {
            key: key.clone(),
            ids: beside(key, "ids"),
            most: config.stream_max_length.to_string(),
            remembered: config.stream_max_length.max(EventWriter::FEWEST_IDS).to_string(),
        });
        EventWriter {
            link,
            script: Script::new(include_str!("events.lua")),
            stream,
            channel: config.pubsub.clone().unwrap_or_default(),
            by_execution: config.pubsub_by_execution,
            unpublished: health.counter(DROPPED, &[("component", id), ("signal", "events"), ("reason", "unpublished")]),
            known: health.counter(KNOWN, &[("exporter", id)]),
            id: id.to_owned(),
        }
    }

    /// Writes a load; what the stream has of it already stays as it is.
    pub async fn write(&mut self, events: &[SharedRecord]) -> Outcome {
        let identities = events.iter().map(identity).collect::<Vec<_>>();
        let by_execution: &[u8] = if self.by_execution { b"1" } else { b"" };
        let (most, remembered, keys) = match &self.stream {
            Some(stream) => {
                (stream.most.as_bytes(), stream.remembered.as_bytes(), vec![stream.key.as_str(), stream.ids.as_str()])
            }
            None => (&b"0"[..], &b"0"[..], Vec::new()),
        };
        let mut arguments = vec![most, remembered, self.channel.as_bytes(), by_execution];
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
            Ok(Value::Int(known)) => {
                self.known.add(usize::try_from(known).unwrap_or_default());
                Outcome::DONE
            }
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

const KNOWN: About = About {
    name: "spanlight.exporter.known",
    unit: "{event}",
    help: "Events that a stream of Redis had already, because an attempt was repeated or another process told them too.",
};
