//! `attributes`: sets, removes and hashes attributes of spans, log records and data points.

use regex::Regex;
use serde::Deserialize;

use super::matching::{Matcher, Matching, expression, optional_value};
use crate::content::hash;
use crate::otlp::edit::{Edit, Value, attribute, edit_attributes, rewrite};
use crate::otlp::view::{AnyValue, KeyValue, Metric, MetricKind};
use crate::otlp::wire::repeated;
use crate::otlp::{Batch, Signal};

/// What to do, and to which records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In order.
    pub actions: Vec<Action>,
    /// Only to these records.
    #[serde(default)]
    pub include: Option<Matching>,
    /// Not to these records.
    #[serde(default)]
    pub exclude: Option<Matching>,
}

/// One action.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The attribute; `delete` and `hash` may have a `pattern` instead.
    #[serde(default)]
    pub key: Option<String>,
    /// What to do with it.
    pub action: Verb,
    /// The value to set.
    #[serde(default, deserialize_with = "optional_value")]
    pub value: Option<Value>,
    /// Another attribute whose value to set.
    #[serde(default)]
    pub from_attribute: Option<String>,
    /// A regular expression for keys.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// What can be done with an attribute.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Set it if it is not there.
    Insert,
    /// Set it if it is there.
    Update,
    /// Set it.
    Upsert,
    /// Remove it.
    Delete,
    /// Replace its value by the SHA-256 of it, in hexadecimal.
    Hash,
}

/// The processor at work.
#[derive(Debug)]
pub struct Attributes {
    steps: Vec<Step>,
    include: Option<Matcher>,
    exclude: Option<Matcher>,
}

#[derive(Debug)]
enum Step {
    Set { key: String, source: Source, if_absent: bool, if_present: bool },
    Delete(Keys),
    Hash(Keys),
}

#[derive(Debug)]
enum Source {
    Value(Value),
    Attribute(String),
}

#[derive(Debug)]
struct Keys {
    key: Option<String>,
    pattern: Option<Regex>,
}

impl Attributes {
    /// Checks the actions.
    pub fn new(config: &Config) -> Result<Attributes, String> {
        let compile = |matching: &Option<Matching>| matching.as_ref().map(Matching::compile).transpose();
        Ok(Attributes {
            steps: config.actions.iter().map(Step::new).collect::<Result<_, _>>()?,
            include: compile(&config.include)?,
            exclude: compile(&config.exclude)?,
        })
    }

    /// The batch with attributes changed; nothing if none is.
    pub fn batch(&self, batch: &Batch) -> Option<Batch> {
        batch.edit(|group, record| {
            let fits = |matcher: &Matcher| matcher.matches(batch.signal(), group, record);
            if !self.include.as_ref().is_none_or(fits) || self.exclude.as_ref().is_some_and(fits) {
                return Edit::Keep;
            }
            let changed = match batch.signal() {
                Signal::Traces => self.record(record, 9),
                Signal::Logs => self.record(record, 6),
                Signal::Metrics => self.metric(record),
            };
            changed.map_or(Edit::Keep, Edit::Replace)
        })
    }

    fn metric(&self, metric: &[u8]) -> Option<Vec<u8>> {
        let (data, attributes) = match Metric::read(metric).kind? {
            MetricKind::Gauge => (5, 7),
            MetricKind::Sum { .. } => (7, 7),
            MetricKind::Histogram(_) => (9, 9),
            MetricKind::ExponentialHistogram(_) => (10, 1),
            MetricKind::Summary => (11, 7),
        };
        let edit = |changed: Option<Vec<u8>>| changed.map_or(Edit::Keep, Edit::Replace);
        rewrite(metric, data, |data| edit(rewrite(data, 1, |point| edit(self.record(point, attributes)))))
    }

    fn record(&self, record: &[u8], number: u32) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        for step in &self.steps {
            let current = changed.as_deref().unwrap_or(record);
            if let Some(next) = step.apply(current, number) {
                changed = Some(next);
            }
        }
        changed
    }
}

impl Step {
    fn new(action: &Action) -> Result<Step, String> {
        let keys = || -> Result<Keys, String> {
            if action.key.is_none() && action.pattern.is_none() {
                return Err("an action needs a `key` or a `pattern`".into());
            }
            let pattern = action.pattern.as_deref().map(expression).transpose()?;
            Ok(Keys { key: action.key.clone(), pattern })
        };
        let set = |if_absent, if_present| -> Result<Step, String> {
            let key = action.key.clone().ok_or("an action that sets an attribute needs its `key`")?;
            let source = match (&action.value, &action.from_attribute) {
                (Some(value), None) => Source::Value(value.clone()),
                (None, Some(from)) => Source::Attribute(from.clone()),
                _ => return Err(format!("the action on `{key}` needs either a `value` or a `from_attribute`")),
            };
            Ok(Step::Set { key, source, if_absent, if_present })
        };
        match action.action {
            Verb::Insert => set(true, false),
            Verb::Update => set(false, true),
            Verb::Upsert => set(true, true),
            Verb::Delete => keys().map(Step::Delete),
            Verb::Hash => keys().map(Step::Hash),
        }
    }

    fn apply(&self, record: &[u8], number: u32) -> Option<Vec<u8>> {
        match self {
            Step::Delete(keys) => {
                let edit = |attribute: KeyValue<'_>| if keys.fit(attribute) { Edit::Drop } else { Edit::Keep };
                edit_attributes(record, number, edit, &[])
            }
            Step::Hash(keys) => {
                let edit = |found: KeyValue<'_>| match keys.fit(found) {
                    true => Edit::Replace(attribute(found.key.as_str(), &Value::String(hash(found.value)))),
                    false => Edit::Keep,
                };
                edit_attributes(record, number, edit, &[])
            }
            Step::Set { key, source, if_absent, if_present } => {
                let find =
                    |key: &str| repeated(record, number).map(KeyValue::read).find(|attribute| attribute.key == *key);
                let present = find(key).is_some();
                if (present && !if_present) || (!present && !if_absent) {
                    return None;
                }
                let value = match source {
                    Source::Value(value) => value.clone(),
                    Source::Attribute(from) => scalar(find(from)?.value)?,
                };
                let edit = |found: KeyValue<'_>| match found.key == **key {
                    true => Edit::Replace(attribute(key, &value)),
                    false => Edit::Keep,
                };
                let appended = [(key.as_str(), &value)];
                edit_attributes(record, number, edit, if present { &[] } else { &appended })
            }
        }
    }
}

impl Keys {
    fn fit(&self, attribute: KeyValue<'_>) -> bool {
        let key = attribute.key.as_str();
        self.key.as_deref() == Some(key) || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(key))
    }
}

fn scalar(value: AnyValue<'_>) -> Option<Value> {
    match value {
        AnyValue::String(text) => Some(Value::String(text.as_str().to_owned())),
        AnyValue::Bool(truth) => Some(Value::Bool(truth)),
        AnyValue::Int(number) => Some(Value::Int(number)),
        AnyValue::Double(number) => Some(Value::Double(number)),
        _ => None,
    }
}
