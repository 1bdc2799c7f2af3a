//! Reading: pages of records from an offset on, beside the writer and without holding it up.

use std::io;
use std::sync::Arc;

use super::scan::{Record, Step};
use super::segment::{Sealed, Segment};
use super::shared::Shared;
use crate::event::Timestamp;

/// How much is read at once. At least one record is, however large.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Records.
    pub records: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit { records: 1000, bytes: 1 << 20 }
    }
}

/// Some records, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, oldest first. Their payloads are parts of larger pieces of memory: who keeps a few of them for long
    /// had better copy them.
    pub records: Vec<Record>,
    /// Where to read on: the same as what was asked for if there is nothing yet.
    pub next: u64,
    /// Offsets before the first record that were asked for and have none: from, and up to but not including. They were
    /// deleted, damaged, or refused when they were to be written.
    pub gap: Option<(u64, u64)>,
}

impl Shared {
    /// A page of records.
    pub fn read(&self, from: u64, limit: Limit) -> io::Result<Page> {
        let mut page = Page { next: from, ..Page::default() };
        let mut bytes = 0;
        // Looked at first: what the writer adds meanwhile is for the next page.
        let head = self.progress().head;
        while page.next < head {
            let segment = self.segment_with(page.next).filter(|segment| segment.header.first < head);
            let Some(segment) = segment else {
                page.miss(head);
                break;
            };
            if !page.miss(segment.header.first) {
                break;
            }
            let Some(file) = self.open(&segment)? else { continue };
            let mut scan = segment.scan(&*file, |place| place.offset <= page.next);
            loop {
                match scan.step()? {
                    Step::Record(record, _) if record.offset < page.next => {}
                    Step::Record(record, _) => {
                        bytes += record.payload.len();
                        let is_full =
                            !page.records.is_empty() && (page.records.len() >= limit.records || bytes > limit.bytes);
                        if is_full || record.offset >= head || !page.miss(record.offset) {
                            return Ok(page);
                        }
                        page.next = record.offset + 1;
                        page.records.push(record);
                    }
                    Step::Damage(_) => {}
                    Step::Torn | Step::End => break,
                }
            }
            // What is missing at the end of a segment is missing up to the next one.
            let behind = self.behind(&segment).unwrap_or(head).max(segment.next()).min(head);
            if !page.miss(behind) {
                break;
            }
        }
        Ok(page)
    }

    /// The offset of the first record that was appended at a time or later; the head if there is none.
    pub fn offset_at(&self, time: Timestamp) -> io::Result<u64> {
        loop {
            let head = self.progress().head;
            let segment = self.segments().iter().find(|segment| segment.known().seal.last >= time).cloned();
            let Some(segment) = segment else { return Ok(head) };
            let Some(file) = self.open(&segment)? else { continue };
            let mut scan = segment.scan(&*file, |place| place.time < time);
            loop {
                match scan.step()? {
                    Step::Record(record, _) if record.time >= time => return Ok(record.offset),
                    Step::Record(..) | Step::Damage(_) => {}
                    Step::Torn | Step::End => return Ok(segment.next()),
                }
            }
        }
    }

    /// The first segment that is not written to any more and has records from an offset on.
    pub fn sealed(&self, from: u64) -> Option<Sealed> {
        // One that was begun and given up stays empty.
        let has_records = |segment: &Segment| segment.next() > from.max(segment.header.first);
        let segment = self.segments().iter().find(|segment| has_records(segment)).cloned()?;
        let progress = self.progress();
        let is_over = !progress.is_active(Some(&segment)) && segment.next() <= progress.head;
        drop(progress);
        let epoch = segment.header.epoch.simple().to_string();
        is_over.then(|| Sealed { epoch, offsets: segment.header.first..segment.next() })
    }

    /// The offset of the oldest record; the head if there is none.
    pub fn first(&self) -> u64 {
        let head = self.progress().head;
        self.segments().first().map_or(head, |segment| segment.header.first.min(head))
    }

    /// The segment in which an offset is, or the next one.
    fn segment_with(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.segments();
        let at = segments.partition_point(|segment| segment.next() <= offset);
        segments.get(at).cloned()
    }

    /// Where the segment behind one begins, if there is one.
    fn behind(&self, segment: &Segment) -> Option<u64> {
        let segments = self.segments();
        let at = segments.partition_point(|other| other.header.first <= segment.header.first);
        segments.get(at).map(|next| next.header.first)
    }

    /// A segment's file. If it is gone, so is the segment.
    fn open(&self, segment: &Arc<Segment>) -> io::Result<Option<Box<dyn super::disk::DiskFile>>> {
        match self.disk.open(&segment.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.segments_mut().retain(|known| !Arc::ptr_eq(known, segment));
                Ok(None)
            }
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", segment.path.display()))),
        }
    }
}

impl Page {
    /// Goes on to an offset, with nothing in between. Only at the beginning of a page: whether it could.
    fn miss(&mut self, to: u64) -> bool {
        if self.next >= to {
            return true;
        }
        if !self.records.is_empty() {
            return false;
        }
        let from = self.gap.map_or(self.next, |(from, _)| from);
        self.gap = Some((from, to));
        self.next = to;
        true
    }
}
