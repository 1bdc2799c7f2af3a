//! Handlers that fail, panic, are slow or hang harm nobody but themselves.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use spanlight::bus::{Bus, DeathReason, Delivery, LetterFilter, Overflow};
use spanlight::event::Filter;

use super::support::*;

#[test]
fn an_error_is_tried_again_and_then_a_dead_letter() {
    let bus = Bus::new();
    let attempts = Arc::new(AtomicU32::new(0));
    let of_handler = attempts.clone();
    let handler = move |delivery: &Delivery| {
        of_handler.fetch_add(1, SeqCst);
        match (delivery.event().tags[0].as_ref(), delivery.attempt()) {
            ("recovers", 1) => Err("not yet"),
            ("fails", _) => Err("the disk is full"),
            _ => Ok(()),
        }
    };
    let subscription = bus.subscription("flaky").attempts(3, Duration::from_millis(1)).handle(handler).unwrap();
    ["fine", "recovers", "fails"].iter().for_each(|tag| _ = bus.publish(event(tag, 5)).unwrap());
    let analytics = settle(&bus, &subscription);
    assert_eq!((analytics.delivered, analytics.failed, analytics.retried), (2, 1, 3));
    assert_eq!((attempts.load(SeqCst), analytics.last_error.as_deref()), (6, Some("the disk is full")));
    assert!(analytics.latency.is_some() && analytics.last_delivered_at.is_some());
    let letters = bus.dead_letters(&LetterFilter::default());
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.reason, letter.attempts, letter.offset), (DeathReason::Failed, 3, 2));
    assert_eq!((&*letter.subscription, letter.error.as_deref()), ("flaky", Some("the disk is full")));
    assert_eq!(tag(letter.event()), "fails");
}

#[test]
fn a_panic_is_a_dead_letter_and_the_next_event_is_delivered() {
    let bus = Bus::new();
    let handler = |delivery: &Delivery| assert!(tag(delivery.event()) != "bad", "cannot read it");
    let panics = bus.subscribe("panics", Filter::default(), handler).unwrap();
    let asks = bus.subscription("asks").when(|event| panic!("{}", event.name)).handle(|_| {}).unwrap();
    let sound = bus.subscribe("sound", Filter::default(), |_| {}).unwrap();
    ["good", "bad", "good"].iter().for_each(|tag| _ = bus.publish(event(tag, 5)).unwrap());
    let analytics = settle(&bus, &panics);
    assert_eq!((analytics.delivered, analytics.panicked), (2, 1));
    assert!(analytics.last_error.unwrap().contains("cannot read it"));
    assert_eq!((settle(&bus, &asks).panicked, settle(&bus, &sound).delivered), (3, 3));
    assert_eq!(asks.analytics().last_error.as_deref(), Some("health.checked"));
    let of_panics = LetterFilter { subscription: Some("panics".to_owned()), ..LetterFilter::default() };
    assert_eq!(bus.dead_letters(&of_panics).len(), 1);
}

#[test]
fn one_that_hangs_holds_nobody_up_and_what_has_no_room_is_a_dead_letter() {
    let bus = Bus::new();
    let (gate, handler) = Gate::new();
    let hangs = bus.subscription("hangs").capacity(10).overflow(Overflow::Newest).handle(handler).unwrap();
    let sound = bus.subscribe("sound", Filter::default(), |_| {}).unwrap();
    bus.publish(event("0", 5)).unwrap();
    assert_eq!(gate.next(), "0");
    (1..=100).for_each(|number| _ = bus.publish(event(&number.to_string(), 5)).unwrap());
    assert_eq!(sound.flush(PATIENCE), Ok(()));
    assert_eq!(sound.analytics().delivered, 101);
    let report = bus.flush(Duration::from_millis(5)).unwrap_err();
    assert_eq!(report.left, [("hangs".into(), 11)]);
    let analytics = hangs.analytics();
    assert_eq!((analytics.waiting, analytics.overflowed), (10, 90));
    let letters = bus.dead_letters(&LetterFilter { reason: Some(DeathReason::Overflow), ..LetterFilter::default() });
    assert_eq!((letters.len(), tag(letters[0].event())), (90, "11".to_owned()));
    (0..11).for_each(|_| gate.let_on());
    assert_eq!(settle(&bus, &hangs).delivered, 11);
}

