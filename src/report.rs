//! What the collector says of itself to whoever runs it: warnings and errors, on standard error.
//!
//! WARN: something unexpected, no data lost. ERROR: data lost, or something that will not mend itself. The same
//! message is said once a minute at most; in between it is counted.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::Timestamp;

/// Something happened as it should, and somebody may wait to see it.
#[cfg(feature = "collector")]
pub fn note(message: &str) {
    say("INFO", message);
}

/// Something unexpected happened, but nothing was lost.
pub fn warn(message: &str) {
    say("WARN", message);
}

/// Data was lost, or something will not mend itself.
pub fn error(message: &str) {
    say("ERROR", message);
}

const QUIET: Duration = Duration::from_secs(60);
const MOST_REMEMBERED: usize = 1000;

/// When each message was said last, and how often it was held back since.
static SAID: LazyLock<Mutex<HashMap<String, (Instant, u64)>>> = LazyLock::new(Mutex::default);

fn say(level: &str, message: &str) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    // Numbers differ from one occurrence to the next; the message is the same.
    let kind: String = message.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    if said.len() >= MOST_REMEMBERED {
        said.clear();
    }
    let held_back = match said.get_mut(&kind) {
        Some((last, held_back)) if last.elapsed() < QUIET => {
            *held_back += 1;
            return;
        }
        Some((last, held_back)) => {
            *last = Instant::now();
            std::mem::take(held_back)
        }
        None => {
            said.insert(kind, (Instant::now(), 0));
            0
        }
    };
    drop(said);
    // Much of what is said comes from other programs.
    let message = crate::console::safe(message);
    let again = if held_back > 0 { format!(" (and {held_back} times more)") } else { String::new() };
    crate::console::line(&format!("{} {level} {message}{again}", Timestamp::now()));
}
