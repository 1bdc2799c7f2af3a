//! Views over metrics and their data points.

use super::{KeyValue, Text};
use crate::otlp::wire::{Field, Fields, Wire, read_varint, repeated};

/// One metric with its data points.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    /// What it is called.
    pub name: Text<'a>,
    /// What it means.
    pub description: Text<'a>,
    /// UCUM.
    pub unit: Text<'a>,
    /// What its points are; nothing where the sender gave no data.
    pub kind: Option<MetricKind>,
    data: &'a [u8],
}

/// The kinds of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// The last value counts.
    Gauge,
    /// Values that add up.
    Sum {
        /// Whether points are increments or running totals.
        temporality: Temporality,
        /// Whether it only grows.
        monotonic: bool,
    },
    /// Counts by bucket.
    Histogram(Temporality),
    /// Counts by exponential bucket.
    ExponentialHistogram(Temporality),
    /// Quantiles made by the sender.
    Summary,
}

/// What the value of a point is relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// The sender did not say.
    #[default]
    Unspecified,
    /// The change since the last point.
    Delta,
    /// The total since the start.
    Cumulative,
}

/// One data point of any kind; [`DataPoint::number`] and [`DataPoint::histogram`] read what it holds.
#[derive(Clone, Copy, Debug)]
pub struct DataPoint<'a> {
    kind: MetricKind,
    raw: &'a [u8],
}

/// A number as OTLP sends it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// The values of a histogram's data point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram<'a> {
    /// How many values.
    pub count: u64,
    /// Their sum, where it means something.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    raw: &'a [u8],
}

/// A measurement kept as an example, with the span it was made in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exemplar<'a> {
    /// Nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// What was measured.
    pub value: Option<Number>,
    /// Empty where there was no span.
    pub span_id: &'a [u8],
    /// Empty where there was no trace.
    pub trace_id: &'a [u8],
}

/// The values of an exponential histogram's data point.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExponentialHistogram<'a> {
    /// How many values.
    pub count: u64,
    /// Their sum, where it means something.
    pub sum: Option<f64>,
    /// Bucket bounds are the powers of 2^(2^-scale).
    pub scale: i32,
    /// How many values were zero, or within the threshold of it.
    pub zero_count: u64,
    /// Values up to this far from zero count as zero.
    pub zero_threshold: f64,
    /// Buckets of the positive values.
    pub positive: ExponentialBuckets<'a>,
    /// Buckets of the negative values, by absolute value.
    pub negative: ExponentialBuckets<'a>,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExponentialBuckets<'a> {
    /// The index of the first bucket.
    pub offset: i32,
    raw: &'a [u8],
}

/// The values of a summary's data point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary<'a> {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    raw: &'a [u8],
}

impl<'a> Metric<'a> {
    /// Reads an encoded metric.
    pub fn read(raw: &'a [u8]) -> Metric<'a> {
        let mut metric = Metric {
            name: Text::default(),
            description: Text::default(),
            unit: Text::default(),
            kind: None,
            data: &[],
        };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Bytes(name)) => metric.name = Text(name),
                (2, Wire::Bytes(description)) => metric.description = Text(description),
                (3, Wire::Bytes(unit)) => metric.unit = Text(unit),
                (5 | 7 | 9 | 10 | 11, Wire::Bytes(data)) => {
                    (metric.kind, metric.data) = (MetricKind::read(field.number, data), data);
                }
                _ => {}
            }
        }
        metric
    }

    /// Its data points, in order.
    pub fn data_points(&self) -> impl Iterator<Item = DataPoint<'a>> + use<'a> {
        let kind = self.kind.unwrap_or(MetricKind::Gauge);
        repeated(self.data, 1).map(move |raw| DataPoint { kind, raw })
    }
}

