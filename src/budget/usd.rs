//! Money: US dollars in whole billionths, so that what is added and taken away again leaves nothing behind.

use serde::{Deserialize, Serialize};

/// US dollars, to the billionth: adding them up gives the same in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);

    /// The nearest amount; what is no number is nothing.
    pub fn of(dollars: f64) -> Usd {
        Usd((dollars * 1e9).round() as i64)
    }

    /// In dollars.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Both.
    pub fn plus(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }

    /// Without the other.
    pub fn minus(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }

    /// A share of it.
    pub fn times(self, share: f64) -> Usd {
        Usd((self.0 as f64 * share).round() as i64)
    }
}
