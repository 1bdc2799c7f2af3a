//! How the collector itself is: its counters, what it listens on, and the events it holds.

use axum::response::Response;

use super::json::{list, object};
use super::{Shared, api};
use crate::event::{JsonObject, Timestamp};
use crate::measure::{Family, FamilyKind, Series, Value};

/// `GET /api/v1/health`
pub async fn health(state: Shared) -> Response {
    let unready = (state.unready)();
    let families = (state.counters)();
    let ours: Vec<&Family> = families.iter().filter(|family| family.name.starts_with("spanlight.")).collect();
    api::ok(object(|object| {
        object.str("version", env!("CARGO_PKG_VERSION"));
        object.display("at", Timestamp::now());
        object.str("epoch", state.hub.epoch());
        object.bool("ready", unready.is_none());
        object.opt_str("unready", unready.as_deref());
        object.u64("oldest_event", state.hub.first());
        object.u64("next_event", state.hub.head());
        list(object.key("receivers"), &state.receivers, |out, port| {
            let mut entry = JsonObject::begin(out);
            entry.str("transport", port.transport);
            entry.display("address", port.address);
            entry.bool("tls", port.is_tls);
            entry.bool("auth", port.asks_who);
            entry.end();
        });
        list(object.key("metrics"), &ours, |out, family| write_family(out, family));
    }))
}

fn write_family(out: &mut Vec<u8>, family: &Family) {
    let mut entry = JsonObject::begin(out);
    entry.str("name", &family.name);
    entry.str("unit", &family.unit);
    entry.str("help", &family.help);
    entry.str("kind", if family.kind == FamilyKind::Gauge { "gauge" } else { "counter" });
    list(entry.key("series"), &family.series, write_series);
    entry.end();
}

fn write_series(out: &mut Vec<u8>, series: &Series) {
    let mut entry = JsonObject::begin(out);
    let mut labels = JsonObject::begin(entry.key("labels"));
    for (key, value) in &series.attributes {
        labels.str(key, value);
    }
    labels.end();
    if let Value::Number(value) = series.value {
        entry.f64("value", value);
    }
    entry.end();
}
