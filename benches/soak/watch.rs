//! What the collector takes, minute by minute, and whether that stays what it was.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::process::Collector;
use crate::readers;

/// A figure that is looked at every minute.
pub struct Column {
    pub name: &'static str,
    /// Whether it must not grow, and by how much it may differ without being said to.
    pub steady: Option<f64>,
}

const fn steady(name: &'static str, noise: f64) -> Column {
    Column { name, steady: Some(noise) }
}

const fn shown(name: &'static str) -> Column {
    Column { name, steady: None }
}

/// `MiB` is resident memory for half of the minute, `heap` what of it is no file's, `most` the most it was, `cpu` seconds per million spans of this minute, and `x prost` how
/// many times that is of what prost takes for a span in the same minute, which tells whether the machine became another: it is
/// felt by both, if not to the same degree.
pub const COLUMNS: [Column; 20] = [
    shown("minute"),
    shown("spans/s"),
    steady("MiB", 8.0),
    steady("heap", 8.0),
    shown("most"),
    steady("cpu", 5.0),
    shown("x prost"),
    steady("files", 8.0),
    // History comes to have up to 27 days here, and keeps the three files of each open: to write, to read, and for whoever else
    // reads at that time.
    steady("of days", 27.0 * 3.0 * 3.0),
    steady("threads", 1.0),
    steady("journal", 8.0),
    // As much as the bad backend's may hold.
    steady("queues", 64.0),
    shown("history"),
    shown("jsonl"),
    steady("queued", 500.0),
    steady("runs", 500.0),
    steady("behind", 500.0),
    shown("told/s"),
    shown("dropped"),
    shown("failed"),
];

pub type Sample = [f64; COLUMNS.len()];

/// What is counted, as it was a minute ago.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub cpu: f64,
    pub spans: f64,
    pub told: f64,
    /// Requests of those who send and of those who ask.
    pub failed: f64,
}

/// What a minute was like.
#[derive(Clone, Copy)]
pub struct Minute {
    /// When it ended, in minutes from the start.
    pub end: f64,
    pub seconds: f64,
    /// How many microseconds prost took for a span.
    pub prost: f64,
    pub memory: Memory,
}

/// What a minute took, in MiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident, for half of the time.
    pub resident: f64,
    /// What of it is no file's, for half of the time.
    pub heap: f64,
    /// The most that was resident.
    pub most: f64,
}

/// Looks at the memory every second. What a scrape has just left behind is there for some seconds, and a look a minute would
/// find it or not as the two fall together, which shifts over the hour.
pub struct MemoryWatch(Arc<Mutex<Vec<[f64; 2]>>>);

impl MemoryWatch {
    const EVERY: Duration = Duration::from_secs(1);

    /// On a thread of its own, as long as the process lives.
    pub fn start(of: u32) -> MemoryWatch {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let looks = seen.clone();
        std::thread::spawn(move || {
            loop {
                let look = ["VmRSS:", "RssAnon:"].map(|part| status(of, part) / 1024.0);
                looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
                std::thread::sleep(MemoryWatch::EVERY);
            }
        });
        MemoryWatch(seen)
    }

    /// Since this was asked last.
    pub fn taken(&self) -> Memory {
        let looks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let of = |part: usize| looks.iter().map(move |look| look[part]);
        Memory { resident: median(of(0).collect()), heap: median(of(1).collect()), most: of(0).fold(0.0, f64::max) }
    }
}

