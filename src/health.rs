//! Our own counters: what was received, refused, dropped, sent, and why.
//!
//! Every drop has a reason. A counter is one atomic that its owner keeps; the registry only knows its name.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::measure::{Family, FamilyKind, Series, Value};

/// All counters and gauges of a process.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Vec<Metric>>>);

/// A counter that its owner adds to.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

struct Metric {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    kind: FamilyKind,
    labels: Vec<(&'static str, String)>,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// What a metric of our own is called and means.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The OTel name.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
}

/// Items that a receiver took over.
pub const ACCEPTED: About = About {
    name: "spanlight.receiver.accepted",
    unit: "{item}",
    help: "Spans, log records, data points and events that receivers took over.",
};
/// Items that a receiver did not take.
pub const REFUSED: About = About {
    name: "spanlight.receiver.refused",
    unit: "{item}",
    help: "Spans, log records, data points, events and whole requests that receivers did not take, by reason.",
};
/// Items that went nowhere.
pub const DROPPED: About = About {
    name: "spanlight.dropped",
    unit: "{item}",
    help: "What was taken over and went nowhere, by component and reason.",
};
/// Items that an exporter delivered.
pub const SENT: About =
    About { name: "spanlight.exporter.sent", unit: "{item}", help: "Items that exporters delivered." };
/// Items that an exporter gave up on.
pub const FAILED: About =
    About { name: "spanlight.exporter.failed", unit: "{item}", help: "Items that exporters gave up on, by reason." };
/// Values that did not go on as they were.
pub const WITHHELD: About = About {
    name: "spanlight.withheld",
    unit: "{value}",
    help: "Values of content, and others, that were dropped, hashed, masked or cut, by component and reason.",
};
/// Attempts that an exporter repeats.
pub const RETRIED: About = About {
    name: "spanlight.exporter.retried",
    unit: "{attempt}",
    help: "Attempts of exporters that failed and are repeated.",
};
/// Items that may be delivered twice.
pub const REPEATED: About = About {
    name: "spanlight.exporter.repeated",
    unit: "{item}",
    help: "Items that exporters may have delivered twice, because nobody knows what became of the first time, by reason.",
};
/// Items in a queue.
pub const QUEUE_SIZE: About =
    About { name: "spanlight.queue.size", unit: "{item}", help: "Items that wait in the queue of an exporter." };
/// Bytes in a queue.
pub const QUEUE_BYTES: About =
    About { name: "spanlight.queue.bytes", unit: "By", help: "Bytes that wait in the queue of an exporter." };
/// Room in a queue.
pub const QUEUE_CAPACITY: About = About {
    name: "spanlight.queue.capacity",
    unit: "{item}",
    help: "Items that the queue of an exporter has room for.",
};

/// Bytes that fit into a queue.
pub const QUEUE_LIMIT: About =
    About { name: "spanlight.queue.limit", unit: "By", help: "Bytes that the queue of an exporter has room for." };

impl Health {
    /// A new counter; several of the same name and labels are shown as one.
    pub fn counter(&self, about: About, labels: &[(&'static str, &str)]) -> Count {
        let count = Count::default();
        let read = count.0.clone();
        self.register(about, FamilyKind::Counter, labels, move || read.load(Relaxed) as f64);
        count
    }

    /// A value that is read when somebody looks.
    pub fn gauge(&self, about: About, labels: &[(&'static str, &str)], read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.register(about, FamilyKind::Gauge, labels, read);
    }

    /// A total that somebody else keeps and is read when somebody looks.
    pub fn total(&self, about: About, labels: &[(&'static str, &str)], read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.register(about, FamilyKind::Counter, labels, read);
    }

    fn register(
        &self,
        about: About,
        kind: FamilyKind,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let About { name, unit, help } = about;
        let metric = Metric { name, unit, help, kind, labels, read: Box::new(read) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(metric);
    }

    /// All as they stand, and the same under the names of the OpenTelemetry Collector, which people's dashboards
    /// know.
    pub fn families(&self) -> Vec<Family> {
        let metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families: Vec<Family> = Vec::new();
        for metric in metrics.iter() {
            let value = (metric.read)();
            add_series(&mut families, metric, metric.name, metric.kind, &metric.labels, value);
            if let Some((name, labels)) = collector_name(metric) {
                // The Collector's totals have no `_total`, so they cannot be counters to Prometheus.
                let kind = if metric.kind == FamilyKind::Counter { FamilyKind::Unknown } else { metric.kind };
                add_series(&mut families, metric, &name, kind, &labels, value);
            }
        }
        families
    }

    /// The sum of all counters of a name whose labels hold all of `labels`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |metric: &&Metric| {
            let has = |(key, value): &(&str, &str)| metric.labels.iter().any(|(k, v)| k == key && v == value);
            metric.name == name && labels.iter().all(has)
        };
        metrics.iter().filter(fits).map(|metric| (metric.read)() as u64).sum()
    }
}

fn add_series(
    families: &mut Vec<Family>,
    metric: &Metric,
    name: &str,
    kind: FamilyKind,
    labels: &[(&'static str, String)],
    value: f64,
) {
    let family = match families.iter_mut().find(|family| *family.name == *name) {
        Some(family) => family,
        None => {
            families.push(Family {
                name: name.into(),
                unit: metric.unit.into(),
                help: metric.help.into(),
                kind,
                series: Vec::new(),
            });
            let last = families.len() - 1;
            &mut families[last]
        }
    };
    let attributes = labels.iter().map(|(key, value)| ((*key).into(), value.as_str().into())).collect();
    let same = family.series.iter_mut().find(|series| series.attributes == attributes);
    match same {
        // Several counters of one meaning add up, as those of a listener's connections do.
        Some(Series { value: Value::Number(sum), .. }) => *sum += value,
        _ => family.series.push(Series { attributes, value: Value::Number(value) }),
    }
}

/// The name and labels of a metric in the OpenTelemetry Collector, where it has one for it.
fn collector_name(metric: &Metric) -> Option<(String, Vec<(&'static str, String)>)> {
    let label = |key: &str| metric.labels.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone());
    let items = |signal: &str| match signal {
        "traces" => Some("spans"),
        "metrics" => Some("metric_points"),
        "logs" | "events" => Some("log_records"),
        _ => None,
    };
    let signal = label("signal");
    let of_signal = |name: &str| signal.as_deref().and_then(items).map(|items| format!("otelcol_{name}_{items}"));
    let name = match metric.name {
        name if name == ACCEPTED.name => of_signal("receiver_accepted")?,
        name if name == REFUSED.name => of_signal("receiver_refused")?,
        name if name == SENT.name => of_signal("exporter_sent")?,
        name if name == FAILED.name => of_signal("exporter_send_failed")?,
        name if name == QUEUE_SIZE.name => "otelcol_exporter_queue_size".to_owned(),
        name if name == QUEUE_CAPACITY.name => "otelcol_exporter_queue_capacity".to_owned(),
        _ => return None,
    };
    let kept = ["receiver", "exporter", "transport"];
    let labels = metric.labels.iter().filter(|(key, _)| kept.contains(key)).cloned().collect();
    Some((name, labels))
}

impl Count {
    /// Counts this many more.
    pub fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Relaxed);
    }

    /// The total.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of one receiver and transport for one signal.
#[derive(Clone, Debug)]
pub struct Reception {
    /// Items taken over.
    pub accepted: Count,
    /// Requests for which memory was short or queues were full, or that came while stopping.
    pub overloaded: Count,
    /// Items that were malformed, or invalid on their own.
    pub invalid: Count,
    /// Requests whose size was over the limit.
    pub too_large: Count,
    /// Requests whose bodies did not come in time.
    pub too_slow: Count,
    /// Requests of a path, method, type or encoding that is not taken here.
    pub unsupported: Count,
    /// Requests of web pages, and of people who are known, that may not send.
    pub forbidden: Count,
    /// Requests of those who did not say who they are, or are not believed.
    pub unauthenticated: Count,
}

impl Reception {
    /// Registers the counters.
    pub fn new(health: &Health, receiver: &str, transport: &str, signal: &str) -> Reception {
        let labels = [("receiver", receiver), ("transport", transport), ("signal", signal)];
        let refused = |reason| {
            let labels: Vec<(&'static str, &str)> = labels.iter().copied().chain([("reason", reason)]).collect();
            health.counter(REFUSED, &labels)
        };
        Reception {
            accepted: health.counter(ACCEPTED, &labels),
            overloaded: refused("overloaded"),
            invalid: refused("invalid"),
            too_large: refused("too_large"),
            too_slow: refused("too_slow"),
            unsupported: refused("unsupported"),
            forbidden: refused("forbidden"),
            unauthenticated: refused("unauthenticated"),
        }
    }
}

/// The memory of this process in bytes, where the system tells.
pub fn resident_memory() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Of `/proc/self/status`: `statm` is shorter but counts in pages, whose size differs between machines.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_in_kibibytes_whatever_a_page_is() {
        assert_eq!(resident("Name:\tspanlight\nVmHWM:\t   99 kB\nVmRSS:\t   13500 kB\n"), Some(13500 << 10));
        assert_eq!(resident("Name:\tspanlight\n"), None);
    }

    #[test]
    fn the_same_labels_add_up_and_the_collectors_names_are_there() {
        let health = Health::default();
        let labels = [("receiver", "otlp"), ("transport", "grpc"), ("signal", "traces")];
        health.counter(ACCEPTED, &labels).add(3);
        health.counter(ACCEPTED, &labels).add(4);
        assert_eq!(health.sum(ACCEPTED.name, &[("signal", "traces")]), 7);
        let families = health.families();
        let value =
            |name: &str| families.iter().find(|family| &*family.name == name).map(|f| f.series[0].value.clone());
        assert_eq!(value("spanlight.receiver.accepted"), Some(Value::Number(7.0)));
        assert_eq!(value("otelcol_receiver_accepted_spans"), Some(Value::Number(7.0)));
    }
}
