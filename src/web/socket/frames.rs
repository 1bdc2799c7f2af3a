//! Messages of events, each written once for all clients that get it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;

use super::message;
use super::request::Envelope;
use crate::flow::SharedRecord;

/// The messages of the last events. Whoever is further behind has them written anew.
#[derive(Debug, Default)]
pub struct Frames(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// By offset, which is the place in the hub.
    frames: VecDeque<(u64, Utf8Bytes)>,
    bytes: usize,
}

impl Frames {
    const MOST: usize = 1024;
    const MOST_BYTES: usize = 8 << 20;

    /// The message of an event.
    pub fn get(&self, envelope: Envelope, offset: u64, record: &SharedRecord) -> Utf8Bytes {
        // The others are rare.
        if envelope != Envelope::Event {
            return message::event(envelope, offset, record).into();
        }
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = ring.frames.back().is_none_or(|(newest, _)| *newest < offset);
        if !is_new && let Ok(at) = ring.frames.binary_search_by_key(&offset, |(offset, _)| *offset) {
            return ring.frames[at].1.clone();
        }
        let frame: Utf8Bytes = message::event(envelope, offset, record).into();
        if is_new {
            ring.keep(offset, frame.clone());
        }
        frame
    }
}

impl Ring {
    fn keep(&mut self, offset: u64, frame: Utf8Bytes) {
        self.bytes += frame.len();
        self.frames.push_back((offset, frame));
        while self.frames.len() > Frames::MOST || self.bytes > Frames::MOST_BYTES {
            let Some((_, oldest)) = self.frames.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Event;
    use crate::flow::Record;

    #[test]
    fn a_message_is_written_once_as_long_as_it_is_new() {
        let frames = Frames::default();
        let record = |name: &str| Arc::new(Record::new(Event::agent_started(name)));
        let first = frames.get(Envelope::Event, 5, &record("a"));
        assert_eq!(frames.get(Envelope::Event, 5, &record("of the same offset")).as_ptr(), first.as_ptr());
        assert!(frames.get(Envelope::StreamEvent, 5, &record("a")).contains("stream_event"));
        frames.get(Envelope::Event, 3, &record("late"));
        for offset in 6..3000 {
            frames.get(Envelope::Event, offset, &record("a"));
        }
        let ring = frames.0.lock().unwrap();
        assert_eq!((ring.frames.len(), ring.frames[0].0), (1024, 3000 - 1024));
        assert_eq!(ring.bytes, ring.frames.iter().map(|(_, frame)| frame.len()).sum::<usize>());
    }
}
