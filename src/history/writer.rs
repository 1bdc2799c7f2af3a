//! The thread that follows the journal and enters events into the files of their days.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::day::{self, Entered};
use super::files::{self, CONSUMER};
use super::page::{Packer, Row};
use super::stored::{EVENT, Narrow};
use super::{Shared, broken, is_damage};
use crate::event::Timestamp;
use crate::journal::{Begin, Cursor, Hold, Limit, Record};

/// The thread's state.
pub struct Writer {
    shared: Arc<Shared>,
    cursor: Cursor,
    position: u64,
    /// The files that are written to.
    open: BTreeMap<String, Connection>,
    /// The position that was noted last.
    noted: Option<u64>,
    packer: Option<Packer>,
    kept_at: Instant,
    retained_at: Option<Instant>,
    /// When it is time for what comes next, however little it is.
    due: Instant,
}

impl Writer {
    const AT_ONCE: Limit = Limit { records: 4000, bytes: 8 << 20 };
    /// How long more events are waited for: each step has a cost of its own, and a page that has room left is written anew.
    const GATHER: Duration = Duration::from_millis(200);
    /// Longer, and a crash costs more to make good; shorter, and the disk has more to do.
    const KEEP_EVERY: Duration = Duration::from_secs(5);
    const RETAIN_EVERY: Duration = Duration::from_secs(60);
    const MOST_OPEN: usize = 8;

    /// Goes on where the files end.
    pub fn new(shared: Arc<Shared>) -> Writer {
        let cursor = shared.journal.cursor(CONSUMER, Hold::Keeps, Begin::Oldest);
        let position = shared.position.load(Relaxed);
        Writer {
            shared,
            cursor,
            position,
            open: BTreeMap::new(),
            noted: None,
            packer: None,
            kept_at: Instant::now(),
            retained_at: None,
            due: Instant::now(),
        }
    }

    /// Follows the journal until told to stop.
    pub fn run(mut self) {
        const REST: Duration = Duration::from_millis(200);
        while !self.shared.stopping.load(Relaxed) {
            self.mend();
            if self.retained_at.is_none_or(|at| at.elapsed() > Writer::RETAIN_EVERY) {
                self.retain();
            }
            if self.shared.journal.wait_past(self.position, REST) > self.position {
                self.gather();
                if let Err(message) = self.step() {
                    self.shared.counts.failures.fetch_add(1, Relaxed);
                    crate::report::error(&message);
                    std::thread::sleep(REST * 5);
                }
            }
            if self.kept_at.elapsed() > Writer::KEEP_EVERY {
                self.keep();
            }
        }
        self.keep();
    }

    /// Takes away files that were found to be damaged, and goes back to where the journal begins.
    fn mend(&mut self) {
        let damaged = self.shared.damaged().clone();
        if damaged.is_empty() {
            return;
        }
        // First, so that whoever reads meanwhile can see that something may be missing.
        self.move_to(self.shared.journal.first());
        for (day, problem) in &damaged {
            self.open.remove(day);
            files::set_aside(&files::path(&self.shared.settings.directory, day), problem);
        }
        {
            let mut found = self.shared.damaged();
            self.shared.readers.forget();
            // Whoever read meanwhile has found the same damage once more.
            found.retain(|day, _| !damaged.contains_key(day));
        }
        self.shared.counts.damaged.fetch_add(damaged.len() as u64, Relaxed);
        // A crash must not make it go on where it was.
        self.keep();
    }

    /// Enters what comes next, from memory if it is there.
    fn step(&mut self) -> Result<(), String> {
        let written = self.position..self.shared.journal.head();
        let fresh = self.shared.at_hand.take(written, Writer::AT_ONCE.records);
        match fresh.last() {
            Some(last) => {
                self.enter_all(fresh.iter().map(|fresh| Some(fresh.row())))?;
                self.move_to(last.offset() + 1);
            }
            None => self.step_in_journal()?,
        }
        self.due = Instant::now() + Writer::GATHER;
        Ok(())
    }

    /// Waits for as many events as are entered at once.
    fn gather(&self) {
        let last = self.position + Writer::AT_ONCE.records as u64 - 1;
        self.shared.journal.wait_past(last, self.due.saturating_duration_since(Instant::now()));
    }

    /// Enters a page of the journal.
    fn step_in_journal(&mut self) -> Result<(), String> {
        let page = self.shared.journal.read(self.position, Writer::AT_ONCE);
        let page = page.map_err(|error| format!("the journal cannot be read: {error}"))?;
        self.enter_all(page.records.iter().filter(|record| record.kind == EVENT).map(row))?;
        let gap = page.gap.map_or(0, |(from, to)| to - from);
        self.shared.counts.gone.fetch_add(gap, Relaxed);
        self.move_to(page.next);
        Ok(())
    }

