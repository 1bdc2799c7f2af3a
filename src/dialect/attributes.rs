//! The attributes of one span or log record that some dialect reads, found by number.

use std::borrow::Cow;
use std::cell::Cell;

use super::fields::Fillable;
use super::lexicon::{Known, Lexicon, Marks};
use crate::otlp::view::{AnyValue, KeyValue, Span, Text};
use crate::semconv::Key;

/// The known attributes of one record. Reused from record to record, so that reading one allocates nothing.
#[derive(Debug)]
pub struct Attributes<'a> {
    /// Not beside their keys: as a pair each would be put together first and then read in pieces that it was not written in,
    /// for which processors wait.
    values: Vec<AnyValue<'a>>,
    /// The key of each, by which it is forgotten.
    keys: Vec<Key>,
    /// For each key the place of its value, from 1; 0 is absent. One look tells whether an attribute is there,
    /// which most of those that are asked for are not.
    places: [u8; Attributes::KEYS],
    /// What their names say, of all together.
    known: Known,
    habits: Habits,
    /// What the last texts of each key say, in places that some share: a model or an agent is mostly the same as before, and
    /// to see that costs less than to find out once more that it is text.
    said: [Cell<&'a str>; Attributes::SAID],
    /// Where the next name is expected: it is made of those before it.
    path: u64,
}

/// The names that came last, each where it came: the SDKs write those of one kind of work in one order, so that nearly
/// every name is where it was, and need not be looked up. Kept from record to record, for one lexicon.
#[derive(Debug, Default)]
pub struct Habits(Box<[Habit]>);

/// A name, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Habit {
    name: [u8; Habit::LONGEST],
    len: u8,
    key: Option<Key>,
    known: Known,
}

impl<'a> Attributes<'a> {
    /// More keys than all dialects and a configuration have; what is beyond is not read.
    const KEYS: usize = 1024;
    const SAID: usize = 256;
    /// Of one record.
    const MOST: usize = u8::MAX as usize;

