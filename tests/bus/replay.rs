//! The past: events that are still in memory, and dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use spanlight::bus::{Bus, DeathReason, LetterFilter, ReplayError};
use spanlight::event::{Event, Filter, Timestamp};

use super::support::*;

#[test]
fn the_past_can_be_read_by_offset_name_time_and_correlation() {
    let bus = Bus::new();
    let at = |seconds: u64| Timestamp::parse("2026-11-21T06:00:00Z").unwrap().plus(Duration::from_secs(seconds));
    bus.publish(Event::workflow_started("publish").correlation("order-7").at(at(0))).unwrap();
    bus.publish(Event::agent_started("scribe").correlation("order-7").at(at(10))).unwrap();
    bus.publish(Event::agent_started("medic").correlation("order-8").at(at(20))).unwrap();
    let found = |pairs: &[(&str, &str)]| {
        bus.history(0, 100, &filter(pairs)).events.iter().map(|(offset, _)| *offset).collect::<Vec<u64>>()
    };
    assert_eq!(bus.get_events(1).events.len(), 2);
    assert_eq!(found(&[("name", "agent.*")]), [1, 2]);
    assert_eq!(found(&[("correlation", "order-7")]), [0, 1]);
    assert_eq!(found(&[("since", "2026-11-21T06:00:05Z"), ("until", "2026-11-21T06:00:20Z")]), [1]);
}

#[test]
fn the_history_is_bounded_and_says_what_is_gone() {
    let bus = Bus::builder().history(100, 10_000).build();
    (0..50).for_each(|_| _ = bus.publish(event("x", 5)).unwrap());
    let page = bus.get_events(0);
    assert!(page.events.len() < 10, "{} events", page.events.len());
    assert_eq!((page.gap, page.next), (Some((0, 50 - page.events.len() as u64)), 50));
    assert_eq!(bus.replay(&Filter::default(), "nobody"), Err(ReplayError::NoSubscription("nobody".to_owned())));
}

#[test]
fn a_dead_letter_is_read_and_replayed_when_the_cause_is_gone() {
    let bus = Bus::new();
    let works = Arc::new(AtomicBool::new(false));
    let of_handler = works.clone();
    let handler = move |_: &spanlight::bus::Delivery| if of_handler.load(SeqCst) { Ok(()) } else { Err("down") };
    let subscription = bus.subscription("db").attempts(1, Duration::ZERO).handle(handler).unwrap();
    ["a", "b", "c"].iter().for_each(|tag| _ = bus.publish(event(tag, 5)).unwrap());
    assert_eq!(settle(&bus, &subscription).failed, 3);
    let letters = bus.dead_letters(&LetterFilter::default());
    assert_eq!(letters.iter().map(|letter| tag(letter.event())).collect::<Vec<_>>().concat(), "abc");

    bus.replay_dead_letter(letters[1].id).unwrap();
    assert_eq!(settle(&bus, &subscription).failed, 4);
    let again = bus.dead_letters(&LetterFilter::default());
    assert_eq!(again.iter().map(|letter| tag(letter.event())).collect::<Vec<_>>().concat(), "acb");
    assert_eq!(bus.replay_dead_letter(letters[1].id), Err(ReplayError::NoLetter(letters[1].id)));

    works.store(true, SeqCst);
    let failed = LetterFilter { reason: Some(DeathReason::Failed), subscription: Some("db".to_owned()) };
    assert_eq!(bus.replay_dead_letters(&failed), 3);
    assert_eq!(settle(&bus, &subscription).delivered, 3);
    assert_eq!(bus.stats().dead_letters, 0);
}

#[test]
fn letters_of_those_who_are_gone_stay_until_they_are_purged_and_are_bounded() {
    let bus = Bus::builder().dead_letters(5, usize::MAX).build();
    let subscription = bus.subscription("gone").attempts(1, Duration::ZERO).handle(|_: &_| Err::<(), _>("no")).unwrap();
    (0..8).for_each(|at| _ = bus.publish(event(&at.to_string(), 5)).unwrap());
    settle(&bus, &subscription);
    assert_eq!((bus.stats().dead_letters, bus.stats().dead_letters_forgotten), (5, 3));
    subscription.cancel();
    let letters = bus.dead_letters(&LetterFilter::default());
    assert_eq!(bus.replay_dead_letter(letters[2].id), Err(ReplayError::NoSubscription("gone".to_owned())));
    assert_eq!(bus.replay_dead_letters(&LetterFilter::default()), 0);
    let ids = |letters: Vec<spanlight::bus::DeadLetter>| letters.iter().map(|l| l.id).collect::<Vec<u64>>();
    assert_eq!(ids(bus.dead_letters(&LetterFilter::default())), ids(letters));
    assert_eq!(bus.purge_dead_letters(&LetterFilter::default()), 5);
    assert_eq!(bus.stats().dead_letters, 0);
}
