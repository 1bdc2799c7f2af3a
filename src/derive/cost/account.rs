//! One account of the ledger: a sum since ever, and sums by slots of time for the windows of the last day.

use serde::{Deserialize, Serialize};

use super::making::Sums;
use crate::derive::slots::Slots;
use crate::event::Timestamp;

/// What was posted to one row, or in total.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Account {
    all: Sums,
    #[serde(flatten)]
    slots: Slots<Sums, { Account::FINE }, 2, 3600>,
}

impl Account {
    /// Seconds of the slots of the last hours.
    pub const FINE: i64 = 300;

    /// Adds what was posted: for ever, and to the slot of its time if that is still of interest.
    pub fn post(&mut self, at: Timestamp, sums: &Sums, now: Timestamp) {
        const OF_INTEREST: i64 = 25 * 3600;
        self.all += sums;
        if now.as_seconds() - at.as_seconds() <= OF_INTEREST {
            *self.slots.at(at, now) += sums;
        }
    }

    /// Adds all that was posted to another one.
    pub fn add(&mut self, other: &Account, now: Timestamp) {
        self.all += &other.all;
        self.slots.add(&other.slots, now);
    }

    /// Everything since ever.
    pub fn all(&self) -> &Sums {
        &self.all
    }

    /// The sums of the slots that end after `since`; nothing means since ever. Slots are those of the total of all accounts.
    pub fn since(&self, since: Option<Timestamp>, total: &Account) -> Sums {
        let Some(since) = since else { return self.all.clone() };
        let mut sum = Sums::default();
        let slots = self.slots.within(since, Timestamp::from_micros(i64::MAX), total.slots.fine_since());
        slots.for_each(|sums| sum += sums);
        sum
    }

    /// Where the slots begin.
    #[cfg(test)]
    pub fn slots(&self) -> impl Iterator<Item = i64> {
        self.slots.begins()
    }
}
