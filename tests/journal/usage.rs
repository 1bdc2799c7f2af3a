//! What everybody does: append, read, wait, go on after a restart; cursors, retention, and the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use spanlight::event::Timestamp;
use spanlight::health::Health;
use spanlight::journal::{Ack, Begin, Entry, Hold, Journal, Limit, OpenError, Refused, Settings, WhenFull};

use crate::{SOON, append, entries, number, open, payload, read_all, small};

#[test]
fn offsets_and_epoch_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = Journal::open(dir.path(), small()).unwrap();
    assert!(recovery.is_clean() && recovery.records == 0, "{recovery}");
    let epoch = journal.epoch();
    for ten in 0..10 {
        assert_eq!(append(&journal, ten * 10..ten * 10 + 10), ten * 10..ten * 10 + 10);
    }
    drop(journal);
    let (journal, recovery) = Journal::open(dir.path(), small()).unwrap();
    assert!(recovery.is_clean() && recovery.records == 100 && recovery.segments > 2, "{recovery}");
    assert_eq!((journal.epoch(), journal.first(), journal.head()), (epoch, 0, 100));
    let (records, gaps) = read_all(&journal);
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert!(gaps.is_empty() && records.iter().all(|record| record.kind == (record.offset % 5) as u8));
    assert_eq!(append(&journal, 100..101), 100..101);
}

#[test]
fn all_ack_points_are_reached_and_many_appends_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let health = Health::default();
    let journal = Arc::new(open(dir.path()));
    journal.show("test", &health);
    for (number, ack) in [Ack::Memory, Ack::Journal, Ack::Durable].into_iter().enumerate() {
        let appended = journal.append(entries([number as u64]), ack).unwrap();
        assert_eq!(appended.offsets(), number as u64..number as u64 + 1);
        appended.wait().unwrap();
    }
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let journal = journal.clone();
            thread::spawn(move || {
                for round in 0..50 {
                    journal.append(entries([thread * 50 + round]), Ack::Durable).unwrap().wait().unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(health.sum("spanlight.journal.appended", &[]), 403);
    assert_eq!(read_all(&journal).0.len(), 403);
    assert_eq!(append(&journal, []), 403..403);
}

#[tokio::test]
async fn an_append_can_be_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.append(entries(0..3), Ack::Durable).unwrap().await, Ok(0..3));
}

#[test]
fn a_reader_waits_for_what_comes_and_watchers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let seen = Arc::new(AtomicU64::new(0));
    let of_watcher = seen.clone();
    journal.watch(Box::new(move |head| of_watcher.store(head, Relaxed)));
    thread::scope(|scope| {
        let reader = scope.spawn(|| journal.wait_past(1, SOON));
        append(&journal, 0..2);
        assert_eq!(reader.join().unwrap(), 2);
    });
    drop(journal);
    assert_eq!(seen.load(Relaxed), 2);
}

#[test]
fn pages_end_at_their_limits_and_hold_at_least_one_record() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let large = Entry { kind: 0, payload: vec![7; 700 << 10].into() };
    journal.append(vec![large.clone(), large.clone()], Ack::Journal).unwrap().wait().unwrap();
    append(&journal, 0..20);
    let page = journal.read(0, Limit { records: 10, bytes: 1000 }).unwrap();
    assert_eq!((page.records.len(), page.next), (1, 1));
    assert!(page.records[0].payload == large.payload.bytes());
    assert_eq!(journal.read(2, Limit { records: 10, bytes: 1 << 20 }).unwrap().records.len(), 10);
    let too_long = Entry { kind: 0, payload: vec![0; (256 << 20) + 1].into() };
    assert_eq!(journal.append(vec![too_long], Ack::Memory).unwrap_err(), Refused::TooLong);
}

#[test]
fn what_is_passed_over_is_a_gap_to_readers() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    append(&journal, 0..3);
    assert_eq!(journal.skip(4), 3..7);
    append(&journal, 7..8);
    assert_eq!(journal.skip(2), 8..10);
    while journal.wait_past(9, SOON) < 10 {}
    assert_eq!(read_all(&journal).1, [(3, 7), (8, 10)]);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(append(&journal, 10..11), 10..11, "what was handed out is not handed out again");
    assert_eq!(read_all(&journal).1, [(3, 7), (8, 10)]);
}

#[test]
fn records_are_found_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for number in 0..200 {
        append(&journal, [number]);
    }
    let (records, _) = read_all(&journal);
    for record in &records {
        let first = records.iter().find(|other| other.time >= record.time).unwrap();
        assert_eq!(journal.offset_at(record.time).unwrap(), first.offset);
    }
    assert_eq!(journal.offset_at(Timestamp::default()).unwrap(), 0);
    assert_eq!(journal.offset_at(Timestamp::now().plus(SOON)).unwrap(), 200);
}

