//! A file of what is kept over a restart: read at the start, replaced from time to time. What goes wrong is said once.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::state::StateFile;

/// The file, and whose it is.
pub struct KeptFile {
    file: StateFile,
    /// What it is about, in messages.
    about: &'static str,
    /// What is lost without it, in messages.
    loss: &'static str,
    written: Mutex<Written>,
}

/// When it was written last; one writes at a time.
#[derive(Default)]
pub struct Written {
    at: Option<Instant>,
    /// Whether the last attempt failed, of which only the first of a row is told.
    failed: bool,
}

impl KeptFile {
    /// At a path. `about` says whose it is, and `loss` what a restart does without it.
    pub fn at(path: PathBuf, about: &'static str, loss: &'static str) -> KeptFile {
        KeptFile { file: StateFile::at(path), about, loss, written: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Has what is in it taken, if it is there. What cannot be taken is set aside.
    pub fn restore<E: Display>(&self, take: impl FnOnce(&[u8]) -> Result<(), E>) {
        let (about, path) = (self.about, self.path().display());
        let saved = match self.file.read() {
            Ok(None) => return,
            Ok(Some(saved)) => saved,
            Err(error) => {
                crate::report::error(&format!("{about}: cannot read {path}: {error}; they begin with nothing spent"));
                return;
            }
        };
        let Err(unusable) = take(&saved) else { return };
        let aside = match self.file.set_aside() {
            Ok(aside) => format!("it is now {}", aside.display()),
            Err(error) => format!("it cannot be renamed ({error}) and will be overwritten"),
        };
        let message = format!("{about}: {path} cannot be used: {unusable}; {aside}, and they begin with nothing spent");
        crate::report::error(&message);
    }

    /// For whoever is about to write it.
    pub fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces it; whether that worked. Blocks as long as the disk takes.
    pub fn write(&self, bytes: &[u8], written: &mut Written) -> bool {
        written.at = Some(Instant::now());
        let result = self.file.write(bytes);
        if let Err(error) = &result
            && !written.failed
        {
            let path = self.path().display();
            crate::report::error(&format!("{}: cannot write {path}: {error}; {}", self.about, self.loss));
        }
        written.failed = result.is_err();
        result.is_ok()
    }
}

/// Has something looked after again and again, on a thread that may wait for the disk, for as long as this is polled.
pub async fn look_after<T: Send + Sync + 'static>(it: Arc<T>, every: Duration, look: fn(&T)) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let it = it.clone();
        // It neither panics nor is it called off, and if it did, the next one would do.
        tokio::task::spawn_blocking(move || look(&it)).await.ok();
    }
}

impl Written {
    /// Whether the last attempt was so long ago, or there was none.
    pub fn is_older_than(&self, age: Duration) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= age)
    }

    /// Whether the last attempt failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }
}
