//! Receivers: what takes telemetry in and hands it to a [`crate::flow::Intake`].

pub mod events;
pub mod otlp;
