//! Withholding content: from encoded telemetry, which is copied only where there is any, and from events.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::keys::{self, Found};
use super::{Class, Classes, Policy, emitter, hash};
use crate::event::{Data, Event, catalogue};
use crate::flow::{Record, SharedRecord};
use crate::health::{Count, Health, WITHHELD};
use crate::otlp::edit::{Edit, Value, attribute, rewrite};
use crate::otlp::view::{AnyValue, Group, KeyValue, LogRecord};
use crate::otlp::wire::{Fields, put_bytes, put_u64, repeated};
use crate::otlp::{Batch, Signal};

/// Withholds content as its policies say, and counts what it withheld.
#[derive(Clone, Debug)]
pub struct Withholding {
    classes: Classes,
    dropped: Count,
    hashed: Count,
}

/// Numbers of fields in the messages of OTLP.
mod field {
    pub const RESOURCE_GROUPS: u32 = 1;
    pub const RESOURCE: u32 = 1;
    pub const LOG_BODY: u32 = 5;
    pub const VALUE_STRING: u32 = 1;
    pub const VALUE_MAP: u32 = 6;
    pub const ENTRIES: u32 = 1;
}

/// Where a message has its attributes, and how many were dropped of them.
#[derive(Clone, Copy)]
struct Holder {
    attributes: u32,
    dropped: u32,
}

const SPAN: Holder = Holder { attributes: 9, dropped: 10 };
const SPAN_EVENT: Holder = Holder { attributes: 3, dropped: 4 };
const SPAN_LINK: Holder = Holder { attributes: 4, dropped: 5 };
const LOG: Holder = Holder { attributes: 6, dropped: 7 };
const RESOURCE: Holder = Holder { attributes: 1, dropped: 2 };
const SPAN_EVENTS: u32 = 11;
const SPAN_LINKS: u32 = 13;

/// The member of an event's payload that names what was dropped from it.
const WITHHELD_MEMBERS: &str = "withheld";

/// Whether a record is of agents: looked into only once somebody has to know.
struct Context<'c> {
    known: OnceCell<bool>,
    look: &'c dyn Fn() -> bool,
}

impl Context<'_> {
    fn is_of_agents(&self) -> bool {
        *self.known.get_or_init(self.look)
    }
}

impl Withholding {
    /// With counters of its own; `component` is whose they are.
    pub fn new(classes: Classes, component: &str, health: &Health) -> Withholding {
        if classes.keep_all() {
            return Withholding { classes, dropped: Count::default(), hashed: Count::default() };
        }
        let count = |reason| health.counter(WITHHELD, &[("component", component), ("reason", reason)]);
        Withholding { classes, dropped: count("dropped"), hashed: count("hashed") }
    }

    /// Whether nothing is withheld at all.
    pub fn keeps_all(&self) -> bool {
        self.classes.keep_all()
    }

    /// The batch without what is withheld; nothing if there was nothing of it.
    pub fn batch(&self, batch: &Batch) -> Option<Batch> {
        if self.classes.keep_all() {
            return None;
        }
        let records = match batch.signal() {
            Signal::Traces => batch.edit(|group, record| edit(self.span(group, record))),
            Signal::Logs => batch.edit(|group, record| edit(self.log(group, record))),
            // Measurements hold no content; what they are of may.
            Signal::Metrics => None,
        };
        let current = records.as_ref().unwrap_or(batch);
        let resources = self.resources(current);
        resources.map(|bytes| Batch::encoded(batch.signal(), bytes, current.items())).or(records)
    }

    /// Records of events without what is withheld; those in which there is none are the same as before.
    pub fn records(&self, records: Vec<SharedRecord>) -> Vec<SharedRecord> {
        if self.classes.keep_all() {
            return records;
        }
        let withheld = |record: SharedRecord| match self.event(record.event()) {
            Some(event) => Arc::new(Record::new(event)),
            None => record,
        };
        records.into_iter().map(withheld).collect()
    }

