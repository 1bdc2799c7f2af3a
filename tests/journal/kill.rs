//! kill -9, again and again, at any moment: what a process was told is written is there, and nothing is there twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use spanlight::journal::{Ack, Entry, Journal, Limit, Settings};

use crate::{number, payload, read_by, small};

const ROUNDS: u64 = 100;
const DIR: &str = "SPANLIGHT_TEST_JOURNAL";
const FIRST: &str = "SPANLIGHT_TEST_FIRST";

fn settings() -> Settings {
    Settings { segment_bytes: 256 << 10, ..small() }
}

/// What the killed process does. As a test of its own it does nothing.
#[test]
fn child() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIR), std::env::var(FIRST)) else { return };
    let (journal, _) = Journal::open(Path::new(&dir), settings()).unwrap();
    let first: u64 = first.parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let journal = &journal;
            scope.spawn(move || {
                let mut next = first + thread * 100_000;
                loop {
                    let numbers = next..next + 1 + next % 7;
                    next = numbers.end;
                    let entries = numbers.clone().map(|number| Entry { kind: 1, payload: payload(number).into() });
                    let ack = if next.is_multiple_of(50) { Ack::Durable } else { Ack::Journal };
                    let Ok(offsets) = journal.append(entries.collect(), ack).unwrap().wait() else { return };
                    let mut line = String::new();
                    for (offset, number) in offsets.zip(numbers) {
                        line.push_str(&format!("ack {offset} {number}\n"));
                    }
                    // In one write, so that a line is told as a whole or not at all.
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut epoch = None;
    let mut torn = 0;
    for round in 0..ROUNDS {
        let lines = run_and_kill(dir.path(), (round + 1) * 1_000_000, Duration::from_micros(round * 7919 % 9000));
        for line in lines {
            let mut words = line.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap());
            let (offset, number) = (words.next().unwrap(), words.next().unwrap());
            assert_eq!(acknowledged.insert(offset, number), None, "the offset {offset} was handed out twice");
        }
        // Most of the time the next process finds what this one left, as it was left.
        if round % 10 == 9 || round == ROUNDS - 1 {
            let (journal, recovery) = Journal::open(dir.path(), settings()).unwrap();
            torn += recovery.torn_bytes;
            let known = epoch.get_or_insert(journal.epoch()).clone();
            assert_eq!((journal.epoch(), recovery.new_epoch), (known, None), "{recovery}");
            assert_eq!((recovery.damaged_bytes, recovery.missing), (0, 0), "{recovery}");
            check(&journal, &acknowledged);
        }
    }
    println!("{} acknowledged, {torn} torn bytes seen", acknowledged.len());
}

fn check(journal: &Journal, acknowledged: &BTreeMap<u64, u64>) {
    let (records, gaps) = read_by(journal, Limit::default());
    assert!(gaps.is_empty(), "{gaps:?}");
    let found: BTreeMap<u64, u64> = records.iter().map(|record| (record.offset, number(record))).collect();
    for (offset, number) in acknowledged {
        assert_eq!(found.get(offset), Some(number), "the record {offset} was acknowledged and is lost");
    }
    let mut numbers: Vec<u64> = found.into_values().collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "something is there twice");
}

/// What a process acknowledged before it was killed, some time after its first word.
fn run_and_kill(dir: &Path, first: u64, patience: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let is_told = |line: &String| line.starts_with("ack ");
    let mut told: Vec<String> = lines.by_ref().find(is_told).into_iter().collect();
    assert_eq!(told.len(), 1, "the process says nothing");
    let reader = std::thread::spawn(move || lines.filter(is_told).collect::<Vec<_>>());
    std::thread::sleep(patience);
    child.kill().unwrap();
    child.wait().unwrap();
    told.extend(reader.join().unwrap());
    told
}
