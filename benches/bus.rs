//! The bus against `tokio::sync::broadcast`: one thread publishes events that are made beforehand, eight subscribers get
//! all of them.
//!
//! Both get the same events, put into what is shared when they are published, in turns; a run ends when the last subscriber has the last event. The
//! publisher goes on as soon as it is not more than a quarter of the room ahead, so that neither loses anything.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use spanlight::bus::{Bus, Reason};
use spanlight::event::{Event, Filter, Priority};
use spanlight::flow::{Record, SharedRecord};
use tokio::sync::broadcast;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SUBSCRIBERS: usize = 8;
const EVENTS: u64 = 200_000;
/// How far the publisher may be ahead of the slowest subscriber.
const AHEAD: u64 = 4096;

/// What is timed, by its name.
type Contender = (&'static str, fn() -> Run);

fn main() {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(9);
    let contenders: [Contender; 4] = [
        ("tokio broadcast, tasks of one thread", || broadcast(1)),
        ("tokio broadcast, tasks of two threads", || broadcast(2)),
        ("bus, handlers", || bus(|_| {})),
        ("bus, handlers, ten priorities", || bus(mixed)),
    ];
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (at, (_, run)) in contenders.iter().enumerate() {
            runs[at].push(run());
        }
    }
    println!("{EVENTS} events to {SUBSCRIBERS} subscribers, {rounds} rounds");
    println!("{:<40} {:>12} {:>24} {:>16}", "", "events/s", "x the first", "publish ns");
    for (at, (name, _)) in contenders.iter().enumerate() {
        let ratios = runs[at].iter().zip(&runs[0]).map(|(own, first)| own.rate / first.rate).collect();
        let (least, ratio, most) = spread(ratios);
        let (_, rate, _) = spread(runs[at].iter().map(|run| run.rate).collect());
        let (_, publish, _) = spread(runs[at].iter().map(|run| run.publish_nanos).collect());
        println!("{name:<40} {rate:>12.0} {:>24} {publish:>16.0}", format!("{ratio:.2} ({least:.2} to {most:.2})"));
    }
}

/// What a run took.
#[derive(Clone, Copy)]
struct Run {
    /// Events that reached all subscribers, in a second.
    rate: f64,
    /// How long publishing took a publisher, waiting for the slowest subscriber aside.
    publish_nanos: f64,
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn events() -> Vec<Event> {
    (0..EVENTS).map(|_| Event::tool_completed("search").agent("scribe").feature("articles")).collect()
}

fn mixed(events: &mut [Event]) {
    for (number, event) in events.iter_mut().enumerate() {
        event.priority = Priority::new((number % 10 + 1) as u8).expect("1 to 10");
    }
}

/// How many events each subscriber has.
#[derive(Default)]
struct Progress([Padded; SUBSCRIBERS]);

/// On a cache line of its own, so that subscribers do not slow one another.
#[derive(Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Progress {
    fn least(&self) -> u64 {
        self.0.iter().map(|count| count.0.load(Relaxed)).min().unwrap_or_default()
    }

    fn add(&self, subscriber: usize) {
        let count = &self.0[subscriber].0;
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Publishes all, and waits until all have them.
    fn drive<T>(&self, events: Vec<T>, mut publish: impl FnMut(T)) -> Run {
        let began = Instant::now();
        let mut waited = Duration::ZERO;
        for (number, event) in (0u64..).zip(events) {
            if number % 64 == 0 && number > self.least() + AHEAD {
                let from = Instant::now();
                while number > self.least() + AHEAD / 2 {
                    thread::sleep(Duration::from_micros(50));
                }
                waited += from.elapsed();
            }
            publish(event);
        }
        let published = began.elapsed() - waited;
        while self.least() < EVENTS {
            thread::sleep(Duration::from_micros(50));
        }
        let events = EVENTS as f64;
        Run { rate: events / began.elapsed().as_secs_f64(), publish_nanos: published.as_nanos() as f64 / events }
    }
}

fn bus(change: fn(&mut [Event])) -> Run {
    let mut events = events();
    change(&mut events);
    let bus = Bus::builder().capacity(AHEAD as usize * 4, usize::MAX).build();
    let progress = Arc::new(Progress::default());
    for subscriber in 0..SUBSCRIBERS {
        let progress = progress.clone();
        let handle = move |delivery: &spanlight::bus::Delivery| {
            black_box(delivery.event().name.as_str());
            progress.add(subscriber);
        };
        bus.subscribe(&format!("s{subscriber}"), Filter::default(), handle).expect("a subscription");
    }
    let run = progress.drive(events, |event| match bus.publish(event) {
        Ok(_) => {}
        Err(refused) => assert_eq!(refused.reason, Reason::Full),
    });
    assert_eq!(bus.stats().refused.full, 0, "events were refused");
    run
}

fn broadcast(threads: usize) -> Run {
    let events = events();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime");
    let (sender, _) = broadcast::channel::<SharedRecord>(AHEAD as usize * 4);
    let progress = Arc::new(Progress::default());
    for subscriber in 0..SUBSCRIBERS {
        let (mut receiver, progress) = (sender.subscribe(), progress.clone());
        runtime.spawn(async move {
            while let Ok(record) = receiver.recv().await {
                black_box(record.event().name.as_str());
                progress.add(subscriber);
            }
        });
    }
    let run = progress.drive(events, |event| assert!(sender.send(Arc::new(Record::new(event))).is_ok()));
    drop(sender);
    run
}
