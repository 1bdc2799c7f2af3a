//! `redaction`: withholds content, and secrets wherever they stand.

use std::borrow::Cow;

use regex::Regex;
use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer};

use super::attributes::hash;
use super::content::{Class, Policy, class_of, class_of_member};
use super::matching::expression;
use crate::event::{Data, Event};
use crate::otlp::edit::{Edit, Value, attribute, edit_attributes, rewrite};
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
        let edit = |changed: Option<Vec<u8>>| changed.map_or(Edit::Keep, Edit::Replace);
        batch.edit(|_, record| match batch.signal() {
            Signal::Traces => {
                let attributes = self.attributes(record, 9);
                let span = attributes.as_deref().unwrap_or(record);
                let events = rewrite(span, 11, |event| edit(self.attributes(event, 3)));
                edit(events.or(attributes))
            }
            Signal::Logs => {
                let attributes = self.attributes(record, 6);
                let log = attributes.as_deref().unwrap_or(record);
                let body = self.body(log);
                edit(body.or(attributes))
            }
            // Measurements hold no content.
            Signal::Metrics => Edit::Keep,
        })
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
        edit_attributes(record, number, |found| self.attribute(found), &[])
    }

    fn attribute(&self, found: KeyValue<'_>) -> Edit {
        let key = found.key.as_str();
        if self.blocked_keys.iter().any(|pattern| pattern.is_match(key)) {
            return Edit::Drop;
        }
        match class_of(key).map_or(Policy::Keep, |class| self.policy(class)) {
            Policy::Drop => Edit::Drop,
            Policy::Hash => Edit::Replace(attribute(key, &Value::String(hash(found.value)))),
            Policy::Keep => match found.value.text().and_then(|text| self.masked(text.as_str())) {
                Some(masked) => Edit::Replace(attribute(key, &Value::String(masked))),
                None => Edit::Keep,
            },
        }
    }

    /// The bodies of the conventions' own events are messages; those of other records are only searched.
    fn body(&self, record: &[u8]) -> Option<Vec<u8>> {
        let log = LogRecord::read(record);
        let is_content = log.event_name.as_str().starts_with("gen_ai.") && log.body != AnyValue::Empty;
        let policy = if is_content { self.policy(Class::Messages) } else { Policy::Keep };
        let replace = |text: String| {
            let mut body = Vec::new();
            crate::otlp::wire::put_bytes(&mut body, 1, text.as_bytes());
            Edit::Replace(body)
        };
        rewrite(record, 5, |_| match policy {
            Policy::Drop => Edit::Drop,
            Policy::Hash => replace(hash(log.body)),
            Policy::Keep => log.body.text().and_then(|text| self.masked(text.as_str())).map_or(Edit::Keep, &replace),
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
