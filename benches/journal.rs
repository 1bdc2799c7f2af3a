//! The journal: what its ack points cost, against plain writes of the same bytes to the same disk.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/compare.rs"]
mod compare;

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use compare::{Contender, compare};
use spanlight::journal::{Ack, Appended, Entry, Journal, Limit, Refused, Settings};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// About what an event takes as JSON.
const BYTES: usize = 800;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let payload = Bytes::from(vec![b'x'; BYTES]);
    println!("records of {BYTES} bytes");
    many_at_once(dir.path(), &payload);
    durable(dir.path(), &payload);
    reading(dir.path(), &payload);
}

fn many_at_once(dir: &Path, payload: &Bytes) {
    const RECORDS: usize = 4000;
    const TOGETHER: usize = 100;
    let mut file = File::create(dir.join("plain")).expect("a file");
    let block = vec![b'x'; BYTES * TOGETHER];
    let (memory, journal) = (open(&dir.join("memory")), open(&dir.join("journal")));
    compare(
        "appending 4000 records, 100 at a time",
        "record",
        vec![
            Contender::new("write(2) of the payloads", RECORDS, || {
                for _ in 0..RECORDS / TOGETHER {
                    file.write_all(&block).expect("room");
                }
            }),
            Contender::new("memory, until all are written", RECORDS, || {
                let last = (0..RECORDS / TOGETHER).map(|_| append(&memory, payload, TOGETHER, Ack::Memory)).last();
                let end = last.expect("some").offsets().end;
                while memory.wait_past(end - 1, Duration::from_secs(1)) < end {}
            }),
            Contender::new("journal, one after the other", RECORDS, || {
                for _ in 0..RECORDS / TOGETHER {
                    append(&journal, payload, TOGETHER, Ack::Journal).wait().expect("written");
                }
            }),
        ],
    );
}

fn durable(dir: &Path, payload: &Bytes) {
    const THREADS: usize = 16;
    let file = RefCell::new(File::create(dir.join("plain durable")).expect("a file"));
    let journal = open(&dir.join("durable"));
    let plain = || {
        let mut file = file.borrow_mut();
        file.write_all(payload).expect("room");
        file.sync_data().expect("a disk");
    };
    compare(
        "one record at a time, durable",
        "record",
        vec![
            Contender::new("write(2) and fdatasync(2)", 1, plain),
            Contender::new("durable, one appender", 1, || {
                append(&journal, payload, 1, Ack::Durable).wait().expect("durable");
            }),
            Contender::new("durable, 16 appenders", THREADS * 4, || {
                thread::scope(|scope| {
                    for _ in 0..THREADS {
                        scope.spawn(|| {
                            for _ in 0..4 {
                                append(&journal, payload, 1, Ack::Durable).wait().expect("durable");
                            }
                        });
                    }
                });
            }),
        ],
    );
}

fn reading(dir: &Path, payload: &Bytes) {
    const RECORDS: usize = 50_000;
    let journal = open(&dir.join("read"));
    for _ in 0..RECORDS / 100 {
        append(&journal, payload, 100, Ack::Journal).wait().expect("written");
    }
    let block = vec![0; BYTES * RECORDS];
    let plain = dir.join("plain read");
    std::fs::write(&plain, block).expect("room");
    let all = |limit: Limit| {
        let mut next = 0;
        while next < journal.head() {
            next = journal.read(next, limit).expect("a disk").next;
        }
    };
    compare(
        "reading 50,000 records",
        "record",
        vec![
            Contender::new("read(2) of the payloads", RECORDS, || {
                std::hint::black_box(std::fs::read(&plain).expect("a file"));
            }),
            Contender::new("pages of 1000", RECORDS, || all(Limit::default())),
            Contender::new("pages of 100", RECORDS, || all(Limit { records: 100, ..Limit::default() })),
        ],
    );
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, Settings::default()).expect("a directory").0
}

/// Appends, and waits while the queue is full.
fn append(journal: &Journal, payload: &Bytes, records: usize, ack: Ack) -> Appended {
    loop {
        let entries = (0..records).map(|_| Entry { kind: 1, payload: payload.clone().into() }).collect();
        match journal.append(entries, ack) {
            Err(Refused::QueueFull) => {
                journal.wait_past(journal.head(), Duration::from_millis(10));
            }
            appended => return appended.expect("open"),
        }
    }
}
