//! A page of history: some hundred events, as columns of what they are found by and as their JSON, both packed.
//!
//! A row for each event would be entered in three trees and written twice, and each event is much like the one before: by the
//! page it takes half of the time, and a ninth of the room.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use rusqlite::{Error, Result, ffi};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, compress_bound, get_frame_content_size};

use super::stored::{Field, Narrow, is_same};
use crate::event::Timestamp;

/// What events are found by, as a [`Filter`](crate::event::Filter) calls it.
const COLUMNS: [&str; 13] = [
    "execution",
    "scope",
    "type",
    "status",
    "name",
    "agent",
    "feature",
    "model",
    "tool",
    "task",
    "conversation",
    "correlation",
    "user",
];
/// The first of them.
const EXECUTION: usize = 0;

/// An event on its way into a page.
pub struct Row<'a> {
    /// Its offset in the journal.
    pub offset: u64,
    /// When it came.
    pub came: Timestamp,
    /// What it is found by.
    pub event: Narrow<'a>,
    /// Its JSON as the journal has it.
    pub json: &'a str,
}

/// A page as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'p> {
    /// The offset of its first event.
    pub first: u64,
    /// The offset of its last event.
    pub last: u64,
    /// When the earliest of its events happened.
    pub since: Timestamp,
    /// When the latest did.
    pub until: Timestamp,
    /// What its events are found by, for [`Page::read`].
    pub columns: &'p [u8],
    /// The ids of its events, behind each other.
    pub ids: &'p [u8],
    /// The JSON of its events, for [`Page::bodies`].
    pub bodies: &'p [u8],
}

/// What a page's events are found by.
#[derive(Debug)]
pub struct Page {
    first: u64,
    /// Unpacked: as [`write_columns`] has it.
    raw: Vec<u8>,
    events: usize,
    columns: Vec<Column>,
    /// Where the JSON of each event ends.
    ends: Vec<usize>,
}

/// A column, by where its parts are.
#[derive(Debug)]
struct Column {
    values: Vec<Range<usize>>,
    /// A byte for each event: 0, or which of the values it has, counted from 1.
    codes: usize,
}

impl Row<'_> {
    /// Its id.
    pub fn id(&self) -> [u8; 16] {
        self.event.id.uuid().into_bytes()
    }

    /// What it says of each of the [`COLUMNS`].
    fn values(&self) -> [Option<&str>; COLUMNS.len()] {
        let event = &self.event;
        [
            event.execution(),
            Some(event.scope.as_str()),
            Some(event.event_type.as_str()),
            Some(event.status.as_str()),
            event.text(Field::Name),
            event.text(Field::Agent),
            event.text(Field::Feature),
            event.text(Field::Model),
            event.text(Field::Tool),
            event.text(Field::Task),
            event.text(Field::Conversation),
            event.text(Field::Correlation),
            event.text(Field::User),
        ]
    }
}

/// Packs pages, in memory of its own that is used again.
pub struct Packer {
    compressor: Compressor<'static>,
    raw: Vec<u8>,
    columns: Vec<u8>,
    ids: Vec<u8>,
    bodies: Vec<u8>,
}

impl Packer {
    /// A larger level makes it little smaller, and takes longer than all else.
    const LEVEL: i32 = 1;

    /// What is kept of each buffer, in bytes: a page of events that are very long is rare.
    const KEPT: usize = 1 << 20;

    /// With nothing packed.
    pub fn new() -> Result<Packer> {
        let mut compressor = Compressor::new(Packer::LEVEL).map_err(unusable)?;
        // SQLite does not notice when a bit of what it keeps is another.
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(unusable)?;
        Ok(Packer { compressor, raw: Vec::new(), columns: Vec::new(), ids: Vec::new(), bodies: Vec::new() })
    }

