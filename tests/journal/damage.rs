//! Damage to the files of a journal that is closed, or whose process was killed: whatever is cut or flipped, it starts,
//! gives out nothing that was not written, and finds all that was not hit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use spanlight::journal::{Ack, Entry, Journal, Recovery, Settings};

use crate::disk::MemoryDisk;
use crate::{append, number, read_all, small};

const DIR: &str = "/data/journal";

fn open(disk: &MemoryDisk) -> (Journal, Recovery) {
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), small()).unwrap()
}

/// The files of a journal with some records, closed or as kill -9 leaves it.
struct Left {
    files: Vec<(PathBuf, Vec<u8>)>,
    records: u64,
    epoch: String,
}

impl Left {
    fn new(records: u64, settings: Settings, is_closed: bool) -> Left {
        let disk = MemoryDisk::default();
        let (journal, _) = Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), settings).unwrap();
        for number in 0..records {
            append(&journal, [number]);
        }
        let (epoch, open) = (journal.epoch(), disk.files());
        drop(journal);
        Left { files: if is_closed { disk.files() } else { open }, records, epoch }
    }

    /// The files, one of them changed or gone.
    fn but(&self, changed: usize, bytes: Option<&[u8]>) -> MemoryDisk {
        let files = self.files.iter().enumerate().filter_map(|(at, (name, content))| {
            let content = if at == changed { bytes } else { Some(content.as_slice()) };
            Some((name.as_path(), content?))
        });
        MemoryDisk::holding(files)
    }

    fn segments(&self) -> Vec<usize> {
        let is_segment = |at: &usize| self.files[*at].0.extension().is_some_and(|ext| ext == "log");
        (0..self.files.len()).filter(is_segment).collect()
    }

    /// Opens what is left and holds it to what must always hold; the numbers of the records that are there. Of the offsets
    /// below `told` none may be handed out again.
    fn check(&self, disk: &MemoryDisk, told: u64) -> Vec<u64> {
        let (journal, recovery) = open(disk);
        let (found, gaps) = read_all(&journal);
        let numbers: Vec<u64> = found.iter().map(number).collect();
        assert!(found.iter().zip(&numbers).all(|(record, number)| record.offset == *number), "{recovery}");
        let missing: u64 = gaps.iter().map(|(from, to)| to - from).sum();
        assert_eq!(numbers.len() as u64 + missing, journal.head(), "what is missing is said: {recovery}");
        let appended = append(&journal, [self.records]);
        assert!(appended.start >= told, "an offset is used twice: {recovery}");
        assert!(journal.epoch() == self.epoch || recovery.new_epoch.is_some());
        let after = journal.read(appended.start, Default::default()).unwrap();
        assert_eq!(after.records.iter().map(number).collect::<Vec<_>>(), [self.records]);
        numbers
    }
}

#[test]
fn the_last_records_may_be_cut_at_any_byte() {
    for is_closed in [false, true] {
        let left = Left::new(12, Settings { segment_bytes: 64 << 10, ..small() }, is_closed);
        let last = *left.segments().last().unwrap();
        let bytes = &left.files[last].1;
        let mut most = 0;
        for length in 0..bytes.len() {
            // What is cut off leaves no trace, unless it was written down how much there was.
            let told = if is_closed { left.records } else { 0 };
            let found = left.check(&left.but(last, Some(&bytes[..length])), told);
            assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>(), "a beginning is left");
            assert!(found.len() >= most, "what was found of a shorter file is found of a longer one");
            most = found.len();
        }
        assert_eq!(most, 11, "all but the record that was cut");
    }
}

#[test]
fn any_bit_may_flip_and_only_what_it_hits_is_lost() {
    for is_closed in [false, true] {
        let left = Left::new(20, small(), is_closed);
        assert!(left.segments().len() > 1);
        for (file, (name, bytes)) in left.files.iter().enumerate() {
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let found = left.check(&left.but(file, Some(&damaged)), left.records);
                assert!(found.len() >= 19, "{name:?} bit {bit}: only {} are left", found.len());
            }
        }
    }
}

/// What happens to one of the files.
#[derive(Clone, Debug)]
enum Harm {
    Cut,
    Overwrite(Vec<u8>),
    Insert(Vec<u8>),
}

fn harm() -> impl Strategy<Value = (prop::sample::Index, prop::sample::Index, Harm)> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..200);
    let harm = prop_oneof![Just(Harm::Cut), bytes().prop_map(Harm::Overwrite), bytes().prop_map(Harm::Insert)];
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), harm)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_the_files_it_starts(harms in prop::collection::vec(harm(), 1..6), is_closed: bool) {
        let mut left = Left::new(40, small(), is_closed);
        let files = left.files.len();
        for (file, place, harm) in harms {
            let bytes = &mut left.files[file.index(files)].1;
            let at = place.index(bytes.len() + 1);
            match harm {
                Harm::Cut => bytes.truncate(at),
                Harm::Insert(more) => drop(bytes.splice(at..at, more)),
                Harm::Overwrite(with) => bytes.iter_mut().skip(at).zip(with).for_each(|(byte, new)| *byte = new),
            }
        }
        left.check(&left.but(usize::MAX, None), 0);
    }
}

#[test]
fn whole_segments_may_be_missing() {
    let left = Left::new(60, small(), true);
    let segments = left.segments();
    assert!(segments.len() > 3);
    for (file, (name, _)) in left.files.iter().enumerate() {
        let found = left.check(&left.but(file, None), left.records);
        assert!(found.len() > 30 && (found.len() == 60 || segments.contains(&file)), "{name:?}");
    }
}

#[test]
fn what_is_no_segment_is_put_aside() {
    let left = Left::new(60, small(), true);
    let disk = left.but(left.segments()[1], Some(&[7; 1000]));
    let (journal, recovery) = open(&disk);
    assert_eq!(recovery.put_aside.len(), 1, "{recovery}");
    assert!(disk.files().iter().any(|(name, _)| *name == recovery.put_aside[0]), "{recovery}");
    assert!(recovery.to_string().contains("put aside"), "{recovery}");
    assert_eq!(read_all(&journal).1, recovery.gaps);
    assert_eq!(recovery.new_epoch, None);
}

#[test]
fn a_payload_that_looks_like_records_is_none() {
    let (disk, other) = (MemoryDisk::default(), Left::new(3, small(), false));
    let (journal, _) = open(&disk);
    let copy = other.files[other.segments()[0]].1.clone();
    let entry = Entry { kind: 9, payload: copy.into() };
    journal.append(vec![entry], Ack::Journal).unwrap().wait().unwrap();
    append(&journal, [1]);
    let files = disk.files();
    drop(journal);
    // Its length is damaged, so the next record is looked for byte by byte.
    let damaged = files.iter().map(|(name, bytes)| {
        let mut bytes = bytes.clone();
        bytes[128] ^= u8::from(name.extension().is_some());
        (name, bytes)
    });
    let damaged: Vec<_> = damaged.collect();
    let disk = MemoryDisk::holding(damaged.iter().map(|(name, bytes)| (name.as_path(), bytes.as_slice())));
    let (journal, recovery) = open(&disk);
    let (records, gaps) = read_all(&journal);
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), [1], "{recovery}");
    assert!(gaps == [(0, 1)] && recovery.damaged_bytes > 100, "{recovery}");
}