    /// Enters events into the files of their days. What cannot be read is none.
    fn enter_all<'r>(&mut self, rows: impl Iterator<Item = Option<Row<'r>>>) -> Result<(), String> {
        for rows in self.by_day(rows).into_values() {
            let day = rows.first().map(|row| row.event.time.date()).unwrap_or_default();
            let entered = self.enter(&day, &rows);
            let entered = entered.map_err(|error| self.failed(&day, &error))?;
            self.shared.counts.written.fetch_add(entered.new, Relaxed);
            self.shared.counts.known.fetch_add(entered.known, Relaxed);
        }
        Ok(())
    }

    fn enter(&mut self, day: &str, rows: &[Row<'_>]) -> rusqlite::Result<Entered> {
        let mut packer = self.packer.take().map_or_else(Packer::new, Ok)?;
        let entered = self.connection(day).and_then(|connection| day::insert(connection, rows, &mut packer));
        self.packer = Some(packer);
        entered
    }

    /// What is wrong with a file; if it is damaged, it is mended.
    fn failed(&mut self, day: &str, error: &rusqlite::Error) -> String {
        self.open.remove(day);
        if is_damage(error) {
            self.shared.is_damaged(day, error, self.shared.readers.generation());
        }
        broken(&files::path(&self.shared.settings.directory, day), error)
    }

    fn move_to(&mut self, position: u64) {
        self.position = position;
        self.shared.position.store(position, Relaxed);
    }

    /// Events by the day on which they happened. What has no place is counted.
    fn by_day<'r>(&self, rows: impl Iterator<Item = Option<Row<'r>>>) -> BTreeMap<i64, Vec<Row<'r>>> {
        let now = Timestamp::now();
        let first = files::begin_of_kept(&self.shared.settings, now).map_or(i64::MIN, day_number);
        // A clock that is wrong must not make a file for every day there will be.
        let last = day_number(now) + 1;
        let counts = &self.shared.counts;
        let mut days: BTreeMap<i64, Vec<Row<'r>>> = BTreeMap::new();
        let most = rows.size_hint().1.unwrap_or_default();
        for row in rows {
            let day = row.as_ref().map(|row| day_number(row.event.time));
            match (row, day) {
                (Some(row), Some(day)) if (first..=last).contains(&day) => {
                    // Most are of one day.
                    let room = if days.is_empty() { most } else { 0 };
                    days.entry(day).or_insert_with(|| Vec::with_capacity(room)).push(row);
                }
                (_, day) => {
                    let counter = match day {
                        None => &counts.unreadable,
                        Some(day) if day < first => &counts.too_old,
                        Some(_) => &counts.too_new,
                    };
                    counter.fetch_add(1, Relaxed);
                }
            }
        }
        days
    }

    fn connection(&mut self, day: &str) -> rusqlite::Result<&mut Connection> {
        if self.open.len() >= Writer::MOST_OPEN && !self.open.contains_key(day) {
            self.keep();
            self.open.clear();
        }
        match self.open.entry(day.to_owned()) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                Ok(entry.insert(day::open(&files::path(&self.shared.settings.directory, day))?))
            }
        }
    }

    /// Makes durable what was entered, and lets the journal go on.
    fn keep(&mut self) {
        self.kept_at = Instant::now();
        if self.noted == Some(self.position) {
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
            Ok(()) => {
                self.noted = Some(self.position);
                self.cursor.advance(self.position);
            }
            Err(error) => crate::report::warn(&format!("history: the list of days cannot be written: {error}")),
        }
    }

    fn retain(&mut self) {
        self.retained_at = Some(Instant::now());
        // A file that is open would go on to be written, and take up room that nobody sees.
        self.keep();
        self.open.clear();
        if files::retain(&self.shared.settings, Timestamp::now()) > 0 {
            self.shared.readers.forget();
            self.noted = None;
            self.keep();
        }
    }
}

/// The event that a record is; nothing if it cannot be read.
fn row(record: &Record) -> Option<Row<'_>> {
    let json = std::str::from_utf8(&record.payload).ok()?;
    let event = Narrow::read(json)?;
    Some(Row { offset: record.offset, came: record.time, event, json })
}

/// Which day it is, counted from that on which time began.
fn day_number(time: Timestamp) -> i64 {
    const MICROS: i64 = 86_400 * 1_000_000;
    time.as_micros().div_euclid(MICROS)
}
