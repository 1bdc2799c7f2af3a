//! Metrics as OTLP, for exporters.

use super::snapshot::{Bucket, Counted, Exemplar, FamilyKind, Series, Value};
use crate::event::Timestamp;
use crate::otlp::wire::{put_bytes, put_f64, put_fixed64, put_message, put_u64};
use crate::otlp::{Batch, Signal};
use crate::semconv::resource;

/// OTLP's number for cumulative temporality.
const CUMULATIVE: u64 = 2;

/// All metrics in one batch, as running totals, each since its series began. `resource` says whose they are.
pub fn to_batch(metrics: &[Counted], resource: &[(String, String)], now: Timestamp) -> Batch {
    let mut out = Vec::new();
    put_message(&mut out, 1, |out| {
        put_message(out, 1, |out| resource.iter().for_each(|(key, value)| put_attribute(out, 1, key, value)));
        put_message(out, 2, |out| {
            put_message(out, 1, |out| {
                put_bytes(out, 1, b"spanlight");
                put_bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            let filled = metrics.iter().filter(|metric| !metric.family.series.is_empty());
            filled.for_each(|metric| put_message(out, 2, |out| put_metric(out, metric, now)));
        });
    });
    Batch::encoded(Signal::Metrics, out, metrics.iter().map(|metric| metric.family.series.len()).sum())
}

/// The resource of what a collector counts: its metrics are of all whose telemetry it takes, and hence its own.
pub fn own_resource() -> [(String, String); 1] {
    [(resource::SERVICE_NAME.to_owned(), "spanlight".to_owned())]
}

fn put_metric(out: &mut Vec<u8>, Counted { family, began }: &Counted, now: Timestamp) {
    put_bytes(out, 1, family.name.as_bytes());
    put_bytes(out, 2, family.help.as_bytes());
    put_bytes(out, 3, family.unit.as_bytes());
    let points = |out: &mut Vec<u8>| {
        let series = family.series.iter().zip(began);
        series.for_each(|(series, began)| put_message(out, 1, |out| put_point(out, series, *began, now)));
    };
    match family.kind {
        FamilyKind::Gauge | FamilyKind::Unknown | FamilyKind::Info => put_message(out, 5, points),
        FamilyKind::Counter | FamilyKind::UpDownCounter => put_message(out, 7, |out| {
            points(out);
            put_u64(out, 2, CUMULATIVE);
            put_u64(out, 3, u64::from(family.kind == FamilyKind::Counter));
        }),
        FamilyKind::Histogram => put_message(out, 9, |out| {
            points(out);
            put_u64(out, 2, CUMULATIVE);
        }),
        FamilyKind::Summary => put_message(out, 11, points),
    }
}

fn put_point(out: &mut Vec<u8>, series: &Series, since: Timestamp, now: Timestamp) {
    put_fixed64(out, 2, since.as_unix_nanos());
    put_fixed64(out, 3, now.as_unix_nanos());
    let number_of_attributes = match &series.value {
        Value::Number(number) => {
            put_f64(out, 4, *number);
            7
        }
        Value::Histogram { count, sum, buckets } => {
            put_fixed64(out, 4, *count);
            if let Some(sum) = sum {
                put_f64(out, 5, *sum);
            }
            put_buckets(out, buckets);
            9
        }
        Value::Summary { count, sum, quantiles } => {
            put_fixed64(out, 4, *count);
            put_f64(out, 5, *sum);
            for (quantile, value) in quantiles {
                put_message(out, 6, |out| {
                    put_f64(out, 1, *quantile);
                    put_f64(out, 2, *value);
                });
            }
            7
        }
    };
    for (key, value) in &series.attributes {
        put_attribute(out, number_of_attributes, key, value);
    }
}

fn put_buckets(out: &mut Vec<u8>, buckets: &[Bucket]) {
    put_message(out, 6, |out| buckets.iter().for_each(|b| out.extend_from_slice(&b.count.to_le_bytes())));
    put_message(out, 7, |out| {
        let bounds = buckets.iter().map(|bucket| bucket.bound).filter(|bound| bound.is_finite());
        bounds.for_each(|bound| out.extend_from_slice(&bound.to_le_bytes()));
    });
    for exemplar in buckets.iter().filter_map(|bucket| bucket.exemplar.as_ref()) {
        put_message(out, 8, |out| put_exemplar(out, exemplar));
    }
}

fn put_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    put_fixed64(out, 2, exemplar.at.as_unix_nanos());
    put_f64(out, 3, exemplar.value);
    put_bytes(out, 4, exemplar.span_id.as_bytes());
    put_bytes(out, 5, exemplar.trace_id.as_bytes());
}

fn put_attribute(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    put_message(out, number, |out| {
        put_bytes(out, 1, key.as_bytes());
        put_message(out, 2, |out| put_bytes(out, 1, value.as_bytes()));
    });
}

#[cfg(test)]
mod tests {
    use super::super::Family;
    use super::*;
    use crate::otlp::view::{MetricKind, Number, Temporality};

    #[test]
    fn what_is_encoded_reads_back() {
        let series = |value| vec![Series { attributes: vec![("agent".into(), "scribe".into())], value }];
        let metric = |name: &str, kind, series: Vec<Series>| Counted {
            began: vec![Timestamp::from_micros(1); series.len()],
            family: Family { name: name.into(), unit: "s".into(), help: "".into(), kind, series },
        };
        let bucket = |bound, count| Bucket { bound, count, exemplar: None };
        let buckets = vec![bucket(1.0, 2), bucket(f64::INFINITY, 1)];
        let metrics = [
            metric("runs", FamilyKind::Counter, series(Value::Number(3.0))),
            metric("time", FamilyKind::Histogram, series(Value::Histogram { count: 3, sum: Some(4.5), buckets })),
            metric("empty", FamilyKind::Counter, Vec::new()),
        ];
        let batch = to_batch(&metrics, &own_resource(), Timestamp::from_micros(2));
        let checked = Batch::read(Signal::Metrics, batch.bytes().clone()).unwrap().batch;
        assert_eq!((checked.items(), batch.items()), (2, 2));
        let metrics: Vec<_> = checked.groups().flat_map(|group| group.metrics().collect::<Vec<_>>()).collect();
        let sum = MetricKind::Sum { temporality: Temporality::Cumulative, monotonic: true };
        assert_eq!(metrics[0].kind, Some(sum));
        let points: Vec<_> = metrics.iter().map(|metric| metric.data_points().next().unwrap()).collect();
        assert_eq!((points[0].start_time_unix_nano(), points[0].time_unix_nano()), (1000, 2000));
        assert_eq!(points[0].number(), Some(Number::Double(3.0)));
        assert_eq!(points[1].histogram().bucket_counts().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(points[1].histogram().explicit_bounds().collect::<Vec<_>>(), [1.0]);
        assert_eq!(points[1].attributes().next().unwrap().key.as_str(), "agent");
    }
}
