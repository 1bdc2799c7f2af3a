//! `prometheus`: metrics for scraping. Keeps what was received, and shows it beside what was counted.

mod names;
mod store;
mod text;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;

pub use text::{Format, render};

use crate::config::types::{Listen, Span};
use crate::event::Timestamp;
use crate::measure::{Family, FamilyKind};
use crate::otlp::Batch;
use crate::tls;
use store::Store;

/// How received metrics are kept and shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A port of its own for `/metrics`, beside that of the web extension.
    pub endpoint: Option<Listen>,
    /// TLS of that port.
    pub tls: Option<tls::Server>,
    /// What the names of received metrics begin with.
    pub namespace: String,
    /// Labels that every received series gets.
    pub const_labels: BTreeMap<String, String>,
    /// Whether the attributes of resources stand on every series rather than on `target_info`.
    pub resource_to_telemetry_conversion: ResourceLabels,
    /// After how long without a new value a series is no longer shown.
    pub metric_expiration: Span,
    /// The most series of one metric; what comes on top is dropped and counted.
    pub max_series: usize,
}

/// Where the attributes of resources stand.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceLabels {
    /// On every series.
    pub enabled: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            endpoint: None,
            tls: None,
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            resource_to_telemetry_conversion: ResourceLabels::default(),
            metric_expiration: Span(std::time::Duration::from_secs(3600)),
            max_series: 10_000,
        }
    }
}

/// Received metrics, ready to be scraped.
#[derive(Debug)]
pub struct Prometheus {
    config: Config,
    store: Mutex<Store>,
}

/// Points that are not shown, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their metric had no room for another series.
    pub overflowed: u64,
    /// Another metric of the same name is of another kind.
    pub conflicting: u64,
    /// They came after a later point of their series.
    pub stale: u64,
    /// They have no value, or one that a counter cannot have.
    pub invalid: u64,
}

impl Prometheus {
    /// Nothing received yet.
    pub fn new(config: Config) -> Prometheus {
        let store = Store::new(config.max_series, config.resource_to_telemetry_conversion.enabled);
        Prometheus { config, store: Mutex::new(store) }
    }

    /// Takes the metrics of a batch in.
    pub fn absorb(&self, batch: &Batch, now: Timestamp) {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).absorb(batch, now);
    }

    /// What was received, as it stands.
    pub fn families(&self, now: Timestamp) -> Vec<Family> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.expire(now.minus(self.config.metric_expiration.0));
        let mut families = store.families();
        families.iter_mut().for_each(|family| self.label(family));
        families
    }

    /// What the configuration adds to names and labels.
    fn label(&self, family: &mut Family) {
        if !self.config.namespace.is_empty() && family.kind != FamilyKind::Info {
            family.name = format!("{}.{}", self.config.namespace, family.name).into();
        }
        for (key, value) in &self.config.const_labels {
            for series in &mut family.series {
                // What the emitter says itself stands.
                if !series.attributes.iter().any(|(known, _)| **known == **key) {
                    series.attributes.push((key.as_str().into(), value.as_str().into()));
                }
            }
        }
    }

    /// Forgets what has expired, also where nobody scrapes.
    pub fn expire(&self, now: Timestamp) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.expire(now.minus(self.config.metric_expiration.0));
    }

    /// Points that are not shown.
    pub fn left_out(&self) -> LeftOut {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).left_out()
    }
}
