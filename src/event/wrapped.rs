//! The event within an object that is only wrapped around it: a message of a socket, an entry of a stream, a line of an
//! API's answer.

use serde_json::{Map, Value};

use super::aliases::plain;

/// Members that name an event, the first that is there.
const NAMES: [&str; 3] = ["name", "event_type", "type"];
/// Members that may hold a whole event.
const HOLDERS: [&str; 7] = ["event", "data", "payload", "message", "body", "json", "value"];
/// What messages of sockets that bring an event are called.
const FRAMES: [&str; 2] = ["event", "stream_event"];
/// Where an event stands in the log that it was read from, which is no part of it.
const POSITION: [&str; 2] = ["offset", "epoch"];

/// The event itself, with what stands beside it and not in it. Keys are in snake_case.
///
/// Only an object that has no name of its own, that of a frame, or the same as the one in it is a wrapping: everything
/// else is an event whose payload happens to have a name.
pub(super) fn unwrapped(mut object: Map<String, Value>) -> Map<String, Value> {
    let is_native = ["name", "event_id", "scope"].iter().all(|key| object.contains_key(*key));
    let holder = HOLDERS.into_iter().find(|key| !is_native && holds_event(&object, key));
    let Some(Value::Object(inner)) = holder.and_then(|key| object.remove(key)) else { return object };
    let mut inner = in_snake_case(inner);
    if name_of(&object).is_none_or(|name| !FRAMES.contains(&name)) {
        let beside = |key: &str| !NAMES.contains(&key) && !POSITION.contains(&key);
        for (key, value) in object.into_iter().filter(|(key, _)| beside(key)) {
            inner.entry(key).or_insert(value);
        }
    }
    // An entry of a stream may hold what a socket would have sent.
    unwrapped(inner)
}

/// The members with their names in snake_case, whatever case they were in.
pub(super) fn in_snake_case(object: Map<String, Value>) -> Map<String, Value> {
    let word = |key: &str| match key {
        // Clocks of JavaScript count milliseconds, which names there do not say.
        "executionTime" => "execution_time_ms".to_owned(),
        key => plain(key),
    };
    object.into_iter().map(|(key, value)| (word(&key), value)).collect()
}

fn holds_event(object: &Map<String, Value>, key: &str) -> bool {
    let Some(Value::Object(inner)) = object.get(key) else { return false };
    let inside = NAMES.iter().find_map(|name| inner.iter().find(|(key, _)| plain(key) == *name)?.1.as_str());
    match (name_of(object), inside) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(outside), Some(inside)) => FRAMES.contains(&outside) || plain(outside) == plain(inside),
    }
}

fn name_of(object: &Map<String, Value>) -> Option<&str> {
    NAMES.iter().find_map(|key| object.get(*key)?.as_str())
}
