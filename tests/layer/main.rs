//! The library in a program: spans in, events and metrics out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod lives;
mod otel;
mod outcomes;
mod overload;
mod references;
mod said;
mod support;
