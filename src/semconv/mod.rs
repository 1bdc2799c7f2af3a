//! Names of semantic conventions, each spelled once: the attributes that are understood, and the metrics.

/// An attribute key that some dialect reads, as a small number.
///
/// The keys of this module have their constants here; a [`KeyTable`] may add the keys that a configuration
/// names (the dimensions of metrics).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u16);

/// Gives keys their constants and numbers, from `$first` on.
macro_rules! keys {
    ($first:expr; $($constant:ident = $name:expr),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "these only number the constants")]
        enum Number { $($constant),* }

        #[allow(missing_docs, reason = "the value is the documentation: its emitter defines the name")]
        impl super::Key {
            $(pub const $constant: super::Key = super::Key($first + Number::$constant as u16);)*
        }

        /// The names of these keys, by number.
        pub(super) static NAMES: &[&str] = &[$($name),*];
    };
}

mod coding_agents;
mod conventions;
mod frameworks;

/// The names of all keys, by number.
fn names() -> impl Iterator<Item = &'static str> {
    [conventions::NAMES, frameworks::NAMES, coding_agents::NAMES].into_iter().flatten().copied()
}

impl Key {
    /// The name of a key of this module; keys of a configuration have none here.
    pub fn name(self) -> &'static str {
        names().nth(usize::from(self.0)).unwrap_or_default()
    }

    /// The keys of this module, by number.
    pub(crate) fn all() -> impl Iterator<Item = Key> {
        (0..names().count() as u16).map(Key)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Finds the [`Key`] of an attribute's name without allocating: one hash and one comparison.
#[derive(Clone, Debug)]
pub struct KeyTable {
    names: Vec<Box<str>>,
    /// Of the names, by number.
    shapes: Vec<Shape>,
    slots: Box<[u16]>,
}

/// The length of a name, and its eight bytes at the beginning, in the middle and at the end, which may overlap. Of one that
/// is not longer than these it is all there is; of others it tells nearly all apart, and is as quickly had.
#[derive(Clone, Copy, Debug)]
struct Shape {
    len: usize,
    words: [u64; 3],
}

impl KeyTable {
    const EMPTY: u16 = u16::MAX;

    /// All keys of this module, and `more` that get numbers of their own.
    pub fn with<'a>(more: impl IntoIterator<Item = &'a str>) -> KeyTable {
        let mut names: Vec<Box<str>> = names().map(Box::from).collect();
        for name in more {
            if !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        let shapes: Vec<Shape> = names.iter().map(|name| Shape::of(name.as_bytes())).collect();
        let mut slots = vec![KeyTable::EMPTY; (names.len() * 4).next_power_of_two()].into_boxed_slice();
        for (number, shape) in shapes.iter().enumerate() {
            let mut slot = shape.hash() as usize & (slots.len() - 1);
            while slots[slot] != KeyTable::EMPTY {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = number as u16;
        }
        KeyTable { names, shapes, slots }
    }

    /// The key of a name, if anyone reads it.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Key> {
        let shape = Shape::of(name);
        let mut slot = shape.hash() as usize & (self.slots.len() - 1);
        loop {
            let number = self.slots[slot];
            let known = self.shapes.get(usize::from(number))?;
            if known.is_as(&shape) && (shape.is_all() || *self.names[usize::from(number)].as_bytes() == *name) {
                return Some(Key(number));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

impl Shape {
    #[inline]
    fn of(name: &[u8]) -> Shape {
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let middle = name.get(name.len().wrapping_sub(8) / 2..).and_then(<[u8]>::first_chunk);
        let words = match (name.first_chunk(), middle, name.last_chunk()) {
            (Some(first), Some(middle), Some(last)) => [first, middle, last].map(word),
            _ => [word_of_few(name), 0, 0],
        };
        Shape { len: name.len(), words }
    }

    /// In registers: what `==` makes of arrays goes through memory.
    #[inline]
    fn is_as(&self, other: &Shape) -> bool {
        let ([a, b, c], [d, e, f]) = (self.words, other.words);
        (a ^ d) | (b ^ e) | (c ^ f) | (self.len ^ other.len) as u64 == 0
    }

    /// Multiply and fold. The table is fixed, so nobody gains by finding collisions.
    #[inline]
    fn hash(&self) -> u64 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let [first, middle, last] = self.words;
        let ends = (first ^ self.len as u64).wrapping_mul(FACTOR) ^ last;
        let all = (ends ^ ends >> 32).wrapping_add(middle).wrapping_mul(FACTOR);
        all ^ all >> 32
    }

    /// Whether nothing of the name is left out.
    #[inline]
    fn is_all(&self) -> bool {
        self.len <= 24
    }
}

#[cold]
fn word_of_few(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What `logfire.span_type` is on spans that stand for others which go on.
pub const PENDING_SPAN: &str = "pending_span";

/// Resource attributes.
pub mod resource {
    /// What emits the telemetry.
    pub const SERVICE_NAME: &str = "service.name";
    /// Which instance of it.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    /// On metrics of the library: whether the events that they were counted from go to the same receiver.
    pub const EVENTS_SENT: &str = "spanlight.events.sent";
    /// Its version.
    pub const SERVICE_VERSION: &str = "service.version";
}

/// Attributes of our own, on log records that are events and on spans.
#[allow(missing_docs, reason = "the names are those of the event's fields")]
pub mod spanlight {
    pub const EVENT_ID: &str = "spanlight.event.id";
    pub const SCOPE: &str = "spanlight.scope";
    pub const OUTCOME: &str = "spanlight.outcome";
    pub const LAST_EXIT_MS: &str = "spanlight.last_exit_ms";
    pub const TYPE: &str = "spanlight.type";
    pub const STATUS: &str = "spanlight.status";
    pub const COMPONENT_ID: &str = "spanlight.component.id";
    pub const MESSAGE: &str = "spanlight.message";
    pub const PARENT_SPAN_ID: &str = "spanlight.parent_span.id";
    pub const WORKFLOW_ID: &str = "spanlight.workflow.id";
    pub const PARENT_WORKFLOW_ID: &str = "spanlight.parent_workflow.id";
    pub const EXECUTION_ID: &str = "spanlight.execution.id";
    pub const CORRELATION_ID: &str = "spanlight.correlation.id";
    pub const TASK_ID: &str = "spanlight.task.id";
    pub const FEATURE: &str = "spanlight.feature";
    pub const PRIORITY: &str = "spanlight.priority";
    pub const TTL_S: &str = "spanlight.ttl_s";
    pub const TAGS: &str = "spanlight.tags";
    pub const DURATION_MS: &str = "spanlight.duration_ms";
    pub const COST_USD: &str = "spanlight.cost.usd";
    pub const TTFT_MS: &str = "spanlight.ttft_ms";
    pub const SUCCESS: &str = "spanlight.success";
    pub const CONFIDENCE: &str = "spanlight.confidence";
    pub const SOURCE_KIND: &str = "spanlight.source.kind";
    pub const SOURCE_DIALECT: &str = "spanlight.source.dialect";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_nothing_else() {
        let table = KeyTable::with(["app.feature", "gen_ai.system", "app.feature"]);
        for (number, name) in names().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(Key(number as u16)), "{name}");
        }
        assert_eq!(table.find(b"app.feature").map(Key::index), Some(names().count()));
        for name in ["", "gen_ai", "gen_ai.usage.input_token", "gen_ai.usage.input_tokens ", "app.other"] {
            assert_eq!(table.find(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Key::ERROR_TYPE.name(), "error.type");
    }

    #[test]
    fn names_stand_once() {
        for (index, name) in names().enumerate() {
            assert!(!names().skip(index + 1).any(|other| other == name), "{name}");
        }
    }
}