#[test]
fn a_cursor_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    append(&journal, 0..10);
    let history = journal.cursor("history", Hold::Keeps, Begin::Oldest);
    let late = journal.cursor("late", Hold::Follows, Begin::Head);
    assert_eq!((history.lag(), late.lag()), (10, 0));
    history.advance(history.read(Limit { records: 4, bytes: 1000 }).unwrap().next);
    history.advance(2);
    drop((history, late, journal));
    let journal = open(dir.path());
    append(&journal, 10..11);
    let history = journal.cursor("history", Hold::Keeps, Begin::Oldest);
    assert_eq!(number(&history.read(Limit::default()).unwrap().records[0]), 4);
    assert_eq!(journal.cursor("late", Hold::Follows, Begin::Oldest).position(), 10);
    assert!(journal.forget_cursor("late") && !journal.forget_cursor("late"));
}

#[test]
fn age_deletes_what_nobody_keeps_and_size_deletes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_age: Some(Duration::from_secs(60)), max_bytes: 32 << 10, ..small() };
    let (journal, _) = Journal::open(dir.path(), settings).unwrap();
    let health = Health::default();
    journal.show("test", &health);
    let cursor = journal.cursor("exporter", Hold::Keeps, Begin::Oldest);
    for number in 0..100 {
        append(&journal, [number]);
    }
    let later = Timestamp::now().plus(Duration::from_secs(120));
    assert_eq!(journal.retain(later), 0, "an exporter waits for them");
    cursor.advance(50);
    assert_eq!(journal.retain(later), 0, "it might come back to them after a crash");
    cursor.save().unwrap();
    assert!(journal.retain(later) > 0);
    let first = journal.first();
    assert!(first > 30 && first <= 50, "{first}");
    assert_eq!(cursor.read(Limit::default()).unwrap().gap, None);
    assert_eq!(journal.read(0, Limit::default()).unwrap().gap, Some((0, first)));
    assert_eq!(health.sum("spanlight.dropped", &[("reason", "unread")]), 0);
    for number in 100..1000 {
        append(&journal, [number]);
    }
    assert!(health.sum("spanlight.journal.size", &[]) <= 32 << 10);
    let (from, to) = cursor.read(Limit::default()).unwrap().gap.unwrap();
    assert_eq!(from, 50);
    assert_eq!(health.sum("spanlight.dropped", &[("component", "test"), ("reason", "unread")]), to - from);
    assert_eq!(health.sum("spanlight.journal.lag", &[("consumer", "exporter")]), 950);
}

#[test]
fn a_queue_deletes_what_was_read_and_refuses_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { delete_read: true, max_bytes: 16 << 10, when_full: WhenFull::Refuse, ..small() };
    let (journal, _) = Journal::open(dir.path(), settings).unwrap();
    let cursor = journal.cursor("exporter", Hold::Keeps, Begin::Oldest);
    let mut written = 0;
    let refused = loop {
        match journal.append(entries([written]), Ack::Journal).unwrap().wait() {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Refused::DiskFull);
    assert!(written > 50, "{written}");
    let mut read = Vec::new();
    loop {
        let page = cursor.read(Limit::default()).unwrap();
        if page.next == cursor.position() {
            break;
        }
        read.extend(page.records.iter().map(number));
        cursor.advance(page.next);
    }
    assert_eq!(read, (0..written).collect::<Vec<_>>());
    cursor.save().unwrap();
    append(&journal, [written]);
    journal.retain(Timestamp::now());
    assert!(journal.first() >= written, "what was read made room");
}

#[test]
fn a_second_process_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let error = Journal::open(dir.path(), small()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
    drop(journal);
    open(dir.path());
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "not a directory").unwrap();
    let error = Journal::open(&path.join("journal"), small()).unwrap_err();
    assert!(error.to_string().contains("file/journal") && error.to_string().contains("--data-dir"), "{error}");
}

#[test]
fn readers_are_not_disturbed_by_rolls_and_retention() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Settings { max_bytes: 64 << 10, ..small() }).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for reader in 0..3 {
            let (journal, done) = (&journal, &done);
            scope.spawn(move || {
                let (mut next, mut read) = (0, 0);
                while !done.load(Relaxed) || next < journal.head() {
                    let page = journal.read(next, Limit { records: 10 + reader * 50, bytes: 1 << 20 }).unwrap();
                    assert!(page.gap.is_none_or(|(from, to)| from == next && to > from));
                    let mut at = page.gap.map_or(next, |(_, to)| to);
                    for record in &page.records {
                        assert_eq!((record.offset, number(record)), (at, at));
                        at += 1;
                    }
                    assert_eq!(page.next, at);
                    read += page.records.len();
                    next = page.next;
                    if next == journal.head() {
                        journal.wait_past(next, Duration::from_millis(5));
                    }
                }
                assert!(read > 100, "{read}");
            });
        }
        for hundred in 0..100 {
            append(&journal, hundred * 100..hundred * 100 + 100);
        }
        done.store(true, Relaxed);
    });
    assert!(journal.first() > 0);
    assert_eq!(payload(9_999), read_all(&journal).0.last().unwrap().payload);
}
