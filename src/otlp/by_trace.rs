//! One batch for each trace of a batch, for whoever wants all that is of a trace in one place.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::batch::{Batch, Signal, without_field_2};
use super::wire::{put_bytes, repeated};
use crate::event::TraceId;

impl Batch {
    /// The records of each trace by themselves, in the order in which the traces come; those that are of none, as all
    /// metrics are, in one batch of their own.
    pub fn by_trace(&self) -> Vec<(Option<TraceId>, Batch)> {
        if self.signal() == Signal::Metrics {
            return vec![(None, self.clone())];
        }
        if let Some(trace) = self.only_trace() {
            return vec![(trace, self.clone())];
        }
        let mut traces = Traces { signal: self.signal(), pieces: Vec::new(), places: HashMap::default() };
        for (at_resource, resource) in repeated(self.bytes(), 1).enumerate() {
            for (at_scope, scope) in repeated(resource, 2).enumerate() {
                for record in repeated(scope, 2) {
                    let piece = traces.of(trace_of(self.signal(), record));
                    piece.open((at_resource, at_scope), resource, scope);
                    put_bytes(&mut piece.scope, 2, record);
                    piece.items += 1;
                }
            }
        }
        traces.done()
    }

    /// The trace of all records, if they are all of the same.
    fn only_trace(&self) -> Option<Option<TraceId>> {
        let mut traces = self.traces();
        let first = traces.next()?;
        traces.all(|trace| trace == first).then_some(first)
    }

    /// The trace of each record; metrics are of none.
    pub fn traces(&self) -> impl Iterator<Item = Option<TraceId>> {
        let signal = self.signal();
        let records = repeated(self.bytes(), 1).flat_map(|resource| repeated(resource, 2));
        records.flat_map(|scope| repeated(scope, 2)).map(move |record| trace_of(signal, record))
    }
}

/// The trace that a record names. Behind the door every span has one.
fn trace_of(signal: Signal, record: &[u8]) -> Option<TraceId> {
    let number = match signal {
        Signal::Traces => 1,
        Signal::Logs => 9,
        Signal::Metrics => return None,
    };
    TraceId::from_bytes(repeated(record, number).last()?)
}

struct Traces {
    signal: Signal,
    pieces: Vec<Piece>,
    places: HashMap<Option<TraceId>, usize, RandomState>,
}

/// What there is of one trace so far, with the resource and the scope that are being filled.
#[derive(Default)]
struct Piece {
    trace: Option<TraceId>,
    done: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    at: Option<(usize, usize)>,
    items: usize,
}

impl Traces {
    fn of(&mut self, trace: Option<TraceId>) -> &mut Piece {
        let at = *self.places.entry(trace).or_insert_with(|| {
            self.pieces.push(Piece { trace, ..Piece::default() });
            self.pieces.len() - 1
        });
        &mut self.pieces[at]
    }

    fn done(self) -> Vec<(Option<TraceId>, Batch)> {
        let signal = self.signal;
        let batch = |mut piece: Piece| {
            piece.close_scope();
            piece.close_resource();
            (piece.trace, Batch::encoded(signal, piece.done, piece.items))
        };
        self.pieces.into_iter().map(batch).collect()
    }
}

impl Piece {
    /// Goes on in a resource and a scope, which are repeated here unless they are those that are being filled.
    fn open(&mut self, at: (usize, usize), resource: &[u8], scope: &[u8]) {
        if self.at == Some(at) {
            return;
        }
        self.close_scope();
        if self.at.is_none_or(|(before, _)| before != at.0) {
            self.close_resource();
            self.resource = without_field_2(resource);
        }
        self.scope = without_field_2(scope);
        self.at = Some(at);
    }

    fn close_scope(&mut self) {
        if self.at.is_some() {
            put_bytes(&mut self.resource, 2, &self.scope);
        }
    }

    fn close_resource(&mut self) {
        if self.at.is_some() {
            put_bytes(&mut self.done, 1, &self.resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::view::{Group, Span};
    use crate::otlp::wire::put_message;
    use proptest::prelude::*;

    /// Spans by resource, scope and trace, numbered as they stand.
    fn batch(spans: &[Vec<Vec<u8>>]) -> Batch {
        let (mut out, mut number) = (Vec::new(), 0u64);
        for (at, resource) in spans.iter().enumerate() {
            put_message(&mut out, 1, |out| {
                put_bytes(out, 3, format!("resource {at}").as_bytes());
                for scope in resource {
                    put_message(out, 2, |out| {
                        put_bytes(out, 3, format!("scope of {}", scope.len()).as_bytes());
                        for trace in scope {
                            number += 1;
                            put_message(out, 2, |out| {
                                put_bytes(out, 1, &[trace + 1; 16]);
                                put_bytes(out, 2, &number.to_be_bytes());
                            });
                        }
                    });
                }
            });
        }
        Batch::read(Signal::Traces, out.into()).unwrap().batch
    }

    /// Schema URL of the resource, of the scope, and span id of each span.
    fn spans(batch: &Batch) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let mut spans = Vec::new();
        for resource in repeated(batch.bytes(), 1) {
            for scope in repeated(resource, 2) {
                for span in repeated(scope, 2) {
                    let of = |message, number| repeated(message, number).next().unwrap().to_vec();
                    spans.push((of(resource, 3), of(scope, 3), of(span, 2)));
                }
            }
        }
        spans
    }

    proptest! {
        #[test]
        fn every_span_is_in_the_batch_of_its_trace_under_its_resource_and_scope(
            traces in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..4, 0..5), 0..4), 0..4)
        ) {
            let whole = batch(&traces);
            let pieces = whole.by_trace();
            let mut seen = Vec::new();
            for (trace, piece) in &pieces {
                prop_assert!(Batch::read(Signal::Traces, piece.bytes().clone()).is_ok());
                prop_assert_eq!(piece.items(), spans(piece).len());
                let of_trace = |span: Span<'_>| TraceId::from_bytes(span.trace_id) == *trace;
                prop_assert!(piece.groups().flat_map(Group::spans).all(of_trace));
                seen.extend(spans(piece));
            }
            let mut all = spans(&whole);
            all.sort();
            seen.sort();
            prop_assert_eq!(all, seen);
            let mut traces: Vec<_> = pieces.iter().map(|(trace, _)| *trace).collect();
            traces.dedup();
            prop_assert_eq!(traces.len(), pieces.len());
        }
    }

    #[test]
    fn what_is_of_one_trace_stays_as_it_is() {
        let whole = batch(&[vec![vec![1, 1], vec![1]]]);
        let pieces = whole.by_trace();
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].1.bytes().as_ptr(), whole.bytes().as_ptr());
    }
}