impl MetricKind {
    fn read(number: u32, data: &[u8]) -> Option<MetricKind> {
        let (mut temporality, mut monotonic) = (Temporality::Unspecified, false);
        for field in Fields::of(data) {
            match (field.number, field.value) {
                (2, Wire::Varint(1)) => temporality = Temporality::Delta,
                (2, Wire::Varint(2)) => temporality = Temporality::Cumulative,
                (2, Wire::Varint(_)) => temporality = Temporality::Unspecified,
                (3, Wire::Varint(truth)) => monotonic = truth != 0,
                _ => {}
            }
        }
        match number {
            5 => Some(MetricKind::Gauge),
            7 => Some(MetricKind::Sum { temporality, monotonic }),
            9 => Some(MetricKind::Histogram(temporality)),
            10 => Some(MetricKind::ExponentialHistogram(temporality)),
            11 => Some(MetricKind::Summary),
            _ => None,
        }
    }
}

impl<'a> DataPoint<'a> {
    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        let number = match self.kind {
            MetricKind::Histogram(_) => 9,
            MetricKind::ExponentialHistogram(_) => 1,
            MetricKind::Gauge | MetricKind::Sum { .. } | MetricKind::Summary => 7,
        };
        repeated(self.raw, number).map(KeyValue::read)
    }

    /// When the counting began: nanoseconds since 1970, 0 if unknown.
    pub fn start_time_unix_nano(&self) -> u64 {
        self.last(2).map_or(0, |field| field.value.number())
    }

    /// When the value held: nanoseconds since 1970.
    pub fn time_unix_nano(&self) -> u64 {
        self.last(3).map_or(0, |field| field.value.number())
    }

    /// Whether the sender says that there is no value (a series that went stale).
    pub fn no_recorded_value(&self) -> bool {
        let number =
            if matches!(self.kind, MetricKind::Histogram(_) | MetricKind::ExponentialHistogram(_)) { 10 } else { 8 };
        self.last(number).is_some_and(|field| field.value.number() & 1 == 1)
    }

    /// The value of a gauge's or sum's point.
    pub fn number(&self) -> Option<Number> {
        number_of(self.raw, 4)
    }

    /// The values of a histogram's point.
    pub fn histogram(&self) -> Histogram<'a> {
        let mut histogram = Histogram { raw: self.raw, ..Histogram::default() };
        for field in Fields::of(self.raw) {
            match (field.number, field.value) {
                (4, Wire::Fixed64(count)) => histogram.count = count,
                (5, Wire::Fixed64(bits)) => histogram.sum = Some(f64::from_bits(bits)),
                (11, Wire::Fixed64(bits)) => histogram.min = Some(f64::from_bits(bits)),
                (12, Wire::Fixed64(bits)) => histogram.max = Some(f64::from_bits(bits)),
                _ => {}
            }
        }
        histogram
    }

    /// The values of an exponential histogram's point.
    pub fn exponential_histogram(&self) -> ExponentialHistogram<'a> {
        let mut histogram = ExponentialHistogram::default();
        for field in Fields::of(self.raw) {
            match (field.number, field.value) {
                (4, Wire::Fixed64(count)) => histogram.count = count,
                (5, Wire::Fixed64(bits)) => histogram.sum = Some(f64::from_bits(bits)),
                (6, Wire::Varint(scale)) => histogram.scale = zigzag(scale),
                (7, Wire::Fixed64(count)) => histogram.zero_count = count,
                (8, Wire::Bytes(raw)) => histogram.positive = ExponentialBuckets::read(raw),
                (9, Wire::Bytes(raw)) => histogram.negative = ExponentialBuckets::read(raw),
                (14, Wire::Fixed64(bits)) => histogram.zero_threshold = f64::from_bits(bits),
                _ => {}
            }
        }
        histogram
    }

    /// The values of a summary's point.
    pub fn summary(&self) -> Summary<'a> {
        let mut summary = Summary { raw: self.raw, ..Summary::default() };
        for field in Fields::of(self.raw) {
            match (field.number, field.value) {
                (4, Wire::Fixed64(count)) => summary.count = count,
                (5, Wire::Fixed64(bits)) => summary.sum = f64::from_bits(bits),
                _ => {}
            }
        }
        summary
    }

    /// Its exemplars, in order.
    pub fn exemplars(&self) -> impl Iterator<Item = Exemplar<'a>> + use<'a> {
        let number = match self.kind {
            MetricKind::Histogram(_) => 8,
            MetricKind::ExponentialHistogram(_) => 11,
            MetricKind::Gauge | MetricKind::Sum { .. } | MetricKind::Summary => 5,
        };
        repeated(self.raw, number).map(Exemplar::read)
    }

    fn last(&self, number: u32) -> Option<Field<'a>> {
        Fields::of(self.raw).filter(|field| field.number == number).last()
    }
}

