//! `spanlight export`: events as JSON lines, out of a running collector or out of its data directory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::get_bytes;
use super::configuration::load_for_run;
use super::filter::EventFilter;
use super::{Failure, RunArgs, Target};
use crate::console;
use crate::pipeline::archive;

/// `spanlight export`
#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    target: Target,
    /// Read the data directory of a collector that does not run, instead of asking one that does
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// With --data-dir, the configuration that the collector had
    #[arg(short, long, value_name = "FILE", requires = "data_dir")]
    config: Option<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filter: EventFilter,
}

/// Where events go, and what is said at the end.
struct Sink {
    out: Box<dyn Write + Send>,
    name: String,
    events: u64,
    missing: u64,
}

/// Writes all events that fit, oldest first.
pub async fn export(args: ExportArgs) -> Result<(), Failure> {
    let mut sink = Sink::open(args.output.as_deref())?;
    let outcome = match &args.data_dir {
        Some(data_dir) => {
            let run = RunArgs {
                config: args.config.clone(),
                set: Vec::new(),
                data_dir: data_dir.clone(),
                insecure_bind: false,
            };
            from_directory(&run, &args.filter, &mut sink)
        }
        None => from_collector(&args.target, &args.filter, &mut sink).await,
    };
    match outcome {
        Ok(()) => sink.end(args.target.json),
        // `head` goes away when it has seen enough.
        Err(Stopped::Unread) => Ok(()),
        Err(Stopped::Failed(failure)) => Err(failure),
    }
}

/// Why it ended before its end.
enum Stopped {
    Unread,
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped::Failed(failure)
    }
}

/// A page as the API answers.
#[derive(Deserialize)]
struct Page<'a> {
    epoch: String,
    #[serde(borrow)]
    events: Vec<Entry<'a>>,
    next: u64,
    gap: Option<Gap>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Gap {
    from: u64,
    to: u64,
}

async fn from_collector(target: &Target, filter: &EventFilter, sink: &mut Sink) -> Result<(), Stopped> {
    const AT_ONCE: usize = 1000;
    let (mut next, mut epoch) = (0, None);
    loop {
        let (from, limit) = (next.to_string(), AT_ONCE.to_string());
        let query = filter.query(&[("from", Some(&from)), ("limit", Some(&limit))]);
        let body = get_bytes(target, &format!("/api/v1/events{query}")).await?;
        let page: Page<'_> =
            serde_json::from_slice(&body).map_err(|error| Failure::new(format!("the answer is not JSON: {error}")))?;
        if epoch.get_or_insert_with(|| page.epoch.clone()) != &page.epoch {
            return Err(Failure::new("the collector has begun anew; what was written so far is of before").into());
        }
        sink.missing += page.gap.map_or(0, |gap| gap.to - gap.from);
        for entry in &page.events {
            sink.write(entry.event.get())?;
        }
        // The last page ends where events have come to; more come all the time.
        if page.next == next || (page.events.is_empty() && page.next - next < AT_ONCE as u64) {
            return Ok(());
        }
        next = page.next;
    }
}

fn from_directory(run: &RunArgs, filter: &EventFilter, sink: &mut Sink) -> Result<(), Stopped> {
    let filter = filter.to_filter()?;
    let plan = load_for_run(run)?;
    let hub = archive(&plan, &run.data_dir).map_err(Failure::new)?;
    let mut next = 0;
    while next < hub.head() {
        let page = hub.read(next, 1000, &filter);
        sink.missing += page.gap.map_or(0, |(from, to)| to - from);
        for (_, record) in &page.events {
            sink.write(record.json())?;
        }
        if page.next == next {
            break;
        }
        next = page.next;
    }
    Ok(())
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Sink, Failure> {
        let (out, name): (Box<dyn Write + Send>, _) = match path {
            None => (Box::new(io::stdout()), "standard output".to_owned()),
            Some(path) => {
                let failed = |error| Failure::new(format!("cannot write {}: {error}", path.display()));
                (Box::new(File::create(path).map_err(failed)?), path.display().to_string())
            }
        };
        Ok(Sink { out: Box::new(BufWriter::with_capacity(1 << 16, out)), name, events: 0, missing: 0 })
    }

    fn write(&mut self, json: &str) -> Result<(), Stopped> {
        self.events += 1;
        let written = self.out.write_all(json.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Stopped {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stopped::Unread,
            _ => Stopped::Failed(Failure::new(format!("cannot write {}: {error}", self.name))),
        }
    }

    /// Says how many events there were: beside them, not among them.
    fn end(mut self, json: bool) -> Result<(), Failure> {
        match self.out.flush().map_err(|error| self.failed(&error)) {
            Ok(()) | Err(Stopped::Unread) => {}
            Err(Stopped::Failed(failure)) => return Err(failure),
        }
        if json {
            console::line(&serde_json::json!({"events": self.events, "missing": self.missing}).to_string());
            return Ok(());
        }
        console::line(&format!("{} to {}", console::counted(self.events, "event"), self.name));
        if self.missing > 0 {
            console::line(&format!("{} are no longer kept", console::counted(self.missing, "earlier event")));
        }
        Ok(())
    }
}
