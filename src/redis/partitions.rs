//! Telemetry in several streams, so that collectors can share it and each trace still has one of them.

use super::beside;

/// The keys of such streams, all of them in one slot: what is of several is changed in one step.
#[derive(Clone, Debug)]
pub struct Partitions {
    name: String,
    count: String,
}

impl Partitions {
    /// Of the name that a configuration gives them.
    pub fn of(name: &str) -> Partitions {
        Partitions { name: name.to_owned(), count: beside(name, "partitions") }
    }

    /// The stream of one of them.
    pub fn stream(&self, partition: u32) -> String {
        beside(&self.name, &partition.to_string())
    }

    /// Where it is said how many there are.
    pub fn count(&self) -> &str {
        &self.count
    }
}
