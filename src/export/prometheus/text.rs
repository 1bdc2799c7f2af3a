//! The exposition formats: Prometheus text 0.0.4, and OpenMetrics 1.0 with exemplars.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map};
use std::fmt::{self, Write};
use std::iter::Flatten;
use std::vec;

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::names;
use crate::derive::Name;
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

    /// OpenMetrics wants sums to be counters, so it has none of what may be below zero, and no such quantiles.
    fn allows(self, value: f64) -> bool {
        self == Format::Text || value >= 0.0
    }

    /// A number as a label. OpenMetrics says how exactly, for two spellings would be two series.
    fn bound(self, value: f64) -> String {
        if self == Format::Text || value.is_infinite() {
            return number(value);
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse::<i32>().unwrap_or(0) {
            -4..6 if value.fract() == 0.0 => format!("{value}.0"),
            -4..6 => value.to_string(),
            exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
        }
    }
}

/// All metrics as a text, a piece at a time as its reader takes it: the whole may be of tens of megabytes.
pub struct Text {
    families: btree_map::IntoIter<String, Vec<Family>>,
    /// What is being written.
    family: Option<Written>,
    names: LabelNames,
    format: Format,
    is_over: bool,
}

/// Families of one name, some of whose series are written.
struct Written {
    name: String,
    kind: FamilyKind,
    series: Flatten<vec::IntoIter<Vec<Series>>>,
    /// The labels of those that are.
    seen: HashSet<String>,
}

/// Families that have one name in Prometheus are written as one; where their kinds differ, or the samples of one are called
/// as another's, the first stands: a reader would refuse the whole page.
pub fn render(families: Vec<Family>, format: Format) -> Text {
    let mut by_name: BTreeMap<String, Vec<Family>> = BTreeMap::new();
    let mut owners: HashMap<String, (String, FamilyKind)> = HashMap::new();
    for family in families.into_iter().filter(|family| !family.series.is_empty()) {
        let name = names::metric(&family.name, &family.unit, family.kind);
        let owner = (name.clone(), family.kind);
        let claims = claims(&name, family.kind);
        if claims.iter().all(|claim| owners.get(claim).is_none_or(|known| *known == owner)) {
            owners.extend(claims.into_iter().map(|claim| (claim, owner.clone())));
            by_name.entry(name).or_default().push(family);
        }
    }
    Text { families: by_name.into_iter(), family: None, names: LabelNames::default(), format, is_over: false }
}

impl Text {
    /// Of a piece, in bytes, but for what its last series takes.
    const LENGTH: usize = 64 << 10;
    /// Room for that. A histogram of a thousand buckets takes more, and its piece grows.
    const A_SERIES: usize = 8 << 10;

    /// Writes the next series, or what stands above the next family; whether there was one.
    fn step(&mut self, out: &mut String) -> bool {
        let Some(family) = &mut self.family else {
            let Some((name, families)) = self.families.next() else { return false };
            let (kind, help) = (families[0].kind, families[0].help.clone());
            Writer { out, name: &name, kind, format: self.format }.header(&help);
            let series: Vec<Vec<Series>> = families.into_iter().map(|family| family.series).collect();
            self.family = Some(Written { name, kind, series: series.into_iter().flatten(), seen: HashSet::new() });
            return true;
        };
        let Some(series) = family.series.next() else {
            self.family = None;
            return true;
        };
        let labels = self.names.labels(&series.attributes);
        if !family.seen.contains(&labels) {
            Writer { out, name: &family.name, kind: family.kind, format: self.format }.series(&labels, &series.value);
            family.seen.insert(labels);
        }
        true
    }
}

impl Iterator for Text {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let mut out = String::with_capacity(Text::LENGTH + Text::A_SERIES);
        while out.len() < Text::LENGTH && !self.is_over {
            self.is_over = !self.step(&mut out);
        }
        if self.is_over && self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        (!out.is_empty()).then(|| out.into())
    }
}

/// The names that a family takes: its own and those of its samples.
fn claims(name: &str, kind: FamilyKind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        FamilyKind::Counter | FamilyKind::Info => &[suffix(kind)],
        FamilyKind::Histogram => &["_bucket", "_sum", "_count"],
        FamilyKind::Summary => &["_sum", "_count"],
        FamilyKind::Gauge | FamilyKind::UpDownCounter | FamilyKind::Unknown => &[],
    };
    [""].iter().chain(suffixes).map(|suffix| format!("{name}{suffix}")).collect()
}

