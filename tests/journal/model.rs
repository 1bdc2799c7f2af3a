//! Any sequence of appends, restarts, reads, cursors and retention against a plain list.

use std::time::Duration;

use proptest::prelude::*;
use spanlight::event::Timestamp;
use spanlight::journal::{Begin, Hold, Journal, Limit, Settings, WhenFull};

use crate::{append, number, small};

#[derive(Clone, Debug)]
enum Act {
    Append(u8),
    Skip(u8),
    Reopen,
    Read { from: u16, records: u8, bytes: u16 },
    Consume { cursor: usize, records: u8 },
    Retain,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (1..20_u8).prop_map(Act::Append),
        1 => (1..5_u8).prop_map(Act::Skip),
        1 => Just(Act::Reopen),
        4 => (any::<u16>(), 1..50_u8, 0..2000_u16)
            .prop_map(|(from, records, bytes)| Act::Read { from, records, bytes }),
        3 => (0..2_usize, 1..50_u8).prop_map(|(cursor, records)| Act::Consume { cursor, records }),
        1 => Just(Act::Retain),
    ];
    prop::collection::vec(act, 1..60)
}

/// The offsets that have records, and where the consumers are.
#[derive(Default)]
struct Model {
    records: Vec<u64>,
    head: u64,
    positions: [u64; 2],
}

const NAMES: [&str; 2] = ["one", "two"];

fn settings() -> Settings {
    Settings { max_age: Some(Duration::from_secs(60)), when_full: WhenFull::Refuse, ..small() }
}

fn enter(journal: &Journal) -> [spanlight::journal::Cursor; 2] {
    NAMES.map(|name| journal.cursor(name, Hold::Keeps, Begin::Oldest))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_is_a_list_that_remembers(acts in acts()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), settings()).unwrap();
        let mut cursors = enter(&journal);
        let mut model = Model::default();
        for act in acts {
            match act {
                Act::Append(count) => {
                    let offsets = model.head..model.head + u64::from(count);
                    prop_assert_eq!(append(&journal, offsets.clone()), offsets.clone());
                    model.head = offsets.end;
                    model.records.extend(offsets);
                }
                Act::Skip(count) => {
                    model.head += u64::from(count);
                    prop_assert_eq!(journal.skip(count.into()).end, model.head);
                    while journal.wait_past(model.head - 1, crate::SOON) < model.head {}
                }
                Act::Reopen => {
                    let epoch = journal.epoch();
                    drop((cursors, journal));
                    let (again, recovery) = Journal::open(dir.path(), settings()).unwrap();
                    prop_assert!(recovery.damaged_bytes == 0 && recovery.torn_bytes == 0, "{}", recovery);
                    prop_assert_eq!(again.epoch(), epoch);
                    cursors = enter(&again);
                    journal = again;
                }
                Act::Read { from, records, bytes } => {
                    let from = u64::from(from) % (model.head + 3);
                    let limit = Limit { records: records.into(), bytes: bytes.into() };
                    read(&journal, &model, from, limit)?;
                }
                Act::Consume { cursor, records } => {
                    prop_assert_eq!(cursors[cursor].position(), model.positions[cursor]);
                    let next = read(&journal, &model, model.positions[cursor], Limit { records: records.into(), bytes: 1 << 20 })?;
                    cursors[cursor].advance(next);
                    model.positions[cursor] = next;
                    prop_assert_eq!(cursors[cursor].lag(), model.head - next);
                }
                Act::Retain => {
                    cursors[0].save().unwrap();
                    journal.retain(Timestamp::now().plus(Duration::from_secs(3600)));
                    let first = journal.first();
                    // Whole segments go, of which both consumers have read everything.
                    let read = model.positions[0].min(model.positions[1]);
                    let deleted = model.records.iter().take_while(|offset| **offset < first);
                    prop_assert!(deleted.max().is_none_or(|last| *last < read));
                    model.records.retain(|offset| *offset >= first);
                }
            }
            prop_assert_eq!(journal.head(), model.head);
        }
    }
}

/// Reads a page, which must be what the model says; where to go on.
fn read(journal: &Journal, model: &Model, from: u64, limit: Limit) -> Result<u64, TestCaseError> {
    let page = journal.read(from, limit).unwrap();
    let there: Vec<u64> = model.records.iter().copied().filter(|offset| *offset >= from).collect();
    let found: Vec<u64> = page.records.iter().map(|record| record.offset).collect();
    prop_assert!(page.records.iter().all(|record| number(record) == record.offset));
    prop_assert_eq!(&there[..found.len()], &found[..]);
    match there.first() {
        Some(first) => {
            prop_assert_eq!(page.gap, (*first > from).then_some((from, *first)));
            prop_assert!(!found.is_empty() && found.len() <= limit.records.max(1));
            prop_assert_eq!(page.next, found[found.len() - 1] + 1);
        }
        None => {
            prop_assert_eq!(page.gap, (from < model.head).then_some((from, model.head)));
            prop_assert_eq!(page.next, from.max(model.head.min(page.next)));
        }
    }
    Ok(page.next)
}
