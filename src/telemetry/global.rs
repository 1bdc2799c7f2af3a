//! The short way: functions that find the telemetry of the current subscriber.

use std::time::Duration;

use serde_json::Value;
use tracing::dispatcher;

use super::{BudgetQuery, Guard, Report, Subscription, Telemetry, Unflushed};
use crate::event::{Event, Filter, ReadError};
use crate::hub::Page;
use crate::layer::AgentLayer;
use crate::measure::Summary;

/// Starts telemetry with what the environment says, for the whole process: events on the console and in a file of
/// JSON lines, and over OTLP with spans and metrics if an `OTEL_EXPORTER_OTLP_…` variable is set.
///
/// Nothing of this can fail the program: what cannot be done is said on standard error. If another subscriber is set
/// already, it stays, and [`layer()`] is what to add to it; until then functions such as [`emit`], which find telemetry
/// by the current subscriber, do nothing.
///
/// ```
/// let _guard = spanlight::init();
/// ```
pub fn init() -> Guard {
    Telemetry::builder().from_env().init()
}

/// The layer of [`init`] for a subscriber of your own. Telemetry ends, and flushes, with the subscriber; one that is
/// set for the whole process never ends, so call [`flush`] before the program does.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(spanlight::layer());
/// # drop(subscriber);
/// ```
pub fn layer() -> AgentLayer {
    Telemetry::builder().from_env().build().layer()
}

/// The telemetry of the current subscriber, if it has any.
pub fn telemetry() -> Option<Telemetry> {
    dispatcher::get_default(Telemetry::of)
}

/// [`Telemetry::emit`] of the current subscriber; without telemetry nothing happens.
pub fn emit(event: Event) {
    if let Some(telemetry) = telemetry() {
        telemetry.emit(event);
    }
}

/// [`Telemetry::emit_event`] of the current subscriber; without telemetry nothing happens.
///
/// # Errors
/// Those of [`Telemetry::emit_event`].
pub fn emit_event(name: &str, payload: Value) -> Result<(), ReadError> {
    telemetry().map_or(Ok(()), |telemetry| telemetry.emit_event(name, payload))
}

/// [`Telemetry::record_critic_decision`] of the current subscriber.
pub fn record_critic_decision(rejected: bool) {
    if let Some(telemetry) = telemetry() {
        telemetry.record_critic_decision(rejected);
    }
}

/// [`Telemetry::budget`] of the current subscriber; without telemetry every verdict is to go on.
///
/// ```
/// if spanlight::budget("daily").feature("checkout").verdict().may_go_on() {
///     // Call the model.
/// }
/// ```
pub fn budget(name: &str) -> BudgetQuery {
    BudgetQuery::new(telemetry(), name)
}

/// [`Telemetry::metrics`] of the current subscriber; all empty without telemetry.
pub fn metrics() -> Summary {
    telemetry().map(|telemetry| telemetry.metrics()).unwrap_or_default()
}

/// [`Telemetry::subscribe`] of the current subscriber.
pub fn subscribe(filter: Filter) -> Option<Subscription> {
    telemetry().map(|telemetry| telemetry.subscribe(filter))
}

/// [`Telemetry::get_events`] of the current subscriber.
pub fn get_events(offset: u64) -> Page {
    telemetry().map(|telemetry| telemetry.get_events(offset)).unwrap_or_default()
}

/// [`Telemetry::flush`] of the current subscriber.
///
/// # Errors
/// Those of [`Telemetry::flush`].
pub fn flush(timeout: Duration) -> Result<(), Unflushed> {
    telemetry().map_or(Ok(()), |telemetry| telemetry.flush(timeout))
}

/// [`Telemetry::shutdown`] of the current subscriber.
pub fn shutdown(timeout: Duration) -> Option<Report> {
    telemetry().map(|telemetry| telemetry.shutdown(timeout))
}
