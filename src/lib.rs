//! Spanlight shows what AI agents are doing, what they cost and whether it was worth it.

pub mod duration;
mod nearest;

pub mod event;
pub mod otlp;
pub mod semconv;

pub mod dialect;

pub mod derive;
pub mod measure;

pub mod flow;
pub mod health;

#[cfg(feature = "collector")]
pub mod config;

#[cfg(feature = "collector")]
pub mod console;
#[cfg(feature = "collector")]
pub mod report;

#[cfg(feature = "collector")]
pub mod listen;

#[cfg(feature = "collector")]
pub mod connector;
#[cfg(feature = "collector")]
pub mod export;
#[cfg(feature = "collector")]
pub mod process;
#[cfg(feature = "collector")]
pub mod receive;

#[cfg(feature = "collector")]
pub mod pipeline;
#[cfg(feature = "collector")]
pub mod web;

#[cfg(feature = "collector")]
pub mod cli;

pub use nearest::nearest;
