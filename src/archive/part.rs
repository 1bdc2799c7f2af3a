//! A part of a journal as files: what is to be archived at a time, written in pieces, a file for each day.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use super::columns::{self, Rows};
use super::row::Row;
use crate::content::Withholding;
use crate::history::{EVENT, event_of};
use crate::journal::{Journal, Limit, Record, Sealed};

/// A file that is to be an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Where it is.
    pub path: PathBuf,
    /// What the object is called.
    pub name: String,
    /// Rows in it.
    pub events: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A sealed segment, or of one with events of very many days a part, on its way into files.
pub struct Part {
    directory: PathBuf,
    journal: String,
    offsets: Range<u64>,
    /// How far it was read.
    next: u64,
    days: BTreeMap<String, Day>,
    /// Bytes of the rows that wait to be written.
    waiting: usize,
    /// Records that are no events.
    unreadable: u64,
    withholding: Withholding,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
}

/// Events of a day.
struct Day {
    path: PathBuf,
    rows: Rows,
    events: u64,
    file: SerializedFileWriter<File>,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more.
    More,
    /// All is read, and what can be read is in files.
    Complete,
}

impl Part {
    const AT_ONCE: Limit = Limit { records: 2000, bytes: 1 << 20 };
    /// The most that waits in memory for its row groups, in bytes.
    const MOST_WAITING: usize = 8 << 20;
    /// The most days, each of which is a file that is open.
    const MOST_DAYS: usize = 64;

    /// Of what is left of a segment from an offset on. Its files go into a directory in which nothing else is.
    ///
    /// # Errors
    /// The directory cannot be made empty.
    pub fn begin(directory: &Path, sealed: &Sealed, from: u64, withholding: Withholding) -> io::Result<Part> {
        clear(directory)?;
        let first = sealed.offsets.start.max(from);
        Ok(Part {
            directory: directory.to_owned(),
            journal: sealed.epoch.clone(),
            offsets: first..sealed.offsets.end,
            next: first,
            days: BTreeMap::new(),
            waiting: 0,
            unreadable: 0,
            withholding,
            schema: columns::schema().map_err(io::Error::other)?,
            properties: columns::properties().map_err(io::Error::other)?,
        })
    }

    /// Reads some more. What is missing of the segment is passed over.
    ///
    /// # Errors
    /// The journal cannot be read, or a file not written.
    pub fn step(&mut self, journal: &Journal) -> Result<Progress, String> {
        let page = journal.read(self.next, Part::AT_ONCE).map_err(|error| format!("the journal: {error}"))?;
        let end = self.offsets.end;
        let records = page.records.iter().filter(|record| record.offset < end);
        if records.clone().next().is_none() && journal.first() > self.next {
            // It was deleted meanwhile. An object that may be there with all of it is not to be replaced by less.
            self.offsets.end = self.next;
            return Ok(Progress::Complete);
        }
        for record in records {
            if !self.take(record).map_err(|error| self.failed(&error))? {
                self.offsets.end = record.offset;
                break;
            }
        }
        // Where nothing is to be had any more, nothing is waited for.
        self.next = if page.next > self.next { page.next } else { self.offsets.end };
        if self.waiting > Part::MOST_WAITING {
            self.write().map_err(|error| self.failed(&error))?;
        }
        Ok(if self.next < self.offsets.end { Progress::More } else { Progress::Complete })
    }

