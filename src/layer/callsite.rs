//! Callsites: whether a span or a log event of the agent's code is any of ours, found out once for each.
//!
//! The table has a fixed size and is read without a lock, because it is asked for every span of the process.

use std::ptr;
use std::sync::OnceLock;

use tracing::field::Field;
use tracing::{Level, Metadata};

use crate::event::Scope;
use crate::semconv::{KeyTable, spanlight};

/// A place in the agent's code that makes spans or log events that matter here.
#[derive(Debug)]
pub struct Callsite {
    /// Where it is in the table.
    pub number: u32,
    /// What it declares.
    pub metadata: &'static Metadata<'static>,
    /// What a configured pattern says that its spans are.
    pub scope: Option<Scope>,
    /// The names of its fields, and what becomes of them, by index.
    names: Box<[&'static str]>,
    slots: Box<[Slot]>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nobody reads it.
    Skip,
    /// It says what the work is, or how it went.
    Fact,
    /// It is what went in or came out, which may be long.
    Content,
}

/// What makes a callsite ours beyond what its fields say.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// `*` stands for anything. It is compared with the span's name, and with `target::name`.
    pub glob: String,
    /// What such spans are.
    pub scope: Scope,
}

/// All callsites met so far.
pub struct Callsites {
    known: Box<[OnceLock<Known>]>,
    keys: KeyTable,
    patterns: Vec<Pattern>,
}

struct Known {
    metadata: &'static Metadata<'static>,
    /// Nothing for those that are none of ours.
    ours: Option<Callsite>,
}

/// Fields with which a span says what it is.
const TELLING: &[&str] =
    &["scope", "langfuse.type", "langfuse.observation.type", "observation_type", "mcp.method.name"];

/// The same, by how their names begin.
const TELLING_PREFIXES: &[&str] = &["gen_ai.", "spanlight.", "openinference."];

/// Crates whose spans the dialects know by target and name.
const TELLING_TARGETS: &[&str] = &["rig", "genai", "swiftide", "langchain_rust", "goose"];

/// Fields that the OpenTelemetry layer reads as more than attributes, and those of errors.
const READ_BY_NAME: &[&str] = &[
    field::OTEL_NAME,
    field::OTEL_KIND,
    field::OTEL_STATUS_CODE,
    field::OTEL_STATUS_DESCRIPTION,
    field::OTEL_STATUS_MESSAGE,
    field::ERROR,
    field::ERR,
    field::MESSAGE,
    field::EXCEPTION_MESSAGE,
    field::EXCEPTION_TYPE,
];

/// Names of fields that are read by name.
pub mod field {
    /// Overrides the name of the span.
    pub const OTEL_NAME: &str = "otel.name";
    /// Client, server, internal ….
    pub const OTEL_KIND: &str = "otel.kind";
    /// OK or ERROR.
    pub const OTEL_STATUS_CODE: &str = "otel.status_code";
    /// What went wrong.
    pub const OTEL_STATUS_DESCRIPTION: &str = "otel.status_description";
    /// What it was called before 0.32.
    pub const OTEL_STATUS_MESSAGE: &str = "otel.status_message";
    /// What `#[instrument(err)]` logs.
    pub const ERROR: &str = "error";
    /// What some log instead.
    pub const ERR: &str = "err";
    /// The text of a log event.
    pub const MESSAGE: &str = "message";
    /// What went wrong, by the conventions.
    pub const EXCEPTION_MESSAGE: &str = "exception.message";
    /// Of what kind it was.
    pub const EXCEPTION_TYPE: &str = "exception.type";
}

impl Callsites {
    /// More than programs have.
    const MOST: usize = 8192;
    /// How far a callsite is looked for. Of those that find no place near theirs nothing is seen.
    const PROBES: usize = 256;

    /// None met yet. `keys` has the attributes that the deriver reads.
    pub fn new(keys: KeyTable, patterns: Vec<Pattern>) -> Callsites {
        let known = std::iter::repeat_with(OnceLock::new).take(Callsites::MOST).collect();
        Callsites { known, keys, patterns }
    }

    /// The callsite, if it is ours. Classified when it is met first.
    #[inline]
    pub fn find(&self, metadata: &'static Metadata<'static>) -> Option<&Callsite> {
        for place in Callsites::places(metadata) {
            let known = self.known[place].get_or_init(|| Known { ours: self.classify(metadata, place), metadata });
            if ptr::eq(known.metadata, metadata) {
                return known.ours.as_ref();
            }
        }
        None
    }

