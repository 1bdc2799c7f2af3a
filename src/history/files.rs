//! The files of all days: which there are, what is wrong with them, and when they go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Settings, day};
use crate::event::Timestamp;
use crate::journal::{Begin, Hold, Journal};

/// The cursor's name in the journal.
pub const CONSUMER: &str = "history";

/// The days that there should be.
const LIST: &str = "days";

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
pub fn begin(directory: &Path, journal: &Journal) -> io::Result<u64> {
    let cursor = journal.cursor(CONSUMER, Hold::Keeps, Begin::Oldest);
    let (first, position) = (journal.first(), cursor.position());
    let mut is_whole = true;
    let listed = fs::read_to_string(directory.join(LIST)).unwrap_or_default();
    let (epoch, days) = listed.split_once('\n').unwrap_or_default();
    if !days.is_empty() && journal.head() < epoch.parse().unwrap_or(0) {
        // Its offsets would be taken for those of the journal that was there before.
        let aside = directory.with_extension(format!("of-another-journal-{}", Timestamp::now().as_seconds()));
        fs::rename(directory, &aside)?;
        fs::create_dir_all(directory)?;
        let (from, to) = (directory.display(), aside.display());
        crate::report::warn(&format!("history {from}: the journal is another than it was; its files are in {to} now"));
        return Ok(first);
    }
    for day in days.lines().filter(|day| !path(directory, day).exists()) {
        crate::report::warn(&format!("history {}: {day}.db is missing and is made anew", directory.display()));
        is_whole = false;
    }
    for (_, path) in all(directory)? {
        if let Some(problem) = day::problem(&path) {
            set_aside(&path, &problem);
            is_whole = false;
        }
    }
    Ok(if is_whole && (!days.is_empty() || position == first) { position } else { first })
}

/// Moves a file out of the way, so that it is made anew.
pub fn set_aside(path: &Path, problem: &str) {
    let aside = path.with_extension("db.damaged");
    let outcome = match fs::rename(path, &aside) {
        Ok(()) => format!("it is {} now, and made anew from the journal as far as that reaches", aside.display()),
        Err(error) => format!("it cannot be renamed either: {error}"),
    };
    for ending in ["db-wal", "db-shm"] {
        // They belong to the file that is gone; what is not there need not be removed.
        fs::remove_file(path.with_extension(ending)).unwrap_or_default();
    }
    crate::report::warn(&format!("history {}: {problem}; {outcome}", path.display()));
}

/// Notes which days there are, and the offset below which they have everything.
pub fn note(directory: &Path, position: u64) -> io::Result<()> {
    let days: Vec<String> = all(directory)?.into_iter().map(|(day, _)| day).collect();
    let new = directory.join("days.new");
    fs::write(&new, format!("{position}\n{}\n", days.join("\n")))?;
    fs::rename(new, directory.join(LIST))
}

/// The first day that is kept.
pub fn first_day(settings: &Settings, now: Timestamp) -> Option<String> {
    let kept = std::time::Duration::from_secs(u64::from(settings.days) * 86_400);
    (settings.days > 0).then(|| now.minus(kept).date())
}

/// Deletes days that are too old, and the oldest while there is too much.
pub fn retain(settings: &Settings, now: Timestamp) -> usize {
    let Ok(files) = all(&settings.directory) else { return 0 };
    let first = first_day(settings, now).unwrap_or_default();
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
        for ending in ["db-wal", "db-shm"] {
            fs::remove_file(path.with_extension(ending)).unwrap_or_default();
        }
    }
    deleted
}
