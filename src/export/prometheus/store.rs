//! Received metrics as running totals: deltas are added up, the latest of everything else counts.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::LeftOut;
use crate::derive::Name;
use crate::event::{SpanId, Timestamp, TraceId};
use crate::measure::{Bucket, Exemplar, Family, FamilyKind, Series, Value};
use crate::otlp::Batch;
use crate::otlp::view::{self, AnyValue, DataPoint, Group, Metric, MetricKind, Number, Temporality};
use crate::semconv::resource;

type Attributes = Vec<(Name, Name)>;

/// The metrics by name.
#[derive(Debug)]
pub struct Store {
    metrics: BTreeMap<Name, State>,
    /// The resource attributes of each emitter, which stand on one metric of their own.
    targets: HashMap<Attributes, (Attributes, Timestamp), RandomState>,
    max_series: usize,
    /// The attributes of resources stand on every series.
    resources_on_series: bool,
    left_out: LeftOut,
}

#[derive(Debug)]
struct State {
    unit: Name,
    help: Name,
    kind: FamilyKind,
    series: HashMap<Attributes, Point, RandomState>,
}

#[derive(Debug)]
struct Point {
    value: Total,
    /// When the value held, by its emitter.
    at: u64,
    /// When it came.
    seen: Timestamp,
}

#[derive(Clone, Debug)]
enum Total {
    Number(f64),
    Histogram { count: u64, sum: Option<f64>, buckets: BTreeMap<Bound, (u64, Option<Exemplar>)> },
    Summary { count: u64, sum: f64, quantiles: Vec<(f64, f64)> },
}

/// The upper bound of a bucket, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

impl Store {
    /// Nothing received yet.
    pub fn new(max_series: usize, resources_on_series: bool) -> Store {
        Store {
            metrics: BTreeMap::new(),
            targets: HashMap::default(),
            max_series,
            resources_on_series,
            left_out: LeftOut::default(),
        }
    }

    /// Takes the metrics of a batch in.
    pub fn absorb(&mut self, batch: &Batch, now: Timestamp) {
        for group in batch.groups() {
            let target = self.target(&group, now);
            for metric in group.metrics() {
                if let Some(kind) = metric.kind {
                    self.metric(&group, &target, &metric, kind, now);
                }
            }
        }
    }

