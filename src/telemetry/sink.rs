//! Functions of the agent's own code as sinks: each on a thread of its own, so that one that panics or hangs is alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{TrySendError, sync_channel};
use std::thread;

use tracing::Dispatch;

use crate::connector::EventSink;
use crate::flow::SharedRecord;
use crate::health::{DROPPED, Health, QUEUE_CAPACITY, SENT};

/// What handles an event.
pub type Handler = Box<dyn FnMut(&SharedRecord) + Send>;

/// Starts the thread. At most `capacity` events wait for it.
pub fn spawn(number: usize, capacity: usize, mut handle: Handler, health: &Health) -> io::Result<EventSink> {
    let name = format!("sink/{number}");
    let labels = |reason| [("component", name.as_str()), ("signal", "events"), ("reason", reason)];
    let (queue_full, panicked) =
        (health.counter(DROPPED, &labels("queue_full")), health.counter(DROPPED, &labels("panicked")));
    let sent = health.counter(SENT, &[("exporter", &name), ("signal", "events")]);
    health.gauge(QUEUE_CAPACITY, &[("exporter", &name), ("signal", "events")], move || capacity as f64);
    let (entrance, exit) = sync_channel::<SharedRecord>(capacity.max(1));
    thread::Builder::new().name(format!("spanlight-{number}")).spawn(move || {
        // What it traces while it handles an event would be another event.
        tracing::dispatcher::with_default(&Dispatch::none(), || {
            for record in exit {
                match catch_unwind(AssertUnwindSafe(|| handle(&record))) {
                    Ok(()) => sent.add(1),
                    Err(_) => panicked.add(1),
                }
            }
        });
    })?;
    Ok(Box::new(move |records| {
        for record in records {
            match entrance.try_send(record.clone()) {
                Ok(()) => {}
                // The thread ends only with this end, so it is never gone.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => queue_full.add(1),
            }
        }
    }))
}
