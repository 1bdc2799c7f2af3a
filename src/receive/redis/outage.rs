//! A server that is away: what is said of that, and how long nothing is tried.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Failures in a row of whoever reads something.
pub struct Outage {
    /// Who reads, and what.
    reader: String,
    what: String,
    failures: u32,
}

impl Outage {
    /// By how much longer nothing is tried with each failure, and how long at most.
    const PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);
    /// The failure that is told of. A connection that breaks once is made again, which is nobody's concern.
    const TOLD: u32 = 2;

    /// None yet of a receiver that reads this.
    pub fn new(receiver: &str, what: String) -> Outage {
        Outage { reader: receiver.to_owned(), what, failures: 0 }
    }

    /// It works. Whoever heard that it did not hears that as well.
    pub fn is_over(&mut self) {
        if let Some(words) = self.succeeded() {
            crate::report::note(&words);
        }
    }

    /// It does not work. Waits before the next attempt, unless told to stop.
    pub async fn wait(&mut self, error: &impl Display, stop: &CancellationToken) {
        let (words, pause) = self.failed(error);
        if let Some(words) = words {
            crate::report::warn(&words);
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }

    fn succeeded(&mut self) -> Option<String> {
        let was_told = std::mem::take(&mut self.failures) >= Outage::TOLD;
        was_told.then(|| format!("{}: {} can be read again", self.reader, self.what))
    }

    fn failed(&mut self, error: &impl Display) -> (Option<String>, Duration) {
        self.failures = self.failures.saturating_add(1);
        let is_told = self.failures == Outage::TOLD;
        let words = || format!("{}: cannot read {}: {error}; trying on", self.reader, self.what);
        let pause = Outage::PAUSE.saturating_mul(self.failures).min(Outage::LONGEST_PAUSE);
        (is_told.then(words), pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mends_itself_is_not_told_and_what_is_told_has_an_end() {
        let mut outage = Outage::new("redis", "`s` of localhost".into());
        assert_eq!(outage.succeeded(), None);
        assert_eq!(outage.failed(&"reset"), (None, Duration::from_millis(100)));
        assert_eq!(outage.succeeded(), None);
        assert_eq!(outage.failed(&"reset").0, None);
        let (words, pause) = outage.failed(&"refused");
        assert_eq!(words.as_deref(), Some("redis: cannot read `s` of localhost: refused; trying on"));
        assert_eq!(pause, Duration::from_millis(200));
        let longest = (0..100).map(|_| outage.failed(&"refused")).inspect(|(words, _)| assert_eq!(*words, None)).last();
        assert_eq!(longest.map(|(_, pause)| pause), Some(Outage::LONGEST_PAUSE));
        assert_eq!(outage.succeeded().as_deref(), Some("redis: `s` of localhost can be read again"));
        assert_eq!(outage.failed(&"reset"), (None, Duration::from_millis(100)), "it begins anew");
    }
}
