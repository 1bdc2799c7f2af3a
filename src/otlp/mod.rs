//! The wire: OTLP as bytes that are read where they lie.
//!
//! [`Batch::read`] is the door: it checks an export request once, and behind it views are infallible. Passing a
//! batch on is passing on its bytes; merging is concatenation; only an editor that really changes a record
//! encodes that record again.

pub mod wire;

pub mod schema;

mod front;

mod check;
mod normalise;

mod batch;
mod by_trace;
mod cursor;
pub mod view;

pub mod edit;
pub mod json;
pub mod records;

pub use batch::{Batch, Limit, Received, Signal};
pub use check::{Checked, MAX_DEPTH, Malformed, check};
pub use cursor::Cursor;
pub use normalise::normalise;
