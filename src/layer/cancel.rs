//! Whether a future was dropped before it was done.
//!
//! Nothing tells. But an instrumented future enters its span once more to be dropped, and what surrounds that differs:
//! one that is done is dropped by whoever polled it, at once; one that is called off had rested in between, or takes
//! work down with it that was still open. Where that cannot be seen, as when a `timeout` polls its future and
//! drops it in the same breath, the work counts as completed: saying "canceled" of work that was done is worse. So does
//! work that is no task's, unless it takes other work down.

/// How a span was entered and left, as far as it matters.
#[derive(Clone, Debug, Default)]
pub struct Life {
    enters: u32,
    entered: Moment,
    left: Moment,
    /// Whether it rested, with the executor in between, before it was entered last.
    rested: bool,
    /// Whether nothing was said in it since.
    quiet: bool,
    /// Whether work within it ended since.
    took_down: bool,
    /// Whether what came out of it was recorded.
    has_result: bool,
}

/// A moment on a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds.
    pub stamp: u64,
    /// The thread's number.
    pub thread: u32,
}

impl Life {
    /// Whoever is done is dropped within this time, and whoever drops takes no longer than some of it.
    const AT_ONCE: u64 = 50_000;
    const SOON: u64 = 1_000_000;

    /// Whether it was ever entered.
    pub fn has_begun(&self) -> bool {
        self.enters > 0
    }

    /// When it was left last, if it was.
    pub fn left(&self) -> Option<u64> {
        (self.left.stamp > 0).then_some(self.left.stamp)
    }

    /// It is entered, within the work that it is a part of.
    pub fn enter(&mut self, at: Moment, around: Option<&Life>) {
        let around = around.filter(|around| around.is_entered(at.thread)).map(|around| around.entered.stamp);
        self.rested = self.enters > 0
            && match around {
                Some(entered) => self.left.stamp < entered,
                None => !self.is_at_once(at),
            };
        self.enters += 1;
        (self.entered, self.quiet, self.took_down) = (at, true, false);
    }

    /// It is left.
    pub fn leave(&mut self, at: Moment) {
        self.left = at;
    }

    /// Something was said in it or of it.
    pub fn say(&mut self, is_result: bool) {
        self.quiet = false;
        self.has_result |= is_result;
    }

    /// Work within it ended.
    pub fn part_ended(&mut self) {
        self.took_down = true;
    }

    /// Whether it was dropped before it was done, now that it is over.
    /// Only tasks are called off without taking other work down: code that is no task enters spans as it likes.
    pub fn was_called_off(&self, at: Moment, in_task: bool) -> bool {
        let was_dropped = self.enters > 1
            && self.quiet
            && self.is_at_once(at)
            && self.left.stamp.saturating_sub(self.entered.stamp) < Life::SOON;
        was_dropped && !self.has_result && ((self.rested && in_task) || self.took_down)
    }

    fn is_entered(&self, thread: u32) -> bool {
        self.entered.thread == thread && self.entered.stamp >= self.left.stamp
    }

    fn is_at_once(&self, at: Moment) -> bool {
        self.left.thread == at.thread && at.stamp.saturating_sub(self.left.stamp) < Life::AT_ONCE
    }
}

/// Whether a field says what came out of the work.
pub fn is_result(name: &str) -> bool {
    const WORDS: &[&str] =
        &["output", "result", "completion", "response", "usage", "tokens", "finish", "status_code", "cost", "outcome"];
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stamp: u64) -> Moment {
        Moment { stamp, thread: 0 }
    }

    fn entered_and_left(life: &mut Life, from: u64, to: u64) {
        life.enter(at(from), None);
        life.leave(at(to));
    }

    #[test]
    fn a_future_that_is_done_is_dropped_at_once() {
        let mut life = Life::default();
        entered_and_left(&mut life, 1_000, 2_000);
        entered_and_left(&mut life, 9_000_000, 9_001_000);
        entered_and_left(&mut life, 9_001_200, 9_001_300);
        assert!(!life.was_called_off(at(9_001_400), true));
    }

    #[test]
    fn a_future_that_rested_and_is_dropped_was_called_off() {
        let mut life = Life::default();
        entered_and_left(&mut life, 1_000, 2_000);
        entered_and_left(&mut life, 9_000_000, 9_001_000);
        assert!(life.was_called_off(at(9_001_100), true));
        life.say(true);
        entered_and_left(&mut life, 19_000_000, 19_001_000);
        assert!(!life.was_called_off(at(19_001_100), true), "it had a result");
    }

    #[test]
    fn a_span_that_code_enters_by_hand_was_not_called_off() {
        let mut life = Life::default();
        entered_and_left(&mut life, 1_000, 2_000_000);
        assert!(!life.was_called_off(at(2_000_100), true));
        entered_and_left(&mut life, 9_000_000, 19_000_000);
        assert!(!life.was_called_off(at(19_000_100), true), "it worked for ten milliseconds");
    }

    #[test]
    fn whoever_takes_open_work_down_was_called_off() {
        let mut outer = Life::default();
        entered_and_left(&mut outer, 1_000, 2_000);
        outer.enter(at(2_100), None);
        outer.part_ended();
        outer.leave(at(2_300));
        assert!(outer.was_called_off(at(2_400), true));
    }

    #[test]
    fn a_part_that_rested_while_the_whole_did_not_was_not_called_off() {
        let (mut outer, mut inner) = (Life::default(), Life::default());
        outer.enter(at(1_000), None);
        inner.enter(at(1_100), Some(&outer));
        inner.leave(at(1_200));
        // It is done, held on to, and dropped later in the same poll.
        inner.enter(at(900_000), Some(&outer));
        inner.leave(at(900_100));
        assert!(!inner.was_called_off(at(900_200), true));
        // In a later poll of the whole it had rested.
        outer.leave(at(1_000_000));
        outer.enter(at(2_000_000), None);
        inner.enter(at(2_000_100), Some(&outer));
        inner.leave(at(2_000_200));
        assert!(inner.was_called_off(at(2_000_300), true));
    }
}
