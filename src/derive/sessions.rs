//! Sessions of coding agents: which prompts their users gave, and when.
//!
//! Not every log record says of which prompt it is. Those that do not are of the last one before them.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::names::Name;
use super::run::RunKey;
use crate::event::Timestamp;

/// The sessions that were heard of lately.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: HashMap<Name, Session, RandomState>,
    by_age: VecDeque<Name>,
    /// The last prompt of a user, and its session.
    last_prompt: Option<(Timestamp, Name)>,
}

/// One session.
#[derive(Debug, Default)]
pub struct Session {
    /// The runs of its prompts, by time.
    prompts: VecDeque<(Timestamp, RunKey)>,
    /// When the last call of a model began.
    pub call_began: Option<Timestamp>,
    /// Whether there is work of it that no prompt is known for.
    pub has_orphans: bool,
    /// Whether the agent has it with itself.
    pub is_own: bool,
    /// When it ended in order.
    pub ended: Option<Timestamp>,
}

impl Sessions {
    const MOST: usize = 10_000;

    /// A session, new from now on if nothing was heard of it.
    pub fn find_or_begin(&mut self, id: &Name) -> &mut Session {
        if !self.by_id.contains_key(id) {
            if self.by_age.len() >= Sessions::MOST
                && let Some(oldest) = self.by_age.pop_front()
            {
                self.by_id.remove(&oldest);
            }
            self.by_age.push_back(id.clone());
        }
        self.by_id.entry(id.clone()).or_default()
    }

    /// A user gave a prompt.
    pub fn was_prompted(&mut self, session: &Name, at: Timestamp) {
        self.last_prompt = Some((at, session.clone()));
    }

    /// A session began that looks like one of the agent with itself. It is, if a user has just given a prompt elsewhere.
    pub fn began(&mut self, session: &Name, at: Timestamp) {
        const JUST: u64 = 2_000_000;
        let follows =
            |(prompt, other): &(Timestamp, Name)| other != session && *prompt <= at && at.micros_since(*prompt) <= JUST;
        if self.last_prompt.as_ref().is_some_and(follows) {
            self.find_or_begin(session).is_own = true;
        }
    }

    /// A session that something was heard of.
    pub fn find(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id)
    }
}

impl Session {
    /// What is older is not asked for any more.
    const MOST_PROMPTS: usize = 64;

    /// A prompt was given; the one before it, if it is the last of all and new.
    pub fn prompted(&mut self, at: Timestamp, key: &RunKey) -> Option<RunKey> {
        if self.prompts.iter().any(|(_, known)| known == key) {
            return None;
        }
        let place = self.prompts.partition_point(|(known, _)| *known <= at);
        let before = place.checked_sub(1).and_then(|before| self.prompts.get(before)).map(|(_, key)| key.clone());
        let is_last = place == self.prompts.len();
        self.prompts.insert(place, (at, key.clone()));
        if self.prompts.len() > Session::MOST_PROMPTS {
            self.prompts.pop_front();
        }
        before.filter(|_| is_last)
    }

    /// The prompts right before and after that of a time, which may hold what is of that.
    pub fn around(&self, at: Timestamp, key: &RunKey) -> (Option<RunKey>, Option<(Timestamp, RunKey)>) {
        let others = || self.prompts.iter().filter(|(_, other)| other != key);
        let before = others().rfind(|(time, _)| *time <= at).map(|(_, key)| key.clone());
        (before, others().find(|(time, _)| *time > at).cloned())
    }

    /// The run of the last prompt before a time, else of the first.
    pub fn prompt_at(&self, at: Timestamp) -> Option<&RunKey> {
        let place = self.prompts.partition_point(|(known, _)| *known <= at);
        self.prompts.get(place.saturating_sub(1)).map(|(_, key)| key)
    }

    /// Whether what began at a time is over, because the session is, or another prompt was given since.
    pub fn is_past(&self, at: Timestamp, is_it: impl Fn(&RunKey) -> bool) -> bool {
        let ended = self.ended.is_some_and(|ended| ended >= at);
        ended || self.prompts.iter().any(|(later, other)| *later > at && !is_it(other))
    }

    /// The runs of all prompts.
    pub fn prompts(&self) -> impl Iterator<Item = &RunKey> {
        self.prompts.iter().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_prompt_is_of_the_last_one_before_it() {
        let mut session = Session::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let key = |name: &str| RunKey::Named(name.into());
        assert_eq!(session.prompt_at(at(1)), None);
        assert_eq!(session.prompted(at(20), &key("b")), None);
        assert_eq!(session.prompted(at(10), &key("a")), None, "it was not the last");
        assert_eq!(session.prompted(at(30), &key("c")), Some(key("b")));
        assert_eq!(session.prompted(at(40), &key("c")), None, "it is known");
        for (time, name) in [(5, "a"), (10, "a"), (25, "b"), (99, "c")] {
            assert_eq!(session.prompt_at(at(time)), Some(&key(name)), "{time}");
        }
    }
}
