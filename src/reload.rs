//! What is made of files, and made again when they change: certificates, keys, tokens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// Something made of files. As long as what is in them now is no good, it is what it was.
pub struct Reloading<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    current: Mutex<Made<T>>,
    changes: watch::Sender<()>,
}

type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync>;

struct Made<T> {
    of: Vec<[u8; 32]>,
    it: Arc<T>,
}

impl<T> Reloading<T> {
    /// Of these files, whose contents `make` gets in the same order.
    ///
    /// # Errors
    /// A file that cannot be read, or what `make` says.
    pub fn new(
        files: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Reloading<T>, String> {
        let contents = read(&files)?;
        let made = Made { of: digests(&contents), it: Arc::new(make(&contents)?) };
        Ok(Reloading { files, make: Box::new(make), current: Mutex::new(made), changes: watch::Sender::new(()) })
    }

    /// As it was made last.
    pub fn current(&self) -> Arc<T> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).it.clone()
    }

    /// Tells whenever it was made anew from now on.
    #[cfg(any(test, feature = "collector"))]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Reads the files again, and makes it anew if something else is in them. Says whether it did.
    ///
    /// # Errors
    /// As of [`Reloading::new`]; it is then what it was before.
    pub fn renew(&self) -> Result<bool, String> {
        let contents = read(&self.files)?;
        let of = digests(&contents);
        if self.current.lock().unwrap_or_else(PoisonError::into_inner).of == of {
            return Ok(false);
        }
        let it = Arc::new((self.make)(&contents)?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Made { of, it };
        self.changes.send_replace(());
        Ok(true)
    }
}

impl<T> fmt::Debug for Reloading<T> {
    /// Of which files; what they hold may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| at(path, &error));
    files.iter().map(read).collect()
}

/// What is wrong, and with which file.
pub fn at(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn digests(contents: &[Vec<u8>]) -> Vec<[u8; 32]> {
    contents.iter().map(|content| Sha256::digest(content).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_its_files_and_stays_where_they_are_no_good() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| folder.path().join(name));
        let write = |at: usize, text: &str| std::fs::write(&files[at], text).unwrap();
        let make = |contents: &[Vec<u8>]| -> Result<u32, String> {
            let numbers = contents.iter().map(|text| String::from_utf8_lossy(text).parse::<u32>());
            numbers.sum::<Result<u32, _>>().map_err(|error| error.to_string())
        };
        write(0, "1");
        assert!(Reloading::new(files.to_vec(), make).unwrap_err().contains("/b: "));
        write(1, "2");
        let sum = Reloading::new(files.to_vec(), make).unwrap();
        assert_eq!((*sum.current(), sum.renew()), (3, Ok(false)));
        let changes = sum.changes();
        write(1, "x");
        assert!(sum.renew().is_err() && sum.renew().is_err(), "it is tried again");
        assert_eq!((*sum.current(), changes.has_changed().unwrap()), (3, false));
        write(1, "40");
        assert_eq!((sum.renew(), *sum.current(), sum.renew()), (Ok(true), 41, Ok(false)));
        assert!(changes.has_changed().unwrap());
        std::fs::remove_file(&files[0]).unwrap();
        assert!(sum.renew().is_err());
        assert_eq!(*sum.current(), 41);
    }
}
