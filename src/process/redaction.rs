//! `redaction`: withholds content, and secrets wherever they stand.

use std::borrow::Cow;

use regex::Regex;
use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer};

use super::attributes::hash;
use super::content::{Class, Policy, class_of, class_of_member};
use super::matching::expression;
use crate::event::{Data, Event};
use crate::otlp::edit::{Edit, Value, attribute, rewrite};
use crate::otlp::view::{AnyValue, KeyValue, LogRecord};
use crate::otlp::{Batch, Signal};

/// What to withhold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Content: one policy for all classes, or one for each.
    #[serde(deserialize_with = "one_or_each")]
    pub content: Classes,
    /// Regular expressions; what they match in any text is replaced by `****`.
    pub blocked_values: Vec<String>,
    /// Regular expressions for keys; attributes with such a key go.
    pub blocked_key_patterns: Vec<String>,
}

/// Policies by class.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Classes {
    /// Prompts and completions.
    pub messages: Policy,
    /// System prompts and tool definitions.
    pub instructions: Policy,
    /// What tools were called with and what they returned.
    pub tools: Policy,
}

/// The processor at work.
#[derive(Debug)]
pub struct Redaction {
    classes: Classes,
    blocked_values: Vec<Regex>,
    blocked_keys: Vec<Regex>,
}

const MASK: &str = "****";

impl Redaction {
    /// Compiles the expressions.
    pub fn new(config: &Config) -> Result<Redaction, String> {
        let compile = |texts: &[String]| texts.iter().map(|text| expression(text)).collect::<Result<Vec<_>, _>>();
        Ok(Redaction {
            classes: config.content,
            blocked_values: compile(&config.blocked_values)?,
            blocked_keys: compile(&config.blocked_key_patterns)?,
        })
    }

    /// The batch without what is withheld; nothing if there was nothing of it.
    pub fn batch(&self, batch: &Batch) -> Option<Batch> {
        let records = batch.edit(|_, record| match batch.signal() {
            Signal::Traces => edit(self.span(record)),
            Signal::Logs => edit(self.log(record)),
            // Measurements hold no content.
            Signal::Metrics => Edit::Keep,
        });
        let current = records.as_ref().unwrap_or(batch);
        // Resources tell how a process was started, with all that stood on its command line.
        let resources =
            rewrite(current.bytes(), 1, |group| edit(rewrite(group, 1, |resource| edit(self.attributes(resource, 1)))));
        resources.map(|bytes| Batch::encoded(batch.signal(), bytes, current.items())).or(records)
    }

    fn span(&self, span: &[u8]) -> Option<Vec<u8>> {
        let steps: [Step<'_>; 4] = [
            &|span| self.attributes(span, 9),
            &|span| rewrite(span, 11, |event| edit(self.attributes(event, 3))),
            &|span| rewrite(span, 13, |link| edit(self.attributes(link, 4))),
            &|span| rewrite(span, 15, |status| edit(rewrite(status, 2, |message| edit(self.text(message))))),
        ];
        one_after_the_other(span, &steps)
    }

    fn log(&self, log: &[u8]) -> Option<Vec<u8>> {
        one_after_the_other(log, &[&|log| self.attributes(log, 6), &|log| self.body(log)])
    }

    /// The event without what is withheld.
    pub fn event(&self, mut event: Event) -> Event {
        let mut changed = false;
        let mut data = event.data.to_map();
        data.retain(|key, value| {
            let policy = class_of_member(key).map_or(Policy::Keep, |class| self.policy(class));
            match policy {
                Policy::Drop => changed = true,
                Policy::Hash => {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    *value = hash(AnyValue::String(text.as_str().into())).into();
                    changed = true;
                }
                Policy::Keep => changed |= self.mask_json(value),
            }
            policy != Policy::Drop
        });
        if changed {
            event.data = Data::from_map(&data);
        }
        if let Some(masked) = event.message.as_deref().and_then(|message| self.masked(message)) {
            event.message = Some(crate::event::message(&masked));
        }
        event
    }

