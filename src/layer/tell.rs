//! What the worker tells the deriver: batches of spans, notes of open ones, and events.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::open::{End, OpenSpan, Pending};
use crate::derive::{Note, NoteKind};
use crate::event::{Data, Event, SpanId, TraceId, message};
use crate::otlp::wire::{put_bytes, put_message};
use crate::otlp::{Batch, Signal};
use crate::semconv::resource;

/// One thing to tell.
#[derive(Debug)]
pub enum Told {
    /// Spans; those without an end are open.
    Spans(Batch),
    /// A sign of life of an open span.
    Note {
        /// Its trace.
        trace: TraceId,
        /// Its id.
        span: SpanId,
        /// What it says.
        note: Note,
    },
    /// An event from the agent's code.
    Event {
        /// The event.
        event: Box<Event>,
        /// The span that it happened in.
        within: Option<(TraceId, SpanId)>,
    },
}

/// Puts spans together into batches.
#[derive(Debug)]
pub struct Writer {
    resource: Vec<u8>,
    /// Spans behind one another that come from the same target.
    groups: Vec<(&'static str, Vec<u8>)>,
    spans: usize,
}

/// Ids of traces and spans that nobody else gives any.
#[derive(Debug)]
pub struct Ids {
    seed: u64,
    next: u64,
}

impl Told {
    /// The pieces of an answer that came since the last time.
    pub fn chunk(span: &mut OpenSpan, pending: &Pending) -> Option<Told> {
        let data = Data::build(|data| data.str("chunk", &pending.text));
        Told::note(span, NoteKind::Progress, pending.since, None, data)
    }

    /// How far a span has come.
    pub fn progress(span: &mut OpenSpan, pending: &Pending) -> Option<Told> {
        let text = Some(&*pending.text).filter(|text| !text.is_empty());
        Told::note(span, NoteKind::Progress, pending.since, text, Data::written(&pending.data))
    }

    /// That an open span lives.
    pub fn heartbeat(span: &mut OpenSpan, now: u64) -> Option<Told> {
        let open_ms = now.saturating_sub(span.began) / 1_000_000;
        Told::note(span, NoteKind::Heartbeat, now, None, Data::build(|data| data.u64("open_ms", open_ms)))
    }

    fn note(span: &mut OpenSpan, kind: NoteKind, at: u64, text: Option<&str>, data: Data) -> Option<Told> {
        let (trace, id) = span.ids?;
        let counter = match kind {
            NoteKind::Progress => &mut span.progress_notes,
            NoteKind::Heartbeat => &mut span.heartbeats,
        };
        let sequence = *counter;
        *counter += 1;
        let note = Note { kind, at: span.time(at), sequence, message: text.map(message), data };
        Some(Told::Note { trace, span: id, note })
    }
}

impl Writer {
    /// For spans of this process.
    pub fn new(service: &str, instance: &str) -> Writer {
        let mut attributes = Vec::new();
        for (key, value) in [(resource::SERVICE_NAME, service), (resource::SERVICE_INSTANCE_ID, instance)] {
            put_message(&mut attributes, 1, |out| {
                put_bytes(out, 1, key.as_bytes());
                put_message(out, 2, |out| put_bytes(out, 1, value.as_bytes()));
            });
        }
        Writer { resource: attributes, groups: Vec::new(), spans: 0 }
    }

    /// Appends a span.
    pub fn put(&mut self, span: &OpenSpan, end: Option<End>) {
        let target = span.metadata.target();
        if self.groups.last().is_none_or(|(last, _)| *last != target) {
            self.groups.push((target, Vec::new()));
        }
        let Some((_, group)) = self.groups.last_mut() else { return };
        put_message(group, 2, |out| span.put(out, end));
        self.spans += 1;
    }

    /// What was appended since the last time.
    pub fn batch(&mut self) -> Option<Told> {
        if self.spans == 0 {
            return None;
        }
        let (groups, spans) = (std::mem::take(&mut self.groups), std::mem::take(&mut self.spans));
        let mut out = Vec::new();
        put_message(&mut out, 1, |out| {
            put_bytes(out, 1, &self.resource);
            for (target, group) in groups {
                put_message(out, 2, |out| {
                    put_message(out, 1, |out| put_bytes(out, 1, target.as_bytes()));
                    out.extend_from_slice(&group);
                });
            }
        });
        Some(Told::Spans(Batch::encoded(Signal::Traces, out, spans)))
    }
}

impl Default for Ids {
    fn default() -> Ids {
        let (high, low) = Uuid::now_v7().as_u64_pair();
        let ours = u64::from(std::process::id()).rotate_left(32);
        Ids { seed: low ^ high.rotate_left(17) ^ ours, next: low }
    }
}

impl Ids {
    /// A new trace.
    pub fn trace(&mut self) -> TraceId {
        loop {
            if let Some(id) = TraceId::from_bytes(&self.bytes()) {
                return id;
            }
        }
    }

    /// A new span.
    pub fn span(&mut self) -> SpanId {
        loop {
            if let Some(id) = SpanId::from_bytes(&self.bytes()[..8]) {
                return id;
            }
        }
    }

    fn bytes(&mut self) -> [u8; 16] {
        self.next = self.next.wrapping_add(1);
        xxh3_128_with_seed(&self.next.to_le_bytes(), self.seed).to_le_bytes()
    }
}