    /// The callsite of a number that [`Callsite::number`] gave.
    pub fn get(&self, number: u32) -> Option<&Callsite> {
        self.known.get(number as usize)?.get()?.ours.as_ref()
    }

    /// Where it may be: by its address, which is its own.
    #[inline]
    fn places(metadata: &'static Metadata<'static>) -> impl Iterator<Item = usize> {
        let mixed = (ptr::from_ref(metadata).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = (mixed >> (64 - Callsites::MOST.trailing_zeros())) as usize;
        (0..Callsites::PROBES).map(move |step| (first + step) % Callsites::MOST)
    }

    fn classify(&self, metadata: &'static Metadata<'static>, place: usize) -> Option<Callsite> {
        let scope = self.patterns.iter().find(|pattern| pattern.fits(metadata)).map(|pattern| pattern.scope);
        let fields = || metadata.fields().iter().map(|field| field.name());
        let says_what_it_is = fields().any(is_telling) || is_of_known_crate(metadata.target());
        let is_ours = match metadata.is_span() {
            true => scope.is_some() || says_what_it_is,
            // What is below INFO may be whole requests and answers.
            false => {
                *metadata.level() == Level::ERROR
                    || fields().any(|name| name.starts_with("langfuse."))
                    || (*metadata.level() == Level::INFO && is_of_known_crate(metadata.target()))
            }
        };
        // Our own macros give the name in a field of its own as well: formatting it once more would be the dearest part.
        let is_named = fields().any(|name| name == spanlight::SCOPE);
        let slot = |name: &str| if is_named && name == field::OTEL_NAME { Slot::Skip } else { self.slot(name) };
        let (names, slots) = (fields().collect(), fields().map(slot).collect());
        is_ours.then_some(Callsite { number: place as u32, metadata, scope, names, slots })
    }

    fn slot(&self, name: &str) -> Slot {
        match name {
            _ if READ_BY_NAME.contains(&name) => Slot::Fact,
            _ if self.keys.find(name.as_bytes()).is_none() => Slot::Skip,
            _ if is_content(name) => Slot::Content,
            _ => Slot::Fact,
        }
    }
}

impl Callsite {
    /// What becomes of a field of this callsite.
    #[inline]
    pub fn slot(&self, field: &Field) -> Slot {
        self.slots.get(field.index()).copied().unwrap_or(Slot::Skip)
    }

    /// The name of a field by its index.
    pub fn field_name(&self, index: u16) -> Option<&'static str> {
        self.names.get(usize::from(index)).copied()
    }
}

impl Pattern {
    fn fits(&self, metadata: &Metadata<'_>) -> bool {
        let fits = |text: &str| fits(self.glob.as_bytes(), text.as_bytes());
        metadata.is_span() && (fits(metadata.name()) || fits(&format!("{}::{}", metadata.target(), metadata.name())))
    }
}

/// Whether text fits a glob: every `*` takes as little as it can, and more when the rest does not fit.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match (glob.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, in_text));
                at += 1;
            }
            (Some(letter), _) if *letter == text[in_text] => (at, in_text) = (at + 1, in_text + 1),
            (_, Some((star_at, from))) => {
                star = Some((star_at, from + 1));
                (at, in_text) = (star_at + 1, from + 1);
            }
            _ => return false,
        }
    }
    glob[at..].iter().all(|letter| *letter == b'*')
}

fn is_telling(name: &str) -> bool {
    TELLING.contains(&name) || TELLING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_of_known_crate(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    TELLING_TARGETS
        .iter()
        .any(|known| krate.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

/// What went in or came out, rather than what was done.
pub fn is_content(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "messages",
        "arguments",
        "result",
        "input",
        "output",
        "prompt",
        "completion",
        "response",
        "chunk",
        "input_json",
        "output_json",
        "system_instructions",
        "args",
    ];
    let last = name.rsplit('.').next().unwrap_or_default();
    WORDS.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("run_*", "run_all", true),
            ("run_*", "rerun_all", false),
            ("*::tools::*", "app::tools::search", true),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxabc", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
            ("", "", true),
        ] {
            assert_eq!(fits(glob.as_bytes(), text.as_bytes()), expected, "{glob} {text}");
        }
    }

    #[test]
    fn crates_are_known_by_their_own_name() {
        for (target, expected) in [
            ("rig", true),
            ("rig::completions", true),
            ("rig_agent::agent::telemetry", true),
            ("right::here", false),
            ("swiftide_agents::agent", true),
            ("my::rig", false),
        ] {
            assert_eq!(is_of_known_crate(target), expected, "{target}");
        }
    }
}
