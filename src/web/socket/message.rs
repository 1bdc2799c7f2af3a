//! What clients and the collector say to each other over a WebSocket, as JSON.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{HEARTBEAT, MOST_BYTES, MOST_CONNECTIONS, MOST_MESSAGES, MOST_RECENT, SILENCE};
use crate::event::{Filter, JsonObject, Timestamp};
use crate::flow::SharedRecord;
use crate::nearest::nearest;
use crate::web::json;

/// What a client says. A field that is not known is an error: whoever asks for less must not be given everything.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Where to go on, and how.
    Hello {
        /// The last offset that the client has seen.
        resume_from: Option<u64>,
        /// The epoch that this offset is of.
        epoch: Option<String>,
        /// How events are wrapped.
        #[serde(default)]
        envelope: Envelope,
        /// Which events, if that is to change.
        filter: Option<Map<String, Value>>,
    },
    /// Which events from now on.
    Subscribe {
        /// Which events.
        #[serde(default)]
        filter: Map<String, Value>,
        /// How many of the last ones come first.
        #[serde(default)]
        replay: usize,
    },
    /// No events any more.
    Unsubscribe {},
    /// The last events at once.
    GetRecent {
        /// How many.
        limit: Option<usize>,
    },
    /// Whether anybody is there.
    Ping,
}

/// How events are wrapped.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `{"type":"event","offset","event"}`
    #[default]
    Event,
    /// The same, with another type.
    StreamEvent,
    /// `{"event_type","timestamp","payload"}`
    Bare,
}

/// Why something that a client said is not done.
#[derive(Debug)]
pub struct Complaint {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

const TYPES: [&str; 5] = ["hello", "subscribe", "unsubscribe", "get_recent", "ping"];

/// Reads what a client says. The type is given also where the rest is wrong.
pub fn parse(text: &str) -> Result<Request, (Option<&'static str>, Complaint)> {
    let invalid = |error: serde_json::Error| Complaint { code: "invalid_message", message: error.to_string() };
    let value: Value = serde_json::from_str(text).map_err(|error| (None, invalid(error)))?;
    let given = value["type"].as_str().unwrap_or_default();
    let Some(known) = TYPES.iter().copied().find(|known| *known == given) else {
        let hint = nearest(given, TYPES).map(|meant| format!("; did you mean `{meant}`?"));
        let message = format!("`type` is one of {}{}", TYPES.join(", "), hint.unwrap_or_default());
        return Err((None, Complaint { code: "unknown_type", message }));
    };
    serde_json::from_value(value).map_err(|error| (Some(known), invalid(error)))
}

/// The filter of an object with the fields of the API, each with a value or a list of them.
pub fn filter(fields: &Map<String, Value>) -> Result<Filter, Complaint> {
    let wrong = |message: String| Complaint { code: "invalid_filter", message };
    let mut pairs = Vec::new();
    for (field, value) in fields {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        // A list of nothing would take every event, which is not what it says.
        if values.is_empty() {
            return Err(wrong(format!("`{field}` is an empty list")));
        }
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(wrong(format!("`{field}` is no text, no number and no list of them"))),
            };
            pairs.push((field.as_str(), text));
        }
    }
    let pairs = pairs.iter().map(|(field, text)| (*field, text.as_str()));
    Filter::from_pairs(pairs, Timestamp::now()).map_err(|error| wrong(error.to_string()))
}

/// The first message. `offset` is that of the last event before this connection.
pub fn established(connection: &str, epoch: &str, offset: Option<u64>) -> String {
    of_type("connection_established", |object| {
        object.str("connection_id", connection);
        object.display("server_time", Timestamp::now());
        object.str("epoch", epoch);
        object.opt_u64("offset", offset);
        let mut limits = JsonObject::begin(object.key("limits"));
        limits.u64("connections", MOST_CONNECTIONS as u64);
        limits.u64("message_bytes", MOST_BYTES as u64);
        limits.u64("messages_per_minute", MOST_MESSAGES as u64);
        limits.u64("recent_events", MOST_RECENT as u64);
        limits.u64("heartbeat_seconds", HEARTBEAT.as_secs());
        limits.u64("silence_seconds", SILENCE.as_secs());
        limits.end();
    })
}

/// An event.
pub fn event(envelope: Envelope, offset: u64, record: &SharedRecord) -> String {
    let wrapped = |kind: &str| format!("{{\"type\":\"{kind}\",\"offset\":{offset},\"event\":{}}}", record.json());
    match envelope {
        Envelope::Event => wrapped("event"),
        Envelope::StreamEvent => wrapped("stream_event"),
        Envelope::Bare => record.event().to_bare_json(),
    }
}

/// Offsets that cannot be had.
pub fn gap(from: u64, to: u64, reason: &str) -> String {
    of_type("gap", |object| {
        object.u64("from", from);
        object.u64("to", to);
        object.str("reason", reason);
    })
}

/// What is subscribed to, as it was asked for, and where it begins.
pub fn subscribed(fields: &Map<String, Value>, next: u64) -> String {
    let filter = serde_json::to_vec(fields).unwrap_or_default();
    of_type("subscription_confirmed", |object| {
        object.raw("filter", &filter);
        object.u64("next", next);
    })
}

/// No events any more.
pub fn unsubscribed() -> String {
    of_type("unsubscription_confirmed", |_| {})
}

/// The last events.
pub fn recent(epoch: &str, events: &[(u64, SharedRecord)]) -> String {
    of_type("recent_events", |object| {
        object.str("epoch", epoch);
        json::list(object.key("events"), events, |out, (offset, record)| {
            out.extend_from_slice(json::offset_event(*offset, record).as_bytes());
        });
    })
}

/// Somebody is there.
pub fn pong() -> String {
    of_type("pong", |object| object.display("server_time", Timestamp::now()))
}

/// What is wrong.
pub fn error(complaint: &Complaint) -> String {
    of_type("error", |object| {
        object.str("code", complaint.code);
        object.str("message", &complaint.message);
    })
}

fn of_type(kind: &str, write: impl FnOnce(&mut JsonObject<'_>)) -> String {
    text(json::object(|object| {
        object.str("type", kind);
        write(object);
    }))
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}
