//! What waits in a queue on disk, as a record of its journal: its bytes, and before them how much there was up to it. By
//! that is known how much waits, without reading all of it, and how much is missing where records are.

use std::ops::{Add, Sub};
use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Source, SourceKind, Timestamp, read_events};
use crate::export::Load;
use crate::flow::Record;
use crate::journal::{self, Entry};
use crate::otlp::{Batch, Signal};

/// How much something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests as they came.
    pub requests: u64,
    /// Spans, log records, data points or events.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Add for Sum {
    type Output = Sum;

    fn add(self, other: Sum) -> Sum {
        let add = |own: u64, other: u64| own.saturating_add(other);
        Sum {
            requests: add(self.requests, other.requests),
            items: add(self.items, other.items),
            bytes: add(self.bytes, other.bytes),
        }
    }
}

impl Sub for Sum {
    type Output = Sum;

    fn sub(self, other: Sum) -> Sum {
        let sub = |own: u64, other: u64| own.saturating_sub(other);
        Sum {
            requests: sub(self.requests, other.requests),
            items: sub(self.items, other.items),
            bytes: sub(self.bytes, other.bytes),
        }
    }
}

const TRACES: u8 = 1;
const METRICS: u8 = 2;
const LOGS: u8 = 3;
const EVENTS: u8 = 4;

/// Bytes in front of what waits.
const HEADER: usize = 32;

/// Something as it is written, and how much it is. `before` is how much was written before it.
pub fn write(load: &Load, before: Sum) -> Option<(Entry, Sum)> {
    let (kind, bytes) = match load {
        Load::Batches(batches) => {
            let batch = Batch::merge(batches)?;
            (kind_of(batch.signal()), batch.bytes().clone())
        }
        Load::Events(events) => {
            let lines: Vec<&str> = events.iter().map(|record| record.json()).collect();
            (EVENTS, Bytes::from(lines.join("\n")))
        }
        Load::Changes(_) => return None,
    };
    let sum = Sum { requests: 1, items: load.items() as u64, bytes: bytes.len() as u64 };
    let through = before + sum;
    let mut payload = Vec::with_capacity(HEADER + bytes.len());
    for number in [sum.items, through.requests, through.items, through.bytes] {
        payload.extend_from_slice(&number.to_le_bytes());
    }
    payload.extend_from_slice(&bytes);
    Some((Entry { kind, payload: payload.into() }, sum))
}

/// Something that waits, as it was read.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its offset.
    pub offset: u64,
    /// Since when it waits.
    pub since: Timestamp,
    /// How much it is.
    pub sum: Sum,
    /// How much was written up to it, itself included.
    pub through: Sum,
    kind: u8,
    bytes: Bytes,
}

impl Waiting {
    /// Of a record; nothing if that is no record of a queue.
    pub fn read(record: journal::Record) -> Option<Waiting> {
        let bytes = record.payload.clone();
        let header = bytes.first_chunk::<HEADER>()?;
        let number = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&header[8 * at..8 * at + 8]);
            u64::from_le_bytes(word)
        };
        let body = bytes.slice(HEADER..);
        let sum = Sum { requests: 1, items: number(0), bytes: body.len() as u64 };
        let through = Sum { requests: number(1), items: number(2), bytes: number(3) };
        Some(Waiting { offset: record.offset, since: record.time, sum, through, kind: record.kind, bytes: body })
    }

    /// What it is: only things of one kind go out in one attempt.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// What was put in; nothing if it cannot be read. Whoever wrote it may have been another version of this program.
    pub fn load(self) -> Option<Load> {
        let signal = match self.kind {
            TRACES => Signal::Traces,
            METRICS => Signal::Metrics,
            LOGS => Signal::Logs,
            EVENTS => return events(&self.bytes),
            _ => return None,
        };
        Some(Load::Batches(vec![Batch::read(signal, self.bytes).ok()?.batch]))
    }
}

fn kind_of(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    }
}

fn events(lines: &[u8]) -> Option<Load> {
    // What it says of its source was added before it was written.
    let unknown = Source { kind: SourceKind::Bus, dialect: None, instance: None, service: None };
    let mut events = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let [event] = <[_; 1]>::try_from(read_events(line, &unknown, Timestamp::now())).ok()?;
        let event = event.ok()?.into_iter().next()?;
        events.push(Arc::new(Record::of_json(event, line)));
    }
    Some(Load::Events(events))
}
