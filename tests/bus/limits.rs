//! How often a source may publish, and how much may wait.

use std::time::Duration;

use proptest::prelude::*;
use spanlight::bus::{Bus, RateLimit, Reason};
use spanlight::event::Event;

use super::support::*;

#[test]
fn each_source_has_limits_of_its_own_and_is_told_when_there_is_room() {
    let clock = Clock::new();
    let limit = RateLimit::default().per_second(10).per_minute(25).burst(5);
    let bus = clock.of(Bus::builder().rate_limit(limit)).build();
    let (storm, calm) = (bus.publisher("storm"), bus.publisher("calm"));
    (0..5).for_each(|_| _ = storm.publish(event("x", 1)).unwrap());
    let refused = storm.publish(event("x", 1)).unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited { retry_after: Duration::from_millis(100) });
    assert!(refused.to_string().contains("try again in 100 ms"), "{refused}");
    assert_eq!(tag(&refused.into_event()), "x");
    calm.publish(event("x", 1)).unwrap();
    clock.pass(Duration::from_millis(100));
    storm.publish(event("x", 1)).unwrap();
    let stats = bus.stats();
    assert_eq!((stats.published, stats.refused.rate_limited), (7, 1));
    let sources: Vec<_> = stats.sources.iter().map(|s| (&*s.source, s.admitted, s.refused)).collect();
    assert_eq!(sources, [("calm", 1, 0), ("storm", 6, 1)]);
}

#[test]
fn whoever_has_no_name_is_known_by_the_agent() {
    let bus = Bus::builder().rate_limit(RateLimit::default().per_minute(1)).build();
    bus.publish(Event::agent_started("scribe")).unwrap();
    bus.publish(Event::agent_started("medic")).unwrap();
    assert!(bus.publish(Event::agent_completed("medic")).is_err());
}

#[test]
fn sources_that_are_too_many_share_a_limit_until_others_are_forgotten() {
    let clock = Clock::new();
    let bus = clock.of(Bus::builder().rate_limit(RateLimit::default().per_minute(1)).sources(2)).build();
    let publish = |source: &str| bus.publisher(source).publish(event("x", 1)).is_ok();
    assert_eq!(["a", "b", "c", "d"].map(publish), [true, true, true, false]);
    assert_eq!(bus.stats().sources.len(), 3);
    clock.pass(Duration::from_secs(63));
    assert_eq!(["c", "d"].map(publish), [true, true]);
}

#[test]
fn what_cannot_be_handed_on_is_refused_and_given_back() {
    let bus = Bus::builder().capacity(1, 100).build();
    let _subscription = bus.subscribe("all", Default::default(), |_| {}).unwrap();
    let refused = bus.publish(event("large", 1)).unwrap_err();
    assert_eq!((refused.reason, bus.stats().refused.full), (Reason::Full, 1));
    assert_eq!(tag(&refused.into_event()), "large");
}

proptest! {
    /// However publishers try, no time is found in which more was let through than is allowed.
    #[test]
    fn never_more_than_allowed_in_any_second_minute_or_at_once(
        per_second in 1u32..40, per_minute in 1u32..300, burst in 1u32..30,
        steps in prop::collection::vec((0u64..2_000, 1usize..20), 1..300),
    ) {
        let clock = Clock::new();
        let limit = RateLimit::default().per_second(per_second).per_minute(per_minute).burst(burst);
        let bus = clock.of(Bus::builder().rate_limit(limit)).build();
        let mut admitted: Vec<u64> = Vec::new();
        let mut now = 0;
        for (pause, tries) in steps {
            clock.pass(Duration::from_millis(pause));
            now += pause;
            for _ in 0..tries {
                match bus.publish(event("x", 1)) {
                    Ok(_) => admitted.push(now),
                    Err(refused) => {
                        let Reason::RateLimited { retry_after } = refused.reason else { panic!("{refused}") };
                        prop_assert!(!retry_after.is_zero() && retry_after <= Duration::from_secs(61));
                    }
                }
            }
        }
        let most_within = |millis: u64| {
            let count = |(at, from): (usize, &u64)| admitted[at..].iter().take_while(|to| **to < from + millis).count();
            admitted.iter().enumerate().map(count).max().unwrap_or_default()
        };
        prop_assert!(most_within(1_000) <= per_second as usize);
        prop_assert!(most_within(60_000) <= per_minute as usize);
        prop_assert!(most_within(1) <= burst as usize);
        prop_assert_eq!(bus.stats().published, admitted.len() as u64);
    }

    /// Whoever waits as long as told is let through.
    #[test]
    fn who_waits_is_let_through(per_second in 1u32..40, per_minute in 1u32..100, burst in 1u32..30) {
        let clock = Clock::new();
        let limit = RateLimit::default().per_second(per_second).per_minute(per_minute).burst(burst);
        let bus = clock.of(Bus::builder().rate_limit(limit)).build();
        for _ in 0..200 {
            if let Err(refused) = bus.publish(event("x", 1)) {
                let Reason::RateLimited { retry_after } = refused.reason else { panic!("{refused}") };
                clock.pass(retry_after);
                prop_assert!(bus.publish(event("x", 1)).is_ok());
            }
        }
    }
}
