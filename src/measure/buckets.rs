//! What this process counted in each UTC hour and each UTC day, as absolute sums that a store shared by several
//! processes can merge: whoever writes them twice has written them once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::windows::{Dimension, Sums};
use crate::derive::Name;
use crate::event::{JsonObject, Timestamp};

/// Hours and days that something was counted in, until they are written everywhere.
///
/// Event time decides which. Those that may still change stay in memory; one that has been forgotten and is counted in
/// again becomes a part of its own, because its sums begin anew.
#[derive(Debug, Default)]
pub struct Buckets {
    instance: String,
    kept: BTreeMap<Key, Bucket>,
    /// How often each bucket was forgotten that may still be counted in.
    forgotten: BTreeMap<Key, u32>,
    writers: usize,
    changes: usize,
    left_out: LeftOutOfBuckets,
}

/// Buckets as the one who counts and those who write share them.
pub type SharedBuckets = Arc<Mutex<Buckets>>;

/// Who has written what is remembered by writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer(usize);

/// A bucket as it is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The hour or the day.
    pub period: Period,
    /// When it begins.
    pub start: Timestamp,
    /// How often this process has forgotten the bucket: sums of different parts add up.
    pub part: u32,
    /// Grows with every change, so that an older state is known as such.
    pub sequence: u64,
    /// The sums as one object of JSON.
    pub sums: String,
}

/// What no bucket has, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOutOfBuckets {
    /// Measurements of hours and days that nobody keeps any more.
    pub too_late: u64,
    /// Measurements under `(others)`, and busy times of agents that nobody has, because there was no more room.
    pub overflowed: u64,
    /// Buckets that could not be written for as long as they were worth keeping.
    pub unwritten: u64,
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// One hour, UTC.
    Hour,
    /// One day, UTC.
    Day,
}

/// A time cut at the bounds of hours and of days, with how much of each piece was busy before something changes in it.
pub(super) struct Pieces {
    pieces: Vec<(Period, Timestamp, Timestamp, u64)>,
    too_late: u64,
}

/// A period and the second in which it begins.
type Key = (Period, i64);

#[derive(Debug)]
struct Bucket {
    sums: Sums,
    features: HashMap<Name, Sums, RandomState>,
    /// Microseconds in which each agent was busy.
    agents: HashMap<Name, u64, RandomState>,
    part: u32,
    sequence: u64,
    changed: Timestamp,
    /// The sequence that each writer has written.
    written: Vec<u64>,
}

impl Buckets {
    /// Features, and agents, of one bucket.
    pub const MOST_ROWS: usize = 1000;
    /// Where the others are.
    pub const OTHERS: &'static str = "(others)";
    /// How long a bucket that is over and written stays, because most of what is late is not later than this.
    const LINGER: Duration = Duration::from_secs(3600);

    /// Of an instance of this program: one that counts on its own from 0, so a new one after every start.
    pub fn new(instance: String) -> Buckets {
        Buckets { instance, ..Buckets::default() }
    }

    /// What tells these sums from those of others.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// One more that writes: nothing is forgotten before it has written it.
    pub fn writer(&mut self) -> Writer {
        self.writers += 1;
        self.kept.values_mut().for_each(|bucket| bucket.written.push(0));
        Writer(self.writers - 1)
    }

    /// Adds to the hour and to the day of `at`, in total and for its feature.
    pub(super) fn add(
        &mut self,
        at: Timestamp,
        rows: &[(Dimension, Option<&Name>)],
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        let feature = feature_of(rows);
        // Work whose emitter's clock is ahead counts now, because it did happen.
        let at = at.not_ahead_of(now);
        let mut overflowed = 0;
        for period in Period::ALL {
            let Some(bucket) = self.bucket(period, at, now) else { continue };
            change(&mut bucket.sums);
            if let Some(feature) = feature {
                let full = bucket.features.len() >= Buckets::MOST_ROWS && !bucket.features.contains_key(feature);
                overflowed += u64::from(full);
                let row = if full { Buckets::OTHERS.into() } else { feature.clone() };
                change(bucket.features.entry(row).or_default());
            }
        }
        self.left_out.overflowed += overflowed;
        self.changes += 1;
    }

