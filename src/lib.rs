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
pub mod receive;

pub use nearest::nearest;
