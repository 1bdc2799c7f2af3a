//! What is written to the terminal, and by whom: a thread of its own, so that nobody waits for a terminal.
//!
//! Whoever reads a collector's output may stop reading (Ctrl-S, a pager, a full pipe). A write then waits for ever,
//! so none happens where work is done.

use std::io::{Write, stderr, stdout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::width;

/// Something to write.
pub enum Job {
    /// A line to standard error, above the status line.
    Line(String),
    /// Text to standard output, above the status line.
    Output(String),
    /// The status line from now on.
    Status(String),
    /// Nothing: says when everything before it is written.
    Sync(Sender<()>),
}

/// How many texts may wait to be written.
const MOST_TEXTS: usize = 10_000;
/// And how many bytes.
const MOST_BYTES: usize = 4 << 20;

/// Erases the line the cursor is in.
const ERASE: &str = "\r\x1b[2K";
/// Moves the cursor up a line.
const UP: &str = "\x1b[A";

static THREAD: OnceLock<SyncSender<Job>> = OnceLock::new();
/// Bytes that wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
static UNREAD: AtomicBool = AtomicBool::new(false);

/// From now on a thread writes. What there is no room for is dropped and counted.
pub fn write_in_background() {
    let (jobs, waiting) = sync_channel(MOST_TEXTS);
    let started = thread::Builder::new().name("console".into()).spawn(move || write_all(&waiting));
    // Without a thread everything is written where it is said, as before.
    if started.is_ok() {
        THREAD.get_or_init(|| jobs);
    }
}

/// Does a job: in the background, if there is one, and otherwise at once.
pub fn submit(job: Job) {
    let Some(thread) = THREAD.get() else { return Screen::default().write(job) };
    let (bytes, lines) = (job.text().len(), job.text().lines().count());
    let has_room = WAITING.fetch_add(bytes, Relaxed) < MOST_BYTES;
    if !has_room || thread.try_send(job).is_err() {
        WAITING.fetch_sub(bytes, Relaxed);
        UNWRITTEN.fetch_add(lines as u64, Relaxed);
    }
}

/// Waits until everything is written, or somebody has not read it for `patience`.
pub fn settle(patience: Duration) {
    let (done, written) = channel();
    submit(Job::Sync(done));
    // Either it is written, or there is no use in waiting any longer.
    written.recv_timeout(patience).unwrap_or_default();
}

/// How many lines were dropped because nobody read.
pub fn unwritten() -> u64 {
    UNWRITTEN.load(Relaxed)
}

/// Whether somebody may still read standard output: `head` goes away when it has seen enough.
pub fn is_read() -> bool {
    !UNREAD.load(Relaxed)
}

fn write_all(jobs: &Receiver<Job>) {
    let mut screen = Screen::default();
    for job in jobs {
        let bytes = job.text().len();
        screen.write(job);
        WAITING.fetch_sub(bytes, Relaxed);
    }
}

impl Job {
    fn text(&self) -> &str {
        match self {
            Job::Line(text) | Job::Output(text) | Job::Status(text) => text,
            Job::Sync(_) => "",
        }
    }
}

/// The terminal as it stands.
#[derive(Default)]
struct Screen {
    status: String,
}

impl Screen {
    fn write(&mut self, job: Job) {
        match job {
            // Whoever reads standard error may have gone: there is nobody to tell.
            Job::Line(text) => self.above_status(|| writeln!(stderr(), "{text}").unwrap_or_default()),
            Job::Output(text) => self.above_status(|| {
                if writeln!(stdout(), "{}", text.trim_end_matches('\n')).is_err() {
                    UNREAD.store(true, Relaxed);
                }
            }),
            Job::Status(text) => {
                if text != self.status {
                    show(&format!("{}{text}", erase(&self.status, width())));
                    self.status = text;
                }
            }
            Job::Sync(done) => done.send(()).unwrap_or_default(),
        }
    }

    fn above_status(&self, write: impl FnOnce()) {
        if self.status.is_empty() {
            return write();
        }
        show(&erase(&self.status, width()));
        write();
        show(&self.status);
    }
}

/// A terminal that is gone shows nothing, which is no reason to stop working.
fn show(text: &str) {
    let mut out = stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap_or_default();
}

/// What erases a status line at whose end the cursor is. A terminal that has become narrower shows it in several.
fn erase(status: &str, width: usize) -> String {
    let lines = status.chars().count().div_ceil(width.max(1)).max(1);
    ERASE.to_owned() + &format!("{UP}{ERASE}").repeat(lines - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_erased_with_all_its_lines() {
        assert_eq!(erase("", 80), ERASE);
        assert_eq!(erase(&"x".repeat(80), 80), ERASE);
        assert_eq!(erase(&"x".repeat(81), 40), format!("{ERASE}{UP}{ERASE}{UP}{ERASE}"));
    }
}
