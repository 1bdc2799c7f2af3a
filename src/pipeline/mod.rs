//! Pipelines: the only place that knows every stage. From a configuration it makes a plan, from a plan a running
//! collector, and in the end it drains it.

mod alerts;
mod background;
mod build;
mod components;
mod endpoint;
mod past;
mod plan;
mod prices;
mod route;
mod run;
mod start;

use std::path::PathBuf;

pub use components::components;
pub use plan::{Plan, plan};
pub use run::{Addresses, Report, Running, Status};
pub use start::{StartError, start};

/// What the command line says beside the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where data goes.
    pub data_dir: PathBuf,
    /// Listening beyond this machine without authentication is meant.
    pub insecure_bind: bool,
}
