//! The worker: a thread of our own that reads what the layer wrote, derives, and hands on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tracing::Dispatch;

use super::exporting::Outlet;
use crate::connector::Connector;
use crate::event::{ComponentId, Data, Event, EventName, Priority, SourceKind, Timestamp, message};
use crate::layer::{Follower, Limits, Source, Told};

/// The thread, and how to ask something of it.
pub struct Worker {
    requests: Mutex<Sender<Request>>,
    /// Nothing if the system had no thread for it.
    thread: Option<Thread>,
    /// Whether it has handed on everything and ended, as it should.
    has_ended: Arc<AtomicBool>,
}

enum Request {
    /// Hand on all that was said before, and answer.
    Flush(SyncSender<()>),
    /// The same, end what is open, and end.
    Stop(SyncSender<()>),
}

/// What the thread works on.
pub struct Work {
    pub source: Arc<Source>,
    pub follower: Follower,
    pub limits: Limits,
    pub connector: Arc<Connector>,
    pub outlet: Outlet,
}

impl Worker {
    /// While something happens, it is looked at so often; else a bit less.
    const BUSY: Duration = Duration::from_millis(10);
    const IDLE: Duration = Duration::from_millis(40);

    /// Starts the thread. Without one nothing is derived, which is said.
    pub fn start(work: Work) -> Worker {
        let (requests, inbox) = channel();
        let source = work.source.clone();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = has_ended.clone();
        let spawned = thread::Builder::new().name("spanlight".into()).spawn(move || {
            // What is traced here is not of the agent.
            tracing::dispatcher::with_default(&Dispatch::none(), || work.run(&inbox));
            ended.store(true, SeqCst);
        });
        let thread = match spawned {
            Ok(worker) => Some(worker.thread().clone()),
            Err(error) => {
                crate::report::error(&format!("there is no thread for telemetry, so nothing is seen: {error}"));
                None
            }
        };
        thread.iter().for_each(|thread| source.lanes().wake(thread.clone()));
        Worker { requests: Mutex::new(requests), thread, has_ended }
    }

    /// Waits until what was said before is handed on; whether it was in time.
    pub fn flush(&self, deadline: Instant) -> bool {
        self.ask(Request::Flush, deadline)
    }

    /// Ends the thread; whether it did in time. Where there is none, there is nothing to wait for.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.thread.is_none() || self.ask(Request::Stop, deadline)
    }

    /// Whether this is the worker's own thread.
    pub fn is_current(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| thread.id() == thread::current().id())
    }

    fn ask(&self, request: fn(SyncSender<()>) -> Request, deadline: Instant) -> bool {
        let (answer, answered) = sync_channel(1);
        let sent = self.requests.lock().unwrap_or_else(PoisonError::into_inner).send(request(answer));
        self.thread.iter().for_each(Thread::unpark);
        if sent.is_err() {
            return self.has_ended.load(SeqCst);
        }
        answered.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

impl Work {
    fn run(mut self, inbox: &Receiver<Request>) {
        let mut next_tick = Instant::now();
        let mut last_dropped = 0;
        loop {
            let request = match inbox.try_recv() {
                Ok(request) => Some(request),
                Err(TryRecvError::Empty) => None,
                // The last handle is gone, and has not waited.
                Err(TryRecvError::Disconnected) => return self.end(),
            };
            let somebody_waits = request.is_some();
            let is_time = next_tick <= Instant::now() || somebody_waits;
            if is_time {
                next_tick = Instant::now() + Connector::TICK;
            }
            let busy = guarded(|| self.turn(is_time, somebody_waits, &mut last_dropped)).unwrap_or(true);
            match request {
                // Whoever asked may have lost patience.
                Some(Request::Flush(answer)) => _ = answer.send(()).ok(),
                Some(Request::Stop(answer)) => {
                    self.end();
                    answer.send(()).ok();
                    return;
                }
                None => thread::park_timeout(if busy { Worker::BUSY } else { Worker::IDLE }),
            }
        }
    }

    /// One look at what was written, and at the clock; whether there is anything going on.
    fn turn(&mut self, is_time: bool, somebody_waits: bool, last_dropped: &mut u64) -> bool {
        let is_busy = if somebody_waits { self.catch_up() } else { self.pass(false) };
        if is_time {
            self.say_what_was_dropped(last_dropped);
            self.connector.tick();
            self.outlet.tick(somebody_waits);
        }
        self.outlet.make_room();
        is_busy
    }

    /// Reads everything, for whoever waits: what the first pass finds to be gone is ended by the second.
    fn catch_up(&mut self) -> bool {
        self.pass(true) | self.pass(true)
    }

    /// Reads what was written; whether there is anything going on.
    fn pass(&mut self, all: bool) -> bool {
        let told = self.follower.pass(&self.limits, all);
        let is_busy = !told.is_empty() || self.follower.open_spans() > 0;
        told.into_iter().for_each(|told| self.tell(told));
        is_busy
    }

    fn tell(&self, told: Told) {
        match told {
            Told::Spans(batch) => self.connector.live_spans(&batch),
            Told::Note { trace, span, note } => self.connector.note(trace, span, note),
            Told::Event { event, within: Some((trace, span)) } => self.connector.event_within(*event, trace, span),
            Told::Event { event, within: None } => self.connector.events(vec![*event]),
        }
    }

    fn end(&mut self) {
        self.source.lanes().close();
        // Each on its own: what goes wrong with one of them leaves the others.
        guarded(|| self.catch_up());
        guarded(|| self.end_what_is_open());
        guarded(|| self.outlet.end());
    }

    fn end_what_is_open(&mut self) {
        let mut told = Vec::new();
        self.follower.finish(&mut told);
        told.into_iter().for_each(|told| self.tell(told));
        self.connector.tick();
        self.connector.finish();
    }

    /// What was dropped is itself an event, for whoever sees nothing else of this process.
    fn say_what_was_dropped(&self, last: &mut u64) {
        let counts = self.source.lanes().dropped().counts();
        let sum = counts.iter().map(|(_, count)| count).sum::<u64>() + self.follower.forgotten();
        let Some(name) = EventName::parse("system.progress").filter(|_| sum > *last) else { return };
        let mut event = Event::named(name, Timestamp::now());
        event.component_id = ComponentId::System("telemetry".into());
        event.source.kind = SourceKind::Layer;
        event.priority = Priority::new(2).unwrap_or_default();
        event.message = Some(message(&format!("{} pieces of telemetry found no room and were dropped", sum - *last)));
        event.data = Data::build(|data| {
            counts.iter().filter(|(_, count)| *count > 0).for_each(|(kind, count)| data.u64(kind, *count));
            data.u64("forgotten_spans", self.follower.forgotten());
        });
        *last = sum;
        self.connector.events(vec![event]);
    }
}

/// A defect of ours loses what it stumbled over, and nothing else.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        crate::report::error("a defect of ours lost some telemetry");
    }
    done.ok()
}
