//! A bus and telemetry: what either says reaches the other once.

use std::sync::{Arc, Mutex};

use spanlight::bus::{Bus, Delivery};
use spanlight::event::{Event, Filter};
use spanlight::{Telemetry, agent_span};

use super::support::*;

/// A subscription that notes names.
fn note(bus: &Bus) -> Arc<Mutex<Vec<String>>> {
    let names = Arc::new(Mutex::new(Vec::new()));
    let of_handler = names.clone();
    let handler = move |delivery: &Delivery| of_handler.lock().unwrap().push(delivery.event().name.to_string());
    bus.subscription("notes").in_order().handle(handler).unwrap();
    names
}

#[test]
fn what_is_derived_is_published_and_what_is_published_is_telemetry_once() {
    let sunk = Arc::new(Mutex::new(Vec::new()));
    let of_sink = sunk.clone();
    let sink = move |record: &spanlight::flow::SharedRecord| of_sink.lock().unwrap().push(record.event().clone());
    let telemetry = Telemetry::builder().service_name("test").sink(100, sink).build();
    let names = note(telemetry.bus());
    tracing::subscriber::with_default(telemetry.subscriber(), || {
        let agent = agent_span!("scribe", feature = "articles").entered();
        telemetry.flush(PATIENCE).unwrap();
        telemetry.bus().publish(Event::agent_decided("scribe", "rewrite")).unwrap();
        telemetry.emit(Event::quality_checked(0.9, true));
        telemetry.flush(PATIENCE).unwrap();
        drop(agent);
    });
    telemetry.flush(PATIENCE).unwrap();
    assert_eq!(*names.lock().unwrap(), ["agent.started", "agent.decided", "quality.checked", "agent.completed"]);
    let told: Vec<Event> = telemetry.get_events(0).events.iter().map(|(_, record)| record.event().clone()).collect();
    assert_eq!(told.iter().map(|event| event.name.to_string()).collect::<Vec<_>>(), *names.lock().unwrap());
    assert_eq!(*sunk.lock().unwrap(), told);
    // It belongs to the work in which it was published.
    assert_eq!((told[1].dimensions.feature.as_deref(), told[1].trace_id), (Some("articles"), told[0].trace_id));
    assert_eq!(told[1].source.service.as_deref(), Some("test"));
    assert!(telemetry.shutdown(PATIENCE).is_clean());
    assert!(!telemetry.bus().stats().is_open);
}

#[test]
fn a_bus_of_the_programs_own_outlives_telemetry() {
    let bus = Bus::new();
    let telemetry = Telemetry::builder().bus(bus.clone()).build();
    let names = note(&bus);
    telemetry.emit(Event::agent_started("scribe"));
    telemetry.flush(PATIENCE).unwrap();
    telemetry.shutdown(PATIENCE);
    drop(telemetry);
    bus.publish(Event::agent_completed("scribe")).unwrap();
    bus.flush(PATIENCE).unwrap();
    assert_eq!(*names.lock().unwrap(), ["agent.started", "agent.completed"]);
}

#[test]
fn what_a_bus_does_not_deliver_is_among_the_counters() {
    let telemetry = Telemetry::builder().build();
    let bus = telemetry.bus();
    let handler = |delivery: &Delivery| assert!(delivery.event().name != *"agent.failed");
    bus.subscribe("panics", Filter::default(), handler).unwrap();
    bus.publish(Event::agent_failed("scribe", "no")).unwrap();
    telemetry.flush(PATIENCE).unwrap();
    let labels = [("component", "bus"), ("reason", "handler_panicked")];
    assert_eq!(telemetry.health().sum("spanlight.dropped", &labels), 1);
}
