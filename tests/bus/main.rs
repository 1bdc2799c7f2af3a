//! The bus: what programs publish and subscribe to within a process.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod deliver;
mod isolation;
mod limits;
mod properties;
mod replay;
mod shutdown;
mod streams;
mod support;
mod telemetry;
