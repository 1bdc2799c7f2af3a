//! Spanlight shows what AI agents are doing, what they cost and whether it was worth it.
//!
//! OpenTelemetry of agents goes in; domain events, runs, cost and metrics come out. The `spanlight` command is a
//! collector around this library, and the library's core is what it derives with: no I/O, no clock, no tasks.
//!
//! In reading order:
//!
//! 1. [`event`] is the noun: a domain event, its ids, its JSON, filters.
//! 2. [`otlp`] is the wire: export requests, checked once and read where their bytes lie. [`semconv`] has the names
//!    of attributes.
//! 3. [`dialect`] says what a foreign span means.
//! 4. [`derive`](mod@derive) makes runs, events, cost and facts of spans and events; [`measure`] counts the facts, and
//!    [`budget`](mod@budget) says whether there is money left.
//! 5. [`flow`] and [`health`] are what stages hand on to one another, and our own counters; [`duration`] reads and
//!    writes durations.
//! 6. [`bus`] is publish and subscribe within a process.
//! 7. With the feature `layer`, what a program needs that derives in its own process: `content` knows where prompts and
//!    answers stand and withholds them, `connector` puts the core behind a lock, `export` sends on, `hub` keeps recent events, `console` and `report` speak to people, `telemetry` wires it.
//! 8. With the feature `collector`, which is on by default and implies `layer`: `config` reads YAML, `receive`,
//!    `process`, `journal` and `web` are the other stages, `pipeline` makes a running collector of all, `cli` is the command, and
//!    `demo` plays agents to look at.
//!
//! Without either the core is what is left, and time is always passed in:
//!
//! ```
//! use spanlight::derive::{Deriver, Output, Settings};
//! use spanlight::event::Timestamp;
//! use spanlight::otlp::json::from_json;
//! use spanlight::otlp::{Batch, Signal};
//!
//! let request = br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{
//!     "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o",
//!     "startTimeUnixNano": "1795242480000000000", "endTimeUnixNano": "1795242480384000000",
//!     "attributes": [
//!         {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
//!         {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
//!         {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
//!         {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1840"}},
//!         {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "95"}}]}]}]}]}"#;
//! let protobuf = from_json(request, Signal::Traces.schema()).unwrap();
//! let batch = Batch::read(Signal::Traces, protobuf.into()).unwrap().batch;
//!
//! let (mut deriver, mut out) = (Deriver::new(Settings::default()), Output::default());
//! deriver.spans(&batch, Timestamp::parse("2026-11-21T06:28:01Z").unwrap(), &mut out);
//!
//! let names: Vec<&str> = out.events.iter().map(|event| event.name.as_str()).collect();
//! assert_eq!(names, ["llm.started", "llm.completed"]);
//! assert_eq!(out.events[1].performance.cost_usd, Some(0.00555));
//! assert_eq!(deriver.totals().llm_calls, 1);
//! ```

// The demonstration uses the library by its name, as any program does.
#[cfg(feature = "collector")]
extern crate self as spanlight;

#[cfg(feature = "collector")]
mod blocking;
pub mod duration;
mod nearest;

pub mod event;
pub mod otlp;
pub mod semconv;

pub mod dialect;

pub mod derive;
pub mod measure;

pub mod budget;

pub mod flow;
pub mod health;

pub mod bus;

#[cfg(feature = "layer")]
pub mod config;

#[cfg(feature = "layer")]
pub mod console;
#[cfg(feature = "layer")]
mod reload;
#[cfg(feature = "layer")]
pub mod report;

#[cfg(feature = "collector")]
pub mod listen;

#[cfg(feature = "layer")]
pub mod layer;

#[cfg(feature = "layer")]
pub mod content;

#[cfg(feature = "collector")]
pub mod auth;

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "layer")]
mod tls;

#[cfg(feature = "layer")]
mod state;

#[cfg(feature = "layer")]
pub mod connector;
#[cfg(feature = "layer")]
pub mod export;
#[cfg(feature = "collector")]
pub mod history;
#[cfg(feature = "layer")]
pub mod hub;
#[cfg(feature = "collector")]
pub mod journal;
#[cfg(feature = "collector")]
pub mod merge;
#[cfg(feature = "collector")]
pub mod process;
#[cfg(feature = "collector")]
pub mod receive;
#[cfg(feature = "layer")]
pub mod recent;

#[cfg(feature = "archive")]
mod archive;
#[cfg(all(feature = "collector", not(feature = "archive")))]
#[path = "archive/without.rs"]
mod archive;

#[cfg(feature = "collector")]
pub mod pipeline;
#[cfg(feature = "collector")]
pub mod web;

#[cfg(feature = "layer")]
mod telemetry;

#[cfg(feature = "collector")]
pub mod conformance;

#[cfg(feature = "collector")]
pub mod demo;

#[cfg(feature = "collector")]
pub mod cli;

pub use nearest::nearest;

pub use budget::Budget;
#[cfg(feature = "layer")]
pub use content::Policy as ContentPolicy;
#[cfg(feature = "layer")]
pub use layer::{AgentLayer, FutureExt, Progress, SpanExt, Usage};
#[cfg(feature = "layer")]
pub use telemetry::{
    BudgetQuery, Builder, Console, Guard, Report, Subscription, Telemetry, Unflushed, budget, emit, emit_event, flush,
    get_events, init, layer, metrics, record_critic_decision, shutdown, subscribe, telemetry,
};

/// What the macros need, wherever they are used.
#[cfg(feature = "layer")]
#[doc(hidden)]
pub mod __private {
    pub use tracing;
}
