//! Storage that does not do what it should: what is said of that, and how often.

use std::time::{Duration, Instant};

/// Attempts in a row that failed, if any did.
#[derive(Default)]
pub struct Outage(Option<Lasting>);

/// An outage that is not over.
struct Lasting {
    since: Instant,
    attempts: u32,
    /// The reasons that were said of it, without what is another in every attempt.
    said: Vec<String>,
    said_at: Instant,
}

impl Outage {
    /// How often it is said that it lasts.
    const AGAIN: Duration = Duration::from_secs(300);
    /// The most reasons that are said as soon as they come up: some may have something else in them every time.
    const MOST_REASONS: usize = 8;

    /// How many attempts in a row have failed.
    pub fn attempts(&self) -> u32 {
        self.0.as_ref().map_or(0, |lasting| lasting.attempts)
    }

    /// An attempt failed. What there is to say: that it did, if it is the first; why, if that is another reason than
    /// before; and how long it has lasted, every now and then.
    pub fn failed(&mut self, why: &str, now: Instant) -> Option<String> {
        let is_new = self.0.is_none();
        let lasting = self.0.get_or_insert_with(|| Lasting { since: now, attempts: 0, said: Vec::new(), said_at: now });
        lasting.attempts = lasting.attempts.saturating_add(1);
        let kind = kind(why);
        let is_another = !lasting.said.contains(&kind) && lasting.said.len() < Outage::MOST_REASONS;
        if is_another {
            lasting.said.push(kind);
        } else if now.duration_since(lasting.said_at) < Outage::AGAIN {
            return None;
        }
        lasting.said_at = now;
        let lasts = if is_new { String::new() } else { format!(" for {} now", time(lasting.since, now)) };
        Some(format!("{why}; it is tried again{lasts} until it works"))
    }

    /// An attempt succeeded. What there is to say, if others failed before.
    pub fn is_over(&mut self, now: Instant) -> Option<String> {
        let Lasting { since, attempts, .. } = self.0.take()?;
        Some(format!("it goes on, after {} and {attempts} attempts in vain", time(since, now)))
    }
}

/// A reason without numbers, and without those by which storages know a request.
fn kind(why: &str) -> String {
    let before = why.split("<RequestId>").next().unwrap_or(why);
    before.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// How long it has lasted, in whole seconds.
fn time(since: Instant, now: Instant) -> String {
    crate::duration::display(Duration::from_secs(now.duration_since(since).as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_when_it_begins_changes_lasts_and_ends() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(outage.is_over(begin), None);
        let first = outage.failed("refused", begin);
        assert_eq!(first.as_deref(), Some("refused; it is tried again until it works"));
        assert_eq!(outage.failed("refused", after(30)), None);
        let other = outage.failed("503: busy <RequestId>A1</RequestId>", after(60));
        assert!(other.is_some_and(|words| words.contains("busy") && words.contains("for 1 m 0 s now")));
        assert_eq!(outage.failed("503: busy <RequestId>B2</RequestId>", after(90)), None);
        assert_eq!(outage.failed("refused", after(120)), None, "it was said already");
        assert_eq!(outage.failed("refused", after(359)), None);
        let again = outage.failed("refused", after(360));
        assert_eq!(again.as_deref(), Some("refused; it is tried again for 6 m 0 s now until it works"));
        assert_eq!((outage.failed("refused", after(390)), outage.attempts()), (None, 8));
        assert_eq!(outage.is_over(after(420)).as_deref(), Some("it goes on, after 7 m 0 s and 8 attempts in vain"));
        assert_eq!((outage.is_over(after(420)), outage.attempts()), (None, 0));
        assert!(outage.failed("refused", after(500)).is_some(), "the next is another");
    }

    #[test]
    fn a_reason_that_is_never_the_same_is_not_said_every_time() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        let said = (0..26u8).filter(|number| outage.failed(&char::from(b'a' + number).to_string(), now).is_some());
        assert_eq!(said.count(), Outage::MOST_REASONS);
    }
}
