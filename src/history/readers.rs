//! Connections that read: opened when they are needed, and kept for whoever asks next.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Error, ErrorCode, Result};

use super::{day, files};

/// The connections of a directory that nobody uses right now.
pub struct Readers {
    directory: PathBuf,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// By day, the last used last.
    connections: Vec<(String, Connection)>,
    /// How often files were taken away; what was opened before is of no use behind.
    generation: u64,
}

impl Readers {
    /// One for each day of a month, and as many again for those who ask at the same time: a question about all days would
    /// else open most of them anew.
    const MOST_IDLE: usize = 64;

    /// Of a directory.
    pub fn new(directory: &Path) -> Readers {
        Readers { directory: directory.to_owned(), idle: Mutex::default() }
    }

    /// Reads a day's file; nothing if there is none. An error is told with the generation that it is of: the file
    /// may have been taken away meanwhile.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read<T>(
        &self,
        day: &str,
        read: impl FnOnce(&Connection) -> Result<T>,
    ) -> std::result::Result<Option<T>, (Error, u64)> {
        let (known, generation) = {
            let mut idle = self.lock();
            let at = idle.connections.iter().rposition(|(of, _)| of == day);
            (at.map(|at| idle.connections.remove(at).1), idle.generation)
        };
        let path = files::path(&self.directory, day);
        let connection = match known.map_or_else(|| day::open_to_read(&path), Ok) {
            Ok(connection) => connection,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !path.exists() => {
                return Ok(None);
            }
            Err(error) => return Err((error, generation)),
        };
        let answer = read(&connection).map_err(|error| (error, generation))?;
        let mut idle = self.lock();
        if idle.generation == generation {
            idle.connections.push((day.to_owned(), connection));
            if idle.connections.len() > Readers::MOST_IDLE {
                idle.connections.remove(0);
            }
        }
        Ok(Some(answer))
    }

    /// How often all was forgotten.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Forgets all connections, because a file is taken away.
    pub fn forget(&self) {
        let mut idle = self.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
