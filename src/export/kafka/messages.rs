//! Messages of a load: spans and log records by trace, so that all that is of a trace is in one partition, and events by
//! the run that they tell of.

use std::sync::Arc;

use bytes::Bytes;

use super::config::Config;
use crate::event::Event;
use crate::export::Load;
use crate::flow::SharedRecord;
use crate::kafka::Encoding;
use crate::otlp::json::to_json;
use crate::otlp::{Batch, Limit};

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it goes.
    pub topic: Arc<str>,
    /// What decides on its partition: the trace id as 32 hexadecimal digits, where it is of one.
    pub key: Option<String>,
    /// What it says.
    pub payload: Payload,
    /// Spans, log records, data points or events in it.
    pub items: usize,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Payload {
    /// OTLP.
    Telemetry(Bytes),
    /// An event, whose JSON others may need as well.
    Event(SharedRecord),
}

impl Payload {
    /// As it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Payload::Telemetry(bytes) => bytes,
            Payload::Event(record) => record.json().as_bytes(),
        }
    }
}

/// The messages that say what a load says.
pub fn of(load: &Load, config: &Config) -> Vec<Message> {
    match load {
        Load::Batches(batches) => Batch::merge(batches).map(|batch| of_batch(&batch, config)).unwrap_or_default(),
        Load::Events(events) => {
            let topic: Arc<str> = config.topic(None).0.into();
            let message = |record: &SharedRecord| Message {
                topic: topic.clone(),
                key: key(record.event()),
                payload: Payload::Event(record.clone()),
                items: 1,
            };
            events.iter().map(message).collect()
        }
        Load::Changes(_) => Vec::new(),
    }
}

/// Key and framing of a message, which count as well where its size is limited.
const AROUND: usize = 512;

fn of_batch(batch: &Batch, config: &Config) -> Vec<Message> {
    let (topic, encoding) = config.topic(Some(batch.signal()));
    let topic: Arc<str> = topic.into();
    let most = config.producer.max_message_bytes.saturating_sub(AROUND);
    let mut messages = Vec::new();
    for (trace, batch) in batch.by_trace() {
        let key = trace.map(|trace| trace.to_string());
        for (batch, payload) in within(&batch, encoding, most) {
            let (topic, key) = (topic.clone(), key.clone());
            messages.push(Message { topic, key, payload: Payload::Telemetry(payload), items: batch.items() });
        }
    }
    messages
}

/// The batch in pieces that are within a limit as they are sent. A record that is over it by itself stays whole: who
/// takes how much, brokers decide.
fn within(batch: &Batch, encoding: Encoding, most: usize) -> Vec<(Batch, Bytes)> {
    let pieces = |bytes| batch.split(Limit { bytes, items: usize::MAX });
    match encoding {
        Encoding::OtlpProto => pieces(most).into_iter().map(|piece| (piece.clone(), piece.bytes().clone())).collect(),
        Encoding::OtlpJson => {
            let whole = json(batch);
            if whole.len() <= most {
                return vec![(batch.clone(), whole)];
            }
            // As much smaller as it is larger in JSON, and then some: not every record grows alike.
            let share = batch.bytes().len() as f64 / whole.len() as f64;
            let pieces = pieces((most as f64 * share * 0.7) as usize);
            pieces.into_iter().map(|piece| (piece.clone(), json(&piece))).collect()
        }
    }
}

fn json(batch: &Batch) -> Bytes {
    to_json(batch.bytes(), batch.signal().schema()).into_bytes().into()
}

/// What an event's partition goes by: its trace, as that of the spans does, or else the run that it names.
fn key(event: &Event) -> Option<String> {
    let run = || event.identity.execution_id.as_deref().or(event.identity.workflow_id.as_deref());
    event.trace_id.map(|trace| trace.to_string()).or_else(|| run().map(str::to_owned))
}
