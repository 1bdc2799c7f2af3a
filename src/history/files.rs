//! The files of all days: which there are, what is wrong with them, and when they go.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::stored::EVENT;
use super::{Settings, day};
use crate::event::Timestamp;
use crate::journal::{Begin, Hold, Journal, Limit};

/// The cursor's name in the journal.
pub const CONSUMER: &str = "history";

/// The days that there should be, behind the offset below which they have everything.
const LIST: &str = "days";

/// What was found at the start.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Where in the journal to begin.
    pub position: u64,
    /// Files that were damaged or missing.
    pub damaged: u64,
}

/// The files there are, by day, the oldest first.
pub fn all(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(day) = name.strip_suffix(".db").filter(|day| day.len() == 10) {
            found.push((day.to_owned(), path.clone()));
        }
    }
    found.sort();
    Ok(found)
}

/// The file of a day.
pub fn path(directory: &Path, day: &str) -> PathBuf {
    directory.join(format!("{day}.db"))
}

/// Looks at what is there, sets aside what cannot be used, and says where in the journal to begin.
pub fn begin(directory: &Path, journal: &Journal) -> io::Result<Begun> {
    let cursor = journal.cursor(CONSUMER, Hold::Keeps, Begin::Oldest);
    let first = journal.first();
    let listed = fs::read_to_string(directory.join(LIST)).unwrap_or_default();
    let (position, days) = listed.split_once('\n').unwrap_or_default();
    let days: Vec<&str> = days.lines().filter(|day| !day.is_empty()).collect();
    // Without a list it is not known what is missing, and to enter again what is there does no harm.
    let position: u64 = position.parse().unwrap_or(first);
    let mut begun = Begun { position: position.min(cursor.position()), damaged: 0 };
    for day in days.iter().filter(|day| !path(directory, day).exists()) {
        crate::report::warn(&format!("history {}: {day}.db is missing and is made anew", directory.display()));
        begun.damaged += 1;
    }
    for (_, path) in all(directory)? {
        if let Some(problem) = day::problem(&path) {
            set_aside(&path, &problem);
            begun.damaged += 1;
        }
    }
    if position > journal.head() || is_of_another(directory, journal)? {
        leave_to(directory)?;
        return Ok(Begun { position: first, ..begun });
    }
    if begun.damaged > 0 {
        begun.position = first;
    }
    Ok(begun)
}

/// Whether the newest events that the journal should have as well are others there.
fn is_of_another(directory: &Path, journal: &Journal) -> io::Result<bool> {
    for (_, path) in all(directory)?.iter().rev() {
        let newest = day::open_to_read(path).and_then(|connection| day::newest(&connection));
        let Ok(Some((offset, json))) = newest else { continue };
        if offset < journal.first() {
            continue;
        }
        let page = journal.read(offset, Limit { records: 1, ..Limit::default() })?;
        let is_same = |kind: u8, payload: &[u8]| kind == EVENT && payload == json;
        let record = page.records.first().filter(|record| record.offset == offset);
        return Ok(offset >= journal.head() || record.is_some_and(|record| !is_same(record.kind, &record.payload)));
    }
    Ok(false)
}

/// Makes the directory, if it is not there. What is in it is for nobody else to read.
pub fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Moves all files to another directory: their offsets would be taken for those of the journal that there is now.
fn leave_to(directory: &Path) -> io::Result<()> {
    let aside = directory.with_extension(format!("of-another-journal-{}", Timestamp::now().as_seconds()));
    fs::rename(directory, &aside)?;
    make(directory)?;
    let (from, to) = (directory.display(), aside.display());
    crate::report::warn(&format!("history {from}: the journal is another than it was; its files are in {to} now"));
    Ok(())
}

/// Moves a file out of the way, so that it is made anew.
pub fn set_aside(path: &Path, problem: &str) {
    let aside = path.with_extension("db.damaged");
    let outcome = match fs::rename(path, &aside) {
        Ok(()) => format!("it is {} now, and made anew from the journal as far as that reaches", aside.display()),
        Err(error) => format!("it cannot be renamed either: {error}"),
    };
    remove_logs(path);
    crate::report::warn(&format!("history {}: {problem}; {outcome}", path.display()));
}

/// Removes what belongs to a file that is gone, and would be taken for that of the next one; what is not there need not be
/// removed.
pub fn remove_logs(path: &Path) {
    for ending in ["db-wal", "db-shm"] {
        fs::remove_file(path.with_extension(ending)).unwrap_or_default();
    }
}

/// Notes which days there are, and the offset below which they have everything.
pub fn note(directory: &Path, position: u64) -> io::Result<()> {
    let days: Vec<String> = all(directory)?.into_iter().map(|(day, _)| day).collect();
    let new = directory.join("days.new");
    fs::write(&new, format!("{position}\n{}\n", days.join("\n")))?;
    fs::rename(new, directory.join(LIST))
}

/// A time on the first day that is kept.
pub fn begin_of_kept(settings: &Settings, now: Timestamp) -> Option<Timestamp> {
    let kept = std::time::Duration::from_secs(u64::from(settings.days) * 86_400);
    (settings.days > 0).then(|| now.minus(kept))
}

/// Deletes days that are too old, and the oldest while there is too much.
pub fn retain(settings: &Settings, now: Timestamp) -> usize {
    let Ok(files) = all(&settings.directory) else { return 0 };
    let first = begin_of_kept(settings, now).map(Timestamp::date).unwrap_or_default();
    let size = |path: &PathBuf| {
        let with_log = [path.clone(), path.with_extension("db-wal")];
        with_log.iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum::<u64>()
    };
    let mut total: u64 = files.iter().map(|(_, path)| size(path)).sum();
    let mut deleted = 0;
    for (at, (day, path)) in files.iter().enumerate() {
        let is_too_much = total > settings.max_bytes && at + 1 < files.len();
        if *day >= first && !is_too_much {
            break;
        }
        total -= size(path).min(total);
        match fs::remove_file(path) {
            Ok(()) => deleted += 1,
            Err(error) => crate::report::warn(&format!("history {} cannot be deleted: {error}", path.display())),
        }
        remove_logs(path);
    }
    deleted
}