    /// `job` and `instance` name the emitter; the rest of its resource stands on `target_info`.
    fn target(&mut self, group: &Group<'_>, now: Timestamp) -> Attributes {
        let mut target = Vec::new();
        let mut rest = Vec::new();
        let text = |key: &str| group.resource.get(key).map(label_value).filter(|value| !value.is_empty());
        let service = text(resource::SERVICE_NAME).map(|name| match text("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        target.extend(service.map(|name| ("job".into(), name.into())));
        target.extend(text(resource::SERVICE_INSTANCE_ID).map(|id| ("instance".into(), id.into())));
        for attribute in group.resource.attributes() {
            let known = [resource::SERVICE_NAME, resource::SERVICE_INSTANCE_ID, "service.namespace"];
            if !known.contains(&attribute.key.as_str()) {
                rest.push((attribute.key.as_str().into(), label_value(attribute.value).into()));
            }
        }
        if !target.is_empty() && (self.targets.len() < self.max_series || self.targets.contains_key(&target)) {
            self.targets.insert(target.clone(), (rest.clone(), now));
        }
        if self.resources_on_series {
            target.extend(rest);
        }
        target
    }

    fn metric(
        &mut self,
        group: &Group<'_>,
        target: &Attributes,
        metric: &Metric<'_>,
        kind: MetricKind,
        now: Timestamp,
    ) {
        let family_kind = match kind {
            MetricKind::Gauge => FamilyKind::Gauge,
            MetricKind::Sum { monotonic: true, .. } => FamilyKind::Counter,
            MetricKind::Sum { monotonic: false, .. } => FamilyKind::UpDownCounter,
            MetricKind::Histogram(_) | MetricKind::ExponentialHistogram(_) => FamilyKind::Histogram,
            MetricKind::Summary => FamilyKind::Summary,
        };
        let new = || State {
            unit: metric.unit.as_str().into(),
            help: metric.description.as_str().into(),
            kind: family_kind,
            series: HashMap::default(),
        };
        let most_metrics = self.max_series;
        if self.metrics.len() >= most_metrics && !self.metrics.contains_key(metric.name.as_str()) {
            self.left_out.overflowed += metric.data_points().count() as u64;
            return;
        }
        let state = self.metrics.entry(metric.name.as_str().into()).or_insert_with(new);
        if state.kind != family_kind {
            self.left_out.conflicting += metric.data_points().count() as u64;
            return;
        }
        for point in metric.data_points() {
            let mut attributes = target.clone();
            if !group.scope.name.is_empty() {
                attributes.push(("otel_scope_name".into(), group.scope.name.as_str().into()));
            }
            let own = point.attributes().map(|a| (a.key.as_str().into(), label_value(a.value).into()));
            attributes.extend(own);
            attributes.sort();
            if point.no_recorded_value() {
                state.series.remove(&attributes);
                continue;
            }
            let Some(value) = total_of(&point, kind) else {
                self.left_out.invalid += 1;
                continue;
            };
            let full = state.series.len() >= self.max_series && !state.series.contains_key(&attributes);
            if full {
                self.left_out.overflowed += 1;
                continue;
            }
            let at = point.time_unix_nano();
            let is_delta = matches!(
                kind,
                MetricKind::Sum { temporality: Temporality::Delta, .. }
                    | MetricKind::Histogram(Temporality::Delta)
                    | MetricKind::ExponentialHistogram(Temporality::Delta)
            );
            match state.series.get_mut(&attributes) {
                None => {
                    state.series.insert(attributes, Point { value, at, seen: now });
                }
                Some(known) if is_delta => {
                    known.value.add(value);
                    (known.at, known.seen) = (known.at.max(at), now);
                }
                Some(known) if at < known.at => self.left_out.stale += 1,
                Some(known) => *known = Point { value, at, seen: now },
            }
        }
    }

    /// Forgets series without a new value since `since`.
    pub fn expire(&mut self, since: Timestamp) {
        for state in self.metrics.values_mut() {
            state.series.retain(|_, point| point.seen >= since);
        }
        self.metrics.retain(|_, state| !state.series.is_empty());
        self.targets.retain(|_, (_, seen)| *seen >= since);
    }

    /// All as they stand.
    pub fn families(&self) -> Vec<Family> {
        // In front, for the first of a name stands.
        let targets = Some(self.target_info()).filter(|_| !self.targets.is_empty());
        targets.into_iter().chain(self.metrics.iter().map(|(name, state)| state.family(name))).collect()
    }

    fn target_info(&self) -> Family {
        let mut series: Vec<Series> = self
            .targets
            .iter()
            .map(|(target, (rest, _))| Series {
                attributes: target.iter().chain(rest).cloned().collect(),
                value: Value::Number(1.0),
            })
            .collect();
        series.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        Family {
            name: "target".into(),
            unit: "".into(),
            help: "The resources of emitters.".into(),
            kind: FamilyKind::Info,
            series,
        }
    }

    /// Points that are not shown.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }
}

impl State {
    fn family(&self, name: &Name) -> Family {
        let series = |(attributes, point): (&Attributes, &Point)| Series {
            attributes: attributes.clone(),
            value: point.value.to_value(),
        };
        let mut series: Vec<Series> = self.series.iter().map(series).collect();
        series.sort_by(|a, b| a.attributes.cmp(&b.attributes));
        Family { name: name.clone(), unit: self.unit.clone(), help: self.help.clone(), kind: self.kind, series }
    }
}

impl Total {
    fn add(&mut self, more: Total) {
        match (self, more) {
            (Total::Number(own), Total::Number(more)) => *own += more,
            (
                Total::Histogram { count, sum, buckets },
                Total::Histogram { count: more_count, sum: more_sum, buckets: more_buckets },
            ) => {
                *count += more_count;
                *sum = sum.zip(more_sum).map(|(own, more)| own + more);
                for (bound, (more, exemplar)) in more_buckets {
                    let bucket = buckets.entry(bound).or_default();
                    bucket.0 += more;
                    bucket.1 = exemplar.or(bucket.1);
                }
            }
            (own, more) => *own = more,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Total::Number(number) => Value::Number(*number),
            Total::Histogram { count, sum, buckets } => Value::Histogram {
                count: *count,
                sum: *sum,
                buckets: buckets
                    .iter()
                    .map(|(bound, (count, exemplar))| Bucket { bound: bound.0, count: *count, exemplar: *exemplar })
                    .collect(),
            },
            Total::Summary { count, sum, quantiles } => {
                Value::Summary { count: *count, sum: *sum, quantiles: quantiles.clone() }
            }
        }
    }
}

fn total_of(point: &DataPoint<'_>, kind: MetricKind) -> Option<Total> {
    match kind {
        MetricKind::Gauge | MetricKind::Sum { .. } => {
            let number = number_of(point.number()?);
            // What is not a number is not at least 0 either.
            let is_possible = number >= 0.0 || !matches!(kind, MetricKind::Sum { monotonic: true, .. });
            is_possible.then_some(Total::Number(number))
        }
        MetricKind::Histogram(_) => Some(histogram(point)),
        MetricKind::ExponentialHistogram(_) => Some(exponential_histogram(point)),
        MetricKind::Summary => {
            let summary = point.summary();
            Some(Total::Summary { count: summary.count, sum: summary.sum, quantiles: summary.quantiles().collect() })
        }
    }
}

fn histogram(point: &DataPoint<'_>) -> Total {
    let histogram = point.histogram();
    let bounds = histogram.explicit_bounds().chain([f64::INFINITY]).map(Bound);
    let mut buckets: BTreeMap<Bound, (u64, Option<Exemplar>)> = BTreeMap::new();
    for (bound, count) in bounds.zip(histogram.bucket_counts()) {
        // Some emitters say infinity themselves, and then there are two such buckets.
        buckets.entry(bound).or_default().0 += count;
    }
    if buckets.is_empty() {
        buckets.insert(Bound(f64::INFINITY), (histogram.count, None));
    }
    place_exemplars(point, &mut buckets);
    Total::Histogram { count: histogram.count, sum: histogram.sum, buckets }
}

/// The buckets of an exponential histogram with their bounds written out.
fn exponential_histogram(point: &DataPoint<'_>) -> Total {
    let histogram = point.exponential_histogram();
    let base = 2f64.powf(2f64.powi(-histogram.scale.clamp(-20, 30)));
    let bound = |index: i64| base.powf(index as f64);
    let mut buckets: BTreeMap<Bound, (u64, Option<Exemplar>)> = BTreeMap::new();
    for (index, count) in histogram.negative.counts().enumerate().filter(|(_, count)| *count > 0) {
        // The bucket reaches from -base^(i+1), excluded, to -base^i.
        let upper = -bound(i64::from(histogram.negative.offset) + index as i64);
        buckets.entry(Bound(upper)).or_default().0 += count;
    }
    if histogram.zero_count > 0 {
        buckets.entry(Bound(histogram.zero_threshold.max(0.0))).or_default().0 += histogram.zero_count;
    }
    for (index, count) in histogram.positive.counts().enumerate().filter(|(_, count)| *count > 0) {
        let upper = bound(i64::from(histogram.positive.offset) + index as i64 + 1);
        buckets.entry(Bound(upper)).or_default().0 += count;
    }
    buckets.entry(Bound(f64::INFINITY)).or_default();
    place_exemplars(point, &mut buckets);
    Total::Histogram { count: histogram.count, sum: histogram.sum, buckets }
}

fn place_exemplars(point: &DataPoint<'_>, buckets: &mut BTreeMap<Bound, (u64, Option<Exemplar>)>) {
    for exemplar in point.exemplars() {
        let Some(exemplar) = exemplar_of(&exemplar) else { continue };
        if let Some((_, (_, place))) = buckets.range_mut(Bound(exemplar.value)..).next() {
            *place = Some(exemplar);
        }
    }
}

fn exemplar_of(exemplar: &view::Exemplar<'_>) -> Option<Exemplar> {
    Some(Exemplar {
        value: number_of(exemplar.value?),
        at: Timestamp::from_unix_nanos(exemplar.time_unix_nano),
        trace_id: TraceId::from_bytes(exemplar.trace_id)?,
        span_id: SpanId::from_bytes(exemplar.span_id)?,
    })
}

fn number_of(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Double(number) => number,
    }
}

fn label_value(value: AnyValue<'_>) -> String {
    match value {
        AnyValue::Empty => String::new(),
        AnyValue::String(text) => text.to_string(),
        AnyValue::Bool(truth) => truth.to_string(),
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Double(number) => number.to_string(),
        AnyValue::Bytes(_) | AnyValue::Map(_) => "…".to_owned(),
        AnyValue::Array(array) => {
            let values: Vec<String> = array.values().map(label_value).collect();
            serde_json::to_string(&values).unwrap_or_default()
        }
    }
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Bound) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Bound) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
