//! What the environment says of telemetry in process, and what is traced unless it says otherwise.

use std::path::PathBuf;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::export::otlp::env::Lookup;

/// What the environment says of the console, the file and the bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `OBSERVABILITY_CONSOLE_LEVEL`.
    pub console_level: Option<String>,
    /// `OBSERVABILITY_LOG_PATH`.
    pub log_path: Option<PathBuf>,
}

/// Reads it.
pub fn read(lookup: Lookup<'_>) -> Environment {
    let get = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    Environment {
        console_level: get("OBSERVABILITY_CONSOLE_LEVEL"),
        log_path: get("OBSERVABILITY_LOG_PATH").map(PathBuf::from),
    }
}

/// A variable of this process.
pub fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What is traced: by `RUST_LOG`, else everything from INFO on, and what some crates say of their calls at DEBUG.
/// Transports are left out: they would trace the export of what they trace.
pub fn filter() -> Targets {
    let said = of_process("RUST_LOG").filter(|said| !said.trim().is_empty());
    match said.as_deref().map(str::parse::<Targets>) {
        Some(Ok(targets)) => targets,
        Some(Err(error)) => {
            crate::report::warn(&format!("RUST_LOG is not understood ({error}); tracing from INFO on"));
            usual()
        }
        None => usual(),
    }
}

fn usual() -> Targets {
    const TRANSPORTS: [&str; 9] =
        ["h2", "hyper", "hyper_util", "tonic", "tower", "reqwest", "rustls", "opentelemetry", "opentelemetry_sdk"];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("swiftide", LevelFilter::DEBUG)
        .with_targets(TRANSPORTS.map(|target| (target, LevelFilter::OFF)))
}
