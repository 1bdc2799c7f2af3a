//! Exporters in the agent's process: on a thread and a runtime of their own, behind queues that never wait.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Dispatch;

use super::guard::Unflushed;
use super::spans::Spans;
use crate::connector::{Connector, EventSink};
use crate::console::event::Level;
use crate::event::Timestamp;
use crate::export::pump::Liveness;
use crate::export::queue::OnFull;
use crate::export::{Exporter, Inlet, Left, Load, Pump, debug, file, local};
use crate::flow::SharedRecord;
use crate::health::Health;
use crate::measure::{Counted, to_batch};

/// The thread that the exporters run on; none where the system had none.
#[derive(Default)]
pub struct Exporting(Option<Running>);

struct Running {
    handle: Handle,
    exporters: Vec<Liveness>,
    drain: Mutex<Option<Drain>>,
    join: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

/// How to have the pumps drained, and where it is said what is left.
struct Drain {
    deadline: oneshot::Sender<tokio::time::Instant>,
    left: Receiver<Vec<Left>>,
}

/// What the worker sends beside events: spans as they come, and metrics from time to time.
pub struct Outlet {
    pub connector: Arc<Connector>,
    pub health: Arc<Health>,
    pub spans: Option<(Spans, Inlet)>,
    pub metrics: Option<Inlet>,
    /// Where events go over OTLP: spans that speak of the same let them go first.
    pub events: Option<Liveness>,
    /// Until when spans wait for events, while they do.
    pub spans_wait_until: Option<Instant>,
    pub resource: Vec<(String, String)>,
    pub interval: Duration,
    pub began: Timestamp,
    pub next_metrics: Instant,
}

impl Exporting {
    /// Runs the pumps that `start` starts within a runtime, and gives what it made beside them. The runtime never leaves
    /// its thread: dropping one is not allowed wherever a program may build telemetry.
    pub fn run<T: Send + 'static>(
        start: impl FnOnce() -> (Vec<Pump>, T) + Send + 'static,
    ) -> io::Result<(Exporting, T)> {
        let (deadline, wanted) = oneshot::channel();
        let (tell_left, left) = sync_channel(1);
        let (tell_started, started) = sync_channel(1);
        let run = move || -> io::Result<()> {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(16).build()?;
            let (pumps, made) = {
                let _in_runtime = runtime.enter();
                start()
            };
            let exporters: Vec<Liveness> = pumps.iter().map(Pump::liveness).collect();
            // Whoever builds telemetry waits for this, and for what is left only if it has the patience.
            tell_started.send((runtime.handle().clone(), exporters, made)).ok();
            let left = runtime.block_on(until_drained(pumps, wanted));
            // A write that hangs must not keep the thread from telling what is left.
            runtime.shutdown_background();
            tell_left.send(left).ok();
            Ok(())
        };
        let join = thread::Builder::new().name("spanlight-export".into()).spawn(move || {
            // What exporters trace of their own connections must not become telemetry that they export.
            tracing::dispatcher::with_default(&Dispatch::none(), run)
        })?;
        let Ok((handle, exporters, made)) = started.recv() else {
            return Err(join.join().ok().and_then(Result::err).unwrap_or_else(|| io::Error::other("it ended at once")));
        };
        let (drain, join) = (Mutex::new(Some(Drain { deadline, left })), Mutex::new(Some(join)));
        Ok((Exporting(Some(Running { handle, exporters, drain, join })), made))
    }

    /// Waits until what was sent before has gone out.
    pub fn flush(&self, deadline: Instant) -> Result<(), Unflushed> {
        let Some(running) = &self.0 else { return Ok(()) };
        let (done, is_done) = sync_channel(1);
        let exporters = running.exporters.clone();
        running.handle.spawn(async move {
            for exporter in &exporters {
                exporter.idle().await;
            }
            // Whoever asked may have lost patience.
            done.send(()).ok();
        });
        if is_done.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {
            return Ok(());
        }
        let pending = running.pending();
        if pending.is_empty() { Ok(()) } else { Err(Unflushed { pending }) }
    }

