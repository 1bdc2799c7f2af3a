//! Pieces of answers and signs of progress, which come faster than anybody reads: those that come within a moment
//! become one event before it gets its offset, so that all readers see the same ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;

use crate::event::{Data, Event};
use crate::flow::{Mirrored, Record, SharedRecord};
use crate::hub::Hub;

/// Merges events on their way into the hub.
pub struct Merge {
    hub: Arc<Hub>,
    waiting: Mutex<Waiting>,
    /// Told when there is something to wait for.
    begun: Notify,
}

impl Merge {
    /// Pieces of one answer that come within `chunks` become one, and of signs of one tool's progress that come within
    /// `progress` the last remains. Nothing waits if it is 0.
    pub fn new(hub: Arc<Hub>, chunks: Duration, progress: Duration) -> Arc<Merge> {
        let waiting = Mutex::new(Waiting { chunks, progress, held: Vec::new() });
        Arc::new(Merge { hub, waiting, begun: Notify::new() })
    }

    /// Takes events in.
    pub fn publish(&self, records: &[SharedRecord]) {
        let mut waiting = self.lock();
        let was_empty = waiting.held.is_empty();
        let mut ready = Vec::with_capacity(records.len());
        waiting.take(records, Instant::now(), &mut ready);
        // Under the lock, so that what was taken first is published first.
        self.hub.publish(&ready);
        if was_empty && !waiting.held.is_empty() {
            self.begun.notify_one();
        }
    }

    /// Takes events in that have their offsets already, and are what they are for all who read them elsewhere.
    pub fn mirror(&self, part: &Mirrored) {
        self.hub.mirror(part);
    }

