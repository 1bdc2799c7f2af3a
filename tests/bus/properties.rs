//! What holds of any sequence of events, subscriptions and handlers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use spanlight::bus::{Bus, Delivery, LetterFilter, Overflow};
use spanlight::event::Filter;

use super::support::*;

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![Just(Overflow::LeastUrgent), Just(Overflow::Oldest), Just(Overflow::Newest)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Among what waits, a more urgent event goes first, and equals go in the order of their coming.
    #[test]
    fn priorities_then_the_order_of_coming(priorities in prop::collection::vec(1u8..=10, 1..300)) {
        let bus = Bus::new();
        let mut stream = bus.subscription("s").stream().unwrap();
        priorities.iter().for_each(|priority| _ = bus.publish(event("x", *priority)).unwrap());
        until("all wait", || stream.subscription().analytics().waiting == priorities.len());
        let got: Vec<(u8, u64)> = std::iter::from_fn(|| stream.try_next())
            .map(|delivery| (delivery.event().priority.get(), delivery.offset()))
            .collect();
        let mut sorted = got.clone();
        sorted.sort();
        prop_assert_eq!(&got, &sorted);
        prop_assert_eq!(got.len(), priorities.len());
    }

    /// Every event that was offered was delivered, is a dead letter, expired, was not wanted, or waits.
    #[test]
    fn nothing_is_lost(
        events in prop::collection::vec((1u8..=10, 0u8..8), 1..200), capacity in 1usize..50, policy in overflow(),
    ) {
        let clock = Clock::new();
        let bus = clock.of(Bus::builder()).build();
        let subscription = bus
            .subscription("s")
            .capacity(capacity)
            .overflow(policy)
            .attempts(2, Duration::ZERO)
            .when(|event| tag(event) != "unwanted")
            .handle(|delivery: &Delivery| match tag(delivery.event()).as_str() {
                "panics" => std::panic::resume_unwind(Box::new("no")),
                "fails" => Err("no"),
                _ => Ok(()),
            })
            .unwrap();
        for (priority, kind) in &events {
            let name = ["panics", "fails", "unwanted", "fine"][usize::from(*kind % 4)];
            let mortal = event(name, *priority).at(clock.now());
            let mortal = if *kind > 5 { mortal.ttl(Duration::from_secs(1)) } else { mortal };
            bus.publish(mortal).unwrap();
            if *kind == 0 {
                clock.pass(Duration::from_secs(2));
            }
        }
        let analytics = settle(&bus, &subscription);
        prop_assert_eq!((analytics.offered, analytics.waiting), (events.len() as u64, 0));
        let dead = analytics.failed + analytics.panicked + analytics.overflowed;
        prop_assert_eq!(bus.dead_letters(&LetterFilter::default()).len() as u64, dead);
        prop_assert_eq!(bus.stats().published, events.len() as u64);
    }

    /// A replay brings everything that is still in memory and fits, in order, and who begins with the past misses
    /// nothing and gets nothing twice.
    #[test]
    fn replays_are_complete(
        correlations in prop::collection::vec(0u8..4, 1..200), history in 1usize..100, from in 0u64..200, wanted in 0u8..4,
    ) {
        let bus = Bus::builder().history(history, usize::MAX).build();
        let publish = |correlation: &u8| {
            bus.publish(event("x", 5).correlation(&format!("c{correlation}"))).unwrap();
        };
        let (before, after) = correlations.split_at(correlations.len() / 2);
        before.iter().for_each(publish);
        let wanted_text = format!("c{wanted}");
        let fits = filter(&[("correlation", &wanted_text)]);
        let got = Arc::new(Mutex::new(Vec::new()));
        let of_handler = got.clone();
        let handler = move |delivery: &Delivery| of_handler.lock().unwrap().push(delivery.offset());
        let subscription = bus.subscription("s").filter(fits.clone()).replay_from(from).handle(handler).unwrap();
        after.iter().for_each(publish);
        settle(&bus, &subscription);
        let first = before.len().saturating_sub(history) as u64;
        let expected = |from: u64| {
            let numbered = (0u64..).zip(&correlations);
            numbered.filter(move |(at, of)| *at >= from && **of == wanted).map(|(at, _)| at).collect::<Vec<u64>>()
        };
        // Live events come whatever their offset, as `from` may lie in the future.
        let live = before.len() as u64;
        prop_assert_eq!(&*got.lock().unwrap(), &expected(from.max(first).min(live)));
        got.lock().unwrap().clear();
        let in_memory = (correlations.len() as u64).saturating_sub(bus.stats().history);
        prop_assert!(bus.stats().history <= history as u64);
        prop_assert_eq!(bus.replay(&fits, "s").unwrap(), expected(in_memory).len());
        settle(&bus, &subscription);
        prop_assert_eq!(&*got.lock().unwrap(), &expected(in_memory));
        let page = bus.history(from, 5, &Filter::default());
        prop_assert_eq!(page.gap.is_some(), from < in_memory);
        prop_assert!(page.events.len() <= 5);
    }
}