    /// A page of these events, which are some, in the order of their offsets, and not more than fit.
    pub fn pack(&mut self, rows: &[&Row<'_>]) -> Result<Packed<'_>> {
        empty(&mut self.raw);
        rows.iter().for_each(|row| self.raw.extend_from_slice(row.json.as_bytes()));
        compress(&mut self.compressor, &self.raw, &mut self.bodies)?;
        self.raw.clear();
        write_columns(rows, &mut self.raw);
        compress(&mut self.compressor, &self.raw, &mut self.columns)?;
        self.ids.clear();
        rows.iter().for_each(|row| self.ids.extend_from_slice(&row.id()));
        let times = || rows.iter().map(|row| row.event.time);
        Ok(Packed {
            first: rows.first().map_or(0, |row| row.offset),
            last: rows.last().map_or(0, |row| row.offset),
            since: times().min().unwrap_or_default(),
            until: times().max().unwrap_or_default(),
            columns: &self.columns,
            ids: &self.ids,
            bodies: &self.bodies,
        })
    }
}

fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(Packer::KEPT);
}

fn compress(compressor: &mut Compressor<'_>, raw: &[u8], packed: &mut Vec<u8>) -> Result<()> {
    empty(packed);
    packed.reserve(compress_bound(raw.len()));
    compressor.compress_to_buffer(raw, packed).map(drop).map_err(unusable)
}

/// Their number, how far each is behind the first, when it happened and how long its JSON is; then of each column the number
/// of its values, their lengths and themselves, and for each event which it has.
fn write_columns(rows: &[&Row<'_>], raw: &mut Vec<u8>) {
    let first = rows.first().map_or(0, |row| row.offset);
    raw.push(rows.len() as u8);
    rows.iter().for_each(|row| raw.extend(((row.offset - first) as u32).to_le_bytes()));
    rows.iter().for_each(|row| raw.extend(row.event.time.as_micros().to_le_bytes()));
    rows.iter().for_each(|row| raw.extend((row.json.len() as u32).to_le_bytes()));
    let rows: Vec<_> = rows.iter().map(|row| row.values()).collect();
    for column in 0..COLUMNS.len() {
        let mut values: Vec<&str> = Vec::new();
        let codes: Vec<u8> = rows.iter().map(|row| row[column].map_or(0, |value| code(&mut values, value))).collect();
        raw.push(values.len() as u8);
        values.iter().for_each(|value| raw.extend((value.len() as u32).to_le_bytes()));
        values.iter().for_each(|value| raw.extend_from_slice(value.as_bytes()));
        raw.extend(codes);
    }
}

/// Which of the values this is, counted from 1. What comes next is mostly what came last.
fn code<'a>(values: &mut Vec<&'a str>, value: &'a str) -> u8 {
    let at = values.iter().rposition(|known| is_same(known, value)).unwrap_or_else(|| {
        values.push(value);
        values.len() - 1
    });
    at as u8 + 1
}

/// Whose execution the events are of, each once.
pub fn executions<'a>(rows: &'a [&Row<'_>]) -> Vec<&'a str> {
    let mut executions = Vec::new();
    for execution in rows.iter().filter_map(|row| row.event.execution()) {
        code(&mut executions, execution);
    }
    executions
}

/// Whether nothing is added any more to a page of these events.
pub fn is_closed(rows: &[&Row<'_>]) -> bool {
    Page::is_enough(rows.len(), rows.iter().map(|row| row.json.len()).sum())
}

/// Events in pages that are not too large.
pub fn split<'r, 'a>(rows: &'r [&'a Row<'a>]) -> impl Iterator<Item = &'r [&'a Row<'a>]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let first = rest.first()?.offset;
        let mut bytes = 0;
        let fits = |row: &&&Row<'_>| {
            let has_room = bytes < Page::BYTES && row.offset - first <= u64::from(u32::MAX);
            bytes += row.json.len();
            has_room
        };
        let (page, behind) = rest.split_at(rest.iter().take(Page::EVENTS).take_while(fits).count());
        rest = behind;
        Some(page)
    })
}

impl Page {
    /// The most events of a page: as many as a byte can tell apart.
    const EVENTS: usize = u8::MAX as usize;
    /// From so much JSON on nothing more is added: some tenths of a millisecond to unpack.
    const BYTES: usize = 128 << 10;
    /// The most that a page may unpack to. The journal takes less than this in one event.
    const LARGEST: u64 = 1 << 30;

    /// Of what was stored as a page's columns.
    ///
    /// # Errors
    /// It is damaged.
    pub fn read(first: u64, columns: &[u8]) -> Result<Page> {
        let raw = unpack(columns)?;
        Page::parse(first, raw).ok_or_else(damaged)
    }

