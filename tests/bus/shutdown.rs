//! The end of a bus: what waits is handled, and what is left is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use spanlight::bus::{Bus, Reason, SubscribeError};
use spanlight::event::Filter;

use super::support::*;

#[test]
fn what_waits_is_handled_and_nothing_more_is_taken() {
    let bus = Bus::new();
    let handled = Arc::new(AtomicU32::new(0));
    let of_handler = handled.clone();
    bus.subscribe("all", Filter::default(), move |_| _ = of_handler.fetch_add(1, SeqCst)).unwrap();
    (0..5000).for_each(|_| _ = bus.publish(event("x", 5)).unwrap());
    assert!(bus.shutdown(PATIENCE).is_clean());
    assert_eq!(handled.load(SeqCst), 5000);
    assert_eq!(bus.publish(event("x", 5)).unwrap_err().reason, Reason::Closed);
    assert_eq!((bus.stats().refused.closed, bus.stats().is_open), (1, false));
    assert!(matches!(bus.subscribe("late", Filter::default(), |_| {}), Err(SubscribeError::Closed)));
    assert!(bus.shutdown(Duration::ZERO).is_clean());
}

#[test]
fn who_hangs_is_left_and_said() {
    let bus = Bus::new();
    let (gate, handler) = Gate::new();
    let hangs = bus.subscribe("hangs", Filter::default(), handler).unwrap();
    let paused = bus.subscribe("paused", Filter::default(), |_| {}).unwrap();
    paused.pause();
    ["a", "b", "c"].iter().for_each(|tag| _ = bus.publish(event(tag, 5)).unwrap());
    assert_eq!(gate.next(), "a");
    let report = bus.shutdown(Duration::from_millis(20));
    assert_eq!((report.pending, report.left), (0, vec![("hangs".into(), 3), ("paused".into(), 3)]));
    gate.let_on();
    until("it is done", || hangs.analytics().discarded == 2);
    until("it is done", || hangs.analytics().delivered == 1);
    assert_conserved(&hangs.analytics());
    assert_eq!(paused.analytics().discarded, 3);
    assert_conserved(&paused.analytics());
}

#[test]
fn the_last_clone_ends_it_and_threads_with_it() {
    let bus = Bus::new();
    let handled = Arc::new(AtomicU32::new(0));
    let of_handler = handled.clone();
    bus.subscribe("all", Filter::default(), move |_| _ = of_handler.fetch_add(1, SeqCst)).unwrap();
    (0..100).for_each(|_| _ = bus.publish(event("x", 5)).unwrap());
    let other = bus.clone();
    drop(bus);
    other.publish(event("x", 5)).unwrap();
    drop(other);
    assert_eq!(handled.load(SeqCst), 101);
    until("the handler is gone with its thread", || Arc::strong_count(&handled) == 1);
}

#[test]
fn the_bus_of_the_process_is_the_one_that_was_set() {
    let set = Bus::builder().history(7, usize::MAX).init().unwrap();
    set.publish(event("x", 5)).unwrap();
    assert_eq!(spanlight::bus::global().stats().published, 1);
    assert!(Bus::builder().init().is_err());
}
