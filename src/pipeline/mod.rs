//! Pipelines: the only place that knows every stage. From a configuration it makes a plan, from a plan a running
//! collector, and in the end it drains it.

mod alerts;
mod archive;
mod authenticators;
mod background;
mod build;
mod components;
mod doors;
mod endpoint;
mod environment;
mod foreign;
mod past;
mod plan;
mod ports;
mod prices;
mod queues;
mod reloads;
mod route;
mod run;
mod start;

use std::path::PathBuf;

use futures_util::future::BoxFuture;

pub use archive::archive;
pub use components::components;
pub use environment::additions;
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
    /// What plays the demonstration, if the page may ask for it.
    pub demo: Option<Demo>,
}

/// Plays the demonstration to the URL of a receiver of OTLP over HTTP, to its end.
pub type Demo = fn(String) -> BoxFuture<'static, ()>;
