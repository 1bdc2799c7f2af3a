//! Keeping what was spent over a restart: read at the start, written when thresholds are crossed, from time to time, and
//! at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Connector;
use super::kept_file::{KeptFile, Written, look_after};
use crate::budget::Urgency;
use crate::event::Timestamp;

/// The file of what was spent.
pub struct BudgetFile {
    connector: Arc<Connector>,
    file: KeptFile,
}

impl BudgetFile {
    /// How the file is called in the folder of data.
    pub const NAME: &str = "budgets.json";
    /// How much spending may be forgotten if the program is killed.
    const AT_MOST: Duration = Duration::from_secs(1);

    /// The file of a connector's budgets, read; nothing where there are none.
    pub fn read(connector: &Arc<Connector>, path: PathBuf) -> Option<BudgetFile> {
        connector.has_budgets().then(|| {
            let file = KeptFile::at(path, "budgets", "a restart would forget what was spent");
            file.restore(|saved| restore(connector, saved));
            BudgetFile { connector: connector.clone(), file }
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Writes the file whenever it is time to, until nobody waits for this any more.
    pub async fn keep_written(self: Arc<BudgetFile>) {
        look_after(self, Connector::TICK, BudgetFile::tick).await;
    }

    /// Writes the file if it is time to. Blocks as long as the disk takes.
    fn tick(&self) {
        let mut written = self.file.lock();
        let is_time = match self.connector.budgets(|budgets| budgets.unsaved()).flatten() {
            None => false,
            Some(Urgency::Now) if !written.has_failed() => true,
            Some(_) => written.is_older_than(BudgetFile::AT_MOST),
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
        let mut written = self.file.lock();
        if self.connector.budgets(|budgets| budgets.unsaved()).flatten().is_some() {
            self.write(&mut written);
        }
    }

    fn write(&self, written: &mut Written) {
        let Some(bytes) = self.connector.budgets(|budgets| budgets.save(Timestamp::now())) else { return };
        if !self.file.write(&bytes, written) {
            self.connector.budgets(|budgets| budgets.was_not_saved());
        }
    }
}

fn restore(connector: &Connector, saved: &[u8]) -> Result<(), crate::budget::Unusable> {
    let restored = connector.budgets(|budgets| budgets.restore(saved)).unwrap_or(Ok(Vec::new()));
    for budget in restored? {
        crate::report::warn(&format!("budget {budget}: it is for something else than before, and begins anew"));
    }
    Ok(())
}