/// What the sample of a family that has one sample adds to its name.
fn suffix(kind: FamilyKind) -> &'static str {
    match kind {
        FamilyKind::Counter => "_total",
        FamilyKind::Info => "_info",
        _ => "",
    }
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
            (FamilyKind::Gauge | FamilyKind::UpDownCounter, _) | (FamilyKind::Info, Format::Text) => "gauge",
            (FamilyKind::Info, Format::OpenMetrics) => "info",
            (FamilyKind::Histogram, _) => "histogram",
            (FamilyKind::Summary, _) => "summary",
            (FamilyKind::Unknown, Format::Text) => "untyped",
            (FamilyKind::Unknown, Format::OpenMetrics) => "unknown",
        };
        // Text 0.0.4 names the sample, OpenMetrics the family.
        let suffix = if self.format == Format::Text { suffix(self.kind) } else { "" };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let help = if self.format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
        let name = self.name;
        self.push(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
    }

    fn series(&mut self, labels: &str, value: &Value) {
        match value {
            Value::Number(number) => {
                self.sample(suffix(self.kind), labels, None, *number);
                self.out.push('\n');
            }
            Value::Histogram { count, sum, buckets } => self.histogram(labels, *count, *sum, buckets),
            Value::Summary { count, sum, quantiles } => {
                let format = self.format;
                for (quantile, value) in quantiles.iter().filter(|(_, value)| format.allows(*value)) {
                    self.sample("", labels, Some(("quantile", *quantile)), *value);
                    self.out.push('\n');
                }
                self.sum_and_count(labels, Some(*sum), *count);
            }
        }
    }

    fn histogram(&mut self, labels: &str, count: u64, sum: Option<f64>, buckets: &[Bucket]) {
        let mut below = 0;
        for bucket in buckets {
            below += bucket.count;
            self.sample("_bucket", labels, Some(("le", bucket.bound)), below as f64);
            if let (Format::OpenMetrics, Some(exemplar)) = (self.format, &bucket.exemplar) {
                self.exemplar(exemplar);
            }
            self.out.push('\n');
        }
        // Whatever the emitter counted, the last bucket has to hold as many as there are.
        let count =
            if buckets.last().is_some_and(|bucket| bucket.bound.is_infinite()) { below } else { count.max(below) };
        if buckets.last().is_none_or(|bucket| bucket.bound.is_finite()) {
            self.sample("_bucket", labels, Some(("le", f64::INFINITY)), count as f64);
            self.out.push('\n');
        }
        let sum = sum.filter(|_| buckets.first().is_none_or(|bucket| self.format.allows(bucket.bound)));
        self.sum_and_count(labels, sum, count);
    }

    fn sum_and_count(&mut self, labels: &str, sum: Option<f64>, count: u64) {
        let sum = sum.filter(|sum| self.format.allows(*sum));
        if let Some(sum) = sum {
            self.sample("_sum", labels, None, sum);
            self.out.push('\n');
        }
        // In OpenMetrics a histogram has both or neither.
        if sum.is_some() || self.format == Format::Text || self.kind != FamilyKind::Histogram {
            self.sample("_count", labels, None, count as f64);
            self.out.push('\n');
        }
    }

    /// Piece by piece, because of these there may be hundreds of thousands.
    fn sample(&mut self, suffix: &str, labels: &str, bound: Option<(&str, f64)>, value: f64) {
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        if !labels.is_empty() || bound.is_some() {
            self.out.push('{');
            self.out.push_str(labels);
            if let Some((name, bound)) = bound {
                self.out.push_str(if labels.is_empty() { "" } else { "," });
                self.out.push_str(name);
                self.out.push_str("=\"");
                match self.format {
                    Format::Text => self.number(bound),
                    Format::OpenMetrics => self.out.push_str(&self.format.bound(bound)),
                }
                self.out.push('"');
            }
            self.out.push('}');
        }
        self.out.push(' ');
        self.number(value);
    }

    fn number(&mut self, value: f64) {
        // Most are counts, which are written in a fraction of the time that a fraction takes.
        if value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
            self.push(format_args!("{}", value as i64));
        } else {
            self.out.push_str(&number(value));
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { value, at, trace_id, span_id } = exemplar;
        let seconds = at.as_micros() as f64 / 1e6;
        let value = number(*value);
        self.push(format_args!(" # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {seconds:.3}"));
    }

    fn push(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        self.out.write_fmt(arguments).unwrap_or_default();
    }
}

