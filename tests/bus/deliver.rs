//! Who gets what, and in which order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spanlight::bus::{Bus, SubscribeError};
use spanlight::event::{Event, Filter, SourceKind};

use super::support::*;

#[test]
fn every_subscriber_gets_what_fits_and_nobody_else_does() {
    let bus = Bus::new();
    let all = bus.subscribe("all", Filter::default(), |_| {}).unwrap();
    let tools = bus.subscribe("tools", filter(&[("scope", "tool")]), |_| {}).unwrap();
    let tagged = bus.subscribe("tagged", filter(&[("tag", "important"), ("tag", "urgent")]), |_| {}).unwrap();
    let chosen = bus.subscription("chosen").when(|event| event.priority.get() <= 3).handle(|_| {}).unwrap();
    assert_eq!(bus.publish(Event::tool_started("search").tag("important")).unwrap().offset, 0);
    assert_eq!(bus.publish(Event::agent_started("scribe")).unwrap().offset, 1);
    assert_eq!(bus.publish(event("urgent", 1)).unwrap().offset, 2);
    let delivered = |subscription| settle(&bus, subscription).delivered;
    assert_eq!([&all, &tools, &tagged, &chosen].map(delivered), [3, 1, 2, 1]);
    assert_eq!((chosen.analytics().filtered, tools.analytics().offered), (2, 1));
    let stats = bus.stats();
    assert_eq!((stats.published, stats.subscriptions, stats.last_minute), (3, 4, 3));
    assert_eq!(stats.by_name["agent.started"], 1);
}

#[test]
fn the_more_urgent_overtakes_what_waits_and_equals_stay_in_order() {
    let bus = Bus::new();
    let (gate, handler) = Gate::new();
    let subscription = bus.subscribe("slow", Filter::default(), handler).unwrap();
    bus.publish(event("first", 9)).unwrap();
    assert_eq!(gate.next(), "first");
    for (tag, priority) in [("e", 5), ("i", 10), ("b", 2), ("f", 5), ("c", 2), ("a", 1)] {
        bus.publish(event(tag, priority)).unwrap();
    }
    until("all wait", || subscription.analytics().waiting == 6);
    let mut order = Vec::new();
    for _ in 0..5 {
        gate.let_on();
        order.push(gate.next());
    }
    // What comes while a few are in the reader's hands overtakes these as well.
    bus.publish(event("late", 1)).unwrap();
    until("it waits", || subscription.analytics().waiting == 2);
    gate.let_on();
    order.push(gate.next());
    gate.let_on();
    order.push(gate.next());
    gate.let_on();
    assert_eq!(order, ["a", "b", "c", "e", "f", "late", "i"]);
    assert_eq!(settle(&bus, &subscription).delivered, 8);
}

#[test]
fn who_wants_it_in_order_gets_it_in_order() {
    let bus = Bus::new();
    let got = Arc::new(Mutex::new(Vec::new()));
    let of_handler = got.clone();
    let handler = move |delivery: &spanlight::bus::Delivery| of_handler.lock().unwrap().push(delivery.offset());
    let subscription = bus.subscription("log").in_order().handle(handler).unwrap();
    (0..500u32).for_each(|number| _ = bus.publish(event("x", (number % 10 + 1) as u8)).unwrap());
    settle(&bus, &subscription);
    assert_eq!(*got.lock().unwrap(), (0..500).collect::<Vec<u64>>());
}

#[test]
fn what_expired_is_not_delivered() {
    let clock = Clock::new();
    let bus = clock.of(Bus::builder()).build();
    let subscription = bus.subscribe("late", Filter::default(), |_| {}).unwrap();
    subscription.pause();
    let mortal = |tag: &str| event(tag, 5).ttl(Duration::from_secs(60)).at(clock.now());
    bus.publish(mortal("dies")).unwrap();
    bus.publish(event("lives", 5)).unwrap();
    clock.pass(Duration::from_secs(61));
    bus.publish(mortal("lives")).unwrap();
    subscription.resume();
    let analytics = settle(&bus, &subscription);
    assert_eq!((analytics.delivered, analytics.expired), (2, 1));
    assert!(bus.dead_letters(&Default::default()).is_empty());
}

#[test]
fn a_pause_keeps_what_comes_and_a_cancelled_subscription_gets_nothing_more() {
    let bus = Bus::new();
    let subscription = bus.subscribe("one", Filter::default(), |_| {}).unwrap();
    assert!(matches!(bus.subscribe("one", Filter::default(), |_| {}), Err(SubscribeError::Taken(_))));
    subscription.pause();
    bus.publish(event("x", 1)).unwrap();
    until("it waits", || subscription.analytics().waiting == 1);
    assert!(subscription.analytics().is_paused);
    assert_eq!(subscription.flush(Duration::from_millis(1)), Err(1));
    subscription.resume();
    assert_eq!(settle(&bus, &subscription).delivered, 1);
    subscription.pause();
    bus.publish(event("y", 1)).unwrap();
    until("it waits", || subscription.analytics().waiting == 1);
    subscription.cancel();
    let analytics = subscription.analytics();
    assert_eq!((analytics.discarded, analytics.waiting), (1, 0));
    assert_conserved(&analytics);
    assert!(bus.find("one").is_none());
    bus.subscribe("one", Filter::default(), |_| {}).unwrap();
}

#[test]
fn what_is_published_says_so_and_figures_that_cannot_be_are_left_out() {
    let bus = Bus::new();
    let mut event = Event::agent_completed("scribe");
    event.performance.cost_usd = Some(-1.0);
    bus.publisher("orchestrator").publish(event).unwrap();
    let (_, record) = bus.get_events(0).events.remove(0);
    assert_eq!(record.event().source.kind, SourceKind::Bus);
    assert_eq!(record.event().source.service.as_deref(), Some("orchestrator"));
    assert_eq!(record.event().performance.cost_usd, None);
}

#[test]
fn agents_answer_one_another() {
    let bus = Bus::new();
    let publisher = bus.publisher("worker");
    let worker = move |delivery: &spanlight::bus::Delivery| {
        let correlation = delivery.event().identity.correlation_id.clone().unwrap();
        publisher.publish(Event::workflow_completed("publish").correlation(&correlation)).map(|_| ())
    };
    bus.subscribe("worker", filter(&[("name", "workflow.started")]), worker).unwrap();
    let mut done = bus.subscription("done").filter(filter(&[("name", "workflow.completed")])).stream().unwrap();
    bus.publish(Event::workflow_started("publish").correlation("order-7")).unwrap();
    let delivery = done.recv_timeout(PATIENCE).unwrap();
    assert_eq!(delivery.event().identity.correlation_id.as_deref(), Some("order-7"));
}