/// Looks at everything at the end of a minute; `before` is from its beginning.
pub async fn sample(collector: &Collector, minute: Minute, now: Counts, before: Counts) -> Sample {
    let metrics = readers::get(&format!("{}/metrics", collector.web)).await.unwrap_or_default();
    let metrics = String::from_utf8_lossy(&metrics);
    // Of all but the bad backend, whose queue is as long as its moods are.
    let sum = |name: &str| -> f64 {
        let of = metrics.lines().filter(|line| line.starts_with(name) && !line.contains("bad"));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let disk = |part: &str| mebibytes(&collector.data().join(part));
    let spans = now.spans - before.spans;
    let (files, of_days) = open_files(collector);
    let cpu = (now.cpu - before.cpu) / spans * 1e6;
    [
        minute.end,
        spans / minute.seconds,
        minute.memory.resident,
        minute.memory.heap,
        minute.memory.most,
        cpu,
        cpu / minute.prost,
        files,
        of_days,
        status(collector.id(), "Threads:"),
        disk("journal"),
        disk("queues"),
        disk("history"),
        disk("agent-events.jsonl"),
        sum("spanlight_queue_size"),
        sum("spanlight_agent_runs "),
        sum("spanlight_journal_lag"),
        (now.told - before.told) / minute.seconds,
        sum("spanlight_dropped_total"),
        now.failed,
    ]
}

/// User and system time so far, in seconds. A tick is a hundredth of a second on every Linux.
pub fn cpu(collector: &Collector) -> f64 {
    let stat = proc(collector.id(), "stat").expect("Linux, and the collector lives");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A figure of the process's status; 0 once it has ended.
fn status(of: u32, part: &str) -> f64 {
    let status = proc(of, "status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(part)).unwrap_or_default();
    line.trim_end_matches("kB").trim().parse().unwrap_or(0.0)
}

fn proc(of: u32, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{of}/{file}")).ok()
}

/// How many files are open, and apart from them how many of the days of history.
fn open_files(collector: &Collector) -> (f64, f64) {
    let files = std::fs::read_dir(format!("/proc/{}/fd", collector.id())).expect("Linux, and the collector lives");
    let history = collector.data().join("history");
    let is_of_history = |file: &std::fs::DirEntry| file.path().read_link().is_ok_and(|of| of.starts_with(&history));
    let (of_days, others): (Vec<_>, Vec<_>) = files.flatten().partition(is_of_history);
    (others.len() as f64, of_days.len() as f64)
}

fn mebibytes(path: &Path) -> f64 {
    // What is deleted meanwhile takes nothing.
    let Ok(metadata) = path.symlink_metadata() else { return 0.0 };
    if !metadata.is_dir() {
        return metadata.len() as f64 / f64::from(1 << 20);
    }
    let Ok(entries) = path.read_dir() else { return 0.0 };
    entries.flatten().map(|entry| mebibytes(&entry.path())).sum()
}

/// Says of every figure that should be steady whether it is: its last quarter beside its second, since in the first bounds
/// are being reached, and what it gains in an hour. Whether all are.
pub fn judge(samples: &[Sample]) -> bool {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        println!("Of fewer than four minutes nothing can be said.");
        return true;
    }
    println!("{:<10} {:>12} {:>12} {:>7} {:>10}", "", "2nd quarter", "last quarter", "ratio", "an hour");
    let mut all = true;
    for (index, column) in COLUMNS.iter().enumerate() {
        let Some(noise) = column.steady else { continue };
        let of = |samples: &[Sample]| samples.iter().map(|sample| sample[index]).collect::<Vec<_>>();
        let (second, last) =
            (median(of(&samples[quarter..2 * quarter])), median(of(&samples[samples.len() - quarter..])));
        let slope = slope(&samples[quarter..], index) * 60.0;
        let is_steady = last <= second * 1.1 || last - second <= noise;
        let verdict = if is_steady { "" } else { "  GROWS" };
        println!("{:<10} {second:>12.1} {last:>12.1} {:>7.2} {slope:>+10.1}{verdict}", column.name, last / second);
        all &= is_steady;
    }
    all
}

/// Of a straight line through a figure by minutes.
fn slope(samples: &[Sample], index: usize) -> f64 {
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / samples.len() as f64;
    let (minute, figure) = (mean(&|sample| sample[0]), mean(&|sample| sample[index]));
    let with = mean(&|sample| (sample[0] - minute) * (sample[index] - figure));
    with / mean(&|sample| (sample[0] - minute).powi(2))
}

/// The value that half of them are below; of none it is 0.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
