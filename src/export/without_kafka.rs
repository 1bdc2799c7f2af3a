//! What stands for the exporter `kafka` in a build without the feature of that name: nothing that could be made.

use serde::{Deserialize, Deserializer, de};

use super::pump::Settings;
use super::{Exporter, Load, Outcome};
use crate::otlp::Signal;

/// There is none.
#[derive(Clone, Debug)]
pub enum Config {}

/// There is none.
pub enum KafkaExporter {}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Config, D::Error> {
        Err(de::Error::custom("this binary was built without Kafka; build with --features kafka"))
    }
}

impl Config {
    /// There is nothing to check.
    pub fn validate(&self) -> Result<(), String> {
        match *self {}
    }

    /// There is nothing to write.
    pub fn written_topic(&self, _: Option<Signal>) -> Option<String> {
        match *self {}
    }

    /// There is nothing to drop.
    pub fn drops_unasked(&self) -> bool {
        match *self {}
    }

    /// There is nothing to pump.
    pub fn settings(&self) -> Settings {
        match *self {}
    }
}

impl KafkaExporter {
    /// There is nothing to end.
    pub async fn close(&mut self) {
        match *self {}
    }

    /// There is nothing to attempt.
    pub async fn export(&mut self, _: &Load) -> Outcome {
        match *self {}
    }
}

/// There is nothing to start.
pub fn exporters(config: &Config) -> Result<Vec<Exporter>, String> {
    match *config {}
}
