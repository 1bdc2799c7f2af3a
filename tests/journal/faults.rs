//! Disks that fail at any call, fill up, or lose their power: nothing that was acknowledged is lost, and it goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use spanlight::health::Health;
use spanlight::journal::{Ack, Begin, Hold, Journal, OpenError, Recovery, Refused, Settings, WhenFull};

use crate::disk::{MemoryDisk, Trouble};
use crate::{append, entries, number, read_all, small};

const DIR: &str = "/data/journal";

fn open(disk: &MemoryDisk, settings: Settings) -> Result<(Journal, Recovery), OpenError> {
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), settings)
}

/// What was acknowledged: the number of each offset.
type Acknowledged = BTreeMap<u64, u64>;

/// Appends numbers by twos, half of them durably, and moves a cursor. What was acknowledged, and what was refused.
fn work(journal: &Journal, numbers: std::ops::Range<u64>, known: &mut Acknowledged) -> Vec<Refused> {
    let cursor = journal.cursor("consumer", Hold::Follows, Begin::Oldest);
    let mut refused = Vec::new();
    for number in numbers.step_by(2) {
        let ack = if number % 4 == 0 { Ack::Durable } else { Ack::Journal };
        match journal.append(entries([number, number + 1]), ack).unwrap().wait() {
            Ok(offsets) => known.extend(offsets.zip([number, number + 1])),
            Err(why) => refused.push(why),
        }
        if number % 10 == 0 {
            cursor.advance(journal.head());
            cursor.save().unwrap_or_default();
        }
    }
    refused
}

/// All that was acknowledged is there, and only what was written.
fn holds(journal: &Journal, known: &Acknowledged) -> Result<(), String> {
    let (records, _) = read_all(journal);
    let found: BTreeMap<u64, u64> = records.iter().map(|record| (record.offset, number(record))).collect();
    assert_eq!(found.len(), records.len(), "an offset is there twice");
    match known.iter().find(|(offset, number)| found.get(offset) != Some(number)) {
        Some(lost) => Err(format!("{lost:?} is lost")),
        None => Ok(()),
    }
}

/// How many calls an undisturbed life of a journal takes.
fn calls() -> usize {
    let disk = MemoryDisk::default();
    let (journal, _) = open(&disk, small()).unwrap();
    work(&journal, 0..60, &mut Acknowledged::new());
    drop(journal);
    open(&disk, small()).unwrap();
    disk.calls() + 20
}

