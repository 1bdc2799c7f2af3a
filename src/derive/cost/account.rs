//! One account of the ledger: a sum since ever, and sums by slots of time for the windows of the last day.

use serde::{Deserialize, Serialize};

use super::making::Sums;
use crate::event::Timestamp;

/// What was posted to one row, or in total.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Account {
    all: Sums,
    /// In order. Slots before `fine_since` are of an hour, the others of five minutes.
    slots: Vec<Slot>,
    /// Where an hour begins, in seconds since 1970.
    fine_since: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Slot {
    from: i64,
    sums: Sums,
}

impl Account {
    /// Seconds of the slots of the last hours.
    pub const FINE: i64 = 300;
    const COARSE: i64 = 3600;

    /// Adds what was posted: for ever, and to the slot of its time if that is still of interest.
    pub fn post(&mut self, at: Timestamp, sums: &Sums, now: Timestamp) {
        self.all.add(sums);
        let (at, now) = (at.as_seconds(), now.as_seconds());
        self.compact(now);
        if now - at <= 25 * Account::COARSE {
            self.add_to_slot(at, sums);
        }
    }

    /// Adds all that was posted to another one.
    pub fn add(&mut self, other: &Account, now: Timestamp) {
        self.all.add(&other.all);
        self.compact(now.as_seconds());
        for slot in &other.slots {
            self.add_to_slot(slot.from, &slot.sums);
        }
    }

    fn add_to_slot(&mut self, at: i64, sums: &Sums) {
        let from = self.slot_of(at);
        let place = self.slots.partition_point(|slot| slot.from < from);
        match self.slots.get_mut(place) {
            Some(slot) if slot.from == from => slot.sums.add(sums),
            _ => self.slots.insert(place, Slot { from, sums: sums.clone() }),
        }
    }

    /// Where the slot of a time begins.
    fn slot_of(&self, at: i64) -> i64 {
        let seconds = self.seconds_of(at);
        at.div_euclid(seconds) * seconds
    }

    fn seconds_of(&self, at: i64) -> i64 {
        if at < self.fine_since { Account::COARSE } else { Account::FINE }
    }

    /// Slots of five minutes become slots of an hour once the last hour no longer needs them. That changes from
    /// hour to hour only.
    fn compact(&mut self, now: i64) {
        let fine_since = (now.div_euclid(Account::COARSE) - 2) * Account::COARSE;
        if fine_since <= self.fine_since {
            return;
        }
        self.fine_since = fine_since;
        self.slots.retain(|slot| now - slot.from <= 26 * Account::COARSE);
        for at in 0..self.slots.len() {
            self.slots[at].from = self.slot_of(self.slots[at].from);
        }
        self.slots.dedup_by(|later, slot| {
            let same = later.from == slot.from;
            if same {
                slot.sums.add(&later.sums);
            }
            same
        });
    }

    /// Everything since ever.
    pub fn all(&self) -> &Sums {
        &self.all
    }

    /// The sums of the slots that end after `since`; nothing means since ever.
    pub fn since(&self, since: Option<Timestamp>) -> Sums {
        let Some(since) = since else { return self.all.clone() };
        let mut sum = Sums::default();
        let recent = self.slots.iter().filter(|slot| slot.from + self.seconds_of(slot.from) > since.as_seconds());
        recent.for_each(|slot| sum.add(&slot.sums));
        sum
    }

    /// Where the slots begin.
    #[cfg(test)]
    pub fn slots(&self) -> impl Iterator<Item = i64> {
        self.slots.iter().map(|slot| slot.from)
    }
}
