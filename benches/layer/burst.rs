//! Bursts of spans: so many that they fit into every queue on the way, timed, and then a rest in which all of it is
//! derived and gone. What is dropped costs nothing, so nothing must be.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What one process took.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Measured {
    /// Of the agent's thread, per span: the median of all bursts.
    pub nanos: f64,
    /// Of all threads of the process, per span, the rests included.
    pub cpu_nanos: f64,
    /// Pieces that found no room.
    pub dropped: u64,
    /// Events that came of it, per span.
    pub events: f64,
    /// Spans.
    pub spans: u64,
}

/// Spans of a burst, fewer than the 2,048 that the batch processor of the OpenTelemetry SDK takes.
const SPANS: usize = 2000;
/// So many bursts at least, and as many as fit into the time.
const LEAST: usize = 20;
const TIME: Duration = Duration::from_millis(250);

/// Does the work in bursts. `rest` waits until what came of a burst is gone.
pub fn run(mut work: impl FnMut(i64), mut rest: impl FnMut()) -> Measured {
    pin();
    let mut burst = || {
        let start = Instant::now();
        (0..SPANS as i64).for_each(&mut work);
        let took = start.elapsed();
        rest();
        thread::sleep(Duration::from_millis(1));
        took.as_nanos() as f64 / SPANS as f64
    };
    // Prices are loaded, buffers grow, callsites are met.
    (0..3).for_each(|_| _ = burst());
    let (cpu, start) = (cpu(), Instant::now());
    let mut bursts = Vec::new();
    while bursts.len() < LEAST || start.elapsed() < TIME {
        bursts.push(burst());
    }
    let spans = (bursts.len() * SPANS) as u64;
    let cpu_nanos = (self::cpu() - cpu) / spans as f64;
    bursts.sort_by(f64::total_cmp);
    Measured { nanos: bursts[bursts.len() / 2], cpu_nanos, spans: spans + 3 * SPANS as u64, ..Measured::default() }
}

/// The thread of the agent on one core, all others on another, where there is a `taskset`.
fn pin() {
    for thread in threads() {
        let core = if thread == std::process::id().to_string() { "0" } else { "1" };
        let mut taskset = Command::new("taskset");
        // Without it the threads compete for all cores, which is no more than noise.
        taskset.args(["-p", "-c", core, &thread]).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
    }
}

/// Nanoseconds that all threads ran so far.
fn cpu() -> f64 {
    // Has the kernel add up what this thread ran.
    thread::sleep(Duration::from_micros(100));
    let ran = |thread: &String| {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
        stat.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0)
    };
    threads().iter().map(ran).sum()
}

fn threads() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads.filter_map(|thread| thread.ok()?.file_name().into_string().ok()).collect()
}
