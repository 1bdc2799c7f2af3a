//! Events for people: in full, with a field a line, or short, with an event a line.

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Style, cut, safe};
use crate::event::{Event, EventType, Scope, Status, Timestamp};

/// How much an event matters on a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Progress and other details.
    Debug,
    /// What begins and ends well.
    Info,
    /// Warnings: budgets, escalations, alerts, what was called off.
    Warn,
    /// Failures.
    Error,
}

impl Level {
    /// The level of an event.
    pub fn of(event: &Event) -> Level {
        match (event.status, event.name.as_str()) {
            (Status::Failed | Status::Lost, _) => Level::Error,
            (Status::Canceled, _) | (_, "budget.warning" | "hitl.escalated" | "performance.alert") => Level::Warn,
            (_, "task.queued") => Level::Info,
            _ if event.event_type == EventType::Progress => Level::Debug,
            _ => Level::Info,
        }
    }

    /// The level of a word, as logging libraries of all kinds spell it.
    pub fn parse(word: &str) -> Option<Level> {
        Some(match word.to_ascii_lowercase().as_str() {
            "debug" | "trace" | "detailed" => Level::Debug,
            "info" | "normal" => Level::Info,
            "warn" | "warning" => Level::Warn,
            "error" | "critical" => Level::Error,
            _ => return None,
        })
    }
}

/// The longest value of a field in full, in characters.
const LONGEST_VALUE: usize = 160;

/// An event with a field a line.
pub fn in_full(event: &Event, colours: bool) -> String {
    let name = event.name.as_str().replace('.', "_").to_uppercase();
    let mut text = format!(
        "{} {} {}\n",
        Style::Dim.paint(&format!("[{}]", clock(event.timestamp)), colours),
        style(event).paint(&name, colours),
        Style::Bold.paint(&safe(&event.component_id.to_string()), colours),
    );
    let mut field = |name: &str, value: &str| {
        let name = Style::Dim.paint(&format!("{name}:"), colours);
        text.push_str(&format!("  {name} {}\n", cut(&safe(value), LONGEST_VALUE)));
    };
    for (name, value) in [
        ("task_id", &event.identity.task_id),
        ("feature", &event.dimensions.feature),
        ("agent", &event.dimensions.agent),
        ("model", &event.dimensions.model),
        ("tool", &event.dimensions.tool),
        ("message", &event.message),
    ] {
        if let Some(value) = value.as_deref().filter(|value| *value != event.component_id.to_string()) {
            field(name, value);
        }
    }
    let figures = figures(event);
    if !figures.is_empty() {
        field("took", &figures.join(", "));
    }
    for (key, value) in event.data.to_map() {
        let value = plain(&value);
        // The first line has said that already.
        if value != event.component_id.to_string() {
            field(&key, &value);
        }
    }
    text
}

/// What a payload may say that belongs into a line: what a step is called, what was decided, and by whom.
const SAID: &[&str] = &["step_name", "decision", "reviewer", "by"];

/// An event in one line of at most `width` characters.
pub fn in_short(event: &Event, colours: bool, width: usize) -> String {
    let component = cut(&safe(&event.component_id.to_string()), 40);
    let mut rest = figures(event).join("  ");
    let data = event.data.to_map();
    let said = SAID.iter().filter_map(|key| data.get(*key)?.as_str());
    let about = [event.dimensions.model.as_deref(), event.message.as_deref()].into_iter().flatten();
    for part in said.chain(about) {
        rest.push_str("  ");
        rest.push_str(&safe(part));
    }
    let head = format!("{} {:<20} {component:<28}", clock(event.timestamp), event.name.as_str());
    let rest = cut(rest.trim(), width.saturating_sub(head.chars().count() + 2).max(20));
    let line = format!(
        "{} {} {}  {rest}",
        Style::Dim.paint(&clock(event.timestamp), colours),
        style(event).paint(&format!("{:<20}", event.name.as_str()), colours),
        Style::Bold.paint(&format!("{component:<28}"), colours),
    );
    line.trim_end().to_owned()
}

fn style(event: &Event) -> Style {
    match (Level::of(event), event.event_type, event.scope) {
        (Level::Error, ..) => Style::Red,
        (Level::Warn, ..) => Style::Yellow,
        (_, EventType::Completed, _) => Style::Green,
        (_, _, Scope::Tool) => Style::Magenta,
        (_, _, Scope::LlmRequest) => Style::Cyan,
        _ => Style::Blue,
    }
}

/// Duration, cost and tokens, as far as they are known.
fn figures(event: &Event) -> Vec<String> {
    let performance = &event.performance;
    let duration = performance.duration_ms.map(|ms| crate::duration::from_seconds(ms / 1000.0));
    let tokens = match (performance.input_tokens, performance.output_tokens) {
        (None, None) => None,
        (input, output) => {
            let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
            Some(format!("{} → {} tokens", count(input), count(output)))
        }
    };
    [duration.map(crate::duration::display), performance.cost_usd.map(usd), tokens].into_iter().flatten().collect()
}

/// Dollars with as many digits as small amounts need.
pub fn usd(usd: f64) -> String {
    match usd {
        _ if usd == 0.0 => "$0".to_owned(),
        _ if usd.abs() >= 1.0 => format!("${usd:.2}"),
        _ if usd.abs() >= 0.01 => format!("${usd:.4}"),
        _ => format!("${usd:.6}"),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The time of day where the reader is, with the date if that is not today's.
pub fn day_and_clock(time: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| zoned(time).date();
    if day(time) == day(now) { clock(time) } else { zoned(time).strftime("%m-%d %H:%M").to_string() }
}

/// The time of day where the reader is.
pub fn clock(time: Timestamp) -> String {
    zoned(time).strftime("%H:%M:%S").to_string()
}

fn zoned(time: Timestamp) -> Zoned {
    jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default().to_zoned(TimeZone::system())
}
