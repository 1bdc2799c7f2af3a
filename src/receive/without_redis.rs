//! What stands for the receiver `redis` in a build without the feature of that name: nothing that could be made.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

use crate::flow::{Gate, SharedIntake};
use crate::health::Health;
use crate::listen::Serving;

/// There is none.
#[derive(Clone, Debug)]
pub enum Config {}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Config, D::Error> {
        Err(de::Error::custom("this build is without Redis; build Spanlight with the feature `redis`"))
    }
}

impl Config {
    /// There is nothing of telemetry.
    pub fn read_telemetry(&self) -> Option<String> {
        match *self {}
    }

    /// There is nothing to check.
    pub fn validate(&self) -> Result<(), String> {
        match *self {}
    }

    /// There is nothing to read.
    pub fn reads_telemetry(&self) -> bool {
        match *self {}
    }

    /// There is nothing to read.
    pub fn reads_events(&self) -> bool {
        match *self {}
    }

    /// There is nothing to read.
    pub fn epoch(&self) -> Option<String> {
        match *self {}
    }

    /// There is nothing to read.
    pub fn is_reading(&self, _: &str) -> bool {
        match *self {}
    }
}

/// There is nothing to read.
pub fn serve(_: &str, config: &Config, _: &SharedIntake, _: &Arc<Gate>, _: &Health) -> Result<Serving, String> {
    match *config {}
}
