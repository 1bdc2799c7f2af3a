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

/// What the wall clock said at a moment of the layer's clock.
#[derive(Clone, Copy)]
pub struct Clock {
    pub horizon: u64,
    pub wall: Timestamp,
}

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
    /// The time at a moment.
    pub fn time(self, stamp: u64) -> Timestamp {
        self.wall.minus(Duration::from_nanos(self.horizon.saturating_sub(stamp)))
    }
}
