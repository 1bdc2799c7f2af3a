//! How long a task waited for people: escalations and their resolutions, put together by time and not by arrival.

use crate::derive::Name;
use crate::duration::from_seconds;
use crate::event::Timestamp;

/// What is known of the times at which one task went to people and came back.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    escalations: Vec<Escalation>,
    resolutions: Vec<Resolution>,
}

/// A task went to people.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    pub at: Timestamp,
    /// The agent that asked.
    pub agent: Option<Name>,
}

/// They gave it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    pub at: Timestamp,
    /// How: approved, rejected, timed out.
    pub decision: Name,
    /// Seconds that it took, by the word of whoever tells of it.
    pub seconds: Option<f64>,
}

/// One time of waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    pub from: Timestamp,
    /// The agent that asked.
    pub agent: Option<Name>,
    /// How it ended, if it has.
    pub end: Option<Resolution>,
}

impl Waits {
    /// Of one task that goes back and forth more often than that, the first are forgotten.
    const MOST: usize = 64;

    /// The task went to people.
    pub fn escalated(&mut self, escalation: Escalation) {
        let place =
            self.escalations.partition_point(|known| (known.at, &known.agent) <= (escalation.at, &escalation.agent));
        self.escalations.insert(place, escalation);
        forget_first(&mut self.escalations);
    }

    /// The task came back.
    pub fn resolved(&mut self, resolution: Resolution) {
        let place = self
            .resolutions
            .partition_point(|known| (known.at, &known.decision) <= (resolution.at, &resolution.decision));
        self.resolutions.insert(place, resolution);
        forget_first(&mut self.resolutions);
    }

    /// When it went to people the last time.
    pub fn last_escalation(&self) -> Option<Timestamp> {
        self.escalations.last().map(|escalation| escalation.at)
    }

    /// The times of waiting, in order. One begins with an escalation, unless the task waits already, and ends with the
    /// next resolution. A resolution of which the beginning is not known is one if it says how long it took.
    pub fn all(&self) -> Vec<Wait> {
        let mut waits: Vec<Wait> = Vec::new();
        let mut escalations = self.escalations.iter().peekable();
        for resolution in &self.resolutions {
            let mut begin: Option<&Escalation> = None;
            while let Some(escalation) = escalations.next_if(|escalation| escalation.at <= resolution.at) {
                begin.get_or_insert(escalation);
            }
            let (from, agent) = match (begin, resolution.seconds) {
                (Some(begin), _) => (begin.at, begin.agent.clone()),
                (None, Some(seconds)) => (resolution.at.minus(from_seconds(seconds)), None),
                (None, None) => continue,
            };
            let is_known = |wait: &Wait| wait.end.as_ref().is_some_and(|end| end.at > from);
            if begin.is_none() && waits.last().is_some_and(is_known) {
                continue;
            }
            waits.push(Wait { from, agent, end: Some(resolution.clone()) });
        }
        waits.extend(escalations.next().map(|begin| Wait { from: begin.at, agent: begin.agent.clone(), end: None }));
        waits
    }
}

impl Wait {
    /// How many seconds it took, if it is over.
    pub fn seconds(&self) -> Option<f64> {
        let end = self.end.as_ref()?;
        Some(end.seconds.unwrap_or_else(|| end.at.micros_since(self.from) as f64 / 1e6))
    }

    /// From when to when; one that is not over has no end.
    pub fn time(&self) -> (Timestamp, Timestamp) {
        (self.from, self.end.as_ref().map_or(Timestamp::from_micros(i64::MAX), |end| end.at))
    }
}

fn forget_first<T>(list: &mut Vec<T>) {
    if list.len() > Waits::MOST {
        list.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn escalated(seconds: i64) -> Escalation {
        Escalation { at: at(seconds), agent: None }
    }

    fn resolved(seconds: i64, said: Option<f64>) -> Resolution {
        Resolution { at: at(seconds), decision: "approved".into(), seconds: said }
    }

    #[test]
    fn a_time_of_waiting_begins_and_ends_once() {
        let mut waits = Waits::default();
        [10, 20, 70].into_iter().for_each(|seconds| waits.escalated(escalated(seconds)));
        [40, 41].into_iter().for_each(|seconds| waits.resolved(resolved(seconds, None)));
        let all = waits.all();
        assert_eq!(all.iter().map(Wait::seconds).collect::<Vec<_>>(), [Some(30.0), None]);
        assert_eq!(all[1].from, at(70));
    }

    #[test]
    fn what_was_not_seen_to_begin_says_how_long_it_took() {
        let mut waits = Waits::default();
        waits.resolved(resolved(40, None));
        assert_eq!(waits.all(), []);
        waits.resolved(resolved(50, Some(5.0)));
        assert_eq!(waits.all()[0].time(), (at(45), at(50)));
        waits.escalated(escalated(30));
        assert_eq!(waits.all()[0].time(), (at(30), at(40)));
        assert_eq!(waits.all().len(), 2);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing(
            (told, shuffled) in proptest::collection::vec((any::<bool>(), 0i64..1000), 0..20)
                .prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle())),
        ) {
            let of = |told: Vec<(bool, i64)>| {
                let mut waits = Waits::default();
                for (begins, seconds) in told {
                    if begins { waits.escalated(escalated(seconds)) } else { waits.resolved(resolved(seconds, None)) }
                }
                waits.all()
            };
            prop_assert_eq!(of(told), of(shuffled));
        }
    }
}
