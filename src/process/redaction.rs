//! `redaction`: withholds content, masks secrets wherever they stand, and cuts what is too long.

use std::borrow::Cow;

use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::matching::expression;
use super::presets::{Pattern, Preset};
use crate::content::{Classes, Withholding};
use crate::dialect::put_value;
use crate::event::{Data, Event, JsonObject, cut};
use crate::health::{Count, Health, WITHHELD};
use crate::otlp::edit::{Edit, rewrite};
use crate::otlp::view::{AnyValue, KeyValue};
use crate::otlp::wire::put_bytes;
use crate::otlp::{Batch, Signal};

/// What to withhold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Content: one policy for all classes, or one for each.
    pub content: Classes,
    /// Sets of expressions that are built in.
    pub presets: Vec<Preset>,
    /// Regular expressions; what they match in any text is replaced by `****`.
    pub blocked_values: Vec<String>,
    /// Regular expressions for keys; attributes with such a key go.
    pub blocked_key_patterns: Vec<String>,
    /// The most bytes of a value that go on; 0 is no limit.
    pub max_value_bytes: usize,
}

/// The processor at work.
#[derive(Debug)]
pub struct Redaction {
    content: Withholding,
    masks: Masks,
    blocked_keys: Vec<Regex>,
    most: Option<usize>,
    counts: Counts,
}

/// What is masked. One look tells which of them there is any of in a text.
#[derive(Debug)]
struct Masks {
    any: RegexSet,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Counts {
    masked: Count,
    blocked: Count,
    cut: Count,
}

/// Makes another message of an encoded one; nothing if there is nothing to change.
type Step<'s> = &'s dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Numbers of the fields that hold text from outside, in the messages of OTLP.
mod field {
    pub const RESOURCE_GROUPS: u32 = 1;
    pub const RESOURCE: u32 = 1;
    pub const RESOURCE_ATTRIBUTES: u32 = 1;
    pub const SPAN_ATTRIBUTES: u32 = 9;
    pub const SPAN_EVENTS: u32 = 11;
    pub const SPAN_LINKS: u32 = 13;
    pub const SPAN_STATUS: u32 = 15;
    pub const EVENT_ATTRIBUTES: u32 = 3;
    pub const LINK_ATTRIBUTES: u32 = 4;
    pub const STATUS_MESSAGE: u32 = 2;
    pub const LOG_BODY: u32 = 5;
    pub const LOG_ATTRIBUTES: u32 = 6;
    pub const KEY_VALUE_VALUE: u32 = 2;
    pub const VALUE_STRING: u32 = 1;
    pub const VALUE_ARRAY: u32 = 5;
    pub const VALUE_MAP: u32 = 6;
    /// Of an array and of a map.
    pub const VALUES: u32 = 1;
}

impl Redaction {
    /// Compiles the expressions.
    pub fn new(config: &Config, id: &str, health: &Health) -> Result<Redaction, String> {
        let keys: Result<Vec<_>, String> = config.blocked_key_patterns.iter().map(|text| expression(text)).collect();
        let count = |reason| health.counter(WITHHELD, &[("component", id), ("reason", reason)]);
        Ok(Redaction {
            content: Withholding::new(config.content, id, health),
            masks: Masks::new(config)?,
            blocked_keys: keys?,
            most: Some(config.max_value_bytes).filter(|most| *most > 0),
            counts: Counts { masked: count("masked"), blocked: count("blocked_key"), cut: count("cut") },
        })
    }

    /// The batch without what is withheld; nothing if there was nothing of it.
    pub fn batch(&self, batch: &Batch) -> Option<Batch> {
        let without_content = self.content.batch(batch);
        if !self.reads_values() {
            return without_content;
        }
        let without_content = without_content.as_ref();
        self.values(without_content.unwrap_or(batch)).or_else(|| without_content.cloned())
    }

