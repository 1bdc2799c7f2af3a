//! Counters and histograms with a bounded number of series.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::snapshot::{Bucket, Counted, Exemplar, Family, FamilyKind, Series, Value};
use crate::derive::Name;
use crate::event::Timestamp;

/// What a metric is called and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The OTel name.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
}

/// Something that only grows, by `N` attributes.
#[derive(Debug)]
pub struct Counter<const N: usize>(Table<N, f64>);

/// A distribution, by `N` attributes.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    table: Table<N, Distribution>,
    bounds: &'static [f64],
}

/// The value of an attribute: one of a few words, or a name. An empty one is absent.
#[derive(Clone, Copy, Debug)]
pub enum Label<'a> {
    /// A word of ours.
    Word(&'static str),
    /// A name from outside, mostly the very copy that the series has already.
    Name(&'a Name),
}

/// The values of `N` attributes.
#[derive(Debug)]
struct Labels<const N: usize>([Kept; N]);

#[derive(Clone, Debug)]
enum Kept {
    Word(&'static str),
    Name(Name),
}

/// The same, borrowed, so that finding a series allocates nothing.
struct Query<'a, const N: usize>([Label<'a>; N]);

#[derive(Debug)]
struct Table<const N: usize, T> {
    description: Description,
    keys: [&'static str; N],
    series: Vec<(Labels<N>, State<T>)>,
    /// Where in `series` each is, by its labels.
    places: HashTable<u32>,
    hasher: RandomState,
    /// Where those are that were counted in last, by where the texts of their labels lie: names are shared, so that most
    /// are found without reading any.
    recent: [u32; RECENT],
    /// What came when there was no room for another series.
    overflow: Option<State<T>>,
    overflowed: u64,
    /// What is no amount, and was not counted.
    invalid: u64,
    limit: usize,
}

/// Many times what a busy program counts in at a time, so that hardly two have one place; a power of two.
const RECENT: usize = 256;

#[derive(Debug)]
struct State<T> {
    value: T,
    /// Series that were forgotten begin again from nothing, so each has a beginning of its own.
    began: Timestamp,
    used: Timestamp,
}

#[derive(Clone, Debug)]
struct Distribution {
    count: u64,
    sum: f64,
    buckets: Vec<(u64, Option<Exemplar>)>,
}

impl<const N: usize> Counter<N> {
    /// A counter without series.
    pub fn new(description: Description, keys: [&'static str; N], limit: usize) -> Counter<N> {
        Counter(Table::new(description, keys, limit))
    }

    /// Counts `amount` more. What would take something away or leave no number is left out: nothing that comes
    /// later could make the series right again.
    pub fn add(&mut self, labels: [Label<'_>; N], amount: f64, now: Timestamp) {
        if !is_amount(amount) {
            self.0.invalid += 1;
            return;
        }
        let total = self.0.find(labels, now, || 0.0);
        match *total + amount {
            sum if sum.is_finite() => *total = sum,
            _ => self.0.invalid += 1,
        }
    }

    /// Its series now.
    pub fn counted(&self) -> Counted {
        self.0.counted(FamilyKind::Counter, |total| Value::Number(*total))
    }

    /// Forgets series that have been idle since `since`.
    pub fn expire(&mut self, since: Timestamp) {
        self.0.expire(since);
    }

    /// How often there was no room for another series.
    pub fn overflowed(&self) -> u64 {
        self.0.overflowed
    }

    /// How often it was given what is no amount.
    pub fn invalid(&self) -> u64 {
        self.0.invalid
    }
}

impl<const N: usize> Histogram<N> {
    /// A histogram without series; `bounds` are the upper bounds of all buckets but the last.
    pub fn new(
        description: Description,
        keys: [&'static str; N],
        bounds: &'static [f64],
        limit: usize,
    ) -> Histogram<N> {
        Histogram { table: Table::new(description, keys, limit), bounds }
    }

    /// Counts a value, as [`Counter::add`] does. The exemplar says of which span it is.
    pub fn record(&mut self, labels: [Label<'_>; N], value: f64, exemplar: Option<Exemplar>, now: Timestamp) {
        if !is_amount(value) {
            self.table.invalid += 1;
            return;
        }
        let empty = || Distribution { count: 0, sum: 0.0, buckets: vec![(0, None); self.bounds.len() + 1] };
        let distribution = self.table.find(labels, now, empty);
        let exemplar = exemplar.map(|exemplar| Exemplar { value, ..exemplar });
        if !(distribution.sum + value).is_finite() {
            self.table.invalid += 1;
            return;
        }
        distribution.count += 1;
        distribution.sum += value;
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some((count, example)) = distribution.buckets.get_mut(bucket) {
            *count += 1;
            *example = exemplar.or(*example);
        }
    }

    /// Its series now.
    pub fn counted(&self) -> Counted {
        self.table.counted(FamilyKind::Histogram, |distribution| {
            let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
            let buckets = bounds.zip(&distribution.buckets);
            Value::Histogram {
                count: distribution.count,
                sum: Some(distribution.sum),
                buckets: buckets
                    .map(|(bound, (count, exemplar))| Bucket { bound, count: *count, exemplar: *exemplar })
                    .collect(),
            }
        })
    }

    /// Forgets series that have been idle since `since`.
    pub fn expire(&mut self, since: Timestamp) {
        self.table.expire(since);
    }

    /// How often there was no room for another series.
    pub fn overflowed(&self) -> u64 {
        self.table.overflowed
    }

    /// How often it was given what is no amount.
    pub fn invalid(&self) -> u64 {
        self.table.invalid
    }
}

impl<const N: usize, T> Table<N, T> {
    fn new(description: Description, keys: [&'static str; N], limit: usize) -> Table<N, T> {
        Table {
            description,
            keys,
            series: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::default(),
            recent: [0; RECENT],
            overflow: None,
            overflowed: 0,
            invalid: 0,
            limit,
        }
    }

    fn find(&mut self, labels: [Label<'_>; N], now: Timestamp, empty: impl Fn() -> T) -> &mut T {
        let query = Query(labels);
        let begin = || State { value: empty(), began: now, used: now };
        let recent = query.where_it_lies() % RECENT;
        let mut place = self.recent[recent] as usize;
        if !self.series.get(place).is_some_and(|(labels, _)| query.is_the_very(labels)) {
            let Some(found) = self.find_or_begin(&query, begin) else {
                self.overflowed += 1;
                return &mut self.overflow.get_or_insert_with(begin).value;
            };
            self.recent[recent] = found;
            place = found as usize;
        }
        let state = &mut self.series[place].1;
        state.used = now;
        &mut state.value
    }

    /// The place of a series, which begins with this if there is none; nothing if there is no room for it.
    fn find_or_begin(&mut self, query: &Query<'_, N>, begin: impl Fn() -> State<T>) -> Option<u32> {
        let hash = self.hasher.hash_one(query);
        let known = self.places.find(hash, |place| query.is_as(&self.series[*place as usize].0));
        if known.is_some() || self.series.len() >= self.limit {
            return known.copied();
        }
        let place = self.series.len() as u32;
        self.series.push((Labels::from(query), begin()));
        let (series, hasher) = (&self.series, &self.hasher);
        self.places.insert_unique(hash, place, |place| hasher.hash_one(&series[*place as usize].0));
        Some(place)
    }

    fn expire(&mut self, since: Timestamp) {
        self.series.retain(|(_, state)| state.used >= since);
        self.places.clear();
        let (series, hasher) = (&self.series, &self.hasher);
        let hash = |place: &u32| hasher.hash_one(&series[*place as usize].0);
        for place in 0..series.len() as u32 {
            self.places.insert_unique(hash(&place), place, hash);
        }
    }

    fn counted(&self, kind: FamilyKind, value: impl Fn(&T) -> Value) -> Counted {
        let named = |labels: &Labels<N>| {
            let pairs = self.keys.iter().zip(&labels.0).filter(|(_, label)| !label.as_str().is_empty());
            pairs.map(|(key, label)| (Name::from(*key), Name::from(label.as_str()))).collect()
        };
        let show = |attributes, state: &State<T>| (Series { attributes, value: value(&state.value) }, state.began);
        let mut series: Vec<(Series, Timestamp)> =
            self.series.iter().map(|(labels, state)| show(named(labels), state)).collect();
        series.sort_by(|(a, _), (b, _)| a.attributes.cmp(&b.attributes));
        let overflow = || vec![("otel.metric.overflow".into(), "true".into())];
        series.extend(self.overflow.iter().map(|state| show(overflow(), state)));
        let (series, began) = series.into_iter().unzip();
        let family = Family {
            name: self.description.name.into(),
            unit: self.description.unit.into(),
            help: self.description.help.into(),
            kind,
            series,
        };
        Counted { family, began }
    }
}

/// Whether something can be added to what only grows.
pub fn is_amount(amount: f64) -> bool {
    amount >= 0.0 && amount.is_finite()
}

// === impl Label, Labels, Query ===

impl<'a> Label<'a> {
    /// The value.
    pub fn as_str(self) -> &'a str {
        match self {
            Label::Word(word) => word,
            Label::Name(name) => name,
        }
    }
}

impl From<&'static str> for Label<'_> {
    fn from(word: &'static str) -> Self {
        Label::Word(word)
    }
}

impl<'a> From<&'a Name> for Label<'a> {
    fn from(name: &'a Name) -> Self {
        Label::Name(name)
    }
}

impl<'a> From<&'a Option<Name>> for Label<'a> {
    fn from(name: &'a Option<Name>) -> Self {
        name.as_ref().map_or(Label::Word(""), Label::Name)
    }
}

impl Kept {
    fn as_str(&self) -> &str {
        match self {
            Kept::Word(word) => word,
            Kept::Name(name) => name,
        }
    }
}

impl<const N: usize> Hash for Labels<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|label| label.as_str().hash(state));
    }
}

impl<const N: usize> Hash for Query<'_, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|label| label.as_str().hash(state));
    }
}

