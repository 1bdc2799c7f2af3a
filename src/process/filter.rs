//! `filter`: lets records through that match, and drops the others.

use serde::Deserialize;

use super::matching::{Matcher, Matching};
use crate::event::{self, Event, Timestamp};
use crate::otlp::edit::Edit;
use crate::otlp::{Batch, Signal};

/// What to let through, by kind of record. What is not mentioned passes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of traces.
    #[serde(alias = "traces")]
    pub spans: Rule<Matching>,
    /// Of metrics.
    pub metrics: Rule<Matching>,
    /// Of logs.
    pub logs: Rule<Matching>,
    /// Of the agent connector's events, by the fields of event filters.
    pub events: Rule<std::collections::BTreeMap<String, Vec<String>>>,
}

/// A record passes if it is included and not excluded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule<T> {
    /// Only these pass, if given.
    pub include: Option<T>,
    /// These do not pass.
    pub exclude: Option<T>,
}

/// A filter at work.
#[derive(Debug)]
pub struct Filter {
    spans: Rule<Matcher>,
    metrics: Rule<Matcher>,
    logs: Rule<Matcher>,
    events: Rule<event::Filter>,
}

impl Filter {
    /// Compiles the rules.
    pub fn new(config: &Config) -> Result<Filter, String> {
        let rule = |rule: &Rule<Matching>| -> Result<Rule<Matcher>, String> {
            let compile = |matching: &Option<Matching>| matching.as_ref().map(Matching::compile).transpose();
            Ok(Rule { include: compile(&rule.include)?, exclude: compile(&rule.exclude)? })
        };
        let events = |fields: &Option<std::collections::BTreeMap<String, Vec<String>>>| {
            let pairs = |fields: &std::collections::BTreeMap<String, Vec<String>>| {
                let pairs: Vec<(String, String)> = fields
                    .iter()
                    .flat_map(|(field, values)| values.iter().map(|value| (field.clone(), value.clone())))
                    .collect();
                let pairs = pairs.iter().map(|(field, value)| (field.as_str(), value.as_str()));
                event::Filter::from_pairs(pairs, Timestamp::now()).map_err(|error| error.to_string())
            };
            fields.as_ref().map(pairs).transpose()
        };
        Ok(Filter {
            spans: rule(&config.spans)?,
            metrics: rule(&config.metrics)?,
            logs: rule(&config.logs)?,
            events: Rule { include: events(&config.events.include)?, exclude: events(&config.events.exclude)? },
        })
    }

    /// The batch without what does not pass; nothing if all passes.
    pub fn batch(&self, batch: &Batch) -> Option<Batch> {
        let rule = match batch.signal() {
            Signal::Traces => &self.spans,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        };
        if rule.include.is_none() && rule.exclude.is_none() {
            return None;
        }
        batch.edit(|group, record| {
            let fits = |matcher: &Matcher| matcher.matches(batch.signal(), group, record);
            let passes = rule.include.as_ref().is_none_or(fits) && !rule.exclude.as_ref().is_some_and(fits);
            if passes { Edit::Keep } else { Edit::Drop }
        })
    }

    /// Whether an event passes.
    pub fn event(&self, event: &Event) -> bool {
        let fits = |filter: &event::Filter| filter.matches(event);
        self.events.include.as_ref().is_none_or(fits) && !self.events.exclude.as_ref().is_some_and(fits)
    }
}
