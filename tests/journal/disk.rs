//! A file system in memory that fails when it is told to, fills up, and loses its power.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use spanlight::journal::disk::{Disk, DiskFile};

/// The file system. What was not synced may be lost when the power is.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Names as they are, and as they were when the directory was last synced.
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
    calls: usize,
    trouble: Option<Trouble>,
    room: Option<usize>,
    boot: u32,
    off: bool,
    random: u64,
}

#[derive(Clone, Default)]
struct Content {
    written: Vec<u8>,
    synced: Vec<u8>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// At which call from now on.
    pub at: usize,
    /// In how many calls.
    pub calls: usize,
}

impl MemoryDisk {
    /// With these files, all of them synced.
    pub fn holding<'f>(files: impl IntoIterator<Item = (&'f Path, &'f [u8])>) -> MemoryDisk {
        let mut state = State::default();
        for (name, bytes) in files {
            state.names.insert(name.to_owned(), state.files.len());
            state.files.push(Content { written: bytes.to_vec(), synced: bytes.to_vec() });
        }
        state.synced_names = state.names.clone();
        MemoryDisk(Arc::new(Mutex::new(state)))
    }

    /// All files as they are.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.lock();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[*file].written.clone())).collect()
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Lets calls fail.
    pub fn fail(&self, trouble: Trouble) {
        let mut state = self.lock();
        state.calls = 0;
        state.trouble = Some(trouble);
    }

    /// Lets no call fail any more.
    pub fn heal(&self) {
        self.lock().trouble = None;
    }

    /// Bytes that all files together may have.
    pub fn limit(&self, room: Option<usize>) {
        self.lock().room = room;
    }

    /// Whoever uses the disk sees it failing from now on, and nothing that they do has an effect.
    pub fn cut_power(&self) {
        self.lock().off = true;
    }

    /// What is there after a loss of power: of what was not synced any part, as `seed` decides.
    pub fn after_power_loss(&self, seed: u64) -> MemoryDisk {
        let state = self.lock();
        let mut random = seed;
        let mut names = state.synced_names.clone();
        for (name, file) in &state.names {
            if state.synced_names.get(name) != Some(file) && coin(&mut random) {
                names.insert(name.clone(), *file);
            }
        }
        names.retain(|name, _| state.names.contains_key(name) || coin(&mut random));
        let files = state.files.iter().map(|file| {
            let content = survived(file, &mut random);
            Content { written: content.clone(), synced: content }
        });
        let files = files.collect();
        let synced_names = names.clone();
        MemoryDisk(Arc::new(Mutex::new(State { names, synced_names, files, boot: state.boot + 1, ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.off {
            return Err(io::Error::other("the power is off"));
        }
        state.calls += 1;
        let calls = state.calls;
        let fails = |trouble: Trouble| (trouble.at..trouble.at + trouble.calls).contains(&calls);
        if state.trouble.is_some_and(fails) { Err(io::Error::other("it is broken")) } else { Ok(state) }
    }
}

/// What of a file survives: what was synced, and of every block that was written since the old or the new one.
fn survived(file: &Content, random: &mut u64) -> Vec<u8> {
    const BLOCK: usize = 512;
    let length = if coin(random) { file.written.len() } else { file.synced.len().min(file.written.len()) };
    let mut bytes = vec![0; length];
    for (at, block) in bytes.chunks_mut(BLOCK).enumerate() {
        let from = if coin(random) { &file.written } else { &file.synced };
        let old = from.get(at * BLOCK..).unwrap_or_default();
        let length = old.len().min(block.len());
        block[..length].copy_from_slice(&old[..length]);
    }
    bytes
}

fn coin(random: &mut u64) -> bool {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 40 & 1 == 1
}

impl Disk for MemoryDisk {
    fn make_dir(&self, _: &Path) -> io::Result<()> {
        self.call().map(drop)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
        let state = self.call()?;
        let of_dir = state.names.iter().filter(|(name, _)| name.parent() == Some(dir));
        Ok(of_dir.map(|(name, file)| (name.clone(), state.files[*file].written.len() as u64)).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.call()?;
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), file }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.call()?;
        let known = state.names.get(path).copied();
        let file = known.unwrap_or(state.files.len());
        match known {
            Some(file) => state.files[file].written.clear(),
            None => {
                state.files.push(Content::default());
                state.names.insert(path.to_owned(), file);
            }
        }
        Ok(Box::new(MemoryFile { disk: self.clone(), file }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let file = state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        // Whoever has it open still sees it, but it takes no room.
        if state.room.is_some() {
            state.files[file].written.clear();
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn boot(&self) -> Option<String> {
        Some(self.lock().boot.to_string())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.call()?.files[self.file].written.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.disk.call()?;
        let bytes = state.files[self.file].written.get(at as usize..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let (mut state, result) = match self.disk.call() {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.disk.lock(), Err(error)),
        };
        if state.off {
            return result;
        }
        let at = at as usize;
        let size = state.files[self.file].written.len();
        let grows = (at + bytes.len()).saturating_sub(size);
        let taken: usize = state.files.iter().map(|file| file.written.len()).sum();
        let room = state.room.map_or(usize::MAX, |room| room.saturating_sub(taken));
        // What does not succeed is done in part.
        let mut length = bytes.len();
        if grows > room {
            length = bytes.len() - (grows - room);
        } else if result.is_err() {
            state.random = state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            length = (state.random >> 33) as usize % (bytes.len() + 1);
        }
        let written = &mut state.files[self.file].written;
        written.resize(size.max(at + length), 0);
        written[at..at + length].copy_from_slice(&bytes[..length]);
        result.and(if grows > room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) })
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.call()?.files[self.file].written.resize(size as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, result) = match self.disk.call() {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.disk.lock(), Err(error)),
        };
        let file = self.file;
        // One that fails forgets what it could not write: the next one has nothing to complain about.
        if result.is_ok() {
            let written = state.files[file].written.clone();
            state.files[file].synced = written;
        }
        result
    }
}