    /// Changes what was added before, where it was: takes something out. What was forgotten since stays as it was.
    pub(super) fn take_back(
        &mut self,
        at: Timestamp,
        rows: &[(Dimension, Option<&Name>)],
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        let feature = feature_of(rows);
        let at = at.not_ahead_of(now);
        for period in Period::ALL {
            let key = (period, period.start(at).as_seconds());
            // The sums of a bucket that was forgotten and began anew do not have what is to be taken out.
            let Some(bucket) = self.kept.get_mut(&key).filter(|bucket| bucket.part == 0) else { continue };
            bucket.sequence += 1;
            bucket.changed = now;
            change(&mut bucket.sums);
            if let Some(feature) = feature {
                let row = if bucket.features.contains_key(feature) { &**feature } else { Buckets::OTHERS };
                bucket.features.get_mut(row).into_iter().for_each(&change);
            }
        }
        self.changes += 1;
    }

    /// Adds what has become known of the times an agent was busy in, or takes out what turned out to be none.
    pub(super) fn busy(
        &mut self,
        agent: &Name,
        pieces: &Pieces,
        now: Timestamp,
        within: impl Fn(Timestamp, Timestamp) -> u64,
    ) {
        self.left_out.too_late += pieces.too_late;
        for (period, from, to, before) in &pieces.pieces {
            let (before, after) = (*before, within(*from, *to));
            if after == before {
                continue;
            }
            let Some(bucket) = self.bucket(*period, *from, now) else { continue };
            if bucket.agents.len() >= Buckets::MOST_ROWS && !bucket.agents.contains_key(agent) {
                // Together the others would be one agent that is busier than any can be.
                self.left_out.overflowed += 1;
                continue;
            }
            let busy = bucket.agents.entry(agent.clone()).or_default();
            *busy = (*busy + after.saturating_sub(before)).saturating_sub(before.saturating_sub(after));
        }
        self.changes += 1;
    }

    /// Measurements since this was last asked.
    pub fn take_changes(&mut self) -> usize {
        std::mem::take(&mut self.changes)
    }

    /// What a writer has not written, oldest first.
    pub fn unwritten(&self, Writer(writer): Writer) -> Vec<Snapshot> {
        let of_it = |bucket: &Bucket| bucket.written.get(writer).is_some_and(|written| *written < bucket.sequence);
        let unwritten = self.kept.iter().filter(|(_, bucket)| of_it(bucket));
        unwritten.map(|(key, bucket)| bucket.snapshot(*key)).collect()
    }

    /// A writer has written a snapshot.
    pub fn written(&mut self, Writer(writer): Writer, snapshot: &Snapshot) {
        let key = (snapshot.period, snapshot.start.as_seconds());
        let bucket = self.kept.get_mut(&key).filter(|bucket| bucket.part == snapshot.part);
        if let Some(written) = bucket.and_then(|bucket| bucket.written.get_mut(writer)) {
            *written = snapshot.sequence.max(*written);
        }
    }

    /// What a writer has written may be gone: everything that is still here is to be written once more.
    pub fn write_again(&mut self, Writer(writer): Writer) {
        self.kept.values_mut().filter_map(|bucket| bucket.written.get_mut(writer)).for_each(|written| *written = 0);
    }

    /// Lets time pass: what is written and can hardly change any more is forgotten, and what nobody wants any more.
    pub(super) fn tick(&mut self, now: Timestamp) {
        let (forgotten, left_out) = (&mut self.forgotten, &mut self.left_out);
        self.kept.retain(|(period, start), bucket| {
            let end = period.end(Timestamp::from_micros(start.saturating_mul(1_000_000)));
            let is_written = bucket.written.iter().all(|written| *written == bucket.sequence);
            if end.plus(period.kept()) <= now {
                left_out.unwritten += u64::from(!is_written);
                return false;
            }
            let rests = end.max(bucket.changed).plus(Buckets::LINGER) <= now;
            if rests && is_written {
                *forgotten.entry((*period, *start)).or_default() += 1;
            }
            !(rests && is_written)
        });
        forgotten.retain(|(period, start), _| {
            period.end(Timestamp::from_micros(start.saturating_mul(1_000_000))).plus(period.kept()) > now
        });
    }

