//! A batch: one checked OTLP export request, kept as the bytes it arrived as.
//!
//! An export request is a repeated field, so batches merge by concatenation and split at resource and scope
//! boundaries, without decoding a single span.

use bytes::Bytes;

use super::check::{Malformed, check};
use super::edit::drop_invalid_spans;
use super::normalise::normalise;
use super::schema::{self, Message};
use super::view::Metric;
use super::wire::{Fields, put_bytes, read_field, repeated};

/// What an export request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records, and domain events as log records.
    Logs,
}

/// One checked export request of one signal.
///
/// ```
/// use spanlight::otlp::{Batch, Signal};
///
/// let received = Batch::read(Signal::Traces, bytes::Bytes::new())?;
/// assert_eq!(received.batch.items(), 0);
/// # Ok::<(), spanlight::otlp::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    signal: Signal,
    bytes: Bytes,
    items: usize,
}

/// What came through the door.
#[derive(Clone, Debug)]
pub struct Received {
    /// The usable part.
    pub batch: Batch,
    /// Spans left out because their trace id or span id is invalid; OTLP answers a partial success.
    pub rejected: usize,
}

/// The most that one batch may hold after [`Batch::split`].
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Encoded bytes.
    pub bytes: usize,
    /// Spans, log records or data points.
    pub items: usize,
}

impl Batch {
    /// Checks the bytes of an export request; what is malformed is refused with the place of the fault.
    pub fn read(signal: Signal, bytes: Bytes) -> Result<Received, Malformed> {
        let mut bytes = bytes;
        let mut checked = check(&bytes, signal.schema())?;
        if checked.to_normalise {
            bytes = normalise(&bytes, signal.schema()).into();
            checked = check(&bytes, signal.schema())?;
        }
        let batch = Batch { signal, bytes, items: checked.items };
        if checked.invalid_ids == 0 {
            return Ok(Received { batch, rejected: 0 });
        }
        let bytes = drop_invalid_spans(&batch.bytes).into();
        let batch = Batch { signal, bytes, items: checked.items - checked.invalid_ids };
        Ok(Received { batch, rejected: checked.invalid_ids })
    }

    /// A batch of bytes that this program encoded itself.
    pub(crate) fn encoded(signal: Signal, bytes: Vec<u8>, items: usize) -> Batch {
        Batch { signal, bytes: bytes.into(), items }
    }

    /// What it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The encoded request.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many spans, log records or data points it holds.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Whether it holds nothing that counts.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// One batch of all parts, which are of one signal: their bytes one behind the other.
    pub fn merge(parts: &[Batch]) -> Option<Batch> {
        let [first, rest @ ..] = parts else { return None };
        if rest.is_empty() {
            return Some(first.clone());
        }
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        for part in parts {
            bytes.extend_from_slice(&part.bytes);
        }
        Some(Batch::encoded(first.signal, bytes, parts.iter().map(Batch::items).sum()))
    }

    /// The same items in batches within `limit`, in order. A single record over the limit stays whole, in a
    /// batch of its own, because only its receiver can say whether it is too large.
    pub fn split(&self, limit: Limit) -> Vec<Batch> {
        if self.bytes.len() <= limit.bytes && self.items <= limit.items {
            return vec![self.clone()];
        }
        let mut packer =
            Packer { signal: self.signal, limit, done: Vec::new(), piece: Vec::new(), records: 0, items: 0 };
        for resource in repeated(&self.bytes, 1) {
            packer.resource(resource);
        }
        packer.flush();
        packer.done
    }
}

/// Fills pieces up to the limit, repeating the resource and the scope wherever a piece begins within one.
struct Packer {
    signal: Signal,
    limit: Limit,
    done: Vec<Batch>,
    piece: Vec<u8>,
    records: usize,
    items: usize,
}

impl Packer {
    /// More than the tags and lengths of a resource, a scope and a record can take.
    const FRAMING: usize = 36;

    fn resource(&mut self, resource: &[u8]) {
        let records = || repeated(resource, 2).flat_map(|scope| repeated(scope, 2));
        let items: usize = records().map(|record| self.signal.weight(record)).sum();
        if !self.fits(resource.len(), items) {
            self.flush();
        }
        if self.fits(resource.len(), items) {
            put_bytes(&mut self.piece, 1, resource);
            self.records += records().count();
            self.items += items;
            return;
        }
        let header = without_field_2(resource);
        let mut open = header.clone();
        for scope in repeated(resource, 2) {
            self.scope(scope, &header, &mut open);
        }
        put_bytes(&mut self.piece, 1, &open);
    }

    fn scope(&mut self, scope: &[u8], resource_header: &[u8], open: &mut Vec<u8>) {
        let header = without_field_2(scope);
        if self.records > 0 && !self.fits(open.len() + header.len(), 0) {
            self.cut(open, resource_header);
        }
        let mut here = header.clone();
        for record in repeated(scope, 2) {
            let items = self.signal.weight(record);
            if self.records > 0 && !self.fits(open.len() + here.len() + record.len(), items) {
                if here.len() > header.len() {
                    put_bytes(open, 2, &here);
                }
                self.cut(open, resource_header);
                here.clone_from(&header);
            }
            put_bytes(&mut here, 2, record);
            self.records += 1;
            self.items += items;
        }
        put_bytes(open, 2, &here);
    }

    /// Ends the piece within a resource, which goes on in the next.
    fn cut(&mut self, open: &mut Vec<u8>, resource_header: &[u8]) {
        put_bytes(&mut self.piece, 1, open);
        self.flush();
        *open = resource_header.to_vec();
    }

    fn fits(&self, more_bytes: usize, more_items: usize) -> bool {
        self.piece.len() + more_bytes + Packer::FRAMING <= self.limit.bytes
            && self.items + more_items <= self.limit.items
    }

    fn flush(&mut self) {
        if !self.piece.is_empty() {
            let bytes = std::mem::take(&mut self.piece);
            self.done.push(Batch::encoded(self.signal, bytes, std::mem::take(&mut self.items)));
            self.records = 0;
        }
    }
}

/// All fields but those of number 2, which holds the scopes of a resource and the records of a scope.
pub(super) fn without_field_2(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let before = rest;
        let Ok(field) = read_field(&mut rest) else { break };
        if field.number != 2 {
            out.extend_from_slice(&before[..before.len() - rest.len()]);
        }
    }
    out
}

// === impl Signal ===

impl Signal {
    /// All three, in the order in which people name them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The name in configurations and URLs: `traces`, `metrics`, `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// What is counted, in the plural, as OTLP's partial success names it.
    pub fn items_name(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "data points",
            Signal::Logs => "log records",
        }
    }

    /// The path of the gRPC method that exports it.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// The default path of the HTTP endpoint that exports it.
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    /// How many items an encoded record holds: a metric has as many as it has data points.
    pub(super) fn weight(self, record: &[u8]) -> usize {
        match self {
            Signal::Traces | Signal::Logs => 1,
            Signal::Metrics => Metric::read(record).data_points().count(),
        }
    }

    /// The schema of its export request.
    pub fn schema(self) -> &'static Message {
        match self {
            Signal::Traces => &schema::TRACES,
            Signal::Metrics => &schema::METRICS,
            Signal::Logs => &schema::LOGS,
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The resources of a batch with their scopes, as raw messages; the typed views stand on it.
pub(super) fn resources(batch: &Batch) -> impl Iterator<Item = &[u8]> {
    Fields::of(&batch.bytes).filter(|field| field.number == 1).filter_map(|field| field.value.bytes())
}
