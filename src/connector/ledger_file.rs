//! Keeping the ledger over a restart, so that what the work cost is not forgotten with the program that added it up.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Connector;
use super::kept_file::{KeptFile, Written, look_after};
use crate::derive::cost::{Figures, Ledger};
use crate::event::Timestamp;

/// The file of the ledger.
pub struct LedgerFile {
    connector: Arc<Connector>,
    file: KeptFile,
    kept: Mutex<Kept>,
}

/// What is in the file.
#[derive(Default)]
struct Kept {
    /// The totals of what this program added.
    totals: Figures,
    /// How long it took to write.
    took: Duration,
}

impl LedgerFile {
    /// How the file is called in the folder of data.
    pub const NAME: &str = "ledger.json";
    /// How much work may be forgotten if the program is killed.
    const AT_MOST: Duration = Duration::from_secs(10);
    /// A large ledger is written less often: it may take one part in so many of the time.
    const SHARE: u32 = 200;

    /// The file of a connector's ledger, read.
    pub fn read(connector: &Arc<Connector>, path: PathBuf) -> LedgerFile {
        let file = KeptFile::at(path, "ledger", "a restart would forget what the work has cost");
        file.restore(|saved| {
            let ledger = Ledger::read(saved)?;
            connector.lock().deriver.go_on_from(ledger);
            Ok::<(), String>(())
        });
        LedgerFile { connector: connector.clone(), file, kept: Mutex::default() }
    }

    /// Writes the file whenever it is time to, until nobody waits for this any more.
    pub async fn keep_written(self: Arc<LedgerFile>) {
        look_after(self, LedgerFile::AT_MOST, LedgerFile::tick).await;
    }

    /// Writes the file if it is time to. Blocks as long as the disk takes.
    fn tick(&self) {
        let mut written = self.file.lock();
        let rest = self.kept.lock().unwrap_or_else(PoisonError::into_inner).took * LedgerFile::SHARE;
        if written.is_older_than(rest) {
            self.write(&mut written);
        }
    }

    /// Writes the file for the last time, for which it has until a deadline, and a moment in any case.
    pub async fn end_by(self: Arc<LedgerFile>, deadline: tokio::time::Instant) {
        let deadline = deadline.max(tokio::time::Instant::now() + Duration::from_secs(1));
        let ending = tokio::task::spawn_blocking(move || self.write(&mut self.file.lock()));
        if tokio::time::timeout_at(deadline, ending).await.is_err() {
            crate::report::error("ledger: the disk takes too long; what the work cost last may be forgotten");
        }
    }

    /// Writes the file if there is anything new.
    fn write(&self, written: &mut Written) {
        let begun = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (ledger, totals) = {
            let core = self.connector.lock();
            let totals = core.deriver.totals();
            if totals == kept.totals {
                return;
            }
            (core.deriver.ledger_to_keep(Timestamp::now()), totals)
        };
        if self.file.write(&ledger.save(), written) {
            *kept = Kept { totals, took: begun.elapsed() };
        }
    }
}
