//! Opening: whatever a journal's directory holds, it starts, and says what it found wrong.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::Settings;
use super::cursor::{Cursors, Loaded};
use super::disk::{Disk, Unlocked};
use super::format::HEADER;
use super::segment::{Segment, Wrong};
use super::shared::Active;
use super::state::{State, Status};
use crate::event::Timestamp;

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The directory cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it open.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if its id could be read.
        pid: Option<u32>,
    },
}

impl OpenError {
    /// Of a lock that was not taken.
    pub fn unlocked(path: &Path, unlocked: Unlocked) -> OpenError {
        let path = path.to_owned();
        match unlocked {
            Unlocked::Held(pid) => OpenError::InUse { path, pid },
            Unlocked::Failed(error) => OpenError::Directory { path, error },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Directory { path, error } => write!(
                f,
                "the journal's directory {} cannot be used: {error}. It must be a directory that this user may write; \
                 another one can be chosen with --data-dir",
                path.display()
            ),
            OpenError::InUse { path, pid } => {
                let who = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                let path = path.display();
                write!(f, "{who} has the journal {path} open; stop it, or choose another directory with --data-dir")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Directory { error, .. } => Some(error),
            OpenError::InUse { .. } => None,
        }
    }
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The records that are there.
    pub records: u64,
    /// The segments that are there.
    pub segments: usize,
    /// Bytes at the end that were never acknowledged: a write broke off. They are cut off.
    pub torn_bytes: u64,
    /// Bytes that are no records any more.
    pub damaged_bytes: u64,
    /// Offsets without records, between records that are there: from, and up to but not including. At most 100.
    pub gaps: Vec<(u64, u64)>,
    /// All offsets without records between records that are there.
    pub missing: u64,
    /// Files that were put aside, because nothing in them can be read.
    pub put_aside: Vec<PathBuf>,
    /// Another epoch begins, because offsets that were handed out may have been lost; why.
    pub new_epoch: Option<&'static str>,
    /// What else went wrong.
    pub problems: Vec<String>,
}

impl Recovery {
    const MOST_GAPS: usize = 100;

    /// Whether all was as it was left.
    pub fn is_clean(&self) -> bool {
        self.torn_bytes == 0
            && self.damaged_bytes == 0
            && self.missing == 0
            && self.put_aside.is_empty()
            && self.new_epoch.is_none()
            && self.problems.is_empty()
    }

    fn gap(&mut self, from: u64, to: u64) {
        if from < to {
            self.missing += to - from;
            if self.gaps.len() < Recovery::MOST_GAPS {
                self.gaps.push((from, to));
            }
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records in {} segments", self.records, self.segments)?;
        if self.torn_bytes > 0 {
            write!(f, "; the last write broke off, {} bytes of it were cut off", self.torn_bytes)?;
        }
        if self.damaged_bytes > 0 {
            write!(f, "; {} bytes are damaged and were passed over", self.damaged_bytes)?;
        }
        if self.missing > 0 {
            write!(f, "; {} offsets have no record", self.missing)?;
        }
        if !self.put_aside.is_empty() {
            write!(f, "; put aside as unreadable:")?;
            self.put_aside.iter().try_for_each(|path| write!(f, " {}", path.display()))?;
        }
        if let Some(why) = self.new_epoch {
            write!(f, "; another epoch begins, because {why}")?;
        }
        self.problems.iter().try_for_each(|problem| write!(f, "; {problem}"))
    }
}

/// What a journal begins with.
pub struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    pub active: Option<Active>,
    pub cursors: Cursors,
    pub epoch: Uuid,
    pub next: u64,
    pub last: Timestamp,
    pub report: Recovery,
}

/// More offsets than can have been handed out and lost: those of the one segment that was not durable.
const BEYOND: u64 = 1 << 24;

/// Reads what is in a directory.
pub fn recover(disk: &dyn Disk, dir: &Path, settings: &Settings) -> Result<Recovered, OpenError> {
    let unusable = |error| OpenError::Directory { path: dir.to_owned(), error };
    disk.make_dir(dir).map_err(unusable)?;
    let mut files = disk.list(dir).map_err(unusable)?;
    files.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let state = State::read(disk, dir);
    let is_new = state.is_none() && files.is_empty();
    let mut finder = Finder { disk, report: Recovery::default(), segments: Vec::new(), last: None };
    for (path, size) in files {
        finder.file(&path, size);
    }
    let Finder { mut report, segments, last, .. } = finder;
    let found = segments.last().map_or(0, |segment| segment.next());
    let cursors = match Cursors::load(disk, dir) {
        Loaded::Cursors(cursors) => cursors,
        Loaded::Nothing => Cursors::default(),
        Loaded::Broken(why) => {
            report.problems.push(format!("consumers begin anew, because the file `cursors` cannot be used: {why}"));
            Cursors::default()
        }
    };
    let told = state.as_ref().map_or(0, |state| state.next).max(cursors.last().unwrap_or(0));
    let mut next = found.max(told);
    let lost = if is_new { None } else { may_have_lost(disk, state.as_ref(), found, last.as_ref()) };
    let epoch = match (&state, lost) {
        (Some(state), None) => {
            report.gap(found, next);
            state.epoch
        }
        _ => {
            next = if is_new { 0 } else { next.saturating_add(BEYOND) / BEYOND * BEYOND };
            report.new_epoch = lost;
            Uuid::now_v7()
        }
    };
    let goes_on = report.new_epoch.is_none();
    let active = last.and_then(|last| last.go_on(goes_on, settings, &mut report));
    report.segments = segments.len();
    report.records = segments.iter().map(|segment| segment.known().seal.records).sum();
    let last = segments.iter().map(|segment| segment.known().seal.last).max().unwrap_or_default();
    // A clock that once was far ahead must not keep everything that follows from growing old.
    let last = last.not_ahead_of(Timestamp::now());
    Ok(Recovered { segments, active, cursors, epoch, next, last, report })
}

/// Why offsets may have been handed out that are not found any more.
fn may_have_lost(disk: &dyn Disk, state: Option<&State>, found: u64, last: Option<&Last>) -> Option<&'static str> {
    let Some(state) = state else { return Some("the file `state` is missing or damaged") };
    match state.status {
        // Whatever is missing is known, since it was written down how far it went.
        Status::Closed => None,
        Status::Failing => Some("the disk had failed, and the journal was not closed"),
        Status::Open if state.boot.is_none() || state.boot != disk.boot() => {
            Some("the system stopped while the journal was open, and what was not synced may be lost")
        }
        Status::Open if found < state.written => Some("segments are missing at the end"),
        Status::Open if last.is_some_and(|last| last.wrong.damaged_end) => Some("the end is damaged"),
        Status::Open => None,
    }
}

