//! What the collector says to clients over a WebSocket, as JSON.

use super::Limits;
use super::request::{Complaint, Envelope};
use super::wants::{Key, TOPICS, Wants};
use crate::event::{JsonObject, Timestamp};
use crate::flow::SharedRecord;
use crate::measure::{Summary, SummaryRow};
use crate::web::json;

/// The first message. `offset` is that of the last event before this connection.
pub fn established(connection: &str, epoch: &str, offset: Option<u64>, wants: &Wants, limits: &Limits) -> String {
    of_type("connection_established", |object| {
        object.str("connection_id", connection);
        object.display("server_time", Timestamp::now());
        object.str("epoch", epoch);
        object.opt_u64("offset", offset);
        texts(object, "available_subscriptions", TOPICS.iter().map(|topic| topic.name));
        narrowing(object, wants);
        let mut of_limits = JsonObject::begin(object.key("limits"));
        of_limits.u64("connections", limits.max_connections as u64);
        of_limits.u64("message_bytes", limits.max_message_size as u64);
        of_limits.u64("messages_per_minute", limits.messages_per_minute as u64);
        of_limits.u64("recent_events", Limits::MOST_RECENT as u64);
        of_limits.u64("heartbeat_seconds", limits.heartbeat_interval.0.as_secs());
        of_limits.u64("silence_seconds", limits.client_timeout.0.as_secs());
        of_limits.end();
    })
}

/// An event.
pub fn event(envelope: Envelope, offset: u64, record: &SharedRecord) -> String {
    let wrapped = |kind: &str| {
        // As long as it becomes, so that it is written once: it is shared as it is then.
        let (offset, json) = (offset.to_string(), record.json());
        let parts = ["{\"type\":\"", kind, "\",\"offset\":", &offset, ",\"event\":", json, "}"];
        parts.concat()
    };
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

/// A subscription to one thing, and the offset from which on its events follow, but for those that come first.
pub fn subscribed(key: &Key, next: u64, replayed: usize) -> String {
    of_type("subscription_confirmed", |object| {
        let (field, value) = key.parts();
        object.str(field, value);
        object.u64("next", next);
        object.u64("replayed", replayed as u64);
    })
}

/// A subscription to whatever fits, as it was asked for, and the offset of the first event that is looked at.
pub fn subscribed_to(fields: &serde_json::Map<String, serde_json::Value>, next: u64) -> String {
    let filter = serde_json::to_vec(fields).unwrap_or_default();
    of_type("subscription_confirmed", |object| {
        object.raw("filter", &filter);
        object.u64("next", next);
    })
}

/// One subscription less, or none any more.
pub fn unsubscribed(key: Option<&Key>) -> String {
    of_type("unsubscription_confirmed", |object| {
        if let Some((field, value)) = key.map(Key::parts) {
            object.str(field, value);
        }
    })
}

/// What is in force now.
pub fn filter_updated(wants: &Wants) -> String {
    of_type("filter_updated", |object| {
        texts(object, "subscriptions", wants.topics());
        narrowing(object, wants);
    })
}

/// How agents fare: the summary of the last minutes, in total and by agent.
pub fn performance_summary(window: &str, total: &Summary, rows: &[SummaryRow]) -> String {
    of_type("performance_summary", |object| {
        object.display("server_time", Timestamp::now());
        json::write_summary_of(object, window, total, rows);
    })
}

fn narrowing(object: &mut JsonObject<'_>, wants: &Wants) {
    texts(object, "agent_filter", wants.agents().iter().map(String::as_str));
    object.opt_f64("performance_threshold", wants.least_confidence());
}

fn texts<'a>(object: &mut JsonObject<'_>, key: &str, texts: impl Iterator<Item = &'a str>) {
    let texts: Vec<&str> = texts.collect();
    object.raw(key, &serde_json::to_vec(&texts).unwrap_or_default());
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