    fn values(&self, batch: &Batch) -> Option<Batch> {
        let records = batch.edit(|_, record| match batch.signal() {
            Signal::Traces => edit(self.span(record)),
            Signal::Logs => edit(self.log(record)),
            // Measurements are figures.
            Signal::Metrics => Edit::Keep,
        });
        let current = records.as_ref().unwrap_or(batch);
        // Resources tell how a process was started, with all that stood on its command line.
        let resources = rewrite(current.bytes(), field::RESOURCE_GROUPS, |group| {
            let redact = |resource: &[u8]| edit(self.attributes(resource, field::RESOURCE_ATTRIBUTES));
            edit(rewrite(group, field::RESOURCE, redact))
        });
        resources.map(|bytes| Batch::encoded(batch.signal(), bytes, current.items())).or(records)
    }

    /// Whether there is anything to look for in values.
    fn reads_values(&self) -> bool {
        !self.masks.patterns.is_empty() || !self.blocked_keys.is_empty() || self.most.is_some()
    }

    fn span(&self, span: &[u8]) -> Option<Vec<u8>> {
        let status = |status: &[u8]| edit(rewrite(status, field::STATUS_MESSAGE, |message| edit(self.text(message))));
        let steps: [Step<'_>; 4] = [
            &|span| self.attributes(span, field::SPAN_ATTRIBUTES),
            &|span| rewrite(span, field::SPAN_EVENTS, |event| edit(self.attributes(event, field::EVENT_ATTRIBUTES))),
            &|span| rewrite(span, field::SPAN_LINKS, |link| edit(self.attributes(link, field::LINK_ATTRIBUTES))),
            &|span| rewrite(span, field::SPAN_STATUS, status),
        ];
        one_after_the_other(span, &steps)
    }

    fn log(&self, log: &[u8]) -> Option<Vec<u8>> {
        let steps: [Step<'_>; 2] = [&|log| self.attributes(log, field::LOG_ATTRIBUTES), &|log| {
            rewrite(log, field::LOG_BODY, |body| edit(self.value(body)))
        }];
        one_after_the_other(log, &steps)
    }

    /// The event without what is withheld.
    pub fn event(&self, event: Event) -> Event {
        let mut event = self.content.event(&event).unwrap_or(event);
        if !self.reads_values() {
            return event;
        }
        if !self.masks.patterns.is_empty() || !self.blocked_keys.is_empty() {
            let mut data = event.data.to_map();
            let members = data.len();
            data.retain(|key, _| !self.is_blocked(key));
            self.counts.blocked.add(members - data.len());
            let masked = data.values_mut().fold(false, |any, value| self.mask_json(value) | any);
            if masked || data.len() < members {
                event.data = Data::from_map(&data);
            }
        }
        if let Some((cut, values)) = self.most.and_then(|most| event.data.cut(most)) {
            event.data = cut;
            self.counts.cut.add(values);
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
        if self.is_blocked(KeyValue::read(encoded).key.as_str()) {
            self.counts.blocked.add(1);
            return Edit::Drop;
        }
        edit(rewrite(encoded, field::KEY_VALUE_VALUE, |value| edit(self.value(value))))
    }

    fn is_blocked(&self, key: &str) -> bool {
        self.blocked_keys.iter().any(|pattern| pattern.is_match(key))
    }

    /// An encoded `AnyValue` with its texts masked, however deep they are, and within its limit.
    fn value(&self, value: &[u8]) -> Option<Vec<u8>> {
        let masked = self.masked_value(value);
        self.cut(masked.as_deref().unwrap_or(value)).or(masked)
    }

    fn masked_value(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.masks.patterns.is_empty() && self.blocked_keys.is_empty() {
            return None;
        }
        let array = |array: &[u8]| edit(rewrite(array, field::VALUES, |item| edit(self.masked_value(item))));
        let steps: [Step<'_>; 3] = [
            &|value| rewrite(value, field::VALUE_STRING, |text| edit(self.text(text))),
            &|value| rewrite(value, field::VALUE_ARRAY, array),
            &|value| rewrite(value, field::VALUE_MAP, |map| edit(self.attributes(map, field::VALUES))),
        ];
        one_after_the_other(value, &steps)
    }

    /// What of an encoded `AnyValue` is within the limit, as text. Lists and maps are cut as the JSON that they are.
    fn cut(&self, encoded: &[u8]) -> Option<Vec<u8>> {
        let most = self.most.filter(|most| encoded.len() > *most)?;
        let text = match AnyValue::read(encoded) {
            AnyValue::String(text) => cut(text.as_str(), most)?,
            value => cut(&json(value), most)?,
        };
        self.counts.cut.add(1);
        let mut out = Vec::with_capacity(text.len() + 8);
        put_bytes(&mut out, field::VALUE_STRING, text.as_bytes());
        Some(out)
    }

    fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.masked(&String::from_utf8_lossy(text)).map(String::into_bytes)
    }