    /// Ends the exporters: what waits goes out until the deadline. The second time there is nothing left to end.
    pub fn drain(&self, deadline: Instant) -> Vec<Left> {
        let Some(running) = &self.0 else { return Vec::new() };
        let Some(drain) = lock(&running.drain).take() else { return Vec::new() };
        // If the thread has ended, it has told what is left.
        drain.deadline.send(tokio::time::Instant::from_std(deadline)).ok();
        let patience = deadline.saturating_duration_since(Instant::now()) + Running::GRACE;
        match drain.left.recv_timeout(patience) {
            Ok(left) => {
                if let Some(thread) = lock(&running.join).take() {
                    // It cannot have panicked: it has told what is left, and ends.
                    thread.join().ok();
                }
                left
            }
            // A write hangs; its thread is left to itself.
            Err(_) => running.pending(),
        }
    }
}

impl Running {
    /// How long after the deadline it may take until it is told what is left.
    const GRACE: Duration = Duration::from_millis(200);

    fn pending(&self) -> Vec<Left> {
        let left =
            |exporter: &Liveness| Left { exporter: exporter.id().to_owned(), items: exporter.pending(), kept: 0 };
        self.exporters.iter().map(left).filter(|left| left.items > 0).collect()
    }
}

async fn until_drained(pumps: Vec<Pump>, wanted: oneshot::Receiver<tokio::time::Instant>) -> Vec<Left> {
    // Without anybody to ask for it any more, what waits has a moment.
    let deadline = wanted.await.unwrap_or_else(|_| tokio::time::Instant::now() + Duration::from_secs(1));
    let mut draining = tokio::task::JoinSet::new();
    pumps.into_iter().for_each(|pump| drop(draining.spawn(pump.drain(deadline))));
    draining.join_all().await
}

/// Sends events to an exporter.
pub fn events_to(inlet: Inlet) -> EventSink {
    Box::new(move |records: &[SharedRecord]| inlet.send(Load::Events(records.to_vec())))
}

impl Outlet {
    /// How long spans wait at most for events to be delivered.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Sends what has gathered. Metrics go out when it is time for them, and when somebody waits for them.
    pub fn tick(&mut self, somebody_waits: bool) {
        if self.spans_may_go() {
            self.send_spans();
        }
        if let Some(inlet) = &self.metrics
            && (somebody_waits || self.next_metrics <= Instant::now())
        {
            self.next_metrics = Instant::now() + self.interval;
            inlet.send(Load::Batches(vec![to_batch(&self.counted(), &self.resource, Timestamp::now())]));
        }
    }

    /// Sends everything, whatever there is to be said for waiting.
    pub fn end(&mut self) {
        self.tick(true);
        self.send_spans();
    }

    /// Sends spans before their time where many wait.
    pub fn make_room(&mut self) {
        if self.spans.as_ref().is_some_and(|(spans, _)| spans.are_many()) && self.spans_may_go() {
            self.send_spans();
        }
    }

    /// Whoever derives gets a span's own events first if it can be: they are in order, and the span says no more.
    fn spans_may_go(&mut self) -> bool {
        let waits = self.events.as_ref().is_some_and(|events| events.pending() > 0);
        let until = self.spans_wait_until.get_or_insert_with(|| Instant::now() + Outlet::PATIENCE);
        let may_go = !waits || *until <= Instant::now();
        if may_go {
            self.spans_wait_until = None;
        }
        may_go
    }

    fn send_spans(&self) {
        if let Some((spans, inlet)) = &self.spans
            && let Some(batch) = spans.take()
        {
            inlet.send(Load::Batches(vec![batch]));
        }
    }

    /// What is derived, and what we say of ourselves; dashboards for collectors have nothing to look for here.
    fn counted(&self) -> Vec<Counted> {
        let own = self.health.families().into_iter().filter(|family| !family.name.starts_with("otelcol_"));
        let own = own.map(|family| {
            let began = vec![self.began; family.series.len()];
            Counted { family, began }
        });
        self.connector.metrics().into_iter().chain(own).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What writes a file of events, and drops what it cannot keep up with.
pub fn file_pump(path: PathBuf, health: &Health) -> Pump {
    let config = file::Config::usual(path);
    let (mut settings, exporter) = local::file(&config, Path::new(""));
    settings.queue.on_full = OnFull::Drop;
    Pump::start("file", "events", settings, vec![Exporter::File(exporter)], health)
}

/// What shows events on standard error.
pub fn console_pump(level: Level, health: &Health) -> Pump {
    let exporter = debug::DebugExporter::on_standard_error(level);
    Pump::start("console", "events", local::debug(), vec![Exporter::Debug(exporter)], health)
}
