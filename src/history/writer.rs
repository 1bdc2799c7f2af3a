//! The thread that reads the journal and enters events into the files of their days.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::day::{self, Row};
use super::files::{self, CONSUMER};
use super::stored::{EVENT, event_of};
use super::{Shared, broken};
use crate::event::Timestamp;
use crate::journal::{Begin, Cursor, Hold, Limit, Record};

/// The thread's state.
pub struct Writer {
    shared: Arc<Shared>,
    cursor: Cursor,
    position: u64,
    /// The files that are written to.
    open: BTreeMap<String, Connection>,
    kept_at: Instant,
    retained_at: Option<Instant>,
}

impl Writer {
    const AT_ONCE: Limit = Limit { records: 4000, bytes: 8 << 20 };
    /// Longer, and a crash costs more to make good; shorter, and the disk has more to do.
    const KEEP_EVERY: Duration = Duration::from_secs(5);
    const RETAIN_EVERY: Duration = Duration::from_secs(60);
    const MOST_OPEN: usize = 8;

    /// Goes on where the files end.
    pub fn new(shared: Arc<Shared>) -> Writer {
        let cursor = shared.journal.cursor(CONSUMER, Hold::Keeps, Begin::Oldest);
        let position = shared.position.load(Relaxed);
        Writer { shared, cursor, position, open: BTreeMap::new(), kept_at: Instant::now(), retained_at: None }
    }

    /// Follows the journal until told to stop.
    pub fn run(mut self) {
        const REST: Duration = Duration::from_millis(200);
        while !self.shared.stopping.load(Relaxed) {
            if self.retained_at.is_none_or(|at| at.elapsed() > Writer::RETAIN_EVERY) {
                self.retain();
            }
            if self.shared.journal.wait_past(self.position, REST) > self.position
                && let Err(message) = self.step()
            {
                self.shared.counts.failures.fetch_add(1, Relaxed);
                crate::report::error(&message);
                std::thread::sleep(REST * 5);
            }
            if self.kept_at.elapsed() > Writer::KEEP_EVERY {
                self.keep();
            }
        }
        self.keep();
    }

    /// Enters a page of the journal.
    fn step(&mut self) -> Result<(), String> {
        let page = self.shared.journal.read(self.position, Writer::AT_ONCE);
        let page = page.map_err(|error| format!("the journal cannot be read: {error}"))?;
        for (day, rows) in self.by_day(page.records) {
            if let Err(error) = self.enter(&day, &rows) {
                let path = files::path(&self.shared.settings.directory, &day);
                self.open.remove(&day);
                if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
                    files::set_aside(&path, &error.to_string());
                    self.move_to(self.shared.journal.first());
                }
                return Err(broken(&path, &error));
            }
        }
        let gap = page.gap.map_or(0, |(from, to)| to - from);
        self.shared.counts.gone.fetch_add(gap, Relaxed);
        self.move_to(page.next);
        Ok(())
    }

    fn move_to(&mut self, position: u64) {
        self.position = position;
        self.shared.position.store(position, Relaxed);
    }

    /// The events of records by the day on which they happened. What has no place is counted.
    fn by_day(&self, records: Vec<Record>) -> BTreeMap<String, Vec<Row>> {
        let now = Timestamp::now();
        let first = files::first_day(&self.shared.settings, now).unwrap_or_default();
        let last = now.plus(Duration::from_secs(86_400)).date();
        let counts = &self.shared.counts;
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Relaxed);
        };
        let mut days: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for record in records.into_iter().filter(|record| record.kind == EVENT) {
            let Some(event) = event_of(&record.payload) else {
                count(&counts.unreadable);
                continue;
            };
            let day = event.timestamp.date();
            if day < first {
                count(&counts.too_old);
            } else if day > last {
                // A clock that is wrong must not make a file for every day there will be.
                count(&counts.too_new);
            } else {
                days.entry(day).or_default().push(Row { offset: record.offset, event, json: record.payload });
            }
        }
        days
    }

    fn enter(&mut self, day: &str, rows: &[Row]) -> rusqlite::Result<()> {
        if !self.open.contains_key(day) {
            if self.open.len() >= Writer::MOST_OPEN {
                self.keep();
                self.open.clear();
            }
            let path = files::path(&self.shared.settings.directory, day);
            self.open.insert(day.to_owned(), day::open(&path)?);
        }
        let Some(connection) = self.open.get_mut(day) else { return Ok(()) };
        let entered = day::insert(connection, rows)?;
        self.shared.counts.written.fetch_add(entered as u64, Relaxed);
        Ok(())
    }

    /// Makes durable what was entered, and lets the journal go on.
    fn keep(&mut self) {
        self.kept_at = Instant::now();
        if self.cursor.position() >= self.position {
            return;
        }
        for (day, connection) in &self.open {
            if let Err(error) = day::checkpoint(connection) {
                let path = files::path(&self.shared.settings.directory, day);
                crate::report::warn(&broken(&path, &error));
                return;
            }
        }
        match files::note(&self.shared.settings.directory, self.position) {
            Ok(()) => self.cursor.advance(self.position),
            Err(error) => crate::report::warn(&format!("history: the list of days cannot be written: {error}")),
        }
    }

    fn retain(&mut self) {
        self.retained_at = Some(Instant::now());
        // A file that is open would go on to be written, and take up room that nobody sees.
        self.keep();
        self.open.clear();
        let deleted = files::retain(&self.shared.settings, Timestamp::now());
        if deleted > 0
            && let Err(error) = files::note(&self.shared.settings.directory, self.position)
        {
            crate::report::warn(&format!("history: the list of days cannot be written: {error}"));
        }
    }
}