/// The segment with the last records, if it was not sealed.
struct Last {
    active: Active,
    wrong: Wrong,
}

impl Last {
    /// Makes the segment the one that is written to, if it may be.
    fn go_on(self, goes_on: bool, settings: &Settings, report: &mut Recovery) -> Option<Active> {
        let Active { segment, file } = &self.active;
        let (end, size) = {
            let known = segment.known();
            (known.seal.end, known.size)
        };
        let mut is_whole = size == end;
        if self.wrong.damaged == 0 && !is_whole {
            is_whole = match file.truncate(end) {
                Ok(()) => true,
                Err(error) => {
                    report.problems.push(format!("{} cannot be cut: {error}", segment.path.display()));
                    false
                }
            };
            if is_whole {
                segment.known().size = end;
            }
        }
        if goes_on && is_whole && end < settings.segment_bytes {
            return Some(self.active);
        }
        // Only so that it need not be read as a whole the next time.
        segment.seal(&**file).unwrap_or_default();
        None
    }
}

/// Looks through the files, oldest first.
struct Finder<'d> {
    disk: &'d dyn Disk,
    report: Recovery,
    segments: Vec<Arc<Segment>>,
    last: Option<Last>,
}

impl Finder<'_> {
    fn file(&mut self, path: &Path, size: u64) {
        if let Some(last) = self.last.take() {
            // It was given up when the disk failed, or the process ended before it was sealed.
            last.active.segment.seal(&*last.active.file).unwrap_or_default();
        }
        let read = self.disk.open(path).and_then(|file| Ok((Segment::header(&*file)?, file)));
        let (header, file) = match read {
            Ok((Some(header), file)) => (header, file),
            // It was about to be begun.
            Ok((None, _)) if size <= HEADER as u64 => {
                self.disk.remove(path).unwrap_or_default();
                return;
            }
            Ok((None, _)) => return self.put_aside(path),
            Err(error) => return self.unreadable(path, &error),
        };
        let before = self.segments.last().map(|segment| segment.next());
        if before.is_some_and(|before| header.first < before) {
            return self.put_aside(path);
        }
        let (segment, is_sealed, wrong) = match Segment::learn(path.to_owned(), header, &*file) {
            Ok(learned) => learned,
            Err(error) => return self.unreadable(path, &error),
        };
        self.report.torn_bytes += wrong.torn;
        self.report.damaged_bytes += wrong.damaged;
        let segment = Arc::new(segment);
        if let Some(before) = before {
            self.report.gap(before, header.first);
        }
        self.report_gaps_within(&segment);
        self.segments.push(segment.clone());
        if !is_sealed {
            self.last = Some(Last { active: Active { segment, file: Arc::from(file) }, wrong });
        }
    }

    /// Offsets within a segment of which there are no records; which ones, the reader finds out.
    fn report_gaps_within(&mut self, segment: &Segment) {
        let known = segment.known();
        let offsets = known.seal.next.saturating_sub(segment.header.first);
        self.report.missing += offsets.saturating_sub(known.seal.records);
    }

    fn put_aside(&mut self, path: &Path) {
        let aside = path.with_extension("unreadable");
        match self.disk.rename(path, &aside) {
            Ok(()) => self.report.put_aside.push(aside),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.report.problems.push(format!("{} cannot be read: {error}", path.display()));
    }
}