    /// The event without what is withheld; nothing if there was nothing of it.
    pub fn event(&self, event: &Event) -> Option<Event> {
        if self.classes.keep_all() || event.data.is_empty() {
            return None;
        }
        let mut data = event.data.to_map();
        let mut dropped: Vec<serde_json::Value> = Vec::new();
        let mut hashed = 0;
        data.retain(|key, value| {
            let class = keys::class_of_member(event.name.as_str(), key);
            let policy = class.map_or(Policy::Keep, |class| self.classes.of(class));
            match policy {
                _ if value.is_null() => return true,
                Policy::Drop => dropped.push(key.as_str().into()),
                Policy::Hash => {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    *value = hash(AnyValue::String(text.as_str().into())).into();
                    hashed += 1;
                }
                Policy::Keep => {}
            }
            policy != Policy::Drop
        });
        if dropped.is_empty() && hashed == 0 {
            return None;
        }
        self.dropped.add(dropped.len());
        self.hashed.add(hashed);
        if !dropped.is_empty() {
            data.insert(WITHHELD_MEMBERS.to_owned(), dropped.into());
        }
        Some(Event { data: Data::from_map(&data), ..event.clone() })
    }

    fn span(&self, group: &Group<'_>, span: &[u8]) -> Option<Vec<u8>> {
        let look = || emitter::is_of_agents(group) || emitter::says_so(attributes(span, SPAN));
        let context = Context { known: OnceCell::new(), look: &look };
        let of_event = |event: &[u8]| {
            let name = repeated(event, 2).last().unwrap_or_default();
            let is_own = || std::str::from_utf8(name).is_ok_and(emitter::is_event_of_agents);
            let look = || is_own() || context.is_of_agents();
            edit(self.holder(event, SPAN_EVENT, &Context { known: OnceCell::new(), look: &look }))
        };
        let own = self.holder(span, SPAN, &context);
        let events = rewrite(own.as_deref().unwrap_or(span), SPAN_EVENTS, of_event).or(own);
        let links = |link: &[u8]| edit(self.holder(link, SPAN_LINK, &context));
        rewrite(events.as_deref().unwrap_or(span), SPAN_LINKS, links).or(events)
    }

    fn log(&self, group: &Group<'_>, record: &[u8]) -> Option<Vec<u8>> {
        let log = LogRecord::read(record);
        let look = || {
            emitter::is_event_of_agents(log.event_name.as_str())
                || emitter::is_of_agents(group)
                || emitter::says_so(log.attributes())
        };
        let context = Context { known: OnceCell::new(), look: &look };
        let attributes = self.holder(record, LOG, &context);
        let gone = Cell::new(0);
        let body = |body: &[u8]| self.body(&log, body, &context, &gone);
        let bodies = rewrite(attributes.as_deref().unwrap_or(record), field::LOG_BODY, body).or(attributes)?;
        Some(self.say_dropped(bodies, LOG, gone.get()))
    }

    /// The body of a record: that of a message is content but for what says whose it is, that of one of our events has
    /// the members of its payload, and that of an agent's record is if it has any structure. What else programs write
    /// in words is left to them.
    fn body(&self, log: &LogRecord<'_>, encoded: &[u8], context: &Context<'_>, gone: &Cell<usize>) -> Edit {
        let name = match log.event_name.as_str() {
            "" => log.attributes().find(|found| found.key == *"event.name").and_then(|found| found.value.text()),
            name => Some(name.into()),
        };
        let name = name.map(|name| name.as_str()).unwrap_or_default();
        let is_message = name.starts_with("gen_ai.");
        match log.body {
            AnyValue::Map(_) if is_message || catalogue::entry(name).is_some() || context.is_of_agents() => {
                let class = |key: &str| match is_message {
                    true => (!keys::is_label(key)).then_some(Class::Messages),
                    false => keys::class_of_member(name, key),
                };
                edit(rewrite(encoded, field::VALUE_MAP, |map| {
                    edit(rewrite(map, field::ENTRIES, |entry| {
                        let found = KeyValue::read(entry);
                        self.decide(found, class(found.key.as_str()), gone)
                    }))
                }))
            }
            AnyValue::Empty | AnyValue::Map(_) => Edit::Keep,
            body if is_message || (is_structured(body) && context.is_of_agents()) => {
                self.apply(self.classes.of(Class::Messages), gone, || {
                    let mut hashed = Vec::new();
                    put_bytes(&mut hashed, field::VALUE_STRING, hash(body).as_bytes());
                    hashed
                })
            }
            _ => Edit::Keep,
        }
    }

