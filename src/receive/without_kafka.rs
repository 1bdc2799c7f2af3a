//! What stands for the receiver `kafka` in a build without the feature of that name: nothing that could be made.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

use crate::flow::{Gate, SharedIntake};
use crate::health::Health;
use crate::listen::Serving;
use crate::otlp::Signal;

/// There is none.
#[derive(Clone, Debug)]
pub enum Config {}

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

    /// There is nothing to read.
    pub fn reads_events(&self) -> bool {
        match *self {}
    }

    /// There is nothing to read.
    pub fn is_reading(&self, _: Option<Signal>, _: &str) -> bool {
        match *self {}
    }
}

/// There is nothing to read.
pub fn serve(_: &str, config: &Config, _: &SharedIntake, _: &Arc<Gate>, _: &Health) -> Result<Serving, String> {
    match *config {}
}