    /// Publishes what has waited long enough, for ever.
    pub async fn run(self: Arc<Merge>) {
        loop {
            let due = self.lock().due();
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => self.begun.notified().await,
            }
            self.publish_due(|due| due <= Instant::now());
        }
    }

    /// Publishes everything that waits.
    pub fn finish(&self) {
        self.publish_due(|_| true);
    }

    fn publish_due(&self, is_due: impl Fn(Instant) -> bool) {
        let mut waiting = self.lock();
        let mut ready = Vec::new();
        waiting.release(|held| is_due(held.due), &mut ready);
        if !ready.is_empty() {
            self.hub.publish(&ready);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits for more of its kind.
struct Waiting {
    chunks: Duration,
    progress: Duration,
    /// In the order in which they began.
    held: Vec<Held>,
}

/// Events of one piece of work that become one.
struct Held {
    first: SharedRecord,
    last: SharedRecord,
    /// What they said together, of pieces of an answer.
    text: Option<String>,
    pieces: u64,
    due: Instant,
}

impl Waiting {
    /// More at a time are not worth waiting for.
    const MOST: usize = 256;
    /// A longer text is long enough.
    const MOST_BYTES: usize = 64 << 10;

    /// Takes events in, and gives those back that need not wait, after what they must not overtake.
    fn take(&mut self, records: &[SharedRecord], now: Instant, ready: &mut Vec<SharedRecord>) {
        for record in records {
            let (patience, chunk) = self.patience(record.event());
            if patience.is_zero() {
                self.release(|held| is_of_one_run(held.first.event(), record.event()), ready);
                ready.push(record.clone());
                continue;
            }
            // What came together may have happened apart: it is imported, or was held up.
            let is_apart = |held: &Held| {
                let apart = record.event().timestamp.micros_since(held.first.event().timestamp);
                is_of_one_span(held.first.event(), record.event()) && u128::from(apart) > patience.as_micros()
            };
            self.release(is_apart, ready);
            match self.held.iter_mut().find(|held| is_of_one_span(held.first.event(), record.event())) {
                Some(held) => held.add(record, chunk),
                None => self.held.push(Held {
                    first: record.clone(),
                    last: record.clone(),
                    text: chunk,
                    pieces: 1,
                    due: now + patience,
                }),
            }
            if self.held.len() > Waiting::MOST {
                self.release(|_| true, ready);
            }
            self.release(|held| held.text.as_ref().is_some_and(|text| text.len() > Waiting::MOST_BYTES), ready);
        }
    }

    /// How long an event waits for others of its kind, and the piece of an answer that it has. Payloads are read of
    /// pieces alone, because every event comes past here.
    fn patience(&self, event: &Event) -> (Duration, Option<String>) {
        match event.name.as_str() {
            "llm.progress" if !self.chunks.is_zero() => match chunk(event) {
                Some(text) => (self.chunks, Some(text)),
                None => (Duration::ZERO, None),
            },
            "tool.progress" => (self.progress, None),
            _ => (Duration::ZERO, None),
        }
    }

    fn release(&mut self, goes: impl Fn(&Held) -> bool, ready: &mut Vec<SharedRecord>) {
        if !self.held.iter().any(&goes) {
            return;
        }
        let (gone, held) = std::mem::take(&mut self.held).into_iter().partition(goes);
        self.held = held;
        ready.extend(<Vec<Held>>::into_iter(gone).map(Held::merged));
    }

    fn due(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.due).min()
    }
}

impl Held {
    fn add(&mut self, record: &SharedRecord, chunk: Option<String>) {
        self.pieces += 1;
        self.last = record.clone();
        if let (Some(text), Some(chunk)) = (&mut self.text, chunk) {
            text.push_str(&chunk);
        }
    }

    /// One event of all: an answer begins with its first piece, and progress is where it has come to.
    fn merged(self) -> SharedRecord {
        let Some(text) = self.text.filter(|_| self.pieces > 1) else { return self.last };
        let mut event = self.first.event().clone();
        let mut data = self.last.event().data.to_map();
        data.insert("chunk".into(), text.into());
        data.insert("chunks".into(), self.pieces.into());
        event.data = Data::from_map(&data);
        Arc::new(Record::new(event))
    }
}

fn chunk(event: &Event) -> Option<String> {
    match event.data.get("chunk") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn is_of_one_span(a: &Event, b: &Event) -> bool {
    a.name == b.name && a.span_id == b.span_id && a.component_id == b.component_id && is_of_one_run(a, b)
}

fn is_of_one_run(a: &Event, b: &Event) -> bool {
    a.execution_id() == b.execution_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: fn() -> Instant = Instant::now;

    fn waiting() -> Waiting {
        Waiting { chunks: Duration::from_millis(50), progress: Duration::from_millis(100), held: Vec::new() }
    }

    fn piece(call: u32, text: &str) -> SharedRecord {
        Arc::new(Record::new(Event::llm_progress("writer", call, text).execution("run")))
    }

    fn other(event: Event) -> SharedRecord {
        Arc::new(Record::new(event))
    }

    fn said(ready: &[SharedRecord]) -> Vec<String> {
        let text = |record: &SharedRecord| chunk(record.event()).unwrap_or_else(|| record.event().name.to_string());
        ready.iter().map(text).collect()
    }

    #[test]
    fn pieces_become_one_and_nothing_of_their_run_overtakes_them() {
        let (mut waiting, mut ready) = (waiting(), Vec::new());
        let now = NOW();
        let pieces = [piece(0, "Once "), piece(1, "A"), piece(0, "upon "), piece(0, "a time")];
        waiting.take(&pieces, now, &mut ready);
        waiting.take(&[other(Event::tool_started("search").execution("another run"))], now, &mut ready);
        assert_eq!(said(&ready), ["tool.started"]);
        waiting.take(&[other(Event::llm_completed("writer", 0, "m").execution("run"))], now, &mut ready);
        assert_eq!(said(&ready), ["tool.started", "Once upon a time", "A", "llm.completed"]);
        let merged = ready[1].event();
        assert_eq!(merged.event_id, pieces[0].event().event_id);
        assert_eq!(merged.data.get("chunks"), Some(3.into()));
        assert_eq!(ready[2].event().data.get("chunks"), None, "what came alone is as it came");
    }

    #[test]
    fn they_wait_no_longer_than_they_should() {
        let (mut waiting, mut ready) = (waiting(), Vec::new());
        let now = NOW();
        waiting.take(&[piece(0, "a")], now, &mut ready);
        let later = now + Duration::from_millis(30);
        waiting.take(&[piece(0, "b"), other(Event::tool_progress("search").execution("x"))], later, &mut ready);
        assert_eq!(waiting.due(), Some(now + Duration::from_millis(50)));
        waiting.release(|held| held.due <= now + Duration::from_millis(50), &mut ready);
        assert_eq!((said(&ready), waiting.due()), (vec!["ab".to_owned()], Some(later + Duration::from_millis(100))));
    }

    #[test]
    fn of_progress_the_last_remains_and_what_waits_is_bounded() {
        let (mut waiting, mut ready) = (waiting(), Vec::new());
        let now = NOW();
        let progress = |share: f64| other(Event::tool_progress("search").execution("x").with("progress", share));
        waiting.take(&[progress(0.1), progress(0.2), progress(0.9)], now, &mut ready);
        waiting.release(|_| true, &mut ready);
        assert_eq!(ready.len(), 1);
        assert_eq!(ready[0].event().data.get("progress"), Some(0.9.into()));
        ready.clear();
        for call in 0..1000 {
            waiting.take(&[piece(call, "a")], now, &mut ready);
            assert!(waiting.held.len() <= Waiting::MOST);
        }
        waiting.take(&[piece(7, &"long ".repeat(20_000))], now, &mut ready);
        assert!(said(&ready).iter().any(|text| text.len() > 99_000), "a long text waits for nothing");
    }

    #[tokio::test]
    async fn the_hub_has_them_in_order_and_in_time() {
        let hub = Arc::new(Hub::new(100));
        let merge = Merge::new(hub.clone(), Duration::from_millis(5), Duration::ZERO);
        let running = tokio::spawn(merge.clone().run());
        let mut heads = hub.watch();
        merge.publish(&[piece(0, "a"), piece(0, "b")]);
        heads.wait_for(|head| *head == 1).await.unwrap();
        merge.publish(&[other(Event::tool_progress("search"))]);
        assert_eq!(hub.head(), 2);
        merge.publish(&[piece(0, "c")]);
        merge.finish();
        let page = hub.read(0, 10, &crate::event::Filter::default());
        let records: Vec<SharedRecord> = page.events.into_iter().map(|(_, record)| record).collect();
        assert_eq!(said(&records), ["ab", "tool.progress", "c"]);
        running.abort();
    }
}