    /// How a program was started tells what it was asked for, if it is an agent.
    fn resources(&self, batch: &Batch) -> Option<Vec<u8>> {
        rewrite(batch.bytes(), field::RESOURCE_GROUPS, |group| {
            let look = || Group::of_resource(group).any(|group| emitter::is_of_agents(&group));
            let context = Context { known: OnceCell::new(), look: &look };
            edit(rewrite(group, field::RESOURCE, |resource| edit(self.holder(resource, RESOURCE, &context))))
        })
    }

    /// A message with attributes, without what is withheld of them. It says how many went.
    fn holder(&self, message: &[u8], holder: Holder, context: &Context<'_>) -> Option<Vec<u8>> {
        let gone = Cell::new(0);
        let changed = rewrite(message, holder.attributes, |attribute| {
            let found = KeyValue::read(attribute);
            let class = match keys::find(found.key.as_str()) {
                None => None,
                Some(Found::Content(class)) => Some(class),
                // A figure or a truth is none, whatever it is called there.
                Some(Found::OfAgents(_)) if is_figure(found.value) => None,
                Some(Found::OfAgents(class)) => context.is_of_agents().then_some(class),
            };
            self.decide(found, class, &gone)
        })?;
        Some(self.say_dropped(changed, holder, gone.get()))
    }

    fn decide(&self, found: KeyValue<'_>, class: Option<Class>, gone: &Cell<usize>) -> Edit {
        if found.value == AnyValue::Empty {
            return Edit::Keep;
        }
        let policy = class.map_or(Policy::Keep, |class| self.classes.of(class));
        self.apply(policy, gone, || attribute(found.key.as_str(), &Value::String(hash(found.value))))
    }

    /// What becomes of content under a policy, counted.
    fn apply(&self, policy: Policy, gone: &Cell<usize>, hashed: impl FnOnce() -> Vec<u8>) -> Edit {
        match policy {
            Policy::Keep => Edit::Keep,
            Policy::Drop => {
                gone.set(gone.get() + 1);
                self.dropped.add(1);
                Edit::Drop
            }
            Policy::Hash => {
                self.hashed.add(1);
                Edit::Replace(hashed())
            }
        }
    }

    /// Adds to the number of dropped attributes, with which every receiver of OTLP tells that there were more.
    fn say_dropped(&self, mut message: Vec<u8>, holder: Holder, gone: usize) -> Vec<u8> {
        if gone > 0 {
            let said = Fields::of(&message).filter(|field| field.number == holder.dropped).last();
            let before = said.map_or(0, |field| field.value.number());
            // Of a number that stands there twice the last one holds.
            put_u64(&mut message, holder.dropped, before.saturating_add(gone as u64).min(u64::from(u32::MAX)));
        }
        message
    }
}

fn attributes(message: &[u8], holder: Holder) -> impl Iterator<Item = KeyValue<'_>> {
    repeated(message, holder.attributes).map(KeyValue::read)
}

fn is_figure(value: AnyValue<'_>) -> bool {
    matches!(value, AnyValue::Bool(_) | AnyValue::Int(_) | AnyValue::Double(_))
}

fn is_structured(value: AnyValue<'_>) -> bool {
    match value {
        AnyValue::String(text) => text.as_str().trim_start().starts_with(['{', '[']),
        AnyValue::Array(_) | AnyValue::Map(_) | AnyValue::Bytes(_) => true,
        _ => false,
    }
}

