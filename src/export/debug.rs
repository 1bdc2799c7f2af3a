//! `debug`: events on the console, in colour, from a level on; of telemetry a line for each batch.

use serde::Deserialize;

use super::{Load, Outcome};
use crate::console;
use crate::console::event::{Level, in_full, in_short};
use crate::flow::SharedRecord;
use crate::otlp::Batch;
use crate::otlp::view::AnyValue;
use crate::semconv::resource;

/// What to show.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// From which level on: `debug`, `info`, `warn`, `error`, or `off`.
    pub level: String,
    /// A field a line, or an event a line.
    pub format: Format,
    /// The OpenTelemetry Collector's name for the level: `basic` shows batches only, `normal` and `detailed`
    /// events as well.
    pub verbosity: Option<String>,
}

/// How events are shown.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A field a line.
    Full,
    /// An event a line.
    Short,
}

impl Default for Config {
    fn default() -> Config {
        Config { level: "info".into(), format: Format::Full, verbosity: None }
    }
}

/// The console as an exporter.
#[derive(Clone, Debug)]
pub struct DebugExporter {
    level: Option<Level>,
    format: Format,
    /// Where it shows them.
    show: fn(&str),
}

impl DebugExporter {
    /// Checks the level.
    pub fn new(config: &Config) -> Result<DebugExporter, String> {
        let word = config.verbosity.as_deref().unwrap_or(&config.level);
        let level = match word.to_ascii_lowercase().as_str() {
            "off" | "basic" => None,
            word => Some(level(word)?),
        };
        Ok(DebugExporter { level, format: config.format, show: console::output })
    }

    /// On standard error, from a level on: standard output is for what the program is there for.
    pub fn on_standard_error(level: Level) -> DebugExporter {
        let show = |text: &str| text.trim_end().lines().for_each(console::line);
        DebugExporter { level: Some(level), format: Format::Full, show }
    }

    /// Shows a load. A console never fails, and never holds anyone up for long: its queue drops what it cannot
    /// keep up with.
    pub fn export(&self, load: &Load) -> Outcome {
        match load {
            Load::Events(records) => self.events(records),
            Load::Changes(_) => {}
            Load::Batches(batches) => batches.iter().for_each(|batch| (self.show)(&of_batch(batch))),
        }
        Outcome::DONE
    }

    fn events(&self, records: &[SharedRecord]) {
        let Some(level) = self.level else { return };
        let colours = console::colours();
        let width = console::width();
        let shown = records.iter().filter(|record| Level::of(record.event()) >= level);
        let text: String = shown
            .map(|record| match self.format {
                Format::Full => in_full(record.event(), colours),
                Format::Short => in_short(record.event(), colours, width) + "\n",
            })
            .collect();
        if !text.is_empty() {
            (self.show)(&text);
        }
    }
}

/// The level of a word, or what words there are.
pub fn level(word: &str) -> Result<Level, String> {
    Level::parse(word).ok_or_else(|| format!("`{word}` is no level; it is one of debug, info, warn, error, off"))
}

fn of_batch(batch: &Batch) -> String {
    let mut services: Vec<String> = Vec::new();
    for group in batch.groups() {
        let name = group.resource.get(resource::SERVICE_NAME).and_then(AnyValue::text);
        let name = name.map_or("a nameless service".to_owned(), |name| name.to_string());
        if !services.contains(&name) {
            services.push(name);
        }
    }
    let from = console::safe(&services.join(", "));
    format!("{}: {} {} from {from}", batch.signal(), batch.items(), batch.signal().items_name())
}