    fn parse(first: u64, raw: Vec<u8>) -> Option<Page> {
        let events = usize::from(*raw.first()?);
        let lengths = 1 + events * (4 + 8);
        let mut at = lengths + events * 4;
        let mut end = 0;
        let ends = raw.get(lengths..at)?.chunks_exact(4).map(|length| {
            end += u32_of(length) as usize;
            end
        });
        let ends = ends.collect();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for _ in COLUMNS {
            let number = usize::from(*raw.get(at)?);
            let lengths = raw.get(at + 1..at + 1 + number * 4)?.chunks_exact(4).map(|length| u32_of(length) as usize);
            at += 1 + number * 4;
            let mut values = Vec::with_capacity(number);
            for length in lengths {
                std::str::from_utf8(raw.get(at..at + length)?).ok()?;
                values.push(at..at + length);
                at += length;
            }
            let codes = raw.get(at..at + events)?;
            if codes.iter().any(|code| usize::from(*code) > number) {
                return None;
            }
            columns.push(Column { values, codes: at });
            at += events;
        }
        Some(Page { first, raw, events, columns, ends })
    }

    /// The offset of its first event, by which it is known.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Whether nothing is added to it any more.
    pub fn is_closed(&self) -> bool {
        Page::is_enough(self.events, self.ends.last().copied().unwrap_or_default())
    }

    /// A page that is opened again is unpacked, read and packed anew, which costs as much as entering it. Many small ones cost
    /// whoever reads.
    fn is_enough(events: usize, bytes: usize) -> bool {
        events >= Page::EVENTS / 4 || bytes >= Page::BYTES / 4
    }

    /// The offset of an event.
    pub fn offset(&self, event: usize) -> u64 {
        self.first + u64::from(u32_of(&self.raw[1 + event * 4..][..4]))
    }

    /// The offset behind its last event.
    pub fn next(&self) -> u64 {
        self.events.checked_sub(1).map_or(self.first, |last| self.offset(last) + 1)
    }

    /// When an event happened.
    pub fn time(&self, event: usize) -> Timestamp {
        let at = 1 + self.events * 4 + event * 8;
        Timestamp::from_micros(i64::from_le_bytes(self.raw[at..at + 8].try_into().unwrap_or_default()))
    }

    /// The execution of an event.
    pub fn execution(&self, event: usize) -> Option<&str> {
        self.value(EXECUTION, event)
    }

    fn value(&self, column: usize, event: usize) -> Option<&str> {
        let column = &self.columns[column];
        let value = column.values.get(usize::from(self.raw[column.codes + event]).checked_sub(1)?)?;
        std::str::from_utf8(&self.raw[value.clone()]).ok()
    }

    /// The events that have one of some values in each of these columns.
    pub fn with(&self, wanted: &[(&'static str, Vec<String>)]) -> Vec<usize> {
        let mut events: Vec<usize> = (0..self.events).collect();
        for (name, wanted) in wanted {
            let Some(column) = COLUMNS.iter().position(|column| column == name).map(|at| &self.columns[at]) else {
                continue;
            };
            let mut fits = [false; Page::EVENTS + 1];
            for (value, fits) in column.values.iter().zip(&mut fits[1..]) {
                *fits = wanted.iter().any(|wanted| wanted.as_bytes() == &self.raw[value.clone()]);
            }
            events.retain(|event| fits[usize::from(self.raw[column.codes + event])]);
        }
        events
    }

    /// The JSON of its events.
    ///
    /// # Errors
    /// It is damaged.
    pub fn bodies(&self, packed: &[u8]) -> Result<Bodies<'_>> {
        let raw = unpack(packed)?;
        if raw.len() == self.ends.last().copied().unwrap_or_default() {
            Ok(Bodies { page: self, raw })
        } else {
            Err(damaged())
        }
    }
}

/// The JSON of a page's events.
pub struct Bodies<'p> {
    page: &'p Page,
    raw: Vec<u8>,
}

impl Bodies<'_> {
    /// Of one event.
    pub fn json(&self, event: usize) -> &[u8] {
        let begin = event.checked_sub(1).map_or(0, |before| self.page.ends[before]);
        &self.raw[begin..self.page.ends[event]]
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

thread_local! {
    /// To make one takes as long as to unpack a page.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let size =
        get_frame_content_size(packed).ok().flatten().filter(|size| *size <= Page::LARGEST).ok_or_else(damaged)?;
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept.as_mut() {
            Some(kept) => kept,
            None => kept.insert(Decompressor::new().map_err(unusable)?),
        };
        decompressor.decompress(packed, size as usize).map_err(|_| damaged())
    })
}

