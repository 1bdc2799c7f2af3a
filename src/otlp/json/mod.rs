//! OTLP/JSON at the border: transcoded to protobuf once at the door, and back only for people and files.
//!
//! Both ways are driven by the tables of [`super::schema`]; no tree of the request is ever built.

mod decode;
mod encode;

pub use decode::{JsonError, from_json};
pub use encode::to_json;
