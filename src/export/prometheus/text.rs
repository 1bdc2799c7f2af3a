//! The exposition formats: Prometheus text 0.0.4, and OpenMetrics 1.0 with exemplars.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::names;
use crate::measure::{Bucket, Exemplar, Family, FamilyKind, Series, Value};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a scraper that sent this `Accept` header wants.
    pub fn negotiate(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
    }

    /// The content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all metrics. Families that have one name in Prometheus are written as one; where their kinds differ,
/// the first stands.
pub fn render(families: &[Family], format: Format) -> String {
    let mut by_name: BTreeMap<String, Vec<&Family>> = BTreeMap::new();
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        by_name.entry(names::metric(&family.name, &family.unit, family.kind)).or_default().push(family);
    }
    let mut out = String::new();
    for (name, families) in &by_name {
        let first = families[0];
        let mut writer = Writer { out: &mut out, name, kind: first.kind, format };
        writer.header(&first.help);
        for family in families.iter().filter(|family| family.kind == first.kind) {
            family.series.iter().for_each(|series| writer.series(series));
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

struct Writer<'a> {
    out: &'a mut String,
    name: &'a str,
    kind: FamilyKind,
    format: Format,
}

impl Writer<'_> {
    fn header(&mut self, help: &str) {
        let kind = match (self.kind, self.format) {
            (FamilyKind::Counter, _) => "counter",
            (FamilyKind::Gauge | FamilyKind::UpDownCounter, _) => "gauge",
            (FamilyKind::Histogram, _) => "histogram",
            (FamilyKind::Summary, _) => "summary",
            (FamilyKind::Unknown, Format::Text) => "untyped",
            (FamilyKind::Unknown, Format::OpenMetrics) => "unknown",
        };
        // Text 0.0.4 names the sample, OpenMetrics the family.
        let suffix = if self.kind == FamilyKind::Counter && self.format == Format::Text { "_total" } else { "" };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let help = if self.format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
        let name = self.name;
        self.push(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
    }

    fn series(&mut self, series: &Series) {
        let labels = labels(&series.attributes);
        match &series.value {
            Value::Number(number) => {
                let suffix = if self.kind == FamilyKind::Counter { "_total" } else { "" };
                self.sample(suffix, &labels, None, *number);
                self.out.push('\n');
            }
            Value::Histogram { count, sum, buckets } => self.histogram(&labels, *count, *sum, buckets),
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    self.sample("", &labels, Some(("quantile", number(*quantile))), *value);
                    self.out.push('\n');
                }
                self.sum_and_count(&labels, Some(*sum), *count);
            }
        }
    }

    fn histogram(&mut self, labels: &str, count: u64, sum: Option<f64>, buckets: &[Bucket]) {
        let mut below = 0;
        for bucket in buckets {
            below += bucket.count;
            self.sample("_bucket", labels, Some(("le", number(bucket.bound))), below as f64);
            if let (Format::OpenMetrics, Some(exemplar)) = (self.format, &bucket.exemplar) {
                self.exemplar(exemplar);
            }
            self.out.push('\n');
        }
        if buckets.last().is_none_or(|bucket| bucket.bound.is_finite()) {
            self.sample("_bucket", labels, Some(("le", number(f64::INFINITY))), count as f64);
            self.out.push('\n');
        }
        self.sum_and_count(labels, sum, count);
    }

    fn sum_and_count(&mut self, labels: &str, sum: Option<f64>, count: u64) {
        if let Some(sum) = sum {
            self.sample("_sum", labels, None, sum);
            self.out.push('\n');
        }
        self.sample("_count", labels, None, count as f64);
        self.out.push('\n');
    }

    fn sample(&mut self, suffix: &str, labels: &str, extra: Option<(&str, String)>, value: f64) {
        let extra = extra.map(|(name, value)| format!("{name}=\"{value}\"")).unwrap_or_default();
        let comma = if labels.is_empty() || extra.is_empty() { "" } else { "," };
        let (open, close) = if labels.is_empty() && extra.is_empty() { ("", "") } else { ("{", "}") };
        let (name, value) = (self.name, number(value));
        self.push(format_args!("{name}{suffix}{open}{labels}{comma}{extra}{close} {value}"));
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { value, at, trace_id, span_id } = exemplar;
        let seconds = at.as_micros() as f64 / 1e6;
        let value = number(*value);
        self.push(format_args!(" # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {seconds:.3}"));
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        self.out.write_fmt(arguments).unwrap_or_default();
    }
}

/// Names that are one after translation are joined, as the specification asks.
fn labels(attributes: &[(crate::derive::Name, crate::derive::Name)]) -> String {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in attributes {
        joined
            .entry(names::label(name))
            .and_modify(|known| {
                known.push(';');
                known.push_str(value);
            })
            .or_insert_with(|| value.to_string());
    }
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = joined.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    pairs.join(",")
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SpanId, Timestamp, TraceId};

    fn families() -> Vec<Family> {
        let family = |name: &str, unit: &str, kind, attributes: &[(&str, &str)], value| Family {
            name: name.into(),
            unit: unit.into(),
            help: "It \"helps\".".into(),
            kind,
            series: vec![Series {
                attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
                value,
            }],
        };
        let exemplar = Exemplar {
            value: 0.3,
            at: Timestamp::from_micros(1_500_000),
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            span_id: SpanId::from_bytes(&[2; 8]).unwrap(),
        };
        let buckets = vec![
            Bucket { bound: 0.5, count: 1, exemplar: Some(exemplar) },
            Bucket { bound: f64::INFINITY, count: 2, exemplar: None },
        ];
        vec![
            family("agent.runs", "{run}", FamilyKind::Counter, &[("agent", "a\"\\\n")], Value::Number(3.0)),
            family(
                "run.duration",
                "s",
                FamilyKind::Histogram,
                &[("gen_ai.agent.name", "x")],
                Value::Histogram { count: 3, sum: Some(2.5), buckets },
            ),
        ]
    }

    #[test]
    fn text() {
        let expected = "\
# HELP agent_runs_total It \"helps\".
# TYPE agent_runs_total counter
agent_runs_total{agent=\"a\\\"\\\\\\n\"} 3
# HELP run_duration_seconds It \"helps\".
# TYPE run_duration_seconds histogram
run_duration_seconds_bucket{gen_ai_agent_name=\"x\",le=\"0.5\"} 1
run_duration_seconds_bucket{gen_ai_agent_name=\"x\",le=\"+Inf\"} 3
run_duration_seconds_sum{gen_ai_agent_name=\"x\"} 2.5
run_duration_seconds_count{gen_ai_agent_name=\"x\"} 3
";
        assert_eq!(render(&families(), Format::Text), expected);
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let text = render(&families(), Format::OpenMetrics);
        assert!(text.contains("# TYPE agent_runs counter\n"), "{text}");
        let exemplar =
            "le=\"0.5\"} 1 # {trace_id=\"01010101010101010101010101010101\",span_id=\"0202020202020202\"} 0.3 1.500\n";
        assert!(text.contains(exemplar), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
