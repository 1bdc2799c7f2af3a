//! What calls of a model have cost of late, to guess what those will that go on.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::derive::Name;

/// The moving averages of the cost of calls, by model.
#[derive(Debug, Default)]
pub struct Means(HashMap<Name, f64, RandomState>);

impl Means {
    /// Models that are kept apart; there are not many more.
    const MOST: usize = 1000;
    /// How much a new call says beside all before it.
    const WEIGHT: f64 = 0.1;

    /// Learns what a call cost.
    pub fn learn(&mut self, model: &Name, usd: f64) {
        if !usd.is_finite() {
            return;
        }
        if let Some(mean) = self.0.get_mut(model) {
            *mean += Means::WEIGHT * (usd - *mean);
        } else if self.0.len() < Means::MOST {
            self.0.insert(model.clone(), usd);
        }
    }

    /// What a call probably costs, if any was seen.
    pub fn of(&self, model: &str) -> Option<f64> {
        self.0.get(model).copied()
    }
}