/// The names of labels as Prometheus has them. There are a few, and each stands in every series.
#[derive(Default)]
struct LabelNames(HashMap<Name, String, RandomState>);

impl LabelNames {
    /// A series' labels as they stand in the text. Names that are one after translation are joined, as the specification asks.
    fn labels(&mut self, attributes: &[(Name, Name)]) -> String {
        for (name, _) in attributes {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), names::label(name));
            }
        }
        let mut pairs: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (&*self.0[name], &**value)).collect();
        pairs.sort_by_key(|(name, _)| *name);
        let mut text = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
        for (name, alike) in pairs.chunk_by(|a, b| a.0 == b.0).map(|alike| (alike[0].0, alike)) {
            text.push_str(if text.is_empty() { "" } else { "," });
            text.push_str(name);
            text.push_str("=\"");
            for (at, (_, value)) in alike.iter().enumerate() {
                text.push_str(if at > 0 { ";" } else { "" });
                push_escaped(&mut text, value);
            }
            text.push('"');
        }
        text
    }
}

fn push_escaped(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push_str(match special.as_bytes()[0] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
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
    use crate::measure::Series;
    use proptest::prelude::*;

    fn written(families: &[Family], format: Format) -> String {
        String::from_utf8(render(families.to_vec(), format).collect::<Vec<_>>().concat()).unwrap()
    }

    #[test]
    fn a_long_text_is_in_pieces_and_whole() {
        let series = |number: u32| Series {
            attributes: vec![("number".into(), number.to_string().into())],
            value: Value::Number(f64::from(number)),
        };
        let mut family = families().remove(0);
        family.series = (0..10_000).map(series).collect();
        let pieces: Vec<Bytes> = render(vec![family], Format::Text).collect();
        let most = Text::LENGTH + Text::A_SERIES;
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() <= most), "{}", pieces.len());
        let text = String::from_utf8(pieces.concat()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.enumerate().all(|(at, line)| line.ends_with(&format!("{{number=\"{at}\"}} {at}"))), "{text}");
    }

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
        assert_eq!(written(&families(), Format::Text), expected);
    }

    proptest! {
        #[test]
        fn every_number_is_read_as_what_it_is(value in any::<f64>(), count in any::<i32>()) {
            for value in [value, f64::from(count), f64::from(count) * 1e9, 0.0, -0.0, f64::INFINITY] {
                let mut family = families().remove(0);
                (family.kind, family.series[0].value) = (FamilyKind::Gauge, Value::Number(value));
                let text = written(&[family], Format::Text);
                let read: f64 = text.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
                prop_assert_eq!(read.to_bits(), value.to_bits(), "{}", text);
            }
        }
    }

    #[test]
    fn labels_are_in_order_escaped_and_joined_where_their_names_are_one() {
        let attributes = [("b", "x\\\"\ny"), ("a.b", "1"), ("a/b", "2"), ("", "3")];
        let attributes = attributes.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(LabelNames::default().labels(&attributes), r#"_="3",a_b="1;2",b="x\\\"\ny""#);
        assert_eq!(LabelNames::default().labels(&[]), "");
    }

    #[test]
    fn bounds_are_spelled_as_openmetrics_wants() {
        let spelled = [0.0, 1.0, 0.25, 0.0001, 0.00001, 100_000.0, 1e6, 1_048_576.0, -2.5, f64::INFINITY];
        let spelled = spelled.map(|bound| Format::OpenMetrics.bound(bound));
        let expected = ["0.0", "1.0", "0.25", "0.0001", "1e-05", "100000.0", "1e+06", "1.048576e+06", "-2.5", "+Inf"];
        assert_eq!(spelled, expected);
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let text = written(&families(), Format::OpenMetrics);
        assert!(text.contains("# TYPE agent_runs counter\n"), "{text}");
        let exemplar =
            "le=\"0.5\"} 1 # {trace_id=\"01010101010101010101010101010101\",span_id=\"0202020202020202\"} 0.3 1.500\n";
        assert!(text.contains(exemplar), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