    /// The offset below which everything is read.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The files, complete, in the order of their days; where the journal is to be read on; how many records were no events.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(mut self) -> Result<(Vec<Finished>, u64, u64), String> {
        let finished = self.write().and_then(|()| {
            let days = std::mem::take(&mut self.days);
            days.into_iter().map(|(day, entry)| entry.finish(self.name(&day))).collect::<Result<_, _>>()
        });
        Ok((finished.map_err(|error| self.failed(&error))?, self.offsets.end, self.unreadable))
    }

    /// Takes a record; not one that would be of a day too many.
    fn take(&mut self, record: &Record) -> Result<bool, ParquetError> {
        if record.kind != EVENT {
            return Ok(true);
        }
        // The payload is a part of something larger, which would stay in memory with it.
        let payload = self.withheld(&record.payload).unwrap_or_else(|| Bytes::copy_from_slice(&record.payload));
        let Some(row) = Row::read(&self.journal, record.offset, &payload) else {
            self.unreadable += 1;
            return Ok(true);
        };
        let day = row.time.date();
        if !self.days.contains_key(&day) {
            if self.days.len() == Part::MOST_DAYS {
                return Ok(false);
            }
            let path = self.directory.join(format!("{day}.parquet"));
            let file = SerializedFileWriter::new(File::create(&path)?, self.schema.clone(), self.properties.clone())?;
            self.days.insert(day.clone(), Day { path, rows: Rows::new(), events: 0, file });
        }
        if let Some(day) = self.days.get_mut(&day) {
            day.rows.push(&row, &payload);
            day.events += 1;
        }
        self.waiting += payload.len() + Rows::OVERHEAD;
        Ok(true)
    }

    /// The event's JSON without what is withheld, if there is any of that.
    fn withheld(&self, payload: &[u8]) -> Option<Bytes> {
        if self.withholding.keeps_all() {
            return None;
        }
        self.withholding.event(&event_of(payload)?).map(|event| event.to_json().into())
    }

    /// Writes what waits, of each day as a row group.
    fn write(&mut self) -> Result<(), ParquetError> {
        for day in self.days.values_mut().filter(|day| !day.rows.is_empty()) {
            day.rows.write(&mut day.file)?;
        }
        self.waiting = 0;
        Ok(())
    }

    /// What an object is called: by its journal and offsets alone, so that it is the same whenever it is made.
    fn name(&self, day: &str) -> String {
        let Range { start, end } = self.offsets;
        format!("date={day}/{}-{start:020}-{end:020}.parquet", self.journal)
    }

    fn failed(&self, error: &ParquetError) -> String {
        format!("{}: {error}", self.directory.display())
    }
}

impl Day {
    fn finish(self, name: String) -> Result<Finished, ParquetError> {
        self.file.close()?;
        let bytes = fs::metadata(&self.path)?.len();
        Ok(Finished { path: self.path, name, events: self.events, bytes })
    }
}

