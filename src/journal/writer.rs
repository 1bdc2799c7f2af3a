//! The writer: one thread that puts many appends into one write, and begins segments.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use uuid::Uuid;

use super::WhenFull;
use super::append::{Ack, Batch, Refused, Work};
use super::format::{Head, Header, MOST_PAYLOAD, Place};
use super::segment::Segment;
use super::shared::{Active, Shared};
use crate::event::Timestamp;

/// The writer of a journal.
pub struct Writer {
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// The places of the records in the buffer, each with the record's end.
    places: Vec<(Place, u64)>,
}

impl Writer {
    /// Bytes of the buffer that are kept for the next write.
    const KEPT: usize = 8 << 20;

    /// Of a journal.
    pub fn new(shared: Arc<Shared>) -> Writer {
        Writer { shared, buffer: Vec::new(), places: Vec::new() }
    }

    /// Writes until the queue is closed and empty.
    pub fn run(mut self) {
        loop {
            match self.shared.queue.take() {
                Work::Write(batches) => self.write(batches),
                Work::Look => {
                    if let Some(active) = self.active().filter(|active| self.is_done(active, 0)) {
                        self.finish(&active);
                    }
                }
                Work::End => return,
            }
        }
    }

    fn write(&mut self, batches: Vec<Batch>) {
        let records: usize = batches.iter().map(|batch| batch.entries.len()).sum();
        let result = if records == 0 { Ok(None) } else { self.try_to_write(&batches).map(Some) };
        if let Err(why) = &result {
            self.shared.counts.refused(why, records);
            self.shared.failed();
        }
        let head = batches.last().map_or(0, |batch| batch.offsets.end);
        self.settle(batches, head, result);
        if self.buffer.capacity() > Writer::KEPT {
            self.buffer = Vec::new();
        }
        for watcher in self.shared.watchers.read().iter().flat_map(|watchers| watchers.iter()) {
            watcher(head);
        }
    }

    /// Publishes what was written, and tells whoever waits.
    fn settle(&self, batches: Vec<Batch>, head: u64, result: Result<Option<Active>, Refused>) {
        let mut wants_sync = false;
        let mut progress = self.shared.progress();
        progress.head = head;
        let written = result.as_ref().ok().and_then(Option::as_ref);
        let still_active = progress.is_active(written.map(|active| &active.segment));
        progress.dirty |= written.is_some();
        let mut finished = Vec::new();
        for batch in batches {
            let Some(slot) = batch.slot else { continue };
            match &result {
                Ok(_) if batch.ack == Ack::Durable && still_active => {
                    wants_sync = true;
                    progress.waiting.push(slot);
                }
                Ok(_) if batch.ack == Ack::Durable => {
                    // A sync failed in the meantime.
                    finished.push((slot, Err(Refused::Failed("a sync failed".into()))));
                }
                Ok(_) => finished.push((slot, Ok(()))),
                Err(why) => finished.push((slot, Err(why.clone()))),
            }
        }
        drop(progress);
        self.shared.moved.notify_all();
        finished.into_iter().for_each(|(slot, result)| slot.finish(result));
        if wants_sync {
            self.shared.keeper().wants_sync = true;
            self.shared.wake_keeper.notify_one();
        }
    }

    /// Writes records, and does what can be done if that fails: room is made, or another segment begun.
    fn try_to_write(&mut self, batches: &[Batch]) -> Result<Active, Refused> {
        let bytes = batches.iter().map(Batch::size).sum::<usize>() as u64;
        let (mut tried_another, mut may_drop) = (false, self.shared.settings.when_full == WhenFull::DropOldest);
        loop {
            let attempt = self.segment_for(bytes, batches).and_then(|active| {
                let written = self.write_to(&active, batches);
                written.map(|()| active)
            });
            let error = match attempt {
                Ok(active) => return Ok(active),
                Err(error) => error,
            };
            if is_full(&error) {
                // One at a time: whoever fills the disk may be somebody else, and then it helps nobody to delete all.
                if !std::mem::take(&mut may_drop) || !self.shared.drop_oldest() {
                    return Err(Refused::DiskFull);
                }
            } else if tried_another {
                return Err(Refused::Failed(error.to_string().into()));
            } else {
                tried_another = true;
                self.shared.progress().dirty = true;
                self.shared.sync();
                let failed = Refused::Failed(error.to_string().into());
                self.shared.abandon(self.active().as_ref(), &failed);
            }
        }
    }