    fn attributes(&self, record: &[u8], number: u32) -> Option<Vec<u8>> {
        rewrite(record, number, |attribute| self.attribute(attribute))
    }

    fn attribute(&self, encoded: &[u8]) -> Edit {
        let found = KeyValue::read(encoded);
        let key = found.key.as_str();
        if self.blocked_keys.iter().any(|pattern| pattern.is_match(key)) {
            return Edit::Drop;
        }
        match class_of(key).map_or(Policy::Keep, |class| self.policy(class)) {
            Policy::Drop => Edit::Drop,
            Policy::Hash => Edit::Replace(attribute(key, &Value::String(hash(found.value)))),
            Policy::Keep => edit(rewrite(encoded, 2, |value| edit(self.value(value)))),
        }
    }

    /// An encoded `AnyValue` with its texts masked, however deep they are.
    fn value(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.blocked_values.is_empty() && self.blocked_keys.is_empty() {
            return None;
        }
        let steps: [Step<'_>; 3] = [
            &|value| rewrite(value, 1, |text| edit(self.text(text))),
            &|value| rewrite(value, 5, |array| edit(rewrite(array, 1, |item| edit(self.value(item))))),
            &|value| rewrite(value, 6, |map| edit(self.attributes(map, 1))),
        ];
        one_after_the_other(value, &steps)
    }

    fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.masked(&String::from_utf8_lossy(text)).map(String::into_bytes)
    }

    /// The bodies of the conventions' own events are messages; those of other records are only searched.
    fn body(&self, record: &[u8]) -> Option<Vec<u8>> {
        let log = LogRecord::read(record);
        let is_content = log.event_name.as_str().starts_with("gen_ai.") && log.body != AnyValue::Empty;
        let policy = if is_content { self.policy(Class::Messages) } else { Policy::Keep };
        rewrite(record, 5, |body| match policy {
            Policy::Drop => Edit::Drop,
            Policy::Hash => {
                let mut hashed = Vec::new();
                crate::otlp::wire::put_bytes(&mut hashed, 1, hash(log.body).as_bytes());
                Edit::Replace(hashed)
            }
            Policy::Keep => edit(self.value(body)),
        })
    }

    fn policy(&self, class: Class) -> Policy {
        match class {
            Class::Messages => self.classes.messages,
            Class::Instructions => self.classes.instructions,
            Class::Tools => self.classes.tools,
        }
    }

    /// The text with what is blocked masked; nothing if nothing is.
    fn masked(&self, text: &str) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for pattern in &self.blocked_values {
            if pattern.is_match(&masked) {
                masked = Cow::Owned(pattern.replace_all(&masked, MASK).into_owned());
            }
        }
        match masked {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        }
    }

    fn mask_json(&self, value: &mut serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => match self.masked(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            serde_json::Value::Array(items) => items.iter_mut().fold(false, |any, item| self.mask_json(item) | any),
            serde_json::Value::Object(map) => map.values_mut().fold(false, |any, item| self.mask_json(item) | any),
            _ => false,
        }
    }
}

fn edit(changed: Option<Vec<u8>>) -> Edit {
    changed.map_or(Edit::Keep, Edit::Replace)
}

/// What changes an encoded message, or does not.
type Step<'s> = &'s dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// What some steps make of a message; nothing if none of them changes it.
fn one_after_the_other(message: &[u8], steps: &[Step<'_>]) -> Option<Vec<u8>> {
    steps.iter().fold(None, |changed: Option<Vec<u8>>, step| step(changed.as_deref().unwrap_or(message)).or(changed))
}

/// `content: drop`, or `content: {messages: drop, tools: hash}`.
fn one_or_each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Classes, D::Error> {
    struct Visitor;

    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Classes;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("keep, hash or drop, or one of these for each of messages, instructions and tools")
        }

        fn visit_str<E: de::Error>(self, policy: &str) -> Result<Classes, E> {
            let policy = Policy::deserialize(policy.into_deserializer())?;
            Ok(Classes { messages: policy, instructions: policy, tools: policy })
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Classes, A::Error> {
            Classes::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Visitor)
}
