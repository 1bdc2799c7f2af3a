//! Spanlight shows what AI agents are doing, what they cost and whether it was worth it.

pub mod otlp;
