//! When to try again: exponential back-off with jitter, and the receiver's own word where it gives one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::config::types::Span;

/// How attempts are repeated. Keys and defaults are those of the OpenTelemetry Collector.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whether they are.
    pub enabled: bool,
    /// The first delay.
    pub initial_interval: Span,
    /// The longest delay.
    pub max_interval: Span,
    /// After this long a load is given up; 0 is never. Unless it says otherwise, 5 minutes, and never from a queue on disk.
    pub max_elapsed_time: Option<Span>,
    /// By how much each delay is longer than the last.
    pub multiplier: f64,
    /// By which share of it a delay may be shorter or longer.
    pub randomization_factor: f64,
}

/// What a configuration says of that.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    enabled: Option<bool>,
    initial_interval: Option<Span>,
    max_interval: Option<Span>,
    max_elapsed_time: Option<Span>,
    multiplier: Option<f64>,
    randomization_factor: Option<f64>,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        Config::default().but_as_said(deserializer)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enabled: true,
            initial_interval: Span(Duration::from_secs(5)),
            max_interval: Span(Duration::from_secs(30)),
            max_elapsed_time: None,
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl Config {
    /// As a configuration says, and as this one where it says nothing.
    pub fn but_as_said<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Config, D::Error> {
        let said = Said::deserialize(deserializer)?;
        Ok(Config {
            enabled: said.enabled.unwrap_or(self.enabled),
            initial_interval: said.initial_interval.unwrap_or(self.initial_interval),
            max_interval: said.max_interval.unwrap_or(self.max_interval),
            max_elapsed_time: said.max_elapsed_time.or(self.max_elapsed_time),
            multiplier: said.multiplier.unwrap_or(self.multiplier),
            randomization_factor: said.randomization_factor.unwrap_or(self.randomization_factor),
        })
    }

    /// Checks that the numbers make sense.
    pub fn validate(&self) -> Result<(), String> {
        if self.multiplier < 1.0 || !self.multiplier.is_finite() {
            return Err(format!("`multiplier` is 1 or more, not {}", self.multiplier));
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            return Err(format!("`randomization_factor` is 0 to 1, not {}", self.randomization_factor));
        }
        Ok(())
    }

    const GIVES_UP_AFTER: Duration = Duration::from_secs(300);

    /// After how long a load is given up, if it is.
    pub fn limit(&self, is_on_disk: bool) -> Option<Duration> {
        let unless_said = (!is_on_disk).then_some(Config::GIVES_UP_AFTER);
        self.max_elapsed_time.map(|span| span.0).or(unless_said).filter(|limit| !limit.is_zero())
    }

    /// Whatever a receiver asks for, nothing waits longer.
    const LONGEST: Duration = Duration::from_secs(3600);

    /// The delay after the attempt number `attempt` (from 0) failed. What the receiver asked for is not undercut, and
    /// neither is our own: a receiver that says "at once" is in no state to be asked a thousand times a second.
    pub fn delay(&self, attempt: u32, asked_for: Option<Duration>) -> Duration {
        let grown = self.initial_interval.0.as_secs_f64() * self.multiplier.powi(attempt.min(1000) as i32);
        let base = grown.min(self.max_interval.0.as_secs_f64());
        let jitter = 1.0 + self.randomization_factor * (2.0 * random() - 1.0);
        let own = crate::duration::from_seconds(base * jitter);
        // A little later than asked, so that not everyone comes at once.
        let asked_for = asked_for.map(|asked_for| asked_for.min(Config::LONGEST).mul_f64(1.0 + 0.1 * random()));
        own.max(asked_for.unwrap_or_default())
    }
}

/// A number from 0 to 1, from the randomness that the standard library seeds its hash maps with.
fn random() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_given_up_in_the_end_unless_it_is_on_disk() {
        let usual = Config::default();
        assert_eq!((usual.limit(false), usual.limit(true)), (Some(Duration::from_secs(300)), None));
        let never = Config { max_elapsed_time: Some(Span(Duration::ZERO)), ..usual };
        assert_eq!(never.limit(false), None);
        let soon = Config { max_elapsed_time: Some(Span(Duration::from_secs(1))), ..usual };
        assert_eq!(soon.limit(true), Some(Duration::from_secs(1)));
    }

    #[test]
    fn delays_grow_to_a_limit_and_follow_the_receivers_word() {
        let config = Config { randomization_factor: 0.0, ..Config::default() };
        let delays: Vec<u64> = (0..6).map(|attempt| config.delay(attempt, None).as_millis() as u64).collect();
        assert_eq!(delays, [5000, 7500, 11_250, 16_875, 25_312, 30_000]);
        let asked = config.delay(0, Some(Duration::from_secs(60)));
        assert!((60.0..66.1).contains(&asked.as_secs_f64()));
        assert_eq!(config.delay(0, Some(Duration::ZERO)), Duration::from_secs(5));
        assert!(config.delay(0, Some(Duration::MAX)) <= Duration::from_secs(4000));
        let jittered = Config::default().delay(0, None).as_secs_f64();
        assert!((2.5..=7.5).contains(&jittered));
    }
}
