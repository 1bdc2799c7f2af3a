//! Agents that work together over the bus: one that orchestrates, one that works and fails now and then, one that only
//! listens, and a source that says too much.
//!
//!     cargo run --example bus
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use spanlight::bus::{Bus, Delivery, LetterFilter, RateLimit};
use spanlight::event::{Event, Filter, Priority, Timestamp};

fn main() {
    let bus = Bus::builder().rate_limit(RateLimit::default().per_second(20).burst(10)).build();

    // Answers under its own name. A publisher does not keep the bus open, so a handler may have one.
    let worker = bus.publisher("worker");
    let work = move |delivery: &Delivery| {
        let event = delivery.event();
        let order = event.identity.correlation_id.as_deref().unwrap_or_default();
        println!("  worker: {order}, priority {}, attempt {}", event.priority.get(), delivery.attempt());
        if order == "order-3" && !delivery.is_replay() {
            return Err("the printer is out of paper".to_owned());
        }
        let done = Event::workflow_completed("print").correlation(order).tag("important");
        worker.publish(done).map(drop).map_err(|refused| refused.to_string())
    };
    let orders = filter(&[("name", "workflow.started")]);
    let working =
        bus.subscription("worker").filter(orders).attempts(2, Duration::from_millis(20)).handle(work).unwrap();

    // Reads when it likes, in the order of events.
    let mut watching = bus.subscription("watcher").filter(filter(&[("tag", "important")])).in_order().stream().unwrap();

    println!("five orders while the worker has a break; the urgent one goes first:");
    working.pause();
    let orchestrator = bus.publisher("orchestrator");
    for number in 1..=5 {
        let priority = Priority::new(if number == 4 { 1 } else { 5 }).unwrap();
        let order = Event::workflow_started("print").correlation(&format!("order-{number}")).priority(priority);
        orchestrator.publish(order).unwrap();
    }
    while working.analytics().waiting < 5 {
        std::thread::yield_now();
    }
    working.resume();
    bus.flush(Duration::from_secs(5)).unwrap();

    println!("what failed is a dead letter, and can be replayed when there is paper:");
    for letter in bus.dead_letters(&LetterFilter::default()) {
        let (event, error) = (letter.event(), letter.error.as_deref().unwrap_or_default());
        println!(
            "  {} of {}, {} after {} attempts: {error}",
            event.name, letter.subscription, letter.reason, letter.attempts
        );
    }
    bus.replay_dead_letters(&LetterFilter::default());
    bus.flush(Duration::from_secs(5)).unwrap();

    println!("a source that says too much is told so, and nobody else is:");
    let storm = bus.publisher("storm");
    let refused = (0..100).filter_map(|_| storm.publish(Event::health_checked()).err()).next_back().unwrap();
    println!("  {refused}");

    println!("the watcher, who has not looked until now:");
    while let Some(delivery) = watching.recv_timeout(Duration::from_millis(100)) {
        println!(
            "  {:>3} {}",
            delivery.offset(),
            delivery.event().identity.correlation_id.as_deref().unwrap_or_default()
        );
    }

    println!("all that happened to one order:");
    for (offset, record) in bus.history(0, 100, &filter(&[("correlation", "order-3")])).events {
        println!("  {offset:>3} {}", record.event().name);
    }

    for analytics in bus.analytics() {
        println!(
            "{}: {} delivered, {} failed, {} retried, latency {:?}",
            analytics.id, analytics.delivered, analytics.failed, analytics.retried, analytics.latency,
        );
    }
    let stats = bus.stats();
    println!("published {}, refused {:?}, by name {:?}", stats.published, stats.refused, stats.by_name);
    assert!(bus.shutdown(Duration::from_secs(5)).is_clean());
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    Filter::from_pairs(pairs.iter().copied(), Timestamp::now()).unwrap()
}
