//! The last spans as they were sent, for whoever wants to see one whole: runs in memory keep only what they mean.
//!
//! Keeping is holding on to bytes that came anyway, so it costs nothing per span. Looking one up reads all of them,
//! which takes milliseconds and is done when a person asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::SpanId;
use crate::otlp::edit::Edit;
use crate::otlp::view::{Group, Span};
use crate::otlp::{Batch, Signal};

/// The last batches of spans, within a number of bytes.
#[derive(Debug)]
pub struct Recent {
    most_bytes: usize,
    batches: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Recent {
    /// Keeps so many bytes; 0 keeps nothing.
    pub fn new(most_bytes: usize) -> Recent {
        Recent { most_bytes, batches: Mutex::default() }
    }

    /// Keeps a batch of spans; others are not of interest.
    pub fn keep(&self, batch: &Batch) {
        if batch.signal() != Signal::Traces || batch.bytes().len() > self.most_bytes {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += batch.bytes().len();
        kept.batches.push_back(batch.clone());
        while kept.bytes > self.most_bytes {
            let Some(oldest) = kept.batches.pop_front() else { break };
            kept.bytes -= oldest.bytes().len();
        }
    }

    /// The requests that a span of this id came with, without all others in them; the same span may have come twice.
    /// `is_wanted` tells it from spans of other traces that have the same id.
    pub fn find(&self, id: SpanId, is_wanted: impl Fn(&Span<'_>) -> bool) -> Vec<Batch> {
        let batches: Vec<Batch> = self.lock().batches.iter().cloned().collect();
        let fits = |span: &Span<'_>| span.span_id == id.as_bytes().as_slice() && is_wanted(span);
        let has = |batch: &&Batch| batch.groups().flat_map(Group::spans).any(|span| fits(&span));
        let only = |_: &Group<'_>, record: &[u8]| if fits(&Span::read(record)) { Edit::Keep } else { Edit::Drop };
        batches.iter().filter(has).map(|batch| batch.edit(only).unwrap_or_else(|| batch.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::{put_bytes, put_message};

    fn batch(ids: &[u8]) -> Batch {
        let mut out = Vec::new();
        put_message(&mut out, 1, |out| {
            put_message(out, 2, |out| {
                for id in ids {
                    put_message(out, 2, |out| {
                        put_bytes(out, 1, &[7; 16]);
                        put_bytes(out, 2, &[*id; 8]);
                    });
                }
            });
        });
        Batch::read(Signal::Traces, out.into()).unwrap().batch
    }

    fn found(recent: &Recent, id: u8) -> Vec<usize> {
        let id = SpanId::from_bytes(&[id; 8]).unwrap();
        recent.find(id, |_| true).iter().map(Batch::items).collect()
    }

    #[test]
    fn a_span_is_found_alone_until_others_take_its_room() {
        let one = batch(&[1, 2]);
        let recent = Recent::new(2 * one.bytes().len());
        recent.keep(&one);
        recent.keep(&batch(&[2, 3]));
        assert_eq!((found(&recent, 1), found(&recent, 2), found(&recent, 9)), (vec![1], vec![1, 1], vec![]));
        recent.keep(&batch(&[4, 5]));
        assert_eq!((found(&recent, 1), found(&recent, 3), found(&recent, 5)), (vec![], vec![1], vec![1]));
        assert_eq!(recent.find(SpanId::from_bytes(&[5; 8]).unwrap(), |_| false).len(), 0);
    }

    #[test]
    fn no_room_keeps_nothing() {
        let recent = Recent::new(0);
        recent.keep(&batch(&[1]));
        assert_eq!(found(&recent, 1), Vec::<usize>::new());
    }
}
