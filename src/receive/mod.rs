//! Receivers: what takes telemetry in and hands it to a [`crate::flow::Intake`].

mod events;
pub mod otlp;

pub use events::Events;
