//! What appenders, readers and the two threads of a journal share.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;

use super::append::{Queue, Refused, Slot};
use super::cursor::Cursors;
use super::disk::{Disk, DiskFile};
use super::segment::Segment;
use super::state::{State, Status};
use super::{Settings, WhenFull};
use crate::event::Timestamp;
use crate::health::Health;

/// What is told the head whenever it has moved. It is called by the writer, and must not wait.
pub type Watcher = Box<dyn Fn(u64) + Send + Sync>;

/// A journal's inside.
pub struct Shared {
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub settings: Settings,
    pub epoch: Uuid,
    pub boot: Option<String>,
    pub queue: Queue,
    pub progress: Mutex<Progress>,
    pub moved: Condvar,
    pub keeper: Mutex<Keeper>,
    pub wake_keeper: Condvar,
    /// In the order of their offsets; the last may be the one that is written.
    pub segments: RwLock<Vec<Arc<Segment>>>,
    pub cursors: Mutex<Cursors>,
    /// Held while cursors are saved, which several may want at once: they write the same file.
    pub saving: Mutex<()>,
    pub watchers: RwLock<Vec<Watcher>>,
    pub counts: Counts,
    /// Whether offsets were handed out for which there are no records.
    pub failing: AtomicBool,
    /// Where this is shown, and under which name.
    pub shown: OnceLock<(String, Health)>,
}

/// How far the writer has come.
#[derive(Default)]
pub struct Progress {
    /// All offsets below are records, or never will be.
    pub head: u64,
    /// The segment that is written.
    pub active: Option<Active>,
    /// Something was written since the last sync.
    pub dirty: bool,
    /// Whoever waits for a sync.
    pub waiting: Vec<Arc<Slot>>,
}

/// The segment that is written, and its file.
#[derive(Clone)]
pub struct Active {
    pub segment: Arc<Segment>,
    pub file: Arc<dyn DiskFile>,
}

/// What the keeper is asked for.
#[derive(Default)]
pub struct Keeper {
    pub wants_sync: bool,
    pub closed: bool,
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub appended: AtomicU64,
    pub bytes: AtomicU64,
    pub syncs: AtomicU64,
    pub failures: AtomicU64,
    pub gaps: AtomicU64,
    pub queue_full: AtomicU64,
    pub disk_full: AtomicU64,
    pub disk_failed: AtomicU64,
    pub too_large: AtomicU64,
    pub unread: AtomicU64,
}

impl Counts {
    pub fn refused(&self, why: &Refused, entries: usize) {
        let count = match why {
            Refused::QueueFull | Refused::Closed => &self.queue_full,
            Refused::DiskFull => &self.disk_full,
            Refused::TooLong => &self.too_large,
            Refused::Failed(_) => &self.disk_failed,
        };
        count.fetch_add(entries as u64, Relaxed);
    }
}

impl Progress {
    /// Whether a segment is still the one that is written.
    pub fn is_active(&self, segment: Option<&Arc<Segment>>) -> bool {
        let Some((active, segment)) = self.active.as_ref().zip(segment) else { return false };
        Arc::ptr_eq(&active.segment, segment)
    }
}