    /// What was left out so far.
    pub fn left_out(&self) -> LeftOutOfBuckets {
        self.left_out
    }

    /// The bucket of a time, about to be changed. There are as many as there are hours and days worth keeping.
    fn bucket(&mut self, period: Period, at: Timestamp, now: Timestamp) -> Option<&mut Bucket> {
        let start = period.start(at);
        if period.end(start).plus(period.kept()) <= now {
            self.left_out.too_late += 1;
            return None;
        }
        let key = (period, start.as_seconds());
        let part = self.forgotten.get(&key).copied().unwrap_or(0);
        let new = || Bucket {
            sums: Sums::default(),
            features: HashMap::default(),
            agents: HashMap::default(),
            part,
            sequence: 0,
            changed: now,
            written: vec![0; self.writers],
        };
        let bucket = self.kept.entry(key).or_insert_with(new);
        bucket.sequence += 1;
        bucket.changed = now;
        Some(bucket)
    }
}

fn feature_of<'n>(rows: &[(Dimension, Option<&'n Name>)]) -> Option<&'n Name> {
    rows.iter().find_map(|(dimension, name)| name.filter(|_| *dimension == Dimension::Feature))
}

impl Pieces {
    /// Of a time that holds all that is about to change; `within` says how many microseconds of a time are busy.
    pub(super) fn of(
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
        within: impl Fn(Timestamp, Timestamp) -> u64,
    ) -> Pieces {
        let (mut pieces, mut too_late, to) = (Vec::new(), 0, to.not_ahead_of(now));
        for period in Period::ALL {
            let oldest = now.minus(period.kept());
            too_late += u64::from(from < oldest);
            let mut begin = from.max(oldest);
            while begin < to {
                let end = period.end(period.start(begin)).min(to);
                pieces.push((period, begin, end, within(begin, end)));
                begin = end;
            }
        }
        Pieces { pieces, too_late }
    }
}

impl Period {
    /// Both.
    pub const ALL: [Period; 2] = [Period::Hour, Period::Day];

    /// How long it is.
    pub const fn length(self) -> Duration {
        match self {
            Period::Hour => Duration::from_secs(3600),
            Period::Day => Duration::from_secs(24 * 3600),
        }
    }

    /// How long after its end it is kept: hours for a week, days for thirty days.
    pub const fn kept(self) -> Duration {
        match self {
            Period::Hour => Duration::from_secs(7 * 24 * 3600),
            Period::Day => Duration::from_secs(30 * 24 * 3600),
        }
    }

    fn start(self, at: Timestamp) -> Timestamp {
        let length = self.length().as_secs() as i64;
        Timestamp::from_micros((at.as_seconds().div_euclid(length) * length).saturating_mul(1_000_000))
    }

    fn end(self, start: Timestamp) -> Timestamp {
        start.plus(self.length())
    }
}

impl Snapshot {
    /// The bucket's name, as `hourly:2025-10-14T14:00:00` and `daily:2025-10-14`.
    pub fn name(&self) -> String {
        match self.period {
            Period::Hour => {
                let written = self.start.to_rfc3339();
                format!("hourly:{}", String::from_utf8_lossy(&written[..19]))
            }
            Period::Day => format!("daily:{}", self.start.date()),
        }
    }

    /// When nobody needs it any more.
    pub fn expires(&self) -> Timestamp {
        self.period.end(self.start).plus(self.period.kept())
    }
}

impl Bucket {
    fn snapshot(&self, (period, start): Key) -> Snapshot {
        let mut json = Vec::new();
        let mut object = JsonObject::begin(&mut json);
        object.u64("seq", self.sequence);
        write_sums(object.key("sums"), &self.sums);
        let mut features = JsonObject::begin(object.key("features"));
        self.features.iter().for_each(|(name, sums)| write_sums(features.key(name), sums));
        features.end();
        let mut agents = JsonObject::begin(object.key("agents"));
        self.agents.iter().for_each(|(name, busy)| agents.u64(name, *busy));
        agents.end();
        object.end();
        Snapshot {
            period,
            start: Timestamp::from_micros(start.saturating_mul(1_000_000)),
            part: self.part,
            sequence: self.sequence,
            sums: String::from_utf8_lossy(&json).into_owned(),
        }
    }
}