    fn active(&self) -> Option<Active> {
        self.shared.progress().active.clone()
    }

    /// The segment to write to: the one at hand, or the next.
    fn segment_for(&self, bytes: u64, batches: &[Batch]) -> io::Result<Active> {
        match self.active() {
            Some(active) if !self.is_done(&active, bytes) => Ok(active),
            active => {
                active.iter().for_each(|active| self.finish(active));
                self.begin(batches.first().map_or(0, |batch| batch.offsets.start))
            }
        }
    }

    /// Whether a segment takes no more: it is full, or its records would grow too old in it.
    fn is_done(&self, active: &Active, bytes: u64) -> bool {
        let known = active.segment.known();
        let settings = &self.shared.settings;
        let is_old = known.begun.is_some_and(|begun| begun.plus(settings.segment_age) < Timestamp::now());
        known.seal.records > 0 && (known.seal.end + bytes > settings.segment_bytes || is_old)
    }

    /// Seals a segment. Its records are durable before the next one begins, so that there is never more than one that is
    /// not.
    fn finish(&self, active: &Active) {
        // Without a seal it is read as a whole at the next start, and that is all.
        if active.segment.seal(&*active.file).is_err() {
            self.shared.counts.failures.fetch_add(1, Relaxed);
        }
        self.shared.progress().dirty = true;
        self.shared.sync();
        self.shared.abandon(Some(active), &Refused::Failed("a sync failed".into()));
        self.shared.retain(Timestamp::now());
    }

    fn begin(&self, first: u64) -> io::Result<Active> {
        let shared = &self.shared;
        shared.retain(Timestamp::now());
        if !shared.has_room() && shared.settings.when_full == WhenFull::Refuse && !shared.segments().is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let header = Header { epoch: shared.epoch, first, salt: salt() };
        let (segment, file) = Segment::create(&*shared.disk, &shared.dir, header)?;
        let active = Active { segment: Arc::new(segment), file: Arc::from(file) };
        let mut segments = shared.segments_mut();
        // One that was begun and given up before anything was in it had the same name.
        segments.retain(|segment| segment.header.first < first);
        segments.push(active.segment.clone());
        drop(segments);
        shared.progress().active = Some(active.clone());
        Ok(active)
    }

    fn write_to(&mut self, active: &Active, batches: &[Batch]) -> io::Result<()> {
        let Active { segment, file } = active;
        let at = segment.known().seal.end;
        self.encode(batches, segment.header.salt, at);
        if let Err(error) = file.write_at(&self.buffer, at) {
            self.undo(active, at, &error);
            return Err(error);
        }
        let mut known = segment.known();
        for (place, end) in &self.places {
            known.add_place(*place, *end);
        }
        self.shared.counts.appended.fetch_add(self.places.len() as u64, Relaxed);
        self.shared.counts.bytes.fetch_add(self.buffer.len() as u64, Relaxed);
        Ok(())
    }

    /// Cuts off what was half written. If that is not possible, nothing more is put behind it.
    fn undo(&self, active: &Active, at: u64, error: &io::Error) {
        if active.file.truncate(at).is_err() {
            self.shared.abandon(Some(active), &Refused::Failed(error.to_string().into()));
        }
    }

    fn encode(&mut self, batches: &[Batch], salt: u32, at: u64) {
        self.buffer.clear();
        self.places.clear();
        for batch in batches {
            for (offset, entry) in batch.offsets.clone().zip(&batch.entries) {
                let begin = at + self.buffer.len() as u64;
                let payload = entry.payload.bytes();
                if payload.len() > MOST_PAYLOAD {
                    self.shared.counts.refused(&Refused::TooLong, 1);
                    continue;
                }
                let head = Head::new(offset, batch.time, entry.kind, payload, salt);
                self.buffer.extend_from_slice(&head.write(salt));
                self.buffer.extend_from_slice(payload);
                self.places.push((Place { offset, time: batch.time, at: begin }, begin + head.size()));
            }
        }
    }
}

/// What nobody who only writes payloads can know.
pub fn salt() -> u32 {
    let random = Uuid::now_v7().as_u64_pair().1;
    (random ^ (random >> 32)) as u32
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
