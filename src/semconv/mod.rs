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
    slots: Box<[u16]>,
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
        let mut slots = vec![KeyTable::EMPTY; (names.len() * 4).next_power_of_two()].into_boxed_slice();
        for (number, name) in names.iter().enumerate() {
            let mut slot = hash(name.as_bytes()) as usize & (slots.len() - 1);
            while slots[slot] != KeyTable::EMPTY {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = number as u16;
        }
        KeyTable { names, slots }
    }

    /// The key of a name, if anyone reads it.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Key> {
        let mut slot = hash(name) as usize & (self.slots.len() - 1);
        loop {
            let number = self.slots[slot];
            let known = self.names.get(usize::from(number))?;
            if same(known.as_bytes(), name) {
                return Some(Key(number));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Whether two names are one, by words of eight bytes: names are too short for a call of `memcmp` to pay. The last word
/// overlaps the one before.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    let differ = |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    words.fold(differ(a_last, b_last), |difference, (a, b)| difference | differ(a, b)) == 0
}

/// Multiply and fold over words of eight bytes, of which the last overlaps the one before. The table is fixed, so nobody
/// gains by finding collisions.
#[inline]
fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = name.len() as u64;
    let mut take = |word: u64| {
        state = (state ^ word).wrapping_mul(FACTOR);
        state ^= state >> 32;
    };
    match name.last_chunk::<8>() {
        Some(last) => {
            name.as_chunks::<8>().0.iter().for_each(|word| take(u64::from_le_bytes(*word)));
            take(u64::from_le_bytes(*last));
        }
        None => take(name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
    }
    state
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
