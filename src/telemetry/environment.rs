//! What the environment says of telemetry in process, and what is traced unless it says otherwise.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer};

use crate::console::event::Level;
use crate::export::debug;
use crate::export::otlp::env::Lookup;
use crate::layer::Source;

/// What the environment says of the console, the file and the bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `OBSERVABILITY_CONSOLE_LEVEL`.
    pub console_level: Option<String>,
    /// `OBSERVABILITY_LOG_PATH`.
    pub log_path: Option<PathBuf>,
    /// `SPANLIGHT_BUDGETS_URL`.
    pub budgets_url: Option<String>,
    /// `SPANLIGHT_TOKEN`.
    pub token: Option<String>,
}

/// Reads it.
pub fn read(lookup: Lookup<'_>) -> Environment {
    let get = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    Environment {
        console_level: get("OBSERVABILITY_CONSOLE_LEVEL"),
        log_path: get("OBSERVABILITY_LOG_PATH").map(PathBuf::from),
        budgets_url: get("SPANLIGHT_BUDGETS_URL"),
        token: get("SPANLIGHT_TOKEN"),
    }
}

/// The level of `OBSERVABILITY_CONSOLE_LEVEL`; none is no console.
pub fn console_level(word: &str) -> Result<Option<Level>, String> {
    if word.eq_ignore_ascii_case("off") || word.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    debug::level(word).map(Some).map_err(|problem| format!("OBSERVABILITY_CONSOLE_LEVEL: {problem}"))
}

/// A variable of this process.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What is traced: spans of work and what is told of them in any case, and the rest by `RUST_LOG`, else from INFO on.
/// Of that rest only the OpenTelemetry layer hears.
pub fn selection(source: Arc<Source>) -> Selection {
    let said = of_process("RUST_LOG").filter(|said| !said.trim().is_empty());
    let rest = match said.as_deref().map(str::parse::<Targets>) {
        Some(Ok(targets)) => targets,
        Some(Err(error)) => {
            crate::report::warn(&format!("RUST_LOG is not understood ({error}); tracing from INFO on"));
            usual()
        }
        None => usual(),
    };
    Selection { source, rest }
}

/// Transports are left out: they would trace the export of what they trace.
fn usual() -> Targets {
    const TRANSPORTS: [&str; 9] =
        ["h2", "hyper", "hyper_util", "tonic", "tower", "reqwest", "rustls", "opentelemetry", "opentelemetry_sdk"];
    Targets::new().with_default(LevelFilter::INFO).with_targets(TRANSPORTS.map(|target| (target, LevelFilter::OFF)))
}

/// A layer that lets nothing through but what is selected.
pub struct Selection {
    source: Arc<Source>,
    rest: Targets,
}

impl Selection {
    fn selects(&self, metadata: &Metadata<'_>) -> bool {
        self.rest.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Layer<S> for Selection {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.source.is_ours(metadata) || self.selects(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Whoever asks with a callsite of its own has asked when it was registered.
        self.selects(metadata) || metadata.is_span()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans of work may be of any level.
        Some(LevelFilter::TRACE)
    }
}
