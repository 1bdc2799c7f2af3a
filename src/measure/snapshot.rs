//! Metrics as they stand: the form in which they are exposed, whoever counted them.

use crate::derive::Name;
use crate::event::{SpanId, Timestamp, TraceId};

/// One metric with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The OTel name.
    pub name: Name,
    /// UCUM.
    pub unit: Name,
    /// What it means, in a sentence.
    pub help: Name,
    /// What its values are.
    pub kind: FamilyKind,
    /// Its series, in order of their attributes.
    pub series: Vec<Series>,
}

/// A metric of ours, and since when each of its series has been counted, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The metric.
    pub family: Family,
    /// When each of its series began.
    pub began: Vec<Timestamp>,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Totals that only grow.
    Counter,
    /// Sums that go up and down.
    UpDownCounter,
    /// Last values.
    Gauge,
    /// Counts by bucket.
    Histogram,
    /// Quantiles that the sender made.
    Summary,
    /// Words about an emitter; the value is always 1.
    Info,
    /// Not said: names that others chose, under which totals have no suffix.
    Unknown,
}

/// The values of one combination of attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Names and values, in order.
    pub attributes: Vec<(Name, Name)>,
    /// The value.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of counters and gauges.
    Number(f64),
    /// Of histograms.
    Histogram {
        /// How many values.
        count: u64,
        /// Their sum, where it means something.
        sum: Option<f64>,
        /// Each with its own count; the last is bounded by infinity.
        buckets: Vec<Bucket>,
    },
    /// Of summaries.
    Summary {
        /// How many values.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Quantiles, 0 to 1, with their values.
        quantiles: Vec<(f64, f64)>,
    },
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its upper bound, inclusive.
    pub bound: f64,
    /// How many values are in it, and not in one before it.
    pub count: u64,
    /// One of them.
    pub exemplar: Option<Exemplar>,
}

/// A value with the span in which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The value.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}
