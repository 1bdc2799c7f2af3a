//! History: how many events a second are entered, alone and while somebody asks, and how long answers take meanwhile.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use spanlight::event::{Data, Event, Filter, Timestamp};
use spanlight::history::{Began, EVENT, History, Settings};
use spanlight::journal::{Ack, Entry, Journal, Settings as JournalSettings};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const EVENTS: u64 = 300_000;
const OF_A_RUN: u64 = 40;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalSettings::default()).expect("a journal");
    let journal = Arc::new(journal);
    let bytes: usize = (0..EVENTS / 1000).map(|block| append(&journal, block * 1000)).sum();
    println!("{EVENTS} events of {} bytes, {OF_A_RUN} in a run", bytes / EVENTS as usize);
    for (title, readers) in [("alone", 0), ("while one asks all the time", 1), ("while three ask all the time", 3)] {
        let outcome = enter(&journal, &dir.path().join(format!("history-{readers}")), readers);
        println!("{title}: {outcome}");
    }
}

/// Appends a thousand events; their bytes.
fn append(journal: &Journal, from: u64) -> usize {
    let entries: Vec<Entry> =
        (from..from + 1000).map(|number| Entry { kind: EVENT, payload: event(number).to_json().into() }).collect();
    let bytes = (from..from + 1000).map(|number| event(number).to_json().len()).sum();
    journal.append(entries, Ack::Journal).expect("room").wait().expect("written");
    bytes
}

/// Events as runs of agents have them, of many runs at a time.
fn event(number: u64) -> Event {
    let run = number / (OF_A_RUN * 50) * 50 + number % 50;
    let mut event = match number % 3 {
        0 => Event::agent_started(&format!("agent-{}", run % 20)),
        1 => Event::tool_failed(&format!("tool-{}", number % 30), "the search timed out after 30 s"),
        _ => Event::llm_completed(&format!("agent-{}", run % 20), (number % 7) as u32, "gpt-4o"),
    };
    event.identity.execution_id = Some(format!("{:032x}", u128::from(run) * 0x9E37_79B9_7F4A_7C15).into());
    event.identity.user_id = Some(format!("user-{}", run % 100).into());
    event.dimensions.feature = Some(format!("feature-{}", run % 5).into());
    event.performance.input_tokens = Some(1200 + number % 100);
    event.performance.cost_usd = Some(0.001);
    event.data = Data::build(|data| {
        data.str(
            "input",
            &format!("What are the numbers of the quarter {number}, and how do they compare to those before?"),
        );
        data.str("response_id", &format!("resp_{number:x}"));
    });
    event
}

/// Enters all events while some ask.
fn enter(journal: &Arc<Journal>, directory: &Path, readers: usize) -> String {
    let settings = Settings { directory: directory.to_owned(), days: 0, max_bytes: u64::MAX };
    let begun = Instant::now();
    let history = History::open(settings, journal.clone()).expect("a directory");
    let done = AtomicBool::new(false);
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let (history, done) = (&history, &done);
        let asking: Vec<_> =
            (0..readers).map(|reader| scope.spawn(move || ask(history, done, reader as u64))).collect();
        while history.position() < EVENTS {
            thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Relaxed);
        asking.into_iter().flat_map(|asked| asked.join().expect("no panic")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu_of_writer().map(|cpu| format!(", {:.1} µs of a core each", cpu.as_secs_f64() * 1e6 / EVENTS as f64));
    let entered = format!("{:.0} events/s{}", EVENTS as f64 / seconds, cpu.unwrap_or_default());
    if times.is_empty() {
        return entered;
    }
    times.sort_unstable();
    let place = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let (half, most) = (place(0.5), place(0.99));
    format!("{entered}; {} answers, half within {half:.1?}, 99 of 100 within {most:.1?}", times.len())
}

/// How long the thread that writes was at work, whatever else the machine did; Linux tells.
fn cpu_of_writer() -> Option<Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let mut tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
    let is_writer = |task: &std::path::PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "history")
    };
    let stat = std::fs::read_to_string(tasks.find(is_writer)?.join("schedstat")).ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Asks one thing after the other; how long each took.
fn ask(history: &History, done: &AtomicBool, reader: u64) -> Vec<Duration> {
    let run = event(reader * 7).identity.execution_id.expect("one");
    let questions: [&[(&str, &str)]; 6] = [
        &[("execution", &run)],
        &[("agent", "agent-7"), ("type", "failed")],
        &[("since", "1m"), ("tool", "tool-3")],
        &[("q", "timed out"), ("user", "user-42")],
        &[("q", "quarter 77777")],
        &[("status", "failed")],
    ];
    let filters = questions.map(|pairs| Filter::from_pairs(pairs.iter().copied(), Timestamp::now()).expect("a filter"));
    let mut times = Vec::new();
    for number in 0.. {
        if done.load(Relaxed) {
            break;
        }
        let begun = Instant::now();
        match filters.get(number % 7) {
            Some(filter) => drop(history.read(0..history.position(), 100, filter).expect("an answer")),
            None => drop(
                history
                    .runs(Began::EVER, 50, |_| true, |_| Ok(true), Instant::now() + History::PATIENCE)
                    .expect("runs"),
            ),
        }
        times.push(begun.elapsed());
        // As pages and people do, and not as loops.
        thread::sleep(Duration::from_millis(20));
    }
    times
}
