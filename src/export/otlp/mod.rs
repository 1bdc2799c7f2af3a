//! `otlp` and `otlphttp`: to any OTLP receiver, the bytes as they came.
//!
//! Batches that wait together go out as one request: their bytes one behind the other, without a copy. Events
//! go out as log records.

pub(crate) mod client;
pub mod config;
pub mod env;
mod gather;
mod grpc;
mod http;
mod percent;
mod remote;
pub mod resource;

use bytes::Bytes;

pub use config::{Config, GrpcConfig, HttpConfig};
pub use grpc::{GrpcExporter, code_name};
pub use http::HttpExporter;
pub(super) use http::retry_after;
pub use remote::{Remote, start};

use super::Load;
use crate::otlp::records;
use crate::otlp::wire::Fields;
use crate::otlp::{Batch, Signal};

/// The body of a request: its signal, and its bytes in pieces.
fn request(load: &Load) -> Option<(Signal, Vec<Bytes>)> {
    match load {
        Load::Batches(batches) => {
            let signal = batches.first()?.signal();
            Some((signal, batches.iter().map(Batch::bytes).filter(|bytes| !bytes.is_empty()).cloned().collect()))
        }
        Load::Events(events) => {
            let batch = records::to_batch(events.iter().map(|record| record.event()));
            Some((Signal::Logs, vec![batch.bytes().clone()]))
        }
        Load::Changes(_) => None,
    }
}

/// What an export service's answer says it left out, and why.
fn partial_success(response: &[u8]) -> (usize, String) {
    let (mut rejected, mut message) = (0, String::new());
    let partial = Fields::of(response).filter(|field| field.number == 1).find_map(|field| field.value.bytes());
    for field in Fields::of(partial.unwrap_or_default()) {
        match field.number {
            1 => rejected = field.value.number() as i64,
            2 => message = String::from_utf8_lossy(field.value.bytes().unwrap_or_default()).into_owned(),
            _ => {}
        }
    }
    (usize::try_from(rejected).unwrap_or(0), message)
}
