//! The terminal: one place that writes to it, so that events, warnings and the status line do not tear one
//! another apart.

pub mod event;
pub mod table;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The status line that stands below everything else, if there is one.
static STATUS: Mutex<String> = Mutex::new(String::new());

/// Writing to standard output failed.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// Erases the line the cursor is in.
const ERASE: &str = "\r\x1b[2K";
/// Moves the cursor up a line.
const UP: &str = "\x1b[A";

/// Writes a line to standard error, above the status line.
pub fn line(text: &str) {
    // Whoever reads standard error may have gone: there is nobody to tell.
    with_status_out_of_the_way(|| write_to(stderr().lock(), text).unwrap_or_default());
}

/// Writes text to standard output, above the status line. The text ends its own lines.
pub fn output(text: &str) {
    with_status_out_of_the_way(|| {
        if write_to(stdout().lock(), text.trim_end_matches('\n')).is_err() {
            UNREAD.store(true, Relaxed);
        }
    });
}

/// Whether somebody may still read standard output: `head` goes away when it has seen enough.
pub fn is_read() -> bool {
    !UNREAD.load(Relaxed)
}

/// Whether there is a status line: only terminals that can erase one have it.
pub fn has_status() -> bool {
    stdout().is_terminal() && !is_dumb()
}

/// Terminals such as that of an editor say so when they know no escape sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Shows a status line, where there is one; an empty text takes it away.
pub fn status(text: &str) {
    if !has_status() {
        return;
    }
    let mut status = STATUS.lock().unwrap_or_else(PoisonError::into_inner);
    if *status != text {
        let mut out = stdout().lock();
        // A terminal that is gone shows nothing, which is no reason to stop working.
        write!(out, "{}{text}", erase(&status, width())).and_then(|()| out.flush()).unwrap_or_default();
        status.clear();
        status.push_str(text);
    }
}

/// How many characters fit into a line of the terminal. What is no terminal has room for all.
pub fn width() -> usize {
    const USUAL: usize = 100;
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let unknown = if stdout().is_terminal() { USUAL } else { usize::MAX };
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0)).or_else(said).unwrap_or(unknown)
}

fn with_status_out_of_the_way(write_lines: impl FnOnce()) {
    let status = STATUS.lock().unwrap_or_else(PoisonError::into_inner);
    if status.is_empty() {
        return write_lines();
    }
    let mut out = stdout().lock();
    out.write_all(erase(&status, width()).as_bytes()).and_then(|()| out.flush()).unwrap_or_default();
    drop(out);
    write_lines();
    let mut out = stdout().lock();
    out.write_all(status.as_bytes()).and_then(|()| out.flush()).unwrap_or_default();
}

/// What erases a status line at whose end the cursor is. A terminal that has become narrower shows it in several.
fn erase(status: &str, width: usize) -> String {
    let lines = status.chars().count().div_ceil(width.max(1)).max(1);
    ERASE.to_owned() + &format!("{UP}{ERASE}").repeat(lines - 1)
}

fn write_to(mut stream: impl Write, text: &str) -> std::io::Result<()> {
    writeln!(stream, "{text}")
}

/// Whether to colour: only for terminals that can, and not where `NO_COLOR` is set.
pub fn colours() -> bool {
    has_status() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A style of text on terminals that have any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// What matters most.
    Bold,
    /// What matters least.
    Dim,
    /// Failures.
    Red,
    /// Success.
    Green,
    /// Warnings.
    Yellow,
    /// Beginnings.
    Blue,
    /// Tools.
    Magenta,
    /// Models.
    Cyan,
}

impl Style {
    /// The text in this style, or as it is.
    pub fn paint(self, text: &str, colours: bool) -> String {
        if !colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match self {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "31",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Blue => "34",
            Style::Magenta => "35",
            Style::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Text from outside made safe for a terminal: control characters could move the cursor or worse.
pub fn safe(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// `1 call`, `2 calls`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The text in at most `width` characters, cut visibly.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
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
