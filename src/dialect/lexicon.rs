//! Which dialects the parts of a span speak for, worked out once for every name that any of them knows.
//!
//! Each dialect has a bit. While the attributes of a span are read, the bits of those that speak for a dialect are
//! collected, so that telling the dialect of a span is finding the first bit, however many dialects there are.

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
    /// By key. Those that a configuration adds are no signs and fill no fields.
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

/// Beginnings of words, found by their first letter.
#[derive(Clone, Debug)]
struct ByFirst {
    /// For each letter, where its beginnings are in `all`.
    places: [(u8, u8); 256],
    all: Vec<(&'static str, Marks)>,
}

impl Signs {
    /// No sign: what a dialect does not say in other words.
    pub const NONE: Signs =
        Signs { scopes: &[], names: &[], keys: &[], families: &[], resource: &[], only_if: |_| true };
}

impl Marks {
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
    /// All keys that any dialect reads, and `more`.
    pub fn with<'a>(more: impl IntoIterator<Item = &'a str>) -> Lexicon {
        let of_all = |signs: fn(&Signs) -> &'static [&'static str]| {
            ByFirst::new(DIALECTS.iter().enumerate().flat_map(|(place, dialect)| {
                signs(&dialect.signs).iter().map(move |beginning| (*beginning, Marks::of(place)))
            }))
        };
        let (families, span_names) = (of_all(|signs| signs.families), of_all(|signs| signs.names));
        let mark = |key: Key| {
            let speaks_for = DIALECTS.iter().enumerate().filter(|(_, dialect)| dialect.signs.keys.contains(&key));
            let by_name = families.marks(key.name().as_bytes());
            speaks_for.fold(by_name, |marks, (place, _)| marks.and(Marks::of(place)))
        };
        let known = Key::all().map(|key| Known { marks: mark(key), fillable: Fillable::by(key) }).collect();
        Lexicon { known, names: KeyTable::with(more), families, span_names }
    }

    /// The key of an attribute's name if anyone reads it, and what is known of the name.
    #[inline]
    pub fn look_up(&self, name: &[u8]) -> (Option<Key>, Known) {
        match self.find(name) {
            Some(key) => (Some(key), self.known.get(key.index()).copied().unwrap_or_default()),
            None => (None, Known { marks: self.families.marks(name), ..Known::default() }),
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
        self.span_names.marks(name)
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

impl ByFirst {
    fn new(beginnings: impl Iterator<Item = (&'static str, Marks)>) -> ByFirst {
        let mut all: Vec<(&'static str, Marks)> = beginnings.filter(|(beginning, _)| !beginning.is_empty()).collect();
        all.sort_by_key(|(beginning, _)| *beginning);
        let mut places = [(0, 0); 256];
        for (at, (beginning, _)) in all.iter().enumerate() {
            let place = &mut places[usize::from(beginning.as_bytes()[0])];
            let first = if place.1 == 0 { at as u8 } else { place.0 };
            *place = (first, at as u8 + 1);
        }
        ByFirst { places, all }
    }

    #[inline]
    fn marks(&self, word: &[u8]) -> Marks {
        let Some(first) = word.first() else { return Marks::default() };
        let (from, to) = self.places[usize::from(*first)];
        let of_letter = self.all.get(usize::from(from)..usize::from(to)).unwrap_or_default();
        let fits = of_letter.iter().filter(|(beginning, _)| word.starts_with(beginning.as_bytes()));
        fits.fold(Marks::default(), |marks, (_, mark)| marks.and(*mark))
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
