//! Telemetry in process: what a program that traces itself is wired with, so that its spans and what is derived of
//! them go where its environment says.

pub mod spans;
