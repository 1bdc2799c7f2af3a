//! The journal's recovery: whatever is in a segment, it opens, reads only what was written, and goes on.
//!
//! An input is damage to a journal of some records: each five bytes overwrite one byte, cut the file, or add to it.
#![no_main]

#[path = "../../tests/journal/disk.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod disk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;
use spanlight::journal::{Ack, Entry, Journal, Limit, Settings};

const DIR: &str = "/journal";
const RECORDS: u64 = 40;

fuzz_target!(|data: &[u8]| {
    static WHOLE: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(whole);
    let mut files = WHOLE.clone();
    let count = files.len();
    for damage in data.chunks_exact(5) {
        let bytes = &mut files[usize::from(damage[0]) % count].1;
        let at = usize::from(u16::from_le_bytes([damage[1], damage[2]])) % (bytes.len() + 1);
        match damage[3] % 3 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, damage[4]),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = damage[4]),
        }
    }
    let disk = MemoryDisk::holding(files.iter().map(|(name, bytes)| (name.as_path(), bytes.as_slice())));
    let (journal, _) = open(&disk);
    let mut next = 0;
    while next < journal.head() {
        let page = journal.read(next, Limit { records: 9, bytes: 300 }).expect("the disk is whole");
        assert!(page.next > next, "reading stands still");
        for record in &page.records {
            assert_eq!(record.payload, payload(record.offset), "nobody wrote this");
        }
        next = page.next;
    }
    let entry = Entry { kind: 0, payload: payload(next).into() };
    let offsets = journal.append(vec![entry], Ack::Journal).expect("room").wait().expect("written");
    assert_eq!(offsets.start, next);
    drop(journal);
    assert_eq!(open(&disk).0.head(), next + 1);
});

fn open(disk: &MemoryDisk) -> (Journal, spanlight::journal::Recovery) {
    let settings = Settings { segment_bytes: 1 << 10, ..Settings::default() };
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), settings).expect("it always starts")
}

fn payload(offset: u64) -> Vec<u8> {
    vec![offset as u8; (offset * 13 % 60) as usize]
}

/// A journal as a process leaves it that is killed.
fn whole() -> Vec<(PathBuf, Vec<u8>)> {
    let disk = MemoryDisk::default();
    let (journal, _) = open(&disk);
    for offset in 0..RECORDS {
        let entry = Entry { kind: 0, payload: payload(offset).into() };
        journal.append(vec![entry], Ack::Journal).expect("room").wait().expect("written");
    }
    disk.files()
}
