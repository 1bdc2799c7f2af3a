//! Old files: renamed by their day, packed after a while, deleted after a longer one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::event::Timestamp;

/// Moves a file of an earlier day out of the way, and cleans up behind it. `today` is a UTC date.
pub fn rotate(path: &Path, today: &str, compress_after_days: u32, delete_after_days: u32) -> io::Result<()> {
    if let Some(day) = day_of(path)?.filter(|day| day != today) {
        fs::rename(path, free_name(path, &day))?;
    }
    // Cleaning up can wait: a failure there must not keep anyone from writing today.
    if let Err(error) = clean_up(path, today, compress_after_days, delete_after_days) {
        crate::report::warn(&format!("cannot clean up beside {}: {error}", path.display()));
    }
    Ok(())
}

/// The UTC date on which a file was written last; nothing if there is none, or nothing in it.
fn day_of(path: &Path) -> io::Result<Option<String>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if metadata.len() == 0 {
        return Ok(None);
    }
    let written = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(Timestamp::from_micros(written.as_micros() as i64).date()))
}

/// `events.jsonl` of a day is `events-2026-11-20.jsonl`, or `events-2026-11-20.1.jsonl` if that is taken.
fn free_name(path: &Path, day: &str) -> PathBuf {
    let (stem, extension) = name_parts(path);
    let name = |suffix: String| path.with_file_name(format!("{stem}-{day}{suffix}{extension}"));
    let taken = |name: &PathBuf| name.exists() || PathBuf::from(format!("{}.gz", name.display())).exists();
    let numbered = (1..).map(|number| name(format!(".{number}")));
    std::iter::once(name(String::new())).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| path.to_owned())
}

fn name_parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    (stem, extension)
}

fn clean_up(path: &Path, today: &str, compress_after_days: u32, delete_after_days: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder)? {
        let old = entry?.path();
        let Some(age) = age_in_days(path, &old, today) else { continue };
        if delete_after_days > 0 && age > i64::from(delete_after_days) {
            fs::remove_file(&old)?;
        } else if compress_after_days > 0 && age > i64::from(compress_after_days) && !is_packed(&old) {
            pack(&old)?;
        }
    }
    Ok(())
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// How old a rotated file of `path` is by the day in its name; nothing for any file whose name [`free_name`] does
/// not give: whatever else people keep there is theirs.
fn age_in_days(path: &Path, old: &Path, today: &str) -> Option<i64> {
    let (stem, extension) = name_parts(path);
    let name = old.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(&extension)?;
    let (day, suffix) = name.strip_prefix(&stem)?.strip_prefix('-')?.split_at_checked(10)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !suffix.is_empty() && !suffix.strip_prefix('.').is_some_and(is_number) {
        return None;
    }
    let number = |date: &str| Timestamp::parse(&format!("{date}T00:00:00Z")).map(|time| time.as_seconds() / 86_400);
    Some(number(today)? - number(day)?)
}

/// Packs into a file beside it and only then removes the original, so that a crash loses nothing.
fn pack(path: &Path) -> io::Result<()> {
    let mut packed_name = path.as_os_str().to_owned();
    packed_name.push(".gz");
    let mut unfinished = packed_name.clone();
    unfinished.push(".part");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&unfinished, &packed_name)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_renamed_packed_and_deleted_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for name in ["e.jsonl", "e-2026-11-20.jsonl", "e-2026-11-10.jsonl", "e-2026-10-01.jsonl.gz", "other.jsonl"] {
            fs::write(file(name), name).unwrap();
        }
        let written = fs::File::options().append(true).open(file("e.jsonl")).unwrap();
        let yesterday = Timestamp::parse("2026-11-20T23:59:59Z").unwrap().to_system_time();
        written.set_modified(yesterday).unwrap();
        rotate(&file("e.jsonl"), "2026-11-21", 7, 30).unwrap();
        assert_eq!(
            names(folder.path()),
            ["e-2026-11-10.jsonl.gz", "e-2026-11-20.1.jsonl", "e-2026-11-20.jsonl", "other.jsonl"]
        );
        let mut unpacked = String::new();
        let packed = File::open(file("e-2026-11-10.jsonl.gz")).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, "e-2026-11-10.jsonl");
    }

    #[test]
    fn files_of_other_names_are_nobodys_business() {
        let folder = tempfile::tempdir().unwrap();
        let others = ["e-2020-01-01-notes.jsonl", "e-2020-01-01.jsonl.bak", "e-2020-01-01.txt", "e-x.jsonl"];
        others.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
        rotate(&folder.path().join("e.jsonl"), "2026-11-21", 7, 30).unwrap();
        let mut others = others.map(str::to_owned);
        others.sort();
        assert_eq!(names(folder.path()), others);
    }

    #[test]
    fn a_file_of_today_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.jsonl");
        rotate(&path, "2026-11-21", 7, 30).unwrap();
        fs::write(&path, "x").unwrap();
        rotate(&path, &Timestamp::now().date(), 7, 30).unwrap();
        assert_eq!(names(folder.path()), ["e.jsonl"]);
    }
}