    /// The text with what is blocked masked; nothing if nothing is.
    fn masked(&self, text: &str) -> Option<String> {
        let masked = self.masks.mask(text)?;
        self.counts.masked.add(1);
        Some(masked)
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

impl Masks {
    fn new(config: &Config) -> Result<Masks, String> {
        let mut patterns = config.blocked_values.iter().map(|text| Pattern::of(text)).collect::<Result<Vec<_>, _>>()?;
        for preset in &config.presets {
            patterns.extend(preset.patterns()?);
        }
        let any = RegexSet::new(patterns.iter().map(|pattern| pattern.expression.as_str()));
        Ok(Masks { any: any.map_err(|error| format!("the expressions are too large: {error}"))?, patterns })
    }

    fn mask(&self, text: &str) -> Option<String> {
        let mut masked = Cow::Borrowed(text);
        for index in self.any.matches(text) {
            if let Some(more) = self.patterns[index].mask(&masked) {
                masked = Cow::Owned(more);
            }
        }
        match masked {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        }
    }
}

/// A value as JSON.
fn json(value: AnyValue<'_>) -> String {
    let mut out = Vec::new();
    let mut object = JsonObject::begin(&mut out);
    put_value(&mut object, "", value);
    // What was written is `{"":` and the value.
    String::from_utf8_lossy(out.get(4..).unwrap_or_default()).into_owned()
}

fn edit(changed: Option<Vec<u8>>) -> Edit {
    changed.map_or(Edit::Keep, Edit::Replace)
}

/// What some steps make of a message; nothing if none of them changes it.
fn one_after_the_other(message: &[u8], steps: &[Step<'_>]) -> Option<Vec<u8>> {
    steps.iter().fold(None, |changed: Option<Vec<u8>>, step| step(changed.as_deref().unwrap_or(message)).or(changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::json::{from_json, to_json};

    #[test]
    fn lists_and_maps_are_cut_as_the_json_that_they_are() {
        let sent = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
            {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","attributes":[
              {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"one"},{"stringValue":"twothree"}]}}},
              {"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"0123456789"}}]}}},
              {"key":"bytes","value":{"bytesValue":"AAAAAAAAAAAAAAAAAAAAAAAA"}},
              {"key":"short","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}]}"#;
        let schema = Signal::Traces.schema();
        let batch = Batch::read(Signal::Traces, from_json(sent.as_bytes(), schema).unwrap().into()).unwrap().batch;
        let config = Config { max_value_bytes: 10, ..Config::default() };
        let redaction = Redaction::new(&config, "redaction", &Health::default()).unwrap();
        let cut = to_json(redaction.batch(&batch).unwrap().bytes(), schema);
        for expected in [
            r#""value":{"stringValue":"[\"one\",\"tw…[cut: 10 of 18 bytes]"}"#,
            r#""value":{"stringValue":"{\"a\":\"0123…[cut: 10 of 18 bytes]"}"#,
            r#""value":{"stringValue":"\"AAAAAAAAA…[cut: 10 of 26 bytes]"}"#,
            r#""value":{"arrayValue":{"values":[{"intValue":"1"}]}}"#,
        ] {
            assert!(cut.contains(expected), "{expected} {cut}");
        }
        assert_eq!(redaction.counts.cut.get(), 3);
    }
}
