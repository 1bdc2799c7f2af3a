//! More than fits: what is lost is counted, and nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;
use spanlight::layer::Limits;
use spanlight::{SpanExt, Telemetry, agent_span, llm_span, tool_span};

use crate::support::{PATIENCE, Scene};

fn dropped(scene: &Scene, kind: &str) -> u64 {
    scene.telemetry.health().sum("spanlight.dropped", &[("component", "layer"), ("signal", kind)])
}

#[test]
fn what_was_emitted_was_delivered_or_dropped_or_waits() {
    let limits = Limits { life_bytes: 64 << 10, content_bytes: 64 << 10, ..Limits::default() };
    let telemetry = Telemetry::builder().limits(limits).ring(4_000_000).build();
    let scene = Scene::with(telemetry);
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let most_waiting = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for number in 0..EACH {
                        drop(agent_span!("busy"));
                        if number % 100 == 0 {
                            scene.telemetry.emit_event("quality_check", json!({"score": 1})).unwrap();
                        }
                    }
                });
            });
            most_waiting.fetch_max(
                scene.telemetry.health().sum("spanlight.queue.bytes", &[("component", "layer")]) as usize,
                Relaxed,
            );
        }
    });
    let events = scene.events();
    let count = |name: &str| events.iter().filter(|event| event.name == *name).count() as u64;
    assert_eq!(count("agent.started") + dropped(&scene, "span"), THREADS * EACH);
    assert!(dropped(&scene, "span_end") > 0, "otherwise this tests nothing");
    assert_eq!(count("agent.started"), count("agent.completed"), "the registry tells which spans are gone");
    assert_eq!(count("quality.checked") + dropped(&scene, "event"), THREADS * EACH / 100);
    assert!(dropped(&scene, "span") > 0, "otherwise this tests nothing");
    assert!(most_waiting.load(Relaxed) <= 2 * (64 << 10) + (16 << 10), "{most_waiting:?}");
}

#[test]
fn content_never_displaces_lives() {
    let limits = Limits { content_bytes: 256 << 10, ..Limits::default() };
    let scene = Scene::with(Telemetry::builder().limits(limits).build());
    let answer = "word ".repeat(10_000);
    for _ in 0..500 {
        let call = llm_span!("gpt-4o");
        call.record_output(&answer);
        call.chunk(&answer);
    }
    let events = scene.events();
    let count = |name: &str| events.iter().filter(|event| event.name == *name).count();
    assert_eq!((count("llm.started"), count("llm.completed")), (500, 500));
    assert!(dropped(&scene, "content") > 0);
    assert_eq!((dropped(&scene, "span"), dropped(&scene, "span_end")), (0, 0));
    assert!(scene.told().contains(&"system.progress system:telemetry".to_owned()), "the loss is an event");
}

#[test]
fn a_sink_that_panics_or_hangs_is_alone() {
    let (handled, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (of_panicking, of_sound) = (handled.clone(), seen.clone());
    let (let_go, hangs) = std::sync::mpsc::channel::<()>();
    let telemetry = Telemetry::builder()
        .sink(10, move |_| {
            of_panicking.fetch_add(1, Relaxed);
            panic!("on purpose")
        })
        .sink(10, move |_| hangs.recv().unwrap_or_default())
        .sink(10_000, move |_| _ = of_sound.fetch_add(1, Relaxed))
        .build();
    let scene = Scene::with(telemetry);
    for _ in 0..1000 {
        scene.telemetry.emit_event("quality_check", json!({"score": 1})).unwrap();
    }
    let unflushed = scene.telemetry.flush(Duration::from_millis(500)).unwrap_err();
    assert_eq!(unflushed.pending.iter().map(|left| &*left.exporter).collect::<Vec<_>>(), ["sink/1"]);
    assert_eq!(scene.telemetry.get_events(0).events.len(), 1000);
    let deadline = Instant::now() + PATIENCE;
    while seen.load(Relaxed) < 1000 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(seen.load(Relaxed), 1000);
    let of_sink = |number: &str, reason: &str| {
        scene.telemetry.health().sum("spanlight.dropped", &[("component", number), ("reason", reason)])
    };
    while of_sink("sink/0", "panicked") + of_sink("sink/0", "queue_full") < 1000 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(of_sink("sink/0", "panicked"), handled.load(Relaxed) as u64);
    assert!(of_sink("sink/1", "queue_full") >= 980);
    drop(let_go);
}

#[test]
fn a_dead_collector_costs_a_second_at_the_end_and_nothing_before() {
    let telemetry = Telemetry::builder().otlp("http://127.0.0.1:1").build();
    let scene = Scene::with(telemetry);
    let began = Instant::now();
    (0..1000).for_each(|_| drop(agent_span!("scribe")));
    assert!(began.elapsed() < Duration::from_secs(5));
    let unflushed = scene.telemetry.flush(Duration::from_secs(1)).unwrap_err();
    assert!(!unflushed.pending.is_empty(), "{unflushed}");
    let report = scene.telemetry.shutdown(Duration::from_millis(500));
    let left: usize = report.left.iter().filter(|left| left.exporter.starts_with("otlp/")).map(|left| left.items).sum();
    assert!(left >= 3000, "{report}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_full_disk_holds_nobody_up_and_is_said_at_the_end() {
    let telemetry = Telemetry::builder().file("/dev/full").build();
    let scene = Scene::with(telemetry);
    (0..1000).for_each(|_| drop(agent_span!("scribe")));
    assert_eq!(scene.telemetry.flush(Duration::from_secs(1)).unwrap_err().pending[0].exporter, "file");
    assert_eq!(scene.telemetry.get_events(0).events.len(), 2000, "others have them");
    let began = Instant::now();
    let report = scene.telemetry.shutdown(Duration::from_millis(500));
    assert!(report.left.iter().any(|left| left.exporter == "file" && left.items == 2000), "{report}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_span_that_a_thread_keeps_until_its_end_does_no_harm() {
    use std::cell::RefCell;
    thread_local! {
        static KEPT: RefCell<Option<tracing::Span>> = const { RefCell::new(None) };
    }
    let scene = Scene::new();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    std::thread::spawn(move || {
        // Touched first, it is dropped last.
        KEPT.with_borrow(|kept| assert!(kept.is_none()));
        tracing::dispatcher::with_default(&dispatch, || KEPT.set(Some(agent_span!("kept"))));
    })
    .join()
    .unwrap();
    assert_eq!(scene.told(), ["agent.started kept", "agent.completed kept"]);
}

#[test]
fn lines_of_spans_may_be_long() {
    let scene = Scene::with(Telemetry::builder().ring(100_000).build());
    let mut line = vec![agent_span!("outermost")];
    for _ in 0..10_000 {
        line.push(tool_span!(parent: line.last().unwrap(), "deeper"));
    }
    while line.pop().is_some() {}
    assert_eq!(scene.events().iter().filter(|event| event.name == *"tool.completed").count(), 10_000);
}

#[test]
fn whoever_ends_it_second_hears_what_the_first_one_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let slow = move |_: &_| {
        std::thread::sleep(Duration::from_micros(100));
        count.fetch_add(1, Relaxed);
    };
    let scene = Scene::with(Telemetry::builder().file(&path).sink(10_000, slow).build());
    (0..1000).for_each(|_| drop(agent_span!("scribe")));
    let reports = std::thread::scope(|scope| {
        let ends: Vec<_> = (0..2).map(|_| scope.spawn(|| scene.telemetry.shutdown(PATIENCE))).collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(reports.iter().all(spanlight::Report::is_clean), "{reports:?}");
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2000);
    assert_eq!(handled.load(Relaxed), 2000);
}