/// Makes a directory, or empties it: what was left there is made again.
///
/// # Errors
/// Those of the file system.
pub fn clear(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Classes, Policy};
    use crate::event::{Data, Event, EventName, Timestamp};
    use crate::health::Health;
    use crate::journal::{Ack, Begin, Entry, Hold, Settings};

    const DAY: i64 = 86_400_000_000;

    /// A journal whose events are of these days, and of which nothing is sealed unless it is opened again.
    fn journal(directory: &Path, days: &[i64]) -> Journal {
        let settings = Settings { segment_bytes: 8 << 10, ..Settings::default() };
        let (journal, _) = Journal::open(directory, settings).unwrap();
        for day in days {
            let event = Event::named(EventName::parse("agent.spawned").unwrap(), Timestamp::from_micros(day * DAY));
            let entries = vec![Entry { kind: EVENT, payload: event.to_json().into() }];
            journal.append(entries, Ack::Journal).unwrap().wait().unwrap();
        }
        journal
    }

    fn keeping(policy: Policy) -> Withholding {
        Withholding::new(Classes::all(policy), "archive", &Health::default())
    }

    fn made(journal: &Journal, directory: &Path, from: u64) -> (Vec<(String, Vec<u8>)>, u64, u64) {
        let sealed = journal.sealed(from).unwrap();
        let mut part = Part::begin(directory, &sealed, from, keeping(Policy::Keep)).unwrap();
        while part.step(journal).unwrap() == Progress::More {}
        let (files, next, unreadable) = part.finish().unwrap();
        let rows = files.iter().map(|file| file.events).sum::<u64>();
        assert_eq!(rows + unreadable, next - from);
        let read = |file: &Finished| (file.name.clone(), fs::read(&file.path).unwrap());
        (files.iter().map(read).collect(), next, unreadable)
    }

    #[test]
    fn a_segment_is_a_file_for_each_day_and_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(&dir.path().join("journal"), &[20_000; 80]);
        let sealed = journal.sealed(0).unwrap();
        let work = dir.path().join("work");
        let (files, next, _) = made(&journal, &work, 0);
        assert_eq!((sealed.offsets.start, sealed.offsets.end), (0, next));
        assert_eq!(files.len(), 1);
        let name = format!("date=2024-10-04/{}-{:020}-{next:020}.parquet", journal.epoch(), 0);
        assert_eq!(files[0].0, name);
        assert_eq!(made(&journal, &work, 0).0, files, "whoever was killed makes the same");
        let mut later = next;
        while journal.sealed(later).is_some() {
            later = made(&journal, &work, later).1;
        }
        assert!(later > next && later < journal.head(), "what is written to is not sealed");
    }

    #[test]
    fn very_many_days_are_made_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let days: Vec<i64> = (0..80).map(|day| 20_000 + day).collect();
        let settings = Settings { segment_bytes: 40 << 10, ..Settings::default() };
        drop(journal(&dir.path().join("journal"), &[]));
        let (journal, _) = Journal::open(&dir.path().join("journal"), settings).unwrap();
        for day in days.iter().chain([&0; 200]) {
            let event = Event::named(EventName::parse("agent.spawned").unwrap(), Timestamp::from_micros(day * DAY));
            let entries = vec![Entry { kind: EVENT, payload: event.to_json().into() }];
            journal.append(entries, Ack::Journal).unwrap().wait().unwrap();
        }
        let work = dir.path().join("work");
        let (files, next, _) = made(&journal, &work, 0);
        assert_eq!((files.len(), next), (64, 64));
        assert!(files[63].0.contains(&format!("-{:020}-{:020}.parquet", 0, 64)));
        let (rest, end, _) = made(&journal, &work, next);
        assert_eq!((rest.len(), journal.sealed(0).unwrap().offsets.end), (17, end));
    }

    #[test]
    fn content_is_withheld_where_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = Sealed { epoch: "e".into(), offsets: 0..1 };
        let part = |policy| Part::begin(dir.path(), &sealed, 0, keeping(policy)).unwrap();
        let mut event = Event::named(EventName::parse("llm.completed").unwrap(), Timestamp::from_micros(DAY));
        event.data = Data::build(|data| {
            data.str("response", "hush");
            data.str("finish_reason", "stop");
        });
        let json = event.to_json();
        assert_eq!(part(Policy::Keep).withheld(json.as_bytes()), None);
        let withheld = part(Policy::Drop).withheld(json.as_bytes()).unwrap();
        let withheld = std::str::from_utf8(&withheld).unwrap();
        assert!(!withheld.contains("hush") && withheld.contains("stop"), "{withheld}");
        assert_eq!(part(Policy::Drop).withheld(b"no event"), None);
    }

    #[test]
    fn what_is_no_event_is_counted_and_what_is_gone_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { segment_bytes: 4 << 10, max_bytes: 32 << 10, ..Settings::default() };
        let (journal, _) = Journal::open(&dir.path().join("journal"), settings).unwrap();
        let cursor = journal.cursor("archive", Hold::Keeps, Begin::Oldest);
        let append = |payload: &str| {
            journal
                .append(vec![Entry { kind: EVENT, payload: payload.to_owned().into() }], Ack::Journal)
                .unwrap()
                .wait()
                .unwrap();
        };
        append("no event");
        (0..10).for_each(|_| append(&"x".repeat(1000)));
        let sealed = journal.sealed(0).unwrap();
        let (files, next, unreadable) = made(&journal, &dir.path().join("work"), 0);
        assert_eq!((files, next, unreadable), (Vec::new(), sealed.offsets.end, sealed.offsets.end));
        let mut part = Part::begin(&dir.path().join("work"), &sealed, 0, keeping(Policy::Keep)).unwrap();
        cursor.take(2);
        (0..100).for_each(|_| append(&"x".repeat(1000)));
        assert!(journal.first() > sealed.offsets.end);
        assert_eq!(part.step(&journal).unwrap(), Progress::Complete);
        assert_eq!(part.finish().unwrap().1, 0, "an object of all of it is not replaced");
        assert_eq!(cursor.unread(), journal.first() - 2, "what was in hand is not lost");
    }
}
