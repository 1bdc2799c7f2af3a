//! The web endpoint's view of the pipelines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;

use super::Options;
use super::build::Built;
use super::plan::Pipeline;
use crate::connector::Connector;
use crate::derive::Settings;
use crate::event::Timestamp;
use crate::export::prometheus::{Format, Prometheus, render};
use crate::export::pump::Liveness;
use crate::flow::Gate;
use crate::health::{About, Health, resident_memory};
use crate::hub::Hub;
use crate::listen::Port;
use crate::measure::{Family, Series};
use crate::otlp::Signal;
use crate::receive::Events;
use crate::recent::Recent;
use crate::web::{Demo, PostEvents, Scrape, SocketLimits, State, Unready};

/// Puts together what the endpoint serves from.
pub fn state(
    agent: Option<&Arc<Connector>>,
    hub: Arc<Hub>,
    recent: Arc<Recent>,
    health: &Health,
    (scrape, unready): (Scrape, Unready),
    events: Events,
) -> State {
    let connector = agent.cloned().unwrap_or_else(|| Arc::new(Connector::new(Settings::default())));
    let counters = health.clone();
    State {
        counters: Box::new(move || counters.families()),
        receivers: Vec::new(),
        demo: None,
        scrape,
        unready,
        post_events: post_events(events),
        connector,
        hub,
        recent,
        auth: None,
        allowed_hosts: Vec::new(),
        history: None,
        sockets: SocketLimits::default(),
        denied: health.counter(DENIED, &[("component", "web")]),
    }
}

const DENIED: About = About {
    name: "spanlight.web.denied",
    unit: "{request}",
    help: "Requests and WebSockets without a token that is believed, or for what it may not see.",
};

/// Our own health, what was derived, and what was received.
pub fn scrape(connector: Option<&Arc<Connector>>, health: &Health, built: &Built) -> Scrape {
    let health = health.clone();
    let prometheus: Vec<Arc<Prometheus>> = built.prometheus.clone();
    for store in &prometheus {
        show_left_out(&health, store);
    }
    let derived_too = built.routes.iter().any(|(pipeline, route)| {
        let of_metrics = pipeline.from_agent && pipeline.signal == Signal::Metrics;
        of_metrics && route.is_scraped()
    });
    let connector = connector.filter(|_| derived_too).cloned();
    Arc::new(move |accept| {
        let format = Format::negotiate(accept);
        let mut families = health.families();
        if let Some(connector) = &connector {
            families.extend(connector.metrics().into_iter().map(|metric| of_this_scope(metric.family)));
        }
        families.extend(prometheus.iter().flat_map(|store| store.families(Timestamp::now())));
        (format.content_type(), Box::new(render(families, format)))
    })
}

/// Says of every derived series that it is ours: emitters may send metrics of the same names.
fn of_this_scope(mut family: Family) -> Family {
    let scope = || ("otel_scope_name".into(), "spanlight".into());
    family.series = family
        .series
        .into_iter()
        .map(|Series { mut attributes, value }| {
            attributes.push(scope());
            Series { attributes, value }
        })
        .collect();
    family
}

fn show_left_out(health: &Health, store: &Arc<Prometheus>) {
    for (reason, pick) in [
        ("series_overflow", (|left_out| left_out.overflowed) as fn(crate::export::prometheus::LeftOut) -> u64),
        ("conflicting_kind", |left_out| left_out.conflicting),
        ("stale_point", |left_out| left_out.stale),
        ("invalid_value", |left_out| left_out.invalid),
    ] {
        let store = store.clone();
        let labels = [("component", "prometheus"), ("reason", reason)];
        health.total(crate::health::DROPPED, &labels, move || pick(store.left_out()) as f64);
    }
}

/// Time must pass, exporters must not all be failing, and what others show must have been read.
pub fn unready(connector: Option<&Arc<Connector>>, hub: &Arc<Hub>, built: &Built) -> Unready {
    let ends_in_agent = built.routes.iter().any(|(pipeline, _): &(Pipeline, _)| pipeline.to_agent);
    let connector = connector.filter(|_| ends_in_agent).cloned();
    let exporters: Vec<Liveness> = built.pumps.iter().map(|pump| pump.liveness()).collect();
    let hub = hub.clone();
    Arc::new(move || {
        if hub.is_behind() {
            return Some("what others have shown already is still being read".into());
        }
        why_unready(connector.as_ref().map(|connector| connector.since_tick()), &exporters)
    })
}

fn why_unready(since_tick: Option<Duration>, exporters: &[Liveness]) -> Option<String> {
    const STUCK: Duration = Duration::from_secs(5);
    if since_tick.is_some_and(|since| since > STUCK) {
        return Some("the agent connector is stuck".into());
    }
    exporters.iter().find_map(Liveness::died)
}

/// The demonstration, where this machine's page can ask for it and there is a port to play it to.
pub fn demo(options: &Options, web: Port, receivers: &[Port]) -> Option<Demo> {
    let play = options.demo.filter(|_| web.address.ip().is_loopback())?;
    // It has no certificates and no tokens.
    let url = receivers.iter().find(|port| port.transport == "http" && !port.is_tls && !port.asks_who)?.url();
    Some(Demo::new(move || play(url.clone())))
}

fn post_events(events: Events) -> PostEvents {
    let events = Arc::new(events);
    Box::new(move |request| {
        let events = events.clone();
        Box::pin(async move { events.post(request).await.map(Body::new) })
    })
}

/// What the process itself takes.
pub fn show_process(health: &Health, gate: &Arc<Gate>) {
    const MEMORY: About =
        About { name: "spanlight.process.memory", unit: "By", help: "Resident memory of the process." };
    const UPTIME: About =
        About { name: "spanlight.process.uptime", unit: "s", help: "Time since the process started." };
    const IN_FLIGHT: About =
        About { name: "spanlight.receiver.in_flight", unit: "By", help: "Bytes of requests in memory." };
    let started = Instant::now();
    health.gauge(MEMORY, &[], || resident_memory().unwrap_or(0) as f64);
    health.total(UPTIME, &[], move || started.elapsed().as_secs_f64());
    let unread = [("component", "console"), ("reason", "unread")];
    health.total(crate::health::DROPPED, &unread, || crate::console::unwritten() as f64);
    let gate = gate.clone();
    health.gauge(IN_FLIGHT, &[], move || gate.in_flight() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::local;
    use crate::export::pump::Pump;

    #[tokio::test]
    async fn what_stands_still_and_what_has_ended_is_named() {
        assert_eq!(why_unready(None, &[]), None);
        assert_eq!(why_unready(Some(Duration::from_secs(1)), &[]), None);
        let stuck = why_unready(Some(Duration::from_secs(6)), &[]);
        assert_eq!(stuck.as_deref(), Some("the agent connector is stuck"));
        // One whose workers are all gone.
        let ended = Pump::start("otlp/backend", "traces", local::debug(), Vec::new(), &Health::default());
        let unready = why_unready(Some(Duration::ZERO), &[ended.liveness()]);
        assert_eq!(unready.as_deref(), Some("the exporter otlp/backend has ended"));
    }
}
