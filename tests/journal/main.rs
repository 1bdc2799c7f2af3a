//! The journal: what it promises, under damage, failing disks, lost power and kill -9.
#![cfg(feature = "collector")]
#![allow(clippy::unwrap_used)]

mod damage;
mod disk;
mod faults;
mod kill;
mod model;
mod queue;
mod usage;

use std::path::Path;
use std::time::Duration;

use spanlight::journal::{Ack, Entry, Journal, Limit, Record, Settings};

/// Segments so small that a test has several.
fn small() -> Settings {
    Settings { segment_bytes: 1 << 10, max_bytes: 16 << 20, ..Settings::default() }
}

/// What a record with this number holds: of any length, and different for every number.
fn payload(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    let length = (number * 37 % 101) as usize;
    bytes.extend((0..length).map(|at| (number as usize * 31 + at * 7) as u8));
    bytes
}

/// The number of a record, whose payload must be what belongs to it.
fn number(record: &Record) -> u64 {
    let number = u64::from_le_bytes(record.payload[..8].try_into().unwrap());
    assert_eq!(record.payload, payload(number), "the record {} has a payload that nobody wrote", record.offset);
    number
}

fn entries(numbers: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    numbers.into_iter().map(|number| Entry { kind: (number % 5) as u8, payload: payload(number).into() }).collect()
}

fn append(journal: &Journal, numbers: impl IntoIterator<Item = u64>) -> std::ops::Range<u64> {
    journal.append(entries(numbers), Ack::Journal).unwrap().wait().unwrap()
}

/// All records, and the offsets between them that have none.
fn read_all(journal: &Journal) -> (Vec<Record>, Vec<(u64, u64)>) {
    read_by(journal, Limit { records: 7, bytes: 500 })
}

/// The same, in pages of another size.
fn read_by(journal: &Journal, limit: Limit) -> (Vec<Record>, Vec<(u64, u64)>) {
    let (mut records, mut gaps, mut next) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = journal.read(next, limit).unwrap();
        gaps.extend(page.gap);
        if page.next == next {
            break;
        }
        assert!(page.next > next, "reading goes forward");
        for record in &page.records {
            assert!(record.offset >= next && record.offset < page.next);
            next = record.offset + 1;
        }
        next = page.next;
        records.extend(page.records);
    }
    assert_eq!(next, journal.head());
    (records, gaps)
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, small()).unwrap().0
}

const SOON: Duration = Duration::from_secs(20);