    /// None yet.
    pub fn new() -> Attributes<'a> {
        Attributes::with(Habits::default())
    }

    /// None yet, whose names are expected as they came before.
    pub fn with(habits: Habits) -> Attributes<'a> {
        Attributes {
            values: Vec::with_capacity(32),
            keys: Vec::with_capacity(32),
            places: [0; Attributes::KEYS],
            known: Known::default(),
            habits,
            said: [const { Cell::new("") }; Attributes::SAID],
            path: 0,
        }
    }

    /// How their names came, for those that come next.
    pub fn into_habits(self) -> Habits {
        self.habits
    }

    /// Forgets those of the last record.
    #[inline]
    pub fn clear(&mut self) {
        for key in self.keys.drain(..) {
            self.places[key.index()] = 0;
        }
        self.values.clear();
        self.known = Known::default();
        self.path = 0;
    }

    /// Takes an attribute if anyone reads it, and what its name is a sign of. Of several with one key the last
    /// counts, as for SDKs.
    #[inline(always)]
    pub fn take(&mut self, lexicon: &Lexicon, attribute: KeyValue<'a>) {
        let (key, known) = self.look_up(lexicon, attribute.key.as_bytes());
        // What is empty says nothing, not even whose it is.
        if matches!(attribute.value, AnyValue::Empty) {
            self.known = self.known.and(known.only_whether_gen_ai());
            return;
        }
        self.known = self.known.and(known);
        if let Some(key) = key {
            self.put(key, attribute.value);
        }
    }

    /// The same of an attribute of a span of this name: spans that are called alike have the same attributes.
    #[inline(always)]
    pub fn take_of(&mut self, span: Text<'_>, lexicon: &Lexicon, attribute: KeyValue<'a>) {
        if self.path == 0 {
            self.path = Habits::begin(span.as_bytes());
        }
        self.take(lexicon, attribute);
    }

    #[inline]
    fn look_up(&mut self, lexicon: &Lexicon, name: &[u8]) -> (Option<Key>, Known) {
        let place = (self.path >> (u64::BITS - Habits::BITS)) as usize;
        let Some(habit) = self.habits.0.get_mut(place) else { return lexicon.look_up(name) };
        if !is_same(habit.name(), name) {
            let (key, known) = lexicon.look_up(name);
            if !habit.take(name, key, known) {
                return (key, known);
            }
        }
        let passed = habit.key.map_or(name.len(), |key| key.index() + 1);
        self.path = (self.path ^ passed as u64).wrapping_mul(Habits::FACTOR);
        (habit.key, habit.known)
    }

    #[inline]
    fn put(&mut self, key: Key, value: AnyValue<'a>) {
        let Some(place) = self.places.get_mut(key.index()) else { return };
        if let Some(known) = self.values.get_mut(usize::from(*place).wrapping_sub(1)) {
            *known = value;
        } else if self.values.len() < Attributes::MOST {
            self.values.push(value);
            self.keys.push(key);
            *place = self.values.len() as u8;
        }
    }

    /// These attributes, and of those keys what events of the span say last.
    pub fn told_by(&self, span: &Span<'a>, keys: &[Key]) -> Attributes<'a> {
        let mut known = self.known;
        known.fillable = known.fillable.and(Fillable::ALL);
        let mut all = Attributes {
            values: self.values.clone(),
            keys: self.keys.clone(),
            places: self.places,
            known,
            habits: Habits::default(),
            said: self.said.clone(),
            path: 0,
        };
        for attribute in span.events().flat_map(|event| event.attributes()) {
            let key = keys.iter().find(|key| attribute.key == *key.name());
            if let Some(key) = key.filter(|_| attribute.value != AnyValue::Empty) {
                all.put(*key, attribute.value);
            }
        }
        all
    }

    /// Whether there is none that anyone reads.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether any key at all begins with `gen_ai.`.
    pub fn has_gen_ai(&self) -> bool {
        self.known.is_gen_ai()
    }

    /// Whether any may hold a piece of a message that is spread over many.
    pub fn has_numbered(&self) -> bool {
        self.known.is_numbered()
    }

    /// Whether any is a dimension of metrics by the configuration.
    #[inline]
    pub fn has_dimensions(&self) -> bool {
        self.known.fillable.holds(Fillable::DIMENSION)
    }

    /// What their names are signs of.
    #[inline]
    pub fn marks(&self) -> Marks {
        self.known.marks
    }

    /// What they may say: of all else they say nothing.
    #[inline]
    pub(super) fn fillable(&self) -> Fillable {
        self.known.fillable
    }

    /// Whether the attribute is there.
    #[inline]
    pub fn has(&self, key: Key) -> bool {
        self.places.get(key.index()).is_some_and(|place| *place > 0)
    }

    /// Whether any of them is there.
    pub fn has_any(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.has(*key))
    }

    /// The value of an attribute.
    #[inline]
    pub fn get(&self, key: Key) -> Option<AnyValue<'a>> {
        let place = usize::from(*self.places.get(key.index())?);
        self.values.get(place.wrapping_sub(1)).copied()
    }

    #[inline]
    fn as_str(&self, key: Key, text: Text<'a>) -> &'a str {
        // Models and tools take turns, and are mostly of another length.
        let said = &self.said[(key.index() ^ text.as_bytes().len() << 3) % Attributes::SAID];
        if !is_same(said.get().as_bytes(), text.as_bytes()) {
            said.set(text.as_str());
        }
        said.get()
    }

    /// The first text that is not empty, of keys in order of preference.
    pub fn text(&self, keys: &[Key]) -> Option<&'a str> {
        keys.iter().find_map(|key| {
            let text = self.as_str(*key, self.get(*key)?.text()?);
            if is_plain(text) {
                return Some(text);
            }
            let text = unquoted(text.trim());
            (!text.is_empty() && !is_redacted(text)).then_some(text)
        })
    }

    /// The first scalar as text: some emitters send ids as numbers.
    pub fn label(&self, keys: &[Key]) -> Option<Cow<'a, str>> {
        keys.iter().find_map(|key| match self.get(*key)? {
            AnyValue::String(text) if !text.is_empty() => Some(Cow::Borrowed(unquoted(self.as_str(*key, text)))),
            AnyValue::Int(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        })
    }

    /// The first count: integers may come as strings or doubles; negative ones mean "unknown" and are none.
    #[inline]
    pub fn count(&self, keys: &[Key]) -> Option<u64> {
        keys.iter().find_map(|key| match self.get(*key)? {
            AnyValue::Int(number) => u64::try_from(number).ok(),
            AnyValue::Double(number) => (number >= 0.0 && number.is_finite()).then_some(number as u64),
            AnyValue::String(text) => {
                let text = text.as_str().trim();
                text.parse().ok().or_else(|| {
                    text.parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite()).map(|n| n as u64)
                })
            }
            _ => None,
        })
    }

    /// The first finite number that is not negative: what is measured in durations and costs is neither.
    pub fn amount(&self, keys: &[Key]) -> Option<f64> {
        keys.iter().find_map(|key| {
            let number = match self.get(*key)? {
                AnyValue::Int(number) => Some(number as f64),
                AnyValue::Double(number) => Some(number),
                AnyValue::String(text) => text.as_str().trim().parse().ok(),
                _ => None,
            };
            number.filter(|number: &f64| number.is_finite() && *number >= 0.0)
        })
    }

    /// The first truth value, which may come as text.
    pub fn truth(&self, keys: &[Key]) -> Option<bool> {
        keys.iter().find_map(|key| match self.get(*key)? {
            AnyValue::Bool(truth) => Some(truth),
            AnyValue::String(text) => match text.as_str() {
                "true" | "True" => Some(true),
                "false" | "False" => Some(false),
                _ => None,
            },
            _ => None,
        })
    }
}