impl Shared {
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cursors(&self) -> MutexGuard<'_, Cursors> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn segments(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn segments_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<Segment>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what was written so far survive the loss of power, and tells whoever waits for that.
    ///
    /// A sync that failed is never repeated on the same file: the system may have forgotten what it could not write,
    /// and would say that all is well. The segment is left alone instead.
    pub fn sync(&self) {
        let (active, waiting) = {
            let mut progress = self.progress();
            let waiting = std::mem::take(&mut progress.waiting);
            if !std::mem::take(&mut progress.dirty) && waiting.is_empty() {
                return;
            }
            (progress.active.clone(), waiting)
        };
        let synced = active.as_ref().map_or(Ok(()), |active| active.file.sync());
        let result = match synced {
            Ok(()) => {
                self.counts.syncs.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(error) => {
                let failed = Refused::Failed(error.to_string().into());
                self.abandon(active.as_ref(), &failed);
                self.failed();
                Err(failed)
            }
        };
        waiting.iter().for_each(|slot| slot.finish(result.clone()));
    }

    /// Lets the writer begin another segment; this one stays as it is, and whoever waits for it to be durable is told
    /// that it is not.
    pub fn abandon(&self, active: Option<&Active>, why: &Refused) {
        let mut progress = self.progress();
        if !progress.is_active(active.map(|active| &active.segment)) {
            return;
        }
        progress.active = None;
        progress.dirty = false;
        let waiting = std::mem::take(&mut progress.waiting);
        drop(progress);
        waiting.iter().for_each(|slot| slot.finish(Err(why.clone())));
    }

    /// Takes note that the disk has failed, also for the next start: whatever offsets were handed out and are not on the
    /// disk must not be handed out again.
    pub fn failed(&self) {
        self.counts.failures.fetch_add(1, Relaxed);
        if !self.failing.swap(true, Relaxed) {
            // Where not even this can be written, nothing is left to be done.
            self.write_state(Status::Failing).unwrap_or_default();
        }
    }

    /// Writes how it stands, for the next start.
    pub fn write_state(&self, status: Status) -> io::Result<()> {
        let written = self.segments().last().map_or(0, |segment| segment.next());
        let state = State { epoch: self.epoch, written, next: self.queue.next(), status, boot: self.boot.clone() };
        state.write(&*self.disk, &self.dir)
    }

    /// Writes down where the cursors are, if they have moved.
    pub fn save_cursors(&self) -> io::Result<()> {
        let _alone = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaved = self.cursors().unsaved();
        if let Some(text) = unsaved {
            Cursors::write(&*self.disk, &self.dir, &text)?;
            self.cursors().saved(&text);
        }
        Ok(())
    }

    /// Deletes what is too old, too much, or read and not wanted any more. Returns how many segments.
    pub fn retain(&self, now: Timestamp) -> usize {
        let mut deleted = 0;
        while let Some(oldest) = self.to_delete(now) {
            self.delete(&oldest);
            deleted += 1;
        }
        deleted
    }

    /// The bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments().iter().map(|segment| segment.known().size).sum()
    }

    /// Whether another segment finds room.
    pub fn has_room(&self) -> bool {
        self.size() + self.settings.segment_bytes <= self.settings.max_bytes
    }

    fn to_delete(&self, now: Timestamp) -> Option<Arc<Segment>> {
        let oldest = self.oldest()?;
        let (next, last) = {
            let known = oldest.known();
            (known.seal.next, known.seal.last)
        };
        let held = self.cursors().held();
        let is_held = held.is_some_and(|held| held < next);
        let is_old = self.settings.max_age.is_some_and(|age| last.plus(age) < now);
        let is_read = self.settings.delete_read && held.is_some();
        let is_too_much = !self.has_room();
        let goes = (is_old || is_read || is_too_much) && !is_held;
        let is_given_up = is_too_much && self.settings.when_full == WhenFull::DropOldest;
        (goes || is_given_up).then_some(oldest)
    }

    /// The oldest segment, if it is not the last as well: that one says how far the offsets have come.
    fn oldest(&self) -> Option<Arc<Segment>> {
        let segments = self.segments();
        segments.first().filter(|_| segments.len() > 1).cloned()
    }

    /// Deletes the oldest segment to make room, whoever waits for it.
    pub fn drop_oldest(&self) -> bool {
        let oldest = self.oldest();
        if let Some(oldest) = &oldest {
            self.delete(oldest);
        }
        oldest.is_some()
    }

    fn delete(&self, segment: &Arc<Segment>) {
        // Readers must not look for it any more when its file is gone; and the other thread may have been faster.
        {
            let mut segments = self.segments_mut();
            let before = segments.len();
            segments.retain(|known| !Arc::ptr_eq(known, segment));
            if segments.len() == before {
                return;
            }
        }
        let records = segment.known().seal.records;
        let unread = self.cursors().deleted(&(segment.header.first..segment.next()), records);
        self.counts.unread.fetch_add(unread, Relaxed);
        match self.disk.remove(&segment.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.failed(),
        }
    }
}
