//! The queues of exporters on disk: where they are, and those that nobody empties any more.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::export::pump::Settings;
use crate::export::queue::disk::{self, DiskQueue};
use crate::export::queue::{MemoryQueue, Queue, Storage};
use crate::health::Health;

/// Where they are, below the data directory.
const DIRECTORY: &str = "queues";

/// Those of a data directory.
pub struct Queues<'d> {
    data_dir: &'d Path,
    opened: HashSet<PathBuf>,
}

impl Queues<'_> {
    /// Those below a data directory.
    pub fn below(data_dir: &Path) -> Queues<'_> {
        Queues { data_dir, opened: HashSet::new() }
    }

    /// The queue of an exporter for one kind of things, as it is configured.
    ///
    /// # Errors
    /// Its directory cannot be used.
    pub fn open(&mut self, id: &str, carries: &str, settings: &Settings, health: &Health) -> Result<Queue, String> {
        let queue = settings.queue;
        if queue.storage == Storage::Memory {
            return Ok(Queue::Memory(MemoryQueue::new(queue.bounds())));
        }
        let directory = self.data_dir.join(DIRECTORY).join(file_name(id)).join(carries);
        let settings = disk::Settings { id: id.to_owned(), signal: carries.to_owned(), queue };
        let opened = DiskQueue::open(&directory, &settings, health)?;
        self.opened.insert(directory);
        Ok(Queue::Disk(Box::new(opened)))
    }

    /// Says which queues on disk are of no exporter of this configuration: what waits in them waits in vain.
    pub fn tell_of_others(&self) {
        for exporter in directories(&self.data_dir.join(DIRECTORY)) {
            for queue in directories(&exporter).into_iter().filter(|queue| !self.opened.contains(queue)) {
                crate::report::warn(&format!(
                    "{} is the queue of no exporter that is configured with `storage: disk`: what waits in it is not sent. \
                     Configure it again to have it sent, or delete the directory",
                    queue.display()
                ));
            }
        }
    }
}

/// A component's id as a name of a directory, different for every id.
fn file_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for letter in id.bytes() {
        match letter {
            b'/' => name.push('@'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(letter.into()),
            _ => name.push_str(&format!("%{letter:02x}")),
        }
    }
    name
}

fn directories(within: &Path) -> Vec<PathBuf> {
    // None are there before the first queue is.
    let Ok(entries) = fs::read_dir(within) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_directory_of_its_own_and_none_leaves_it() {
        assert_eq!(file_name("otlp"), "otlp");
        assert_eq!(file_name("otlp/back.end"), "otlp@back%2eend");
        assert_eq!(file_name("otlp/../../etc"), "otlp@%2e%2e@%2e%2e@etc");
        assert_eq!(file_name("otlp/a@b"), "otlp@a%40b");
    }
}
