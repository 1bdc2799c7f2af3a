//! A part of a journal as files: what is to be archived at a time, written in pieces, a file for each day.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use super::columns::{self, Rows};
use super::row::Row;
use crate::history::EVENT;
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
    const MOST_WAITING: usize = 24 << 20;
    /// The most days, each of which is a file that is open.
    const MOST_DAYS: usize = 64;

    /// Of what is left of a segment from an offset on. Its files go into a directory in which nothing else is.
    ///
    /// # Errors
    /// The directory cannot be made empty.
    pub fn begin(directory: &Path, sealed: &Sealed, from: u64) -> io::Result<Part> {
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
        let Some(row) = Row::read(&self.journal, record.offset, &record.payload) else {
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
            day.rows.push(&row, &record.payload);
            day.events += 1;
        }
        self.waiting += record.payload.len() + Rows::OVERHEAD;
        Ok(true)
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
