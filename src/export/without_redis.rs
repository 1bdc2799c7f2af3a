//! What stands for the exporter `redis` in a build without the feature of that name: nothing that could be made.

use serde::{Deserialize, Deserializer, de};

use super::pump::Settings;
use super::{Exporter, Inlet, Load, Outcome, Pump};
use crate::content::Classes;
use crate::health::Health;
use crate::measure::SharedBuckets;

/// There is none.
#[derive(Clone, Debug)]
pub enum Config {}

/// There is none.
pub enum RedisExporter {}

/// What would run.
#[derive(Default)]
pub struct Started {
    /// To be drained in the end.
    pub pumps: Vec<Pump>,
    /// Where events would go.
    pub events: Option<Inlet>,
    /// Where it would be said that something was counted.
    pub changes: Option<Inlet>,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Config, D::Error> {
        Err(de::Error::custom("this build is without Redis; build Spanlight with the feature `redis`"))
    }
}

impl Config {
    /// The environment says nothing to this build.
    pub fn from_lookup(_: &dyn Fn(&str) -> Option<String>) -> Result<Option<Config>, String> {
        Ok(None)
    }

    /// There is nothing of telemetry.
    pub fn written_telemetry(&self) -> Option<String> {
        match *self {}
    }

    /// There is nothing to check.
    pub fn validate(&self) -> Result<(), String> {
        match *self {}
    }

    /// There is nothing to write.
    pub fn written_stream(&self) -> Option<String> {
        match *self {}
    }

    /// There is nothing to take.
    pub fn takes_events(&self) -> bool {
        match *self {}
    }

    /// There is nothing to take.
    pub fn takes_telemetry(&self) -> bool {
        match *self {}
    }

    /// There is nothing to drop.
    pub fn drops_unasked(&self) -> bool {
        match *self {}
    }

    /// There is nothing to ask for.
    pub fn ask(&mut self, _: Classes) {
        match *self {}
    }
}

impl RedisExporter {
    /// There is nothing to end.
    pub async fn close(&mut self) {
        match *self {}
    }

    /// There is nothing to attempt.
    pub async fn export(&mut self, _: &Load) -> Outcome {
        match *self {}
    }
}

/// There is nothing to write.
pub fn telemetry(_: &str, config: &Config) -> Result<(Settings, Vec<Exporter>), String> {
    match *config {}
}

/// There is nothing to start.
pub fn start(_: &str, config: &Config, _: impl FnOnce() -> SharedBuckets, _: &Health) -> Result<Started, String> {
    match *config {}
}
