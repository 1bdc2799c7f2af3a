//! Which dialects the parts of a span speak for, worked out once for every name that any of them knows.
//!
//! Each dialect has a bit. While the attributes of a span are read, the bits of those that speak for a dialect are
//! collected, so that telling the dialect of a span is finding the first bit, however many dialects there are.

use std::sync::LazyLock;

use super::fields::Fillable;
use super::{DIALECTS, Spot};
use crate::semconv::{Key, KeyTable};

/// By what a span is known to be in a dialect. One sign is enough.
#[derive(Debug)]
pub struct Signs {
    /// Names of instrumentation scopes; one that ends in `*` stands for all that begin so.
    pub scopes: &'static [&'static str],
    /// What the names of spans begin with.
    pub names: &'static [&'static str],
    /// Attributes that only this dialect has.
    pub keys: &'static [Key],
    /// What the names of attributes begin with that only this dialect has.
    pub families: &'static [&'static str],
    /// Attributes of the resource, with their values.
    pub resource: &'static [(&'static str, &'static str)],
    /// What has to hold besides. Asked only where there is a sign.
    pub only_if: fn(&Spot<'_, '_>) -> bool,
}

/// Dialects, a bit each, in the order of [`DIALECTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

/// The names of attributes that are read, and what each of them is a sign of.
#[derive(Clone, Debug)]
pub struct Lexicon {
    names: KeyTable,
    /// By key. Those that a configuration adds are no signs, and fill nothing but dimensions.
    known: Vec<Known>,
    families: ByFirst,
    span_names: ByFirst,
}

/// What is known of the name of an attribute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// What it is a sign of.
    pub marks: Marks,
    /// What its value may be.
    pub fillable: Fillable,
}

/// What names begin with that say something without speaking for a dialect.
const OTHER_FAMILIES: [(&str, Known); 4] = [
    ("gen_ai.", Known::by_name(Fillable::GEN_AI)),
    ("gen_ai.prompt.", Known::by_name(Fillable::NUMBERED)),
    ("gen_ai.completion.", Known::by_name(Fillable::NUMBERED)),
    ("llm.", Known::by_name(Fillable::NUMBERED)),
];

/// Beginnings of words, found by their first letter.
#[derive(Clone, Debug)]
struct ByFirst {
    /// For each letter, where its beginnings are in `all`.
    places: [(u8, u8); 256],
    all: Vec<Beginning>,
}

/// What words begin with, and what they are known for.
#[derive(Clone, Debug)]
struct Beginning {
    text: &'static str,
    /// The first eight bytes of it, and which of eight bytes these are: one comparison tells nearly all others from it.
    head: u64,
    mask: u64,
    known: Known,
}

impl Signs {
    /// No sign: what a dialect does not say in other words.
    pub const NONE: Signs =
        Signs { scopes: &[], names: &[], keys: &[], families: &[], resource: &[], only_if: |_| true };
}

impl Marks {
    /// None.
    pub const NONE: Marks = Marks(0);

    fn of(index: usize) -> Marks {
        Marks(1 << index)
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The places of the dialects in their list, the first first.
    #[inline]
    pub fn places(self) -> impl Iterator<Item = usize> {
        let rest = |marks: &u64| Some(marks & (marks - 1)).filter(|rest| *rest != 0);
        std::iter::successors(Some(self.0).filter(|marks| *marks != 0), rest)
            .map(|marks| marks.trailing_zeros() as usize)
    }
}

impl Lexicon {
    /// All keys that any dialect reads, and `more`, which are the names of dimensions.
    pub fn with<'a>(more: impl IntoIterator<Item = &'a str>) -> Lexicon {
        /// Of the dialects alone. They do not change, and going through all of them takes milliseconds.
        static OF_DIALECTS: LazyLock<Lexicon> = LazyLock::new(Lexicon::of_dialects);
        let more: Vec<&str> = more.into_iter().collect();
        let mut lexicon = Lexicon { names: KeyTable::with(more.iter().copied()), ..OF_DIALECTS.clone() };
        for name in more.iter().map(|name| name.as_bytes()) {
            let Some(key) = lexicon.names.find(name).map(Key::index) else { continue };
            lexicon.known.resize(lexicon.known.len().max(key + 1), Known::default());
            let by_name = lexicon.families.known(name).only_whether_gen_ai();
            lexicon.known[key] = lexicon.known[key].and(by_name).and(Known::by_name(Fillable::DIMENSION));
        }
        lexicon
    }

