//! How long a request's body may take.

use std::time::Duration;

use tokio::time::Instant;

/// How long a sender may pause within a body.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a body may take, and what it may take more for its size.
const WHOLE: Duration = Duration::from_secs(60);
/// Bytes in a second that the slowest connection has to manage.
const SLOWEST: u64 = 64 << 10;

/// When a body that is being read has taken too long. A pause is not all that counts: with a byte every now and then
/// a request could be kept open for ever.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    begun: Instant,
}

impl Deadline {
    /// Of a body that begins now.
    pub fn begin() -> Deadline {
        Deadline { begun: Instant::now() }
    }

    /// Until when the next piece has to be here, after `len` bytes.
    pub fn next(self, len: usize) -> Instant {
        let for_its_size = Duration::from_millis(len as u64 * 1000 / SLOWEST);
        (self.begun + WHOLE + for_its_size).min(Instant::now() + PAUSE)
    }
}