impl Habits {
    /// So many places that what is expected in one hardly ever pushes out what is in another: a few kinds of spans with some ten
    /// names each are usual.
    const BITS: u32 = 10;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    /// None yet.
    pub fn new() -> Habits {
        Habits(vec![Habit::NONE; 1 << Habits::BITS].into())
    }

    /// Where the first name of a span is expected: in one of 32 places, by how the span's name begins, so that names which are
    /// never the same share their expectations as well.
    #[inline]
    fn begin(span: &[u8]) -> u64 {
        let short = || span.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let begins = span.first_chunk().map_or_else(short, |begins| u64::from_le_bytes(*begins));
        (begins.wrapping_mul(Habits::FACTOR) >> 59 | 32).wrapping_mul(Habits::FACTOR)
    }
}

impl Habit {
    /// Hardly any name is longer. One that is, is looked up each time.
    const LONGEST: usize = 47;
    const NONE: Habit = Habit {
        name: [0; Habit::LONGEST],
        len: 0,
        key: None,
        known: Known { marks: Marks::NONE, fillable: Fillable::NONE },
    };

    #[inline]
    fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Takes another name on; whether it is short enough.
    fn take(&mut self, name: &[u8], key: Option<Key>, known: Known) -> bool {
        let Some(room) = self.name.get_mut(..name.len()) else { return false };
        room.copy_from_slice(name);
        (self.len, self.key, self.known) = (name.len() as u8, key, known);
        true
    }
}

impl Default for Attributes<'_> {
    fn default() -> Self {
        Attributes::new()
    }
}

/// Whether two texts are the same, by words of eight bytes or of four, the last of which overlaps the one before: most are so
/// short that a call would take longer.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() < 8 {
        let is_same_at_ends =
            a.first_chunk::<4>() == b.first_chunk::<4>() && a.last_chunk::<4>() == b.last_chunk::<4>();
        return is_same_at_ends && (a.len() >= 4 || a == b);
    }
    let mut words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    a.last_chunk::<8>() == b.last_chunk::<8>() && words.all(|(a, b)| a == b)
}

/// Whether a text is just what it says, as nearly all are: without blanks or quotes around it, and not withheld.
#[inline]
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.as_bytes().first().is_some_and(is_plain) && text.as_bytes().last().is_some_and(is_plain)
}

/// A text without the quotes that some emitters write around every one, because all their values are JSON.
fn unquoted(text: &str) -> &str {
    if is_plain(text) {
        return text;
    }
    let within = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    within.filter(|text| !text.contains(['"', '\\'])).unwrap_or(text)
}

/// What emitters write in place of content they were told to withhold.
pub fn is_redacted(text: &str) -> bool {
    text.starts_with(['<', '[']) && matches!(text, "<REDACTED>" | "[REDACTED]" | "<elided>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attribute_however_often_takes_the_place_of_no_other() {
        let mut attributes = Attributes::new();
        for number in 0..1000 {
            attributes.put(Key::GEN_AI_REQUEST_MODEL, AnyValue::Int(number));
        }
        attributes.put(Key::GEN_AI_RESPONSE_ID, AnyValue::Int(7));
        assert_eq!(attributes.get(Key::GEN_AI_REQUEST_MODEL), Some(AnyValue::Int(999)));
        assert_eq!(attributes.get(Key::GEN_AI_RESPONSE_ID), Some(AnyValue::Int(7)));
        attributes.clear();
        assert!(!attributes.has(Key::GEN_AI_REQUEST_MODEL) && attributes.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn texts_are_the_same_if_all_their_bytes_are(a in "[ab]{0,40}", at in 0_usize..40, more in "[ab]{0,2}") {
            let mut changed = a.clone().into_bytes();
            changed.extend(more.bytes());
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            proptest::prop_assert!(is_same(a.as_bytes(), a.as_bytes()));
            proptest::prop_assert_eq!(is_same(a.as_bytes(), &changed), a.as_bytes() == changed);
        }
    }

    #[test]
    fn names_are_the_same_whether_they_are_expected_or_not() {
        let lexicon = Lexicon::with([]);
        let long = "x".repeat(100);
        let names = ["gen_ai.request.model", "", "http.route", &long, "gen_ai.usage.input_tokens", "session.id"];
        let mut attributes = Attributes::with(Habits::new());
        for round in 0..names.len() * 3 {
            attributes.clear();
            let turned = names.iter().cycle().skip(round / 2).take(names.len());
            for name in turned {
                let (key, known) = attributes.look_up(&lexicon, name.as_bytes());
                let expected = lexicon.look_up(name.as_bytes());
                assert_eq!((key, known.marks, known.fillable), (expected.0, expected.1.marks, expected.1.fillable));
            }
        }
    }
}
