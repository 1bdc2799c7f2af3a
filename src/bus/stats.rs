//! What a bus did as a whole.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::limiter::SourceStats;
use crate::event::Timestamp;

/// What a bus did so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Events that were taken in.
    pub published: u64,
    /// The same by name; beyond a thousand names the rest is `(others)`.
    pub by_name: BTreeMap<String, u64>,
    /// Events of the last full second.
    pub last_second: u64,
    /// Events of the last minute.
    pub last_minute: u64,
    /// Events that were not taken in, by reason.
    pub refused: RefusedStats,
    /// Events that telemetry derived, and for which there was no room.
    pub missed: u64,
    /// Sources that publish within limits, by name; none where there are no limits.
    pub sources: Vec<SourceStats>,
    /// Events that wait to be handed on to subscriptions.
    pub pending: usize,
    /// Events in memory, which can be replayed.
    pub history: u64,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Dead letters in memory.
    pub dead_letters: usize,
    /// Dead letters that left because there was no more room.
    pub dead_letters_forgotten: u64,
    /// Whether it takes events in.
    pub is_open: bool,
}

/// Events that were not taken in, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedStats {
    /// Their source published too much.
    pub rate_limited: u64,
    /// There was no room.
    pub full: u64,
    /// The bus was shut down.
    pub closed: u64,
}

/// How many events of each name there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    counts: HashMap<Box<str>, u64, foldhash::fast::RandomState>,
    others: u64,
}

/// How many events there were in each of the last seconds.
#[derive(Debug)]
pub(super) struct Rate {
    counts: [u64; Rate::SECONDS],
    newest: i64,
}

impl Names {
    const MOST: usize = 1000;

    pub fn count(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < Names::MOST {
            self.counts.insert(name.into(), 1);
        } else {
            self.others += 1;
        }
    }

    pub fn into_map(self) -> BTreeMap<String, u64> {
        let others = (self.others > 0).then(|| ("(others)".to_owned(), self.others));
        self.counts.into_iter().map(|(name, count)| (String::from(name), count)).chain(others).collect()
    }
}

impl Rate {
    const SECONDS: usize = 60;

    pub fn add(&mut self, events: u64, now: Timestamp) {
        self.advance(now);
        self.counts[self.newest.rem_euclid(Rate::SECONDS as i64) as usize] += events;
    }

    /// Of the last full second, and of the last minute.
    pub fn read(&mut self, now: Timestamp) -> (u64, u64) {
        self.advance(now);
        let before = (self.newest - 1).rem_euclid(Rate::SECONDS as i64) as usize;
        (self.counts[before], self.counts.iter().sum())
    }

    fn advance(&mut self, now: Timestamp) {
        let now = now.as_seconds();
        let passed = now.saturating_sub(self.newest).clamp(0, Rate::SECONDS as i64);
        for second in (now - passed + 1)..=now {
            self.counts[second.rem_euclid(Rate::SECONDS as i64) as usize] = 0;
        }
        self.newest = self.newest.max(now);
    }
}

impl Default for Rate {
    fn default() -> Rate {
        Rate { counts: [0; Rate::SECONDS], newest: 0 }
    }
}
