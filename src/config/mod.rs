//! Configuration: the OpenTelemetry Collector's YAML, read into a tree with places, then into types.
//!
//! This module knows the shape that all configurations share: components by id, and pipelines over them. What a
//! component can be told stands beside the component. Without the feature `collector` only the types are left that
//! exporters are configured with, whoever does it.

#[cfg(feature = "collector")]
mod de;
#[cfg(feature = "collector")]
mod document;
#[cfg(feature = "collector")]
mod env;
#[cfg(feature = "collector")]
mod overrides;
#[cfg(feature = "collector")]
mod print;
#[cfg(feature = "collector")]
mod service;
pub mod types;
#[cfg(feature = "collector")]
mod yaml;

#[cfg(feature = "collector")]
pub use de::read;
#[cfg(feature = "collector")]
pub use document::{Config, DEFAULT, Problem};
#[cfg(feature = "collector")]
pub use overrides::Override;
#[cfg(feature = "collector")]
pub use print::print;
#[cfg(feature = "collector")]
pub use service::{ComponentId, Pipeline, Section, Service};
#[cfg(feature = "collector")]
pub use yaml::{Node, Place, parse as parse_yaml};
