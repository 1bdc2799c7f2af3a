//! What survives a restart: a small file that is either the old one or the new one, whenever the program is killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is replaced as a whole.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// At a path. Nothing is opened before it is read or written.
    pub fn at(path: PathBuf) -> StateFile {
        StateFile { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, if it is there.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renames it, so that somebody may look at it and a new one can be begun. Says how it is called now.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let mut aside = self.beside("damaged");
        let mut number = 1;
        while aside.exists() {
            number += 1;
            aside = self.beside(&format!("damaged-{number}"));
        }
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }

    /// Replaces it. What was written is on the disk before it takes the place of what was there.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let new = self.beside("new");
        // Who spends what on which work is nobody else's business.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The name is on the disk only with the folder. Not every system can do that, and the file is whole anyhow.
        File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{ending}"));
        self.path.with_file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_replaced_as_a_whole_and_set_aside_under_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::at(folder.path().join("deep").join("state.json"));
        assert_eq!(file.read().unwrap(), None);
        file.write(b"one").unwrap();
        file.write(b"two").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some(&b"two"[..]));
        let aside = file.set_aside().unwrap();
        assert_eq!(fs::read(&aside).unwrap(), b"two");
        file.write(b"three").unwrap();
        assert_ne!(file.set_aside().unwrap(), aside);
        assert_eq!(file.read().unwrap(), None);
    }
}
