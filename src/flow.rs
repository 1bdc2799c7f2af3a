//! Between the stages: what receivers hand on, and what they may be told.
//!
//! Receivers and exporters never meet. A receiver knows an [`Intake`]; what is behind it is the pipeline's
//! business.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::otlp::Batch;

/// Where a receiver hands its input to.
pub trait Intake: Send + Sync + 'static {
    /// Takes a batch over. Once this returns `Ok`, what it holds has reached the configured ack point.
    fn batch(&self, batch: Batch) -> Acknowledged<'_>;

    /// Takes events over, likewise.
    fn events(&self, events: Vec<Event>) -> Acknowledged<'_>;
}

/// The answer to an input, once it is known.
pub type Acknowledged<'a> = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send + 'a>>;

/// An intake as receivers share it.
pub type SharedIntake = Arc<dyn Intake>;

/// Why an input was not taken. Nothing of it was; the sender may try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What stands in the way, for the sender's log.
    pub reason: String,
    /// When it makes sense to try again.
    pub retry_after: Duration,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try again in {}", self.reason, crate::duration::display(self.retry_after))
    }
}

impl std::error::Error for Refused {}