fn edit(changed: Option<Vec<u8>>) -> Edit {
    changed.map_or(Edit::Keep, Edit::Replace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::json::{from_json, to_json};

    fn batch(signal: Signal, json: &str) -> Batch {
        Batch::read(signal, from_json(json.as_bytes(), signal.schema()).unwrap().into()).unwrap().batch
    }

    fn without(signal: Signal, policy: Policy, json: &str) -> Option<String> {
        let withholding = Withholding::new(Classes::all(policy), "test", &Health::default());
        withholding.batch(&batch(signal, json)).map(|batch| to_json(batch.bytes(), signal.schema()))
    }

    fn written(signal: Signal, json: &str) -> String {
        to_json(batch(signal, json).bytes(), signal.schema())
    }

    #[test]
    fn records_of_agents_keep_what_is_no_content() {
        let sent = r#"{"resourceLogs":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"gemini-cli"}},
            {"key":"process.command_args","value":{"arrayValue":{"values":[{"stringValue":"tell me"}]}}}]},
          "scopeLogs":[{"scope":{"name":"gemini-cli"},"logRecords":[
            {"eventName":"gen_ai.choice","droppedAttributesCount":2,"body":{"kvlistValue":{"values":[
              {"key":"finish_reason","value":{"stringValue":"stop"}},
              {"key":"message","value":{"kvlistValue":{"values":[{"key":"content","value":{"stringValue":"four"}}]}}}]}}},
            {"eventName":"gen_ai.user.message","body":{"stringValue":"what is two and two"}},
            {"body":{"stringValue":"API request to gemini"},"attributes":[
              {"key":"event.name","value":{"stringValue":"gemini_cli.api_request"}},
              {"key":"output","value":{"intValue":"7"}},
              {"key":"request_text","value":{"stringValue":"two and two"}}]},
            {"body":{"stringValue":" [\"created\", 1]"}}]}]}]}"#;
        let left = r#"{"resourceLogs":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"gemini-cli"}}],"droppedAttributesCount":1},
          "scopeLogs":[{"scope":{"name":"gemini-cli"},"logRecords":[
            {"eventName":"gen_ai.choice","droppedAttributesCount":3,"body":{"kvlistValue":{"values":[
              {"key":"finish_reason","value":{"stringValue":"stop"}}]}}},
            {"eventName":"gen_ai.user.message","droppedAttributesCount":1},
            {"body":{"stringValue":"API request to gemini"},"droppedAttributesCount":1,"attributes":[
              {"key":"event.name","value":{"stringValue":"gemini_cli.api_request"}},
              {"key":"output","value":{"intValue":"7"}}]},
            {"droppedAttributesCount":1}]}]}]}"#;
        // Read back, because fields of one number may stand twice.
        let found = without(Signal::Logs, Policy::Drop, sent).unwrap();
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&found), value(&written(Signal::Logs, left)));
        let hashed = without(Signal::Logs, Policy::Hash, sent).unwrap();
        assert!(hashed.contains(&hash(AnyValue::String("two and two".into()))), "{hashed}");
        assert!(!["tell me", "four", "created"].iter().any(|words| hashed.contains(words)), "{hashed}");
        assert_eq!(without(Signal::Logs, Policy::Keep, sent), None);
    }

    #[test]
    fn the_same_words_of_others_are_not_touched() {
        let sent = r#"{"resourceSpans":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"shop"}},
            {"key":"process.command_args","value":{"stringValue":"--port 80"}}]},
          "scopeSpans":[{"scope":{"name":"http"},"spans":[
            {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /","attributes":[
              {"key":"output","value":{"stringValue":"text/html"}},
              {"key":"message","value":{"stringValue":"it went well"}}],
            "events":[{"name":"log","attributes":[{"key":"body","value":{"stringValue":"{}"}}]}]}]}]}]}"#;
        assert_eq!(without(Signal::Traces, Policy::Drop, sent), None);
        let of_agent = sent.replace("\"message\"", "\"gen_ai.agent.id\"");
        let left = without(Signal::Traces, Policy::Drop, &of_agent).unwrap();
        assert!(!left.contains("text/html") && !left.contains("\"body\"") && left.contains("it went well"), "{left}");
    }
}