    fn of_dialects() -> Lexicon {
        let of_all = |signs: fn(&Signs) -> &'static [&'static str]| {
            DIALECTS.iter().enumerate().flat_map(move |(place, dialect)| {
                let known = Known { marks: Marks::of(place), ..Known::default() };
                signs(&dialect.signs).iter().map(move |beginning| (*beginning, known))
            })
        };
        let families = ByFirst::new(of_all(|signs| signs.families).chain(OTHER_FAMILIES));
        let span_names = ByFirst::new(of_all(|signs| signs.names));
        let of_key = |key: Key| {
            let by_name = families.known(key.name().as_bytes());
            let speaks_for = DIALECTS.iter().enumerate().filter(|(_, dialect)| dialect.signs.keys.contains(&key));
            let marks = speaks_for.fold(by_name.marks, |marks, (place, _)| marks.and(Marks::of(place)));
            let fillable = Fillable::by(key);
            Known { marks, fillable: if by_name.is_gen_ai() { fillable.and(Fillable::GEN_AI) } else { fillable } }
        };
        Lexicon { known: Key::all().map(of_key).collect(), names: KeyTable::with([]), families, span_names }
    }

    /// The key of an attribute's name if anyone reads it, and what is known of the name.
    #[inline(never)]
    pub fn look_up(&self, name: &[u8]) -> (Option<Key>, Known) {
        match self.find(name) {
            Some(key) => (Some(key), self.known.get(key.index()).copied().unwrap_or_default()),
            None => (None, self.families.known(name)),
        }
    }

    /// The key of an attribute's name, if anyone reads it.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Key> {
        self.names.find(name)
    }

    /// What the name of a span is a sign of.
    #[inline]
    pub fn marks_of_name(&self, name: &[u8]) -> Marks {
        self.span_names.known(name).marks
    }

    /// What an instrumentation scope is a sign of. Once for all of its records.
    pub fn marks_of_scope(&self, scope: &str) -> Marks {
        marked(|signs| {
            signs.scopes.iter().any(|known| match known.strip_suffix('*') {
                Some(beginning) => scope.starts_with(beginning),
                None => scope == *known,
            })
        })
    }

    /// What an attribute of the resource is a sign of. Once for all of its records.
    pub fn marks_of_resource(&self, key: &str, value: &str) -> Marks {
        marked(|signs| signs.resource.contains(&(key, value)))
    }
}

/// The dialects whose signs pass.
fn marked(is_sign: impl Fn(&Signs) -> bool) -> Marks {
    let speaks_for = DIALECTS.iter().enumerate().filter(|(_, dialect)| is_sign(&dialect.signs));
    speaks_for.fold(Marks::default(), |marks, (place, _)| marks.and(Marks::of(place)))
}

impl Known {
    const fn by_name(says: Fillable) -> Known {
        Known { marks: Marks(0), fillable: says }
    }

    /// Whether it begins with `gen_ai.`.
    #[inline]
    pub fn is_gen_ai(self) -> bool {
        self.fillable.holds(Fillable::GEN_AI)
    }

    /// Whether it may be a piece of a message that is spread over many attributes, with numbers in their names.
    #[inline]
    pub fn is_numbered(self) -> bool {
        self.fillable.holds(Fillable::NUMBERED)
    }

    /// Nothing but whether it begins with `gen_ai.`.
    #[must_use]
    pub fn only_whether_gen_ai(self) -> Known {
        Known::by_name(if self.is_gen_ai() { Fillable::GEN_AI } else { Fillable::NONE })
    }

    /// Both.
    #[must_use]
    #[inline]
    pub fn and(self, other: Known) -> Known {
        Known { marks: self.marks.and(other.marks), fillable: self.fillable.and(other.fillable) }
    }
}

impl ByFirst {
    fn new(beginnings: impl Iterator<Item = (&'static str, Known)>) -> ByFirst {
        let of = |(text, known): (&'static str, Known)| Beginning {
            text,
            head: head(text.as_bytes()),
            mask: u64::MAX >> (64 - 8 * text.len().clamp(1, 8)),
            known,
        };
        let mut all: Vec<Beginning> = beginnings.filter(|(text, _)| !text.is_empty()).map(of).collect();
        all.sort_by_key(|beginning| beginning.text);
        let mut places = [(0, 0); 256];
        for (at, beginning) in all.iter().enumerate() {
            let place = &mut places[usize::from(beginning.text.as_bytes()[0])];
            let first = if place.1 == 0 { at as u8 } else { place.0 };
            *place = (first, at as u8 + 1);
        }
        ByFirst { places, all }
    }

    /// What the word is known for by all that it begins with.
    #[inline]
    fn known(&self, word: &[u8]) -> Known {
        let Some(first) = word.first() else { return Known::default() };
        let (from, to) = self.places[usize::from(*first)];
        let of_letter = self.all.get(usize::from(from)..usize::from(to)).unwrap_or_default();
        let head = head(word);
        let fits = |beginning: &&Beginning| {
            head & beginning.mask == beginning.head
                && (beginning.text.len() <= 8 || word.starts_with(beginning.text.as_bytes()))
        };
        of_letter.iter().filter(fits).fold(Known::default(), |known, beginning| known.and(beginning.known))
    }
}

/// The first eight bytes of a word, zeros where it has fewer.
#[inline]
fn head(word: &[u8]) -> u64 {
    match word.first_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => word.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bit_for_every_dialect() {
        assert!(DIALECTS.len() <= u64::BITS as usize);
        let all = marked(|_| true);
        assert_eq!(all.places().collect::<Vec<_>>(), (0..DIALECTS.len()).collect::<Vec<_>>());
        let beginnings = |signs: fn(&Signs) -> usize| DIALECTS.iter().map(|dialect| signs(&dialect.signs)).sum();
        let counts: [usize; 2] = [beginnings(|signs| signs.families.len()), beginnings(|signs| signs.names.len())];
        assert!(counts.into_iter().all(|count| count < usize::from(u8::MAX)), "{counts:?}");
    }

    #[test]
    fn a_key_is_a_sign_by_itself_and_by_its_beginning() {
        let lexicon = Lexicon::with(["app.feature"]);
        let of = |name: &str| {
            lexicon.look_up(name.as_bytes()).1.marks.places().map(|at| DIALECTS[at].name).collect::<Vec<_>>()
        };
        assert!(of("gen_ai.usage.input_tokens").contains(&"otel_genai"));
        assert!(of("gen_ai.what_nobody_knows").contains(&"otel_genai"));
        assert!(of("mcp.method.name").contains(&"mcp"));
        assert!(of("app.feature").is_empty());
        assert!(of("http.route").is_empty());
        assert!(of("").is_empty());
    }
}