/// The sums that are not 0.
fn write_sums(out: &mut Vec<u8>, sums: &Sums) {
    let mut object = JsonObject::begin(out);
    let usd_and_seconds = [
        ("cost_usd", sums.cost_usd),
        ("task_cost_usd", sums.task_cost_usd),
        ("task_seconds", sums.task_seconds),
        ("human_wait_seconds", sums.human_wait_seconds),
    ];
    usd_and_seconds.into_iter().filter(|(_, sum)| *sum != 0.0).for_each(|(name, sum)| object.f64(name, sum));
    let counts = [
        ("unpriced_calls", sums.unpriced_calls),
        ("input_tokens", sums.input_tokens),
        ("output_tokens", sums.output_tokens),
        ("runs", sums.runs),
        ("errors", sums.errors),
        ("tasks", sums.tasks),
        ("attempted_tasks", sums.attempted_tasks),
        ("retries", sums.retries),
        ("approved", sums.approved),
        ("rejected", sums.rejected),
        ("passed", sums.passed),
        ("validated", sums.validated),
        ("escalations", sums.escalations),
        ("human_waits", sums.human_waits),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).for_each(|(name, count)| object.u64(name, count));
    object.end();
}

#[cfg(test)]
mod tests {
    use super::super::intervals::Intervals;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// A Tuesday, 14:20 UTC.
    const NOW: Timestamp = Timestamp::from_micros(1_760_451_600_000_000);

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    fn sums(snapshot: &Snapshot) -> Value {
        serde_json::from_str(&snapshot.sums).unwrap()
    }

    /// Adds a time, as whoever knows the other times does.
    fn busy(
        buckets: &mut Buckets,
        agent: &str,
        (from, to): (Timestamp, Timestamp),
        known: &mut Intervals,
        now: Timestamp,
    ) {
        let pieces = Pieces::of((from, to), now, |from, to| known.within(from, to));
        known.add(from, to, now);
        buckets.busy(&agent.into(), &pieces, now, |from, to| known.within(from, to));
    }

    #[test]
    fn an_hour_and_a_day_have_what_happened_in_them() {
        let mut buckets = Buckets::default();
        let writer = buckets.writer();
        let (checkout, scribe): (Name, Name) = ("checkout".into(), "scribe".into());
        let rows = [(Dimension::Feature, Some(&checkout)), (Dimension::Agent, Some(&scribe))];
        buckets.add(NOW.minus(hours(1)), &rows, NOW, |sums| sums.cost_usd += 0.5);
        buckets.add(NOW.plus(hours(9000)), &[], NOW, |sums| sums.runs += 1);
        // From 13:50 to 14:20, and once more a part of it.
        let mut known = Intervals::default();
        busy(&mut buckets, "scribe", (NOW.minus(hours(1) / 2), NOW), &mut known, NOW);
        busy(&mut buckets, "scribe", (NOW.minus(hours(1) / 4), NOW), &mut known, NOW);
        assert_eq!((buckets.take_changes(), buckets.take_changes()), (4, 0));
        let unwritten = buckets.unwritten(writer);
        let names: Vec<String> = unwritten.iter().map(Snapshot::name).collect();
        assert_eq!(names, ["hourly:2025-10-14T13:00:00", "hourly:2025-10-14T14:00:00", "daily:2025-10-14"]);
        let read: Vec<Value> = unwritten.iter().map(sums).collect();
        let feature = json!({"checkout": {"cost_usd": 0.5}});
        let minutes = |minutes: u64| json!({"scribe": minutes * 60_000_000});
        assert_eq!(read[0], json!({"seq": 2, "sums": {"cost_usd": 0.5}, "features": feature, "agents": minutes(10)}));
        assert_eq!(read[1], json!({"seq": 2, "sums": {"runs": 1}, "features": {}, "agents": minutes(20)}));
        let day = json!({"cost_usd": 0.5, "runs": 1});
        assert_eq!(read[2], json!({"seq": 3, "sums": day, "features": feature, "agents": minutes(30)}));
        let expires: Vec<String> = unwritten.iter().map(|bucket| bucket.expires().date()).collect();
        assert_eq!(expires, ["2025-10-21", "2025-10-21", "2025-11-14"]);
    }

