//! Reading records one behind the other, over whatever is damaged between them.

use std::io;

use bytes::Bytes;

use super::disk::DiskFile;
use super::format::{HEAD, Head, MOST_PAYLOAD};
use crate::event::Timestamp;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: u64,
    /// When it was appended.
    pub time: Timestamp,
    /// What the payload is, to whoever wrote it.
    pub kind: u8,
    /// What was appended.
    pub payload: Bytes,
}

/// What comes next in a segment.
#[derive(Debug)]
pub enum Step {
    /// A record, and where its head begins.
    Record(Record, u64),
    /// Bytes that are no records, but were.
    Damage(u64),
    /// The last write broke off here.
    Torn,
    /// There is no more.
    End,
}

/// A walk through a part of a segment.
pub struct Scan<'f> {
    file: &'f dyn DiskFile,
    salt: u32,
    /// The smallest offset that may come.
    expected: u64,
    at: u64,
    end: u64,
    /// Some of the file, and where it begins.
    chunk: Bytes,
    chunk_at: u64,
    chunk_size: u64,
}

impl<'f> Scan<'f> {
    /// Bytes that are read first. Whoever goes on reads more at a time.
    const FIRST_CHUNK: u64 = 64 << 10;
    const LARGEST_CHUNK: u64 = 1 << 20;

    /// From a record's beginning, or the first one's, up to the end of the records, both in bytes.
    pub fn new(file: &'f dyn DiskFile, salt: u32, at: u64, end: u64, expected: u64) -> Scan<'f> {
        Scan { file, salt, expected, at, end, chunk: Bytes::new(), chunk_at: at, chunk_size: Scan::FIRST_CHUNK }
    }

    /// Where it is, in bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What comes next.
    pub fn step(&mut self) -> io::Result<Step> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        let begin = self.at;
        let bytes = self.bytes(HEAD as u64)?;
        if bytes.len() < HEAD {
            self.at = self.end;
            return Ok(Step::Torn);
        }
        let Some(head) = Head::read(&bytes, self.salt).filter(|head| head.offset >= self.expected) else {
            return self.find();
        };
        if head.size() > self.end - begin {
            self.at = self.end;
            return Ok(Step::Torn);
        }
        let record = self.bytes(head.size())?;
        self.at = begin + head.size();
        self.expected = head.offset.saturating_add(1);
        let payload = record.slice(HEAD.min(record.len())..);
        if payload.len() != head.len as usize || !head.is_of(&payload, self.salt) {
            return Ok(Step::Damage(head.size()));
        }
        Ok(Step::Record(Record { offset: head.offset, time: head.time, kind: head.kind, payload }, begin))
    }

    /// Looks for the next record behind something that is none.
    fn find(&mut self) -> io::Result<Step> {
        let begin = self.at;
        self.at += 1;
        loop {
            let bytes = self.bytes(HEAD as u64)?;
            if bytes.len() < HEAD {
                self.at = self.end;
                return Ok(Step::Damage(self.end - begin));
            }
            let chunk = self.rest_of_chunk();
            for (skip, window) in chunk.windows(HEAD).enumerate() {
                let fits =
                    |head: &Head| head.offset >= self.expected && head.size() <= self.end - self.at - skip as u64;
                if Head::read(window, self.salt).as_ref().is_some_and(fits) {
                    self.at += skip as u64;
                    return Ok(Step::Damage(self.at - begin));
                }
            }
            self.at += (chunk.len() - HEAD) as u64 + 1;
        }
    }

    /// The next bytes, as many as these or what there is.
    fn bytes(&mut self, len: u64) -> io::Result<Bytes> {
        let len = len.min(self.end - self.at).min((HEAD + MOST_PAYLOAD) as u64);
        let has = self.at >= self.chunk_at && self.at + len <= self.chunk_at + self.chunk.len() as u64;
        if !has {
            let wanted = len.max(self.chunk_size.min(self.end - self.at));
            self.chunk_size = (self.chunk_size * 2).min(Scan::LARGEST_CHUNK);
            let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
            let read = self.file.read_at(&mut buffer, self.at)?;
            buffer.truncate(read);
            (self.chunk, self.chunk_at) = (buffer.into(), self.at);
        }
        let chunk = self.rest_of_chunk();
        Ok(chunk.slice(..chunk.len().min(usize::try_from(len).unwrap_or(usize::MAX))))
    }

    fn rest_of_chunk(&self) -> Bytes {
        let skip = usize::try_from(self.at - self.chunk_at).unwrap_or(usize::MAX);
        self.chunk.slice(skip.min(self.chunk.len())..)
    }
}
