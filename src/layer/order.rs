//! What the threads of the agent wrote, in the order in which it happened, whichever thread wrote it.

use std::time::Duration;

use super::command::{self, Command};
use super::lanes::{Buffers, Emitted};
use crate::event::Timestamp;

/// One thing that happened, in the order of all threads.
pub struct Step<'b> {
    pub stamp: u64,
    sequence: u32,
    pub thread: u32,
    pub what: What<'b>,
}

/// The layer's clock as a wall clock: how many nanoseconds after 1970 it began.
///
/// It is set once, because setting it for every look would put spans that are looked at apart at odds: a part could end
/// after the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(u64);

pub enum What<'b> {
    Command(Command<'b>),
    Emitted(Box<Emitted>),
}

/// What all threads wrote up to the horizon, in order; what was written later goes to `late`.
pub fn steps<'b>(taken: &'b mut [Buffers], horizon: u64, late: &mut Vec<Buffers>) -> Vec<Step<'b>> {
    let mut steps = Vec::new();
    for buffers in taken {
        let (thread, mut rest) = (buffers.thread, Buffers::of(buffers.thread));
        for emitted in std::mem::take(&mut buffers.events) {
            match emitted.stamp <= horizon {
                true => steps.push(Step {
                    stamp: emitted.stamp,
                    sequence: emitted.sequence,
                    thread,
                    what: What::Emitted(Box::new(emitted)),
                }),
                false => rest.events.push(emitted),
            }
        }
        for (buffer, rest) in buffers.commands.iter().zip(&mut rest.commands) {
            for command in command::read(buffer) {
                match command.stamp <= horizon {
                    true => steps.push(Step {
                        stamp: command.stamp,
                        sequence: command.sequence,
                        thread,
                        what: What::Command(command),
                    }),
                    false => command::put(rest, &command),
                }
            }
        }
        if !rest.is_empty() {
            late.push(rest);
        }
    }
    // Within a thread, commands of the same moment are numbered.
    steps.sort_by_key(|step| (step.stamp, step.sequence));
    steps
}

impl Clock {
    /// They may stand this far apart before it is set again: someone has put the wall clock right, or the machine slept.
    const APART: Duration = Duration::from_millis(50);

    /// The wall clock says so at a moment.
    pub fn new(stamp: u64, wall: Timestamp) -> Clock {
        Clock(wall.as_unix_nanos().saturating_sub(stamp))
    }

    /// The same clock, or another if the wall clock says something else by now.
    pub fn checked(self, stamp: u64, wall: Timestamp) -> Clock {
        let now = Clock::new(stamp, wall);
        if u128::from(now.0.abs_diff(self.0)) > Clock::APART.as_nanos() { now } else { self }
    }

    /// The time at a moment.
    pub fn time(self, stamp: u64) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.saturating_add(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stays_as_it_was_set_until_the_wall_clock_goes_elsewhere() {
        let micros = Timestamp::from_micros;
        let clock = Clock::new(1_500, micros(1_000_000));
        assert_eq!(clock.checked(2_001_500, micros(1_002_900)), clock);
        assert_eq!(clock.time(2_001_500), micros(1_002_000));
        let later = clock.checked(3_001_500, micros(9_000_000));
        assert_eq!(later.time(3_001_500), micros(9_000_000));
    }
}
