//! Functions of the agent's own code as sinks: each on a thread of its own, so that one that panics or hangs is alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tracing::Dispatch;

use crate::connector::EventSink;
use crate::export::Left;
use crate::flow::SharedRecord;
use crate::health::{DROPPED, Health, QUEUE_CAPACITY, SENT};

/// What handles an event.
pub type Handler = Box<dyn FnMut(&SharedRecord) + Send>;

/// Events that wait for a sink, and whoever waits for it to have handled them.
#[derive(Clone)]
pub struct Waiting {
    name: Arc<str>,
    events: Arc<(Mutex<usize>, Condvar)>,
}

impl Waiting {
    /// Waits until all are handled; else what is left of them.
    pub fn wait(&self, deadline: Instant) -> Result<(), Left> {
        let (events, handled) = &*self.events;
        let waiting = events.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = deadline.saturating_duration_since(Instant::now());
        let waited = handled.wait_timeout_while(waiting, patience, |waiting| *waiting > 0);
        match *waited.unwrap_or_else(PoisonError::into_inner).0 {
            0 => Ok(()),
            items => Err(Left { exporter: self.name.to_string(), items }),
        }
    }

    fn add(&self, change: impl FnOnce(&mut usize)) {
        let (events, handled) = &*self.events;
        let mut waiting = events.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        if *waiting == 0 {
            handled.notify_all();
        }
    }
}

/// Starts the thread. At most `capacity` events wait for it.
pub fn spawn(number: usize, capacity: usize, mut handle: Handler, health: &Health) -> io::Result<(EventSink, Waiting)> {
    let name = format!("sink/{number}");
    let labels = |reason| [("component", name.as_str()), ("signal", "events"), ("reason", reason)];
    let (queue_full, panicked) =
        (health.counter(DROPPED, &labels("queue_full")), health.counter(DROPPED, &labels("panicked")));
    let sent = health.counter(SENT, &[("exporter", &name), ("signal", "events")]);
    health.gauge(QUEUE_CAPACITY, &[("exporter", &name), ("signal", "events")], move || capacity as f64);
    let (entrance, exit) = sync_channel::<SharedRecord>(capacity.max(1));
    let waiting = Waiting { name: name.as_str().into(), events: Arc::default() };
    let left = waiting.clone();
    thread::Builder::new().name(format!("spanlight-{number}")).spawn(move || {
        // What it traces while it handles an event would be another event.
        tracing::dispatcher::with_default(&Dispatch::none(), || {
            for record in exit {
                match catch_unwind(AssertUnwindSafe(|| handle(&record))) {
                    Ok(()) => sent.add(1),
                    Err(_) => panicked.add(1),
                }
                left.add(|waiting| *waiting -= 1);
            }
        });
    })?;
    let entering = waiting.clone();
    let sink: EventSink = Box::new(move |records| {
        for record in records {
            entering.add(|waiting| *waiting += 1);
            // The thread ends only with this end, so it is never gone.
            if entrance.try_send(record.clone()).is_err() {
                entering.add(|waiting| *waiting -= 1);
                queue_full.add(1);
            }
        }
    });
    Ok((sink, waiting))
}
