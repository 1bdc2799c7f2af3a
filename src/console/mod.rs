//! The terminal: one place that writes to it, so that events, warnings and the status line do not tear one
//! another apart.

pub mod event;
mod screen;
pub mod table;

use std::io::{IsTerminal, stdout};

use screen::Job;
pub use screen::{is_read, settle, unwritten, write_in_background};

/// Writes a line to standard error, above the status line.
pub fn line(text: &str) {
    screen::submit(Job::Line(text.to_owned()));
}

/// Writes text to standard output, above the status line. The text ends its own lines.
pub fn output(text: &str) {
    screen::submit(Job::Output(text.to_owned()));
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
    if has_status() {
        screen::submit(Job::Status(text.to_owned()));
    }
}

/// How many characters fit into a line of the terminal. What is no terminal has room for all.
pub fn width() -> usize {
    const USUAL: usize = 100;
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let unknown = if stdout().is_terminal() { USUAL } else { usize::MAX };
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0)).or_else(said).unwrap_or(unknown)
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
