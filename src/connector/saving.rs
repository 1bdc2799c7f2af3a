//! Keeping what was spent over a restart: read at the start, written when thresholds are crossed, from time to time, and
//! at the end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::Connector;
use crate::budget::Urgency;
use crate::event::Timestamp;
use crate::state::StateFile;

/// The file of what was spent.
pub struct BudgetFile {
    connector: Arc<Connector>,
    file: StateFile,
    /// When it was written last; one writes at a time.
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    at: Option<Instant>,
    /// Whether the last attempt failed, of which only the first of a row is told.
    failed: bool,
}

impl BudgetFile {
    /// How the file is called in the folder of data.
    pub const NAME: &str = "budgets.json";
    /// How much spending may be forgotten if the program is killed.
    const AT_MOST: Duration = Duration::from_secs(1);

    /// The file of a connector's budgets, read; nothing where there are none.
    pub fn read(connector: &Arc<Connector>, path: PathBuf) -> Option<BudgetFile> {
        connector.has_budgets().then(|| {
            let file = StateFile::at(path);
            restore(connector, &file);
            BudgetFile { connector: connector.clone(), file, written: Mutex::default() }
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Writes the file whenever it is time to, until nobody waits for this any more.
    pub async fn keep_written(self: Arc<BudgetFile>) {
        let mut interval = tokio::time::interval(Connector::TICK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let file = self.clone();
            // It neither panics nor is it called off, and if it did, the next one would do.
            tokio::task::spawn_blocking(move || file.tick()).await.ok();
        }
    }

    /// Writes the file if it is time to. Blocks as long as the disk takes.
    fn tick(&self) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = match self.connector.budgets(|budgets| budgets.unsaved()).flatten() {
            None => false,
            Some(Urgency::Now) if !written.failed => true,
            Some(_) => written.at.is_none_or(|at| at.elapsed() >= BudgetFile::AT_MOST),
        };
        if is_time {
            self.write(&mut written);
        }
    }

    /// Writes the file for the last time, for which it has until a deadline, and a moment in any case.
    pub async fn end_by(self: Arc<BudgetFile>, deadline: tokio::time::Instant) {
        let deadline = deadline.max(tokio::time::Instant::now() + BudgetFile::AT_MOST);
        let ending = tokio::task::spawn_blocking(move || self.end());
        if tokio::time::timeout_at(deadline, ending).await.is_err() {
            crate::report::error("budgets: the disk takes too long; what was spent last may be forgotten");
        }
    }

    /// Writes the file if there is anything to write, because the program ends.
    pub fn end(&self) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if self.connector.budgets(|budgets| budgets.unsaved()).flatten().is_some() {
            self.write(&mut written);
        }
    }

    fn write(&self, written: &mut Written) {
        let Some(bytes) = self.connector.budgets(|budgets| budgets.save(Timestamp::now())) else { return };
        written.at = Some(Instant::now());
        let result = self.file.write(&bytes);
        if let Err(error) = &result {
            self.connector.budgets(|budgets| budgets.was_not_saved());
            if !written.failed {
                let path = self.file.path().display();
                let message = format!("budgets: cannot write {path}: {error}; a restart would forget what was spent");
                crate::report::error(&message);
            }
        }
        written.failed = result.is_err();
    }
}

fn restore(connector: &Connector, file: &StateFile) {
    let path = file.path().display();
    let saved = match file.read() {
        Ok(None) => return,
        Ok(Some(saved)) => saved,
        Err(error) => {
            crate::report::error(&format!("budgets: cannot read {path}: {error}; they begin with nothing spent"));
            return;
        }
    };
    match connector.budgets(|budgets| budgets.restore(&saved)) {
        None => {}
        Some(Ok(anew)) => anew.iter().for_each(|budget| {
            crate::report::warn(&format!("budget {budget}: it is for something else than before, and begins anew"));
        }),
        Some(Err(unusable)) => {
            let aside = match file.set_aside() {
                Ok(aside) => format!("it is now {}", aside.display()),
                Err(error) => format!("it cannot be renamed ({error}) and will be overwritten"),
            };
            let message =
                format!("budgets: {path} cannot be used: {unusable}; {aside}, and they begin with nothing spent");
            crate::report::error(&message);
        }
    }
}
