//! One file of a journal: what is known of it in memory, and how it is opened, sealed and read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};
use super::format::{HEADER, Header, Place, Seal, TRAILER};
use super::scan::{Record, Scan, Step};
use crate::event::Timestamp;

/// A segment. Readers and the writer share it.
#[derive(Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// What the file says of itself.
    pub header: Header,
    known: Mutex<Known>,
}

/// A segment that nothing is added to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The epoch in which it was begun, in words as those of [`super::Journal::epoch`].
    pub epoch: String,
    /// From its first offset up to but not including the one behind its last record.
    pub offsets: Range<u64>,
}

/// What changes while a segment is written.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its records; `end` is how far readers may read.
    pub seal: Seal,
    /// Bytes of the file.
    pub size: u64,
    /// When its first record was appended.
    pub begun: Option<Timestamp>,
}

/// What a look through a whole segment found wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Bytes that are no records any more.
    pub damaged: u64,
    /// Whether there are such bytes behind the last record, so that nobody knows what was there.
    pub damaged_end: bool,
    /// Bytes of a write that broke off.
    pub torn: u64,
}

impl Segment {
    /// Bytes between places that are kept in memory.
    const STRIDE: u64 = 32 << 10;

    /// The name of the file whose first offset this is.
    pub fn path(dir: &Path, first: u64) -> PathBuf {
        dir.join(format!("{first:020}.log"))
    }

    /// A segment without records.
    pub fn empty(path: PathBuf, header: Header) -> Segment {
        let seal = Seal { next: header.first, end: HEADER as u64, ..Seal::default() };
        let known = Known { seal, size: HEADER as u64, begun: None };
        Segment { path, header, known: Mutex::new(known) }
    }

    /// Begins a file. Its name is not durable before the directory is synced.
    pub fn create(disk: &dyn Disk, dir: &Path, header: Header) -> io::Result<(Segment, Box<dyn DiskFile>)> {
        let path = Segment::path(dir, header.first);
        let file = disk.create(&path)?;
        let begun = file.write_at(&header.write(), 0).and_then(|()| file.sync()).and_then(|()| disk.sync_dir(dir));
        if let Err(error) = begun {
            // An empty file is no harm, and is removed at the next start.
            drop(file);
            disk.remove(&path).unwrap_or_default();
            return Err(error);
        }
        Ok((Segment::empty(path, header), file))
    }

    /// Reads what a file says of itself; nothing if it is no segment.
    pub fn header(file: &dyn DiskFile) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER];
        let read = file.read_at(&mut bytes, 0)?;
        Ok(Header::read(&bytes[..read]))
    }

    /// Learns what is in a file: from its seal, else from its records. Whether it is sealed.
    pub fn learn(path: PathBuf, header: Header, file: &dyn DiskFile) -> io::Result<(Segment, bool, Wrong)> {
        let size = file.size()?;
        let segment = Segment::empty(path, header);
        if let Some(seal) = Segment::seal_of(file, size, header.salt)? {
            let begun = seal.places.first().map(|place| place.time);
            *segment.known() = Known { seal, size, begun };
            return Ok((segment, true, Wrong::default()));
        }
        let mut wrong = Wrong::default();
        let mut scan = Scan::new(file, header.salt, HEADER as u64, size, header.first);
        loop {
            let at = scan.at();
            match scan.step()? {
                Step::Record(record, at) => {
                    segment.known().add(&record, at, scan.at());
                    wrong.damaged_end = false;
                }
                Step::Damage(bytes) => {
                    wrong.damaged += bytes;
                    wrong.damaged_end = true;
                }
                Step::Torn => wrong.torn = size - at,
                Step::End => break,
            }
        }
        segment.known().size = size;
        Ok((segment, false, wrong))
    }

    fn seal_of(file: &dyn DiskFile, size: u64, salt: u32) -> io::Result<Option<Seal>> {
        let mut trailer = [0; TRAILER];
        let Some(at) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
        file.read_at(&mut trailer, at)?;
        let Some(length) = Seal::size(&trailer) else { return Ok(None) };
        let Some(at) = size.checked_sub(length).filter(|at| *at >= HEADER as u64) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_at(&mut bytes, at)?;
        Ok(Seal::read(&bytes, salt).filter(|seal| seal.end <= at))
    }

    /// Puts the seal at the end of the file.
    pub fn seal(&self, file: &dyn DiskFile) -> io::Result<()> {
        let (seal, at) = {
            let known = self.known();
            (known.seal.write(self.header.salt), known.size)
        };
        file.write_at(&seal, at)?;
        self.known().size = at + seal.len() as u64;
        Ok(())
    }

    /// What is known of it, while it is held.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset behind its last record.
    pub fn next(&self) -> u64 {
        self.known().seal.next
    }

    /// A walk from the last known place that is not behind what is looked for.
    pub fn scan<'f>(&self, file: &'f dyn DiskFile, is_before: impl Fn(&Place) -> bool) -> Scan<'f> {
        let known = self.known();
        let places = &known.seal.places;
        let place = places.partition_point(is_before).checked_sub(1).and_then(|at| places.get(at));
        let (at, expected) = place.map_or((HEADER as u64, self.header.first), |place| (place.at, place.offset));
        Scan::new(file, self.header.salt, at, known.seal.end, expected)
    }
}

impl Known {
    /// A record has been written, between these bytes of the file.
    pub fn add(&mut self, record: &Record, at: u64, end: u64) {
        self.add_place(Place { offset: record.offset, time: record.time, at }, end);
    }

    /// Likewise, where only its place is at hand.
    pub fn add_place(&mut self, place: Place, end: u64) {
        let seal = &mut self.seal;
        seal.records += 1;
        seal.next = place.offset + 1;
        seal.last = place.time;
        seal.end = end;
        self.size = self.size.max(end);
        self.begun.get_or_insert(place.time);
        if seal.places.last().is_none_or(|last| place.at - last.at >= Segment::STRIDE) {
            seal.places.push(place);
        }
    }
}