impl<'a> Histogram<'a> {
    /// The count of each bucket; one more than there are bounds, or none.
    pub fn bucket_counts(&self) -> impl Iterator<Item = u64> + use<'a> {
        numbers(self.raw, 6)
    }

    /// The upper bound of each bucket but the last.
    pub fn explicit_bounds(&self) -> impl Iterator<Item = f64> + use<'a> {
        numbers(self.raw, 7).map(f64::from_bits)
    }
}

impl<'a> ExponentialBuckets<'a> {
    fn read(raw: &'a [u8]) -> ExponentialBuckets<'a> {
        let offset = Fields::of(raw).filter(|field| field.number == 1).last();
        ExponentialBuckets { offset: offset.map_or(0, |field| zigzag(field.value.number())), raw }
    }

    /// The count of each bucket, from `offset` on.
    pub fn counts(&self) -> impl Iterator<Item = u64> + use<'a> {
        varints(self.raw, 2)
    }
}

impl<'a> Summary<'a> {
    /// Quantiles, 0 to 1, with their values.
    pub fn quantiles(&self) -> impl Iterator<Item = (f64, f64)> + use<'a> {
        repeated(self.raw, 6).map(|raw| {
            let value = |number| Fields::of(raw).filter(|field| field.number == number).last();
            let double = |number| value(number).map_or(0.0, |field| f64::from_bits(field.value.number()));
            (double(1), double(2))
        })
    }
}

impl<'a> Exemplar<'a> {
    fn read(raw: &'a [u8]) -> Exemplar<'a> {
        let mut exemplar = Exemplar { value: number_of(raw, 3), ..Exemplar::default() };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (2, Wire::Fixed64(time)) => exemplar.time_unix_nano = time,
                (4, Wire::Bytes(id)) => exemplar.span_id = id,
                (5, Wire::Bytes(id)) => exemplar.trace_id = id,
                _ => {}
            }
        }
        exemplar
    }
}

/// A sint32.
fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The last of `as_double` (whose number differs) and `as_int` (always 6).
fn number_of(raw: &[u8], double: u32) -> Option<Number> {
    Fields::of(raw)
        .filter_map(|field| match field.value {
            Wire::Fixed64(bits) if field.number == double => Some(Number::Double(f64::from_bits(bits))),
            Wire::Fixed64(bits) if field.number == 6 => Some(Number::Int(bits as i64)),
            _ => None,
        })
        .last()
}

/// Repeated fixed64 values, packed or one by one.
fn numbers(raw: &[u8], number: u32) -> impl Iterator<Item = u64> {
    Fields::of(raw).filter(move |field| field.number == number).flat_map(|field| {
        let (single, packed) = match field.value {
            Wire::Bytes(packed) => (None, packed),
            value => (Some(value.number()), &[][..]),
        };
        let (chunks, _) = packed.as_chunks::<8>();
        single.into_iter().chain(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)))
    })
}

/// Repeated varints, packed or one by one.
fn varints(raw: &[u8], number: u32) -> impl Iterator<Item = u64> {
    Fields::of(raw).filter(move |field| field.number == number).flat_map(|field| {
        let (single, mut packed) = match field.value {
            Wire::Bytes(packed) => (None, packed),
            value => (Some(value.number()), &[][..]),
        };
        let rest = std::iter::from_fn(move || (!packed.is_empty()).then(|| read_varint(&mut packed).ok()).flatten());
        single.into_iter().chain(rest)
    })
}
