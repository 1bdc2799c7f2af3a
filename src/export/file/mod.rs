//! `file`: JSON lines. Events one a line; telemetry as OTLP/JSON, a batch a line.

mod rotate;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{Load, Outcome};
use crate::event::{EventWriter, Timestamp};
use crate::otlp::json::to_json;

/// Where to write, and for how long to keep it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file; a relative path is below the data directory.
    pub path: PathBuf,
    /// How telemetry is written. There is one way, which configurations may name.
    #[serde(default)]
    pub format: Format,
    /// When a new file is begun.
    #[serde(default)]
    pub rotate: Rotate,
    /// After how many days old files are packed with gzip; 0 is never.
    #[serde(default = "a_week")]
    pub compress_after_days: u32,
    /// After how many days old files are deleted; 0 is never.
    #[serde(default = "a_month")]
    pub delete_after_days: u32,
}

/// How telemetry is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP/JSON, a batch a line.
    #[default]
    Json,
}

/// When a new file is begun.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Rotate {
    /// At midnight, UTC.
    #[default]
    Daily,
    /// Never.
    Never,
}

impl Config {
    /// A file that is rotated and kept as usual.
    pub fn usual(path: PathBuf) -> Config {
        Config {
            path,
            format: Format::default(),
            rotate: Rotate::default(),
            compress_after_days: a_week(),
            delete_after_days: a_month(),
        }
    }
}

fn a_week() -> u32 {
    7
}

fn a_month() -> u32 {
    30
}

/// More room for lines is not kept.
const MAX_ROOM: usize = 4 << 20;

/// A file being written.
#[derive(Debug)]
pub struct FileExporter {
    config: Config,
    path: PathBuf,
    open: Option<Open>,
    /// Where lines are put behind each other, as large as the last load was.
    room: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// The UTC date of what is in it.
    date: String,
    /// A write ended half-way and could not be taken back: the next one must begin a line of its own.
    torn: bool,
}

impl FileExporter {
    /// Below a data directory. Nothing is opened before there is something to write.
    pub fn new(config: &Config, data_dir: &Path) -> FileExporter {
        FileExporter { config: config.clone(), path: data_dir.join(&config.path), open: None, room: Vec::new() }
    }

    /// Where it writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a load in one write.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        let mut lines = std::mem::take(&mut self.room);
        lines.clear();
        write_lines(load, &mut lines);
        match self.write(lines).await {
            Ok(()) => Outcome::DONE,
            Err(error) => Outcome::retry(format!("cannot write {}: {error}", self.path.display())),
        }
    }

    /// Has the system write out what it still holds.
    pub async fn close(&mut self) {
        let Some(open) = &self.open else { return };
        let file = open.file.clone();
        if let Err(error) = blocking(move || file.sync_data()).await {
            crate::report::error(&format!("cannot sync {}: {error}", self.path.display()));
        }
    }

    async fn write(&mut self, lines: Vec<u8>) -> io::Result<()> {
        let today = Timestamp::now().date();
        let stale = self.config.rotate == Rotate::Daily && self.open.as_ref().is_some_and(|open| open.date != today);
        if stale {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(&self.config, &self.path, today).await?),
        };
        // Until the write is done, it may be cut short.
        let was_torn = std::mem::replace(&mut open.torn, true);
        let file = open.file.clone();
        let (written, lines) = blocking(move || Ok((append(&file, was_torn, &lines), lines))).await?;
        if lines.capacity() <= MAX_ROOM {
            self.room = lines;
        }
        open.torn = matches!(&written, Err(Unwritten { torn: true, .. }));
        written.map_err(|unwritten| unwritten.error)
    }
}

/// Why lines are not in a file, and whether a part of them is.
struct Unwritten {
    error: io::Error,
    torn: bool,
}

/// Writes all of it or none, because all of it comes again. Behind half a line it begins one of its own.
fn append(mut file: &File, was_torn: bool, lines: &[u8]) -> Result<(), Unwritten> {
    let before = file.metadata().map_err(|error| Unwritten { error, torn: was_torn })?.len();
    let line_end: &[u8] = if was_torn { b"\n" } else { b"" };
    let written = file.write_all(line_end).and_then(|()| file.write_all(lines));
    written.map_err(|error| Unwritten { error, torn: file.set_len(before).is_err() || was_torn })
}

async fn open(config: &Config, path: &Path, today: String) -> io::Result<Open> {
    // What agents say is for whoever runs them, and for nobody else on the machine.
    if let Some(folder) = path.parent() {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    }
    if config.rotate == Rotate::Daily {
        let (path, today) = (path.to_owned(), today.clone());
        let (compress, delete) = (config.compress_after_days, config.delete_after_days);
        blocking(move || rotate::rotate(&path, &today, compress, delete)).await?;
    }
    let file = tokio::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).await?;
    Ok(Open { file: Arc::new(file.into_std().await), date: today, torn: false })
}

/// Where a disk may make a thread wait. Whole loads at a time: tokio's file would copy them once more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn write_lines(load: &Load, out: &mut Vec<u8>) {
    match load {
        Load::Events(records) => {
            out.reserve(records.len() * EventWriter::USUAL);
            let mut writer = EventWriter::new(out);
            for record in records {
                record.write_json(&mut writer);
                writer.push(b"\n");
            }
        }
        Load::Changes(_) => {}
        Load::Batches(batches) => {
            for batch in batches {
                out.extend_from_slice(to_json(batch.bytes(), batch.signal().schema()).as_bytes());
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn what_is_written_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/events.jsonl");
        let config: Config = serde_json::from_str(r#"{"path": "events.jsonl"}"#).unwrap();
        let open = open(&config, &path, Timestamp::now().date()).await.unwrap();
        append(&open.file, false, b"{}\n").map_err(|unwritten| unwritten.error).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn behind_half_a_line_another_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"event").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        append(&file, true, b"{}\n").map_err(|unwritten| unwritten.error).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"event\n{}\n");
    }

    #[test]
    fn what_is_torn_stays_so_until_something_is_written() {
        let full = File::options().append(true).open("/dev/full").unwrap();
        assert!(append(&full, true, b"{}\n").unwrap_err().torn);
    }

    #[test]
    fn lines_that_do_not_fit_leave_nothing_behind() {
        // This device says that it is full at every write.
        let full = File::options().append(true).open("/dev/full").unwrap();
        let unwritten = append(&full, false, b"{}\n").unwrap_err();
        assert_eq!(unwritten.error.kind(), io::ErrorKind::StorageFull);
    }
}
