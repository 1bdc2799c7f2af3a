//! Which records a processor is about: by service, name, attributes and resource.

use regex::Regex;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::otlp::Signal;
use crate::otlp::edit::Value;
use crate::otlp::view::{AnyValue, Group, KeyValue, LogRecord, Metric, Span};
use crate::semconv::resource;

/// A description of records. Every part that is given must fit; within a list of names any one does, within a
/// list of attributes all must.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// Whether names and values are literal or regular expressions.
    pub match_type: MatchType,
    /// `service.name` of the resource.
    pub services: Vec<String>,
    /// Names of spans.
    pub span_names: Vec<String>,
    /// Names of metrics.
    pub metric_names: Vec<String>,
    /// Texts of log records.
    #[serde(alias = "log_bodies")]
    pub bodies: Vec<String>,
    /// Names of log records that are events.
    pub event_names: Vec<String>,
    /// Attributes of the record.
    #[serde(alias = "record_attributes")]
    pub attributes: Vec<Pair>,
    /// Attributes of the resource.
    #[serde(alias = "resource_attributes")]
    pub resources: Vec<Pair>,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MatchType {
    /// As they are.
    #[default]
    Strict,
    /// As regular expressions.
    Regexp,
}

/// An attribute; without a value any value fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default, deserialize_with = "optional_value")]
    pub value: Option<Value>,
}

/// A [`Matching`] whose expressions are compiled.
#[derive(Debug)]
pub struct Matcher {
    services: Vec<Pattern>,
    span_names: Vec<Pattern>,
    metric_names: Vec<Pattern>,
    bodies: Vec<Pattern>,
    event_names: Vec<Pattern>,
    attributes: Vec<(String, Option<Wanted>)>,
    resources: Vec<(String, Option<Wanted>)>,
}

#[derive(Debug)]
enum Pattern {
    Literal(String),
    Expression(Regex),
}

#[derive(Debug)]
enum Wanted {
    Value(Value),
    Expression(Regex),
}

impl Matching {
    /// Compiles the expressions.
    pub fn compile(&self) -> Result<Matcher, String> {
        let patterns = |texts: &[String]| -> Result<Vec<Pattern>, String> {
            texts.iter().map(|text| Pattern::new(text, self.match_type)).collect()
        };
        let pairs = |pairs: &[Pair]| -> Result<Vec<_>, String> {
            let wanted = |pair: &Pair| -> Result<_, String> {
                let value = match (&pair.value, self.match_type) {
                    (Some(Value::String(text)), MatchType::Regexp) => Some(Wanted::Expression(expression(text)?)),
                    (value, _) => value.clone().map(Wanted::Value),
                };
                Ok((pair.key.clone(), value))
            };
            pairs.iter().map(wanted).collect()
        };
        Ok(Matcher {
            services: patterns(&self.services)?,
            span_names: patterns(&self.span_names)?,
            metric_names: patterns(&self.metric_names)?,
            bodies: patterns(&self.bodies)?,
            event_names: patterns(&self.event_names)?,
            attributes: pairs(&self.attributes)?,
            resources: pairs(&self.resources)?,
        })
    }
}

impl Matcher {
    /// Whether an encoded record of a signal is one of those.
    pub fn matches(&self, signal: Signal, group: &Group<'_>, record: &[u8]) -> bool {
        self.resource_matches(group)
            && match signal {
                Signal::Traces => self.span_matches(&Span::read(record)),
                Signal::Logs => self.log_matches(&LogRecord::read(record)),
                Signal::Metrics => self.metric_matches(&Metric::read(record)),
            }
    }

    fn resource_matches(&self, group: &Group<'_>) -> bool {
        let service = || {
            let name = group.resource.get(resource::SERVICE_NAME);
            name.and_then(AnyValue::text).map(|text| text.as_str()).unwrap_or_default()
        };
        (self.services.is_empty() || any(&self.services, service()))
            && all(&self.resources, || group.resource.attributes())
    }

    fn span_matches(&self, span: &Span<'_>) -> bool {
        (self.span_names.is_empty() || any(&self.span_names, span.name.as_str()))
            && all(&self.attributes, || span.attributes())
    }

    fn log_matches(&self, record: &LogRecord<'_>) -> bool {
        let body = || record.body.text().map(|text| text.as_str()).unwrap_or_default();
        (self.bodies.is_empty() || any(&self.bodies, body()))
            && (self.event_names.is_empty() || any(&self.event_names, record.event_name.as_str()))
            && all(&self.attributes, || record.attributes())
    }

    /// Attributes of a metric are those of its points: one point that fits is enough.
    fn metric_matches(&self, metric: &Metric<'_>) -> bool {
        (self.metric_names.is_empty() || any(&self.metric_names, metric.name.as_str()))
            && (self.attributes.is_empty()
                || metric.data_points().any(|point| all(&self.attributes, || point.attributes())))
    }
}

fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern {
        Pattern::Literal(literal) => literal == text,
        Pattern::Expression(expression) => expression.is_match(text),
    })
}

fn all<'a, I: Iterator<Item = KeyValue<'a>>>(wanted: &[(String, Option<Wanted>)], attributes: impl Fn() -> I) -> bool {
    wanted.iter().all(|(key, value)| {
        attributes().any(|attribute| {
            attribute.key == **key
                && match value {
                    None => true,
                    Some(Wanted::Value(value)) => value.equals(attribute.value),
                    Some(Wanted::Expression(expression)) => {
                        attribute.value.text().is_some_and(|text| expression.is_match(text.as_str()))
                    }
                }
        })
    })
}

impl Pattern {
    fn new(text: &str, match_type: MatchType) -> Result<Pattern, String> {
        match match_type {
            MatchType::Strict => Ok(Pattern::Literal(text.to_owned())),
            MatchType::Regexp => expression(text).map(Pattern::Expression),
        }
    }
}

/// Compiles a regular expression of a configuration.
pub fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("`{text}` is no regular expression: {error}"))
}

/// A value of a configuration, by what it looks like.
pub fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Value;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text, a number or a truth value")
        }

        fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
            Ok(Value::Bool(truth))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
            Ok(Value::Int(number))
        }

        fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
            Ok(Value::Double(number))
        }

        fn visit_str<E>(self, text: &str) -> Result<Value, E> {
            Ok(Value::String(text.to_owned()))
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// The same, where the key is there.
pub fn optional_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    value(deserializer).map(Some)
}