    #[test]
    fn what_is_written_is_forgotten_in_time_and_begins_anew_as_another_part() {
        let mut buckets = Buckets::default();
        let writers = [buckets.writer(), buckets.writer()];
        let count = |buckets: &mut Buckets, now| buckets.add(NOW, &[], now, |sums| sums.runs += 1);
        count(&mut buckets, NOW);
        for snapshot in buckets.unwritten(writers[0]) {
            buckets.written(writers[0], &snapshot);
        }
        assert!(buckets.unwritten(writers[0]).is_empty());
        let later = NOW.plus(hours(24));
        buckets.tick(later);
        assert_eq!(buckets.kept.len(), 2, "the other has written nothing yet");
        for snapshot in buckets.unwritten(writers[1]) {
            buckets.written(writers[1], &snapshot);
        }
        buckets.write_again(writers[1]);
        assert_eq!(buckets.unwritten(writers[1]).len(), 2);
        for snapshot in buckets.unwritten(writers[1]) {
            buckets.written(writers[1], &snapshot);
        }
        buckets.tick(later);
        assert!(buckets.kept.is_empty());
        count(&mut buckets, later);
        let again = &buckets.unwritten(writers[0])[0];
        assert_eq!((again.part, again.sequence, &sums(again)["sums"]), (1, 1, &json!({"runs": 1})));
        // Nobody wants them any more, and nobody has written them.
        buckets.tick(NOW.plus(hours(24 * 40)));
        assert_eq!((buckets.kept.len(), buckets.forgotten.len(), buckets.left_out().unwritten), (0, 0, 2));
    }

    #[test]
    fn neither_times_nor_names_make_it_grow_without_bounds() {
        let mut buckets = Buckets::default();
        for number in 0..1500_u64 {
            let (name, at) = (number.to_string().into(), NOW.minus(hours(number)));
            buckets.add(at, &[(Dimension::Feature, Some(&name))], NOW, |sums| sums.runs += 1);
            busy(&mut buckets, &number.to_string(), (NOW.minus(hours(900)), NOW), &mut Intervals::default(), NOW);
        }
        assert!(buckets.kept.len() <= 7 * 24 + 30 + 2, "{}", buckets.kept.len());
        assert!(buckets.kept.values().all(|bucket| bucket.agents.len() <= 1000 && bucket.features.len() <= 1001));
        let left_out = buckets.left_out();
        assert!(left_out.too_late > 1000 && left_out.overflowed > 1000, "{left_out:?}");
    }

    proptest! {
        /// However busy times fall, what hours say of a day is what the day says.
        #[test]
        fn hours_add_up_to_days(times in proptest::collection::vec((0u64..60 * 86_400, 1u64..9000), 1..30)) {
            let mut buckets = Buckets::default();
            let writer = buckets.writer();
            let (now, mut known) = (NOW.plus(hours(24)), Intervals::default());
            for (ago, length) in times {
                let from = NOW.minus(Duration::from_secs(ago % (5 * 86_400)));
                busy(&mut buckets, "a", (from, from.plus(Duration::from_secs(length))), &mut known, now);
            }
            let (mut by_hour, mut by_day) = (BTreeMap::new(), BTreeMap::new());
            for snapshot in buckets.unwritten(writer) {
                let busy = sums(&snapshot)["agents"]["a"].as_u64().unwrap();
                let of = if snapshot.period == Period::Day { &mut by_day } else { &mut by_hour };
                *of.entry(snapshot.start.date()).or_insert(0) += busy;
            }
            prop_assert_eq!(by_hour.values().sum::<u64>(), known.within(NOW.minus(hours(900)), now));
            prop_assert_eq!(by_hour, by_day);
        }
    }
}