impl<const N: usize> Query<'_, N> {
    /// A number made of where the texts lie, which is the same for the same copies of them.
    #[inline]
    fn where_it_lies(&self) -> usize {
        const FACTOR: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
        let mix = |sum: usize, label: &Label<'_>| (sum ^ label.as_str().as_ptr().addr()).wrapping_mul(FACTOR);
        self.0.iter().fold(0, mix) >> (usize::BITS / 2)
    }

    /// Whether these are the same copies.
    #[inline]
    fn is_the_very(&self, labels: &Labels<N>) -> bool {
        self.0.iter().zip(&labels.0).all(|(own, kept)| std::ptr::eq(own.as_str(), kept.as_str()))
    }

    fn is_as(&self, labels: &Labels<N>) -> bool {
        self.0.iter().zip(&labels.0).all(|(own, kept)| own.as_str() == kept.as_str())
    }
}

impl<const N: usize> From<&Query<'_, N>> for Labels<N> {
    fn from(query: &Query<'_, N>) -> Labels<N> {
        Labels(query.0.map(|label| match label {
            Label::Word(word) => Kept::Word(word),
            Label::Name(name) => Kept::Name(name.clone()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: Description = Description { name: "test.metric", unit: "s", help: "A test." };

    #[test]
    fn series_are_bounded_and_the_overflow_is_counted() {
        let mut counter = Counter::new(DESCRIPTION, ["agent"], 3);
        for agent in ["a", "b", "c", "d", "e", "a"] {
            counter.add([agent.into()], 1.0, Timestamp::default());
        }
        let family = counter.counted().family;
        let overflow = family.series.last().unwrap();
        assert_eq!(family.series.len(), 4);
        assert_eq!(*overflow.attributes[0].0, *"otel.metric.overflow");
        assert_eq!(overflow.value, Value::Number(2.0));
        assert_eq!(counter.overflowed(), 2);
    }

    #[test]
    fn an_empty_label_is_absent_and_idle_series_expire() {
        let mut counter = Counter::new(DESCRIPTION, ["agent", "feature"], 10);
        counter.add(["a".into(), "".into()], 1.0, Timestamp::from_micros(1));
        counter.add(["b".into(), "f".into()], 1.0, Timestamp::from_micros(5));
        assert_eq!(counter.counted().family.series[0].attributes, [("agent".into(), "a".into())]);
        counter.expire(Timestamp::from_micros(2));
        assert_eq!(counter.counted().family.series.len(), 1);
    }

    #[test]
    fn a_series_that_was_forgotten_begins_again() {
        let mut counter = Counter::new(DESCRIPTION, ["agent"], 10);
        let at = Timestamp::from_micros;
        counter.add(["a".into()], 5.0, at(1));
        counter.add(["b".into()], 1.0, at(2));
        counter.add(["b".into()], 1.0, at(7));
        assert_eq!(counter.counted().began, [at(1), at(2)]);
        counter.expire(at(5));
        counter.add(["a".into()], 3.0, at(9));
        assert_eq!(counter.counted().began, [at(9), at(2)]);
        assert_eq!(counter.counted().family.series[0].value, Value::Number(3.0));
    }

    #[test]
    fn what_is_no_amount_spoils_nothing() {
        let mut counter = Counter::new(DESCRIPTION, [], 10);
        let mut histogram = Histogram::new(DESCRIPTION, [], &[1.0], 10);
        for value in [1.0, f64::NAN, f64::INFINITY, -1.0, f64::MAX, f64::MAX] {
            counter.add([], value, Timestamp::default());
            histogram.record([], value, None, Timestamp::default());
        }
        assert_eq!((counter.invalid(), histogram.invalid()), (4, 4));
        assert_eq!(counter.counted().family.series[0].value, Value::Number(f64::MAX));
        let Value::Histogram { count, sum, .. } = histogram.counted().family.series[0].value else { panic!() };
        assert_eq!((count, sum), (2, Some(f64::MAX)));
    }

    #[test]
    fn a_value_on_a_bound_is_in_the_bucket_below() {
        let mut histogram = Histogram::new(DESCRIPTION, [], &[1.0, 2.0], 10);
        for value in [0.5, 1.0, 1.5, 2.0, 3.0] {
            histogram.record([], value, None, Timestamp::default());
        }
        let Value::Histogram { count, buckets, .. } = &histogram.counted().family.series[0].value else { panic!() };
        assert_eq!((*count, buckets.iter().map(|b| b.count).collect::<Vec<_>>()), (5, vec![2, 2, 1]));
    }
}
