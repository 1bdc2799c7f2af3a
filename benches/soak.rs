//! The collector for an hour, with all that a bare one does and with exporters, under a steady load of everything at once:
//! whether memory, time per span, files, threads and queues are what they were. `-- MINUTES [SPANS A SECOND]`; needs Linux.
//!
//! It ends with a failure if one of them grows, if the good backend did not get all spans that were acknowledged, or if the
//! collector does not end well when it is asked to.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/agents.rs"]
mod agents;
#[path = "soak/backends.rs"]
mod backends;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/material.rs"]
mod material;
#[path = "soak/pace.rs"]
mod pace;
#[path = "support/process.rs"]
mod process;
#[path = "soak/readers.rs"]
mod readers;
#[path = "../tests/support/recorded.rs"]
#[allow(clippy::unwrap_used)]
mod recorded;
#[path = "soak/watch.rs"]
mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use load::Sender;
use pace::Pace;
use process::Collector;
use readers::Got;
use watch::{Counts, MemoryWatch, Minute};

const MINUTE: Duration = Duration::from_secs(60);
/// How long the last spans may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = |otherwise: f64| arguments.next().map_or(otherwise, |number| number.parse().expect("a number"));
    let (minutes, rate) = (number(60.0) as usize, number(400.0));
    let (good, arrived) = backends::good().await;
    let config = include_str!("soak/collector.yaml").replace("GOOD", &format!("http://{good}"));
    let collector = Collector::with(&config.replace("BAD", &backends::bad().await.to_string()));
    let sender = Sender::new(collector.grpc.clone(), collector.otlp.clone());
    let (sent, got) = (sender.sent.clone(), Arc::new(Got::default()));
    let load = tokio::spawn(sender.clone().load(Arc::new(material::scenarios()), rate));
    tokio::spawn(sender.break_off());
    let web = || collector.web.clone();
    tokio::spawn(readers::listen(web(), Duration::MAX, got.clone()));
    tokio::spawn(readers::listen(web(), MINUTE, got.clone()));
    tokio::spawn(readers::scrape(web(), got.clone()));
    tokio::spawn(readers::ask(web(), got.clone()));
    tokio::spawn(readers::report(web(), got.clone()));
    let (pace, memory) = (Pace::start(), MemoryWatch::start(collector.id()));
    println!("{}", watch::COLUMNS.map(|column| format!("{:>8}", column.name)).join(""));
    let (start, mut samples, mut before, mut since) = (Instant::now(), Vec::new(), Counts::default(), Instant::now());
    while samples.len() < minutes {
        tokio::time::sleep((MINUTE * (samples.len() as u32 + 1)).saturating_sub(start.elapsed())).await;
        let count = |count: &AtomicU64| count.load(Relaxed) as f64;
        let now = Counts {
            cpu: watch::cpu(&collector),
            spans: count(&sent.spans),
            told: count(&got.events),
            failed: count(&sent.failed) + count(&got.failed),
        };
        let (end, seconds) = (start.elapsed().as_secs_f64() / 60.0, since.elapsed().as_secs_f64());
        since = Instant::now();
        let minute = Minute { end, seconds, prost: pace.of_a_span(), memory: memory.taken() };
        let sample = watch::sample(&collector, minute, now, before).await;
        println!("{}", sample.map(|figure| format!("{figure:>8.1}")).join(""));
        samples.push(sample);
        before = now;
    }
    load.abort();
    let is_steady = watch::judge(&samples);
    let is_complete = all_arrived(&collector, &sent.spans, &arrived).await;
    println!(
        "{} requests were refused and sent again, {} failed",
        sent.refused.load(Relaxed),
        sent.failed.load(Relaxed)
    );
    println!("{} questions were answered, {} were not", got.answers.load(Relaxed), got.failed.load(Relaxed));
    let has_ended_well = collector.end();
    println!("asked to end, it {}", if has_ended_well { "did" } else { "did not do so well" });
    if is_steady && is_complete && has_ended_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits until what was acknowledged has arrived.
async fn all_arrived(collector: &Collector, acknowledged: &AtomicU64, arrived: &AtomicU64) -> bool {
    let start = Instant::now();
    let expected = async || acknowledged.load(Relaxed) - announced(collector).await;
    while arrived.load(Relaxed) < expected().await && start.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (expected, arrived) = (expected().await, arrived.load(Relaxed));
    println!("{expected} spans that are passed on were acknowledged, {arrived} have arrived");
    arrived >= expected
}

/// Announcements of spans that are still to come, which nobody passes on.
async fn announced(collector: &Collector) -> u64 {
    let metrics = readers::get(&format!("{}/metrics", collector.web)).await.unwrap_or_default();
    let metrics = String::from_utf8_lossy(&metrics);
    let of = metrics.lines().filter(|line| line.contains(r#"pipeline="traces",reason="pending_span""#));
    of.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