#[test]
fn what_gives_way_is_what_was_asked_for() {
    let kept = |overflow| {
        let bus = Bus::new();
        let subscription = bus.subscription("few").capacity(3).overflow(overflow);
        let mut stream = subscription.stream().unwrap();
        for (tag, priority) in [("a", 5), ("b", 8), ("c", 2), ("d", 5), ("e", 9), ("f", 8)] {
            bus.publish(event(tag, priority)).unwrap();
        }
        until("all were offered", || stream.subscription().analytics().offered == 6);
        let kept: Vec<String> = std::iter::from_fn(|| stream.try_next()).map(|d| tag(d.event())).collect();
        assert_conserved(&stream.subscription().analytics());
        kept.concat()
    };
    assert_eq!(kept(Overflow::Newest), "cab");
    assert_eq!(kept(Overflow::Oldest), "dfe");
    assert_eq!(kept(Overflow::LeastUrgent), "cad");
}

#[test]
fn what_has_no_room_in_bytes_gives_way() {
    let bus = Bus::new();
    let mut stream = bus.subscription("small").capacity_bytes(20_000).overflow(Overflow::Oldest).stream().unwrap();
    let large = |tag: &str| event(tag, 5).with("text", "x".repeat(8000));
    ["a", "b", "c"].iter().for_each(|tag| _ = bus.publish(large(tag)).unwrap());
    bus.publish(event("too large", 1).with("text", "x".repeat(30_000))).unwrap();
    until("all were offered", || stream.subscription().analytics().offered == 4);
    let kept: Vec<String> = std::iter::from_fn(|| stream.try_next()).map(|d| tag(d.event())).collect();
    assert!(kept.is_empty() || kept == ["b", "c"], "{kept:?}");
    assert_conserved(&stream.subscription().analytics());
}

#[test]
fn many_publish_at_once_and_nothing_is_lost_or_doubled() {
    let bus = Bus::builder().dead_letters(100_000, usize::MAX).build();
    let (hold, held) = channel::<()>();
    let sound = bus.subscription("sound").capacity(100_000).handle(|_| {}).unwrap();
    let number = AtomicU32::new(0);
    let panics = move |_: &Delivery| assert!(!number.fetch_add(1, SeqCst).is_multiple_of(7));
    let panics = bus.subscription("panics").capacity(100_000).handle(panics).unwrap();
    let hangs = bus.subscription("hangs").capacity(50).handle(move |_| held.recv().unwrap_or_default()).unwrap();
    let start = Arc::new(Barrier::new(4));
    let publishers: Vec<_> = (0..4)
        .map(|thread| {
            let (publisher, start) = (bus.publisher(&format!("p{thread}")), start.clone());
            thread::spawn(move || {
                start.wait();
                (0..2000u32).for_each(|at| _ = publisher.publish(event("x", (at % 10 + 1) as u8)).unwrap());
            })
        })
        .collect();
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    sound.flush(PATIENCE).unwrap();
    panics.flush(PATIENCE).unwrap();
    assert_eq!((sound.analytics().delivered, bus.stats().published), (8000, 8000));
    let analytics = panics.analytics();
    assert_eq!(analytics.delivered + analytics.panicked, 8000);
    assert_eq!(analytics.panicked, 8000u64.div_ceil(7));
    drop(hold);
    let analytics = settle(&bus, &hangs);
    assert_eq!(analytics.delivered + analytics.overflowed, 8000);
    assert!(analytics.overflowed > 0);
}
