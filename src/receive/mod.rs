//! Receivers: what takes telemetry in and hands it to a [`crate::flow::Intake`].

mod events;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(not(feature = "kafka"))]
#[path = "without_kafka.rs"]
pub mod kafka;
pub mod otlp;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without_redis.rs"]
pub mod redis;

pub use events::Events;
