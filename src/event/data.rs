//! The payload of an event: a JSON object kept as text.
//!
//! Most payloads are only passed on, so they are not parsed into a tree; who wants to look inside asks for one.

use std::cell::Cell;
use std::fmt;

use serde_json::{Map, Value};

use super::json::JsonObject;

thread_local! {
    /// Where a thread writes payloads, so that none is made larger and smaller again.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// More of it is not kept: few payloads are so long.
const MAX_ROOM: usize = 64 << 10;

/// A JSON object as text; the empty object takes no space.
///
/// ```
/// use spanlight::event::Data;
///
/// let data = Data::build(|object| {
///     object.str("tool_name", "calculator");
///     object.u64("attempt", 2);
/// });
/// assert_eq!(data.as_json(), r#"{"tool_name":"calculator","attempt":2}"#);
/// assert_eq!(data.get("attempt"), Some(2.into()));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(Box<str>);

impl Data {
    /// The object that `write` writes.
    pub fn build(write: impl FnOnce(&mut JsonObject<'_>)) -> Data {
        let mut room = ROOM.take();
        room.clear();
        let mut object = JsonObject::begin(&mut room);
        write(&mut object);
        let data = if object.is_empty() {
            Data::default()
        } else {
            object.end();
            // Every method of `JsonObject` writes UTF-8; a caller's raw bytes that are not lose the payload only.
            std::str::from_utf8(&room).map(|text| Data(text.into())).unwrap_or_default()
        };
        if room.capacity() <= MAX_ROOM {
            ROOM.set(room);
        }
        data
    }

    /// The object of text that another one gave as [`Data::as_json`].
    #[cfg(feature = "layer")]
    pub(crate) fn written(text: &str) -> Data {
        if text == "{}" { Data::default() } else { Data(text.into()) }
    }

    /// The object of a map.
    pub fn from_map(map: &Map<String, Value>) -> Data {
        if map.is_empty() {
            return Data::default();
        }
        serde_json::to_string(map).map(|text| Data(text.into())).unwrap_or_default()
    }

    /// The object as JSON text.
    pub fn as_json(&self) -> &str {
        if self.0.is_empty() { "{}" } else { &self.0 }
    }

    /// Whether the object has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as a tree.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }

    /// One member.
    pub fn get(&self, key: &str) -> Option<Value> {
        if self.is_empty() { None } else { self.to_map().remove(key) }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}