#[test]
fn any_call_may_fail_and_nothing_acknowledged_is_lost() {
    let all = calls();
    assert!(all > 100, "{all}");
    for (calls, refusable) in [(1, 1), (2, 2), (5, 4), (20, 20)] {
        for at in 1..all {
            let what = format!("{calls} calls from {at} on");
            let disk = MemoryDisk::default();
            disk.fail(Trouble { at, calls });
            let mut known = Acknowledged::new();
            let mut epochs = Vec::new();
            for life in 0..2 {
                let journal = loop {
                    match open(&disk, small()) {
                        Ok((journal, _)) => break journal,
                        // Only as long as it fails, and it says where.
                        Err(error) => assert!(at <= 200 && error.to_string().contains(DIR), "{what}: {error}"),
                    }
                };
                epochs.push(journal.epoch());
                let refused = work(&journal, life * 60..life * 60 + 60, &mut known);
                assert!(refused.len() <= refusable, "{what}: {refused:?}");
            }
            disk.heal();
            let (journal, recovery) = open(&disk, small()).unwrap();
            holds(&journal, &known).unwrap_or_else(|lost| panic!("{what}: {lost}; {recovery}; epochs {epochs:?}"));
            assert!(work(&journal, 500..510, &mut known).is_empty(), "{what}");
            holds(&journal, &known).unwrap_or_else(|lost| panic!("{what}, afterwards: {lost}"));
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = MemoryDisk::default();
    let (journal, _) = open(&disk, Settings { when_full: WhenFull::Refuse, ..small() }).unwrap();
    let health = Health::default();
    journal.show("test", &health);
    disk.limit(Some(5000));
    let mut known = Acknowledged::new();
    let refused = work(&journal, 0..200, &mut known);
    assert!(refused.len() > 10 && refused.iter().all(|why| *why == Refused::DiskFull), "{refused:?}");
    assert!(known.len() > 30);
    holds(&journal, &known).unwrap();
    let dropped = health.sum("spanlight.dropped", &[("component", "test"), ("reason", "disk_full")]);
    assert_eq!(dropped, 2 * refused.len() as u64);
    disk.limit(Some(50_000));
    assert!(work(&journal, 200..240, &mut known).is_empty());
    drop(journal);
    let (journal, recovery) = open(&disk, small()).unwrap();
    assert_eq!(recovery.new_epoch, None, "it was closed, and so it is known which offsets were handed out");
    assert_eq!(recovery.missing, 2 * refused.len() as u64);
    holds(&journal, &known).unwrap();
}

#[test]
fn a_full_disk_drops_the_oldest_where_that_is_wanted() {
    let disk = MemoryDisk::default();
    let (journal, _) = open(&disk, small()).unwrap();
    disk.limit(Some(5000));
    let mut known = Acknowledged::new();
    let refused = work(&journal, 0..400, &mut known);
    assert!(refused.is_empty(), "{refused:?}");
    let (records, gaps) = read_all(&journal);
    assert_eq!(gaps.len(), 1, "only the oldest are gone: {gaps:?}");
    assert_eq!(number(records.last().unwrap()), 399);
    assert!(records.len() > 20, "{}", records.len());
}

#[test]
fn what_is_deleted_before_a_new_consumer_had_it_is_missed_after_a_crash() {
    let disk = MemoryDisk::default();
    let settings = Settings { max_bytes: 8 << 10, ..small() };
    let (journal, _) = open(&disk, settings.clone()).unwrap();
    journal.cursor("archive", Hold::Keeps, Begin::Oldest);
    for number in 0..400 {
        append(&journal, [number]);
    }
    assert!(journal.first() > 0);
    let left = disk.after_power_loss(0);
    drop(journal);
    let (journal, _) = open(&left, settings).unwrap();
    let cursor = journal.cursor("archive", Hold::Keeps, Begin::Oldest);
    assert!(cursor.position() == 0 && journal.first() > 0, "{} of {}", cursor.position(), journal.first());
}

#[test]
fn offsets_that_were_refused_are_not_handed_out_again_after_a_crash() {
    let disk = MemoryDisk::default();
    let (journal, _) = open(&disk, Settings { when_full: WhenFull::Refuse, ..small() }).unwrap();
    let epoch = journal.epoch();
    disk.limit(Some(2000));
    while journal.append(entries([1]), Ack::Journal).unwrap().wait().is_ok() {}
    let told = journal.skip(5).end;
    let left = disk.after_power_loss(0);
    drop(journal);
    let (journal, _) = open(&left, small()).unwrap();
    assert!(journal.head() >= told && journal.epoch() != epoch);
}

#[test]
fn the_power_may_go_at_any_call_and_nothing_durable_is_lost() {
    let all = calls();
    for at in 1..all {
        for seed in 0..3 {
            let disk = MemoryDisk::default();
            // The first life ends well, so that there is something to lose.
            let (mut durable, mut told) = (Acknowledged::new(), 0);
            let mut epoch = String::new();
            if let Ok((journal, _)) = open(&disk, small()) {
                append_durably(&journal, 0..20, &mut durable, &mut told);
                epoch = journal.epoch();
            }
            let before = disk.clone();
            disk.fail(Trouble { at, calls: usize::MAX / 2 });
            if let Ok((journal, _)) = open(&disk, small()) {
                append_durably(&journal, 20..60, &mut durable, &mut told);
                disk.cut_power();
            }
            let what = format!("power lost at call {at}, seed {seed}");
            let (journal, recovery) = open(&before.after_power_loss(at as u64 * 31 + seed), small()).unwrap();
            holds(&journal, &durable).unwrap_or_else(|lost| panic!("{what}: {lost}; {recovery}"));
            let again = journal.head() < told;
            assert!(!again || journal.epoch() != epoch, "{what}: offsets are used twice; {recovery}");
            let next = journal.append(entries([999]), Ack::Durable).unwrap().wait().unwrap();
            assert!(next.start >= told, "{what}: {next:?} after {told}; {recovery}");
        }
    }
}

fn append_durably(journal: &Journal, numbers: std::ops::Range<u64>, known: &mut Acknowledged, told: &mut u64) {
    for number in numbers {
        let ack = if number % 3 == 0 { Ack::Durable } else { Ack::Journal };
        let Ok(offsets) = journal.append(entries([number]), ack).unwrap().wait() else { continue };
        *told = offsets.end;
        if ack == Ack::Durable {
            known.insert(offsets.start, number);
        }
    }
}