/// What is stored as a page is none.
pub fn damaged() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some("a page of events cannot be read".into()))
}

fn unusable(error: io::Error) -> Error {
    Error::ToSqlConversionFailure(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use proptest::prelude::*;

    fn row((offset, time, json): &(u64, Timestamp, String)) -> Row<'_> {
        Row { offset: *offset, came: *time, event: Narrow::read(json).unwrap(), json }
    }

    /// Events with offsets that leave some out.
    fn jsons(number: usize, body: usize) -> Vec<(u64, Timestamp, String)> {
        let event = |at: usize| {
            let mut event = Event::agent_started(&format!("agent-{}", at % 7));
            event.identity.execution_id = (!at.is_multiple_of(3)).then(|| format!("run-{}", at / 4).into());
            event.message = Some("x".repeat(body).into());
            event.timestamp = Timestamp::from_micros(1_700_000_000_000_000 - at as i64 * 7);
            (1000 + at as u64 * 3, event.timestamp, event.to_json())
        };
        (0..number).map(event).collect()
    }

    fn rows(jsons: &[(u64, Timestamp, String)]) -> Vec<Row<'_>> {
        jsons.iter().map(row).collect()
    }

    #[test]
    fn a_page_is_read_as_it_was_packed() {
        for (number, body) in [(1, 0), (2, 200_000), (255, 10), (700, 300)] {
            let jsons = jsons(number, body);
            let rows = rows(&jsons);
            let rows: Vec<&Row<'_>> = rows.iter().collect();
            let mut packer = Packer::new().unwrap();
            let mut told = jsons.iter();
            for rows in split(&rows) {
                let packed = packer.pack(rows).unwrap();
                let page = Page::read(packed.first, packed.columns).unwrap();
                let bodies = page.bodies(packed.bodies).unwrap();
                assert_eq!((page.first(), page.next(), page.len()), (packed.first, packed.last + 1, rows.len()));
                assert_eq!(packed.ids.len(), rows.len() * 16);
                for (at, row) in rows.iter().enumerate() {
                    let (offset, time, json) = told.next().unwrap();
                    assert_eq!((page.offset(at), page.time(at), bodies.json(at)), (*offset, *time, json.as_bytes()));
                    assert_eq!(page.execution(at), row.event.execution());
                    assert!((packed.since..=packed.until).contains(time));
                }
                let of_agent = page.with(&[("agent", vec!["agent-3".into(), "agent-none".into()])]);
                let expected = (0..rows.len()).filter(|at| rows[*at].event.text(Field::Agent) == Some("agent-3"));
                assert_eq!(of_agent, expected.collect::<Vec<_>>());
            }
            assert!(told.next().is_none());
        }
    }

    #[test]
    fn pages_are_of_a_size() {
        let sizes = |number, body| {
            let jsons = jsons(number, body);
            let rows = rows(&jsons);
            split(&rows.iter().collect::<Vec<_>>()).map(<[_]>::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(600, 0), [255, 255, 90]);
        assert_eq!(sizes(5, 70_000), [2, 2, 1]);
        assert_eq!(sizes(3, 500_000), [1, 1, 1]);
    }

    proptest! {
        /// Whatever stands in a file, it is a page or an error.
        #[test]
        fn damage_is_noticed(at in any::<proptest::sample::Index>(), change in 1..=u8::MAX, cut in any::<proptest::sample::Index>()) {
            let jsons = jsons(20, 10);
            let rows = rows(&jsons);
            let mut packer = Packer::new().unwrap();
            let packed = packer.pack(&rows.iter().collect::<Vec<_>>()).unwrap();
            let page = Page::read(packed.first, packed.columns).unwrap();
            for whole in [packed.columns, packed.bodies] {
                let mut changed = whole.to_vec();
                changed[at.index(whole.len())] ^= change;
                // What some bits say does not matter.
                prop_assert!(unpack(&changed).is_ok_and(|raw| raw == unpack(whole).unwrap()) || unpack(&changed).is_err());
                prop_assert!(unpack(&whole[..cut.index(whole.len())]).is_err());
            }
            prop_assert!(page.bodies(packed.columns).is_err());
        }

        #[test]
        fn what_is_no_page_is_an_error(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Page::parse(0, raw).is_none_or(|page| page.len() < 256));
        }
    }
}
