//! What stands for the extension `archive` in a build without the feature of that name: nothing that could be made.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

use crate::health::Health;
use crate::journal::Journal;

/// There is none.
#[derive(Clone, Debug)]
pub enum Config {}

/// There is none.
pub enum Archive {}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Config, D::Error> {
        Err(de::Error::custom("this binary was built without the archive; build with --features archive"))
    }
}

impl Config {
    /// There is nothing to check.
    pub fn validate(&self) -> Result<(), String> {
        match *self {}
    }

    /// There is nothing to drop.
    pub fn drops_unasked(&self) -> bool {
        match *self {}
    }
}

impl Archive {
    /// There is nothing to make.
    pub fn new(config: &Config, _: PathBuf, _: &Arc<Journal>, _: &Health) -> Result<Archive, String> {
        match *config {}
    }

    /// There is nothing to do.
    pub async fn run(self) {
        match self {}
    }
}

/// There is none that a journal could wait for.
pub fn forget(journal: &Journal) -> bool {
    journal.forget_cursor("archive")
}
