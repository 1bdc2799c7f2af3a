//! Whether a receiver keeps the rules of OTLP 1.11: a case for each rule, tried from the outside.
//!
//! A [`Case`] says what it asks of a receiver, where the specification says so, and how binding that is. It knows nothing
//! of who answers: the same cases are tried on our own receiver in the tests, and on any other by `spanlight conformance`.
//! What can be seen from the outside is what a receiver answers; what it makes of what it took is not.

mod answer;
mod call;
mod case;
mod cases;
mod judge;
mod peer;
mod raw;
mod report;
mod samples;

pub use case::{Case, Level, Outcome, Protocol, Unmet};
pub use cases::all;
pub use peer::{Peer, Target};
pub use report::{Report, Tried, run};

pub use crate::tls::Tls;

/// The version of OTLP whose rules these are.
pub const VERSION: &str = "1.11";
