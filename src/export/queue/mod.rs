//! The queue in front of an exporter, in memory or on disk, and what is in it.

mod config;
#[cfg(feature = "collector")]
pub mod disk;
#[cfg(not(feature = "collector"))]
#[path = "without_disk.rs"]
pub mod disk;
mod memory;

use std::sync::Arc;
use std::time::Duration;

pub use config::{DiskAck, OnFull, QueueConfig, Sizer, Storage};
pub use memory::MemoryQueue;

use crate::flow::SharedRecord;
use crate::otlp::Batch;
use disk::DiskQueue;

/// The queue of one exporter, for one kind of things.
pub enum Queue {
    /// Gone with the process.
    Memory(MemoryQueue),
    /// There until it was delivered, whatever becomes of the process.
    Disk(Box<DiskQueue>),
}

/// What was taken out of a queue.
#[derive(Debug)]
pub struct Taken {
    /// It itself.
    pub load: Load,
    /// Where it stood in the queue, which is to be told once it is dealt with.
    pub place: Option<u64>,
}

/// What an exporter is given in one attempt: things of one kind, in the order in which they came.
#[derive(Clone, Debug)]
pub enum Load {
    /// Batches of one signal. One behind the other, their bytes are one request.
    Batches(Vec<Batch>),
    /// Events.
    Events(Vec<SharedRecord>),
    /// So many measurements of which whoever is given this knows the sums.
    Changes(usize),
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most requests.
    pub requests: usize,
    /// Most items.
    pub items: usize,
    /// Most bytes.
    pub bytes: usize,
}

/// How much is taken out at a time.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// The most items, unless the first piece alone has more.
    pub items: usize,
    /// The most bytes, unless the first piece alone has more.
    pub bytes: usize,
    /// With fewer items than this, a piece waits for company …
    pub enough: usize,
    /// … but no longer than this.
    pub wait: Duration,
}

impl Portion {
    /// What other receivers take in one request without complaint: some allow no more than 4 MiB.
    pub const USUAL: Portion = Portion { items: 8192, bytes: 2 << 20, enough: 0, wait: Duration::ZERO };

    /// With as many items, a request costs little beside what is in it.
    const WORTHWHILE: usize = 512;
    /// Nobody sees such a delay, and what comes within it goes out together.
    const MOMENT: Duration = Duration::from_millis(5);

    /// With how many items a portion waits no more, and how long it does. While another one is on its way it waits a moment
    /// for company, where nothing else was said: requests of a few spans each would go out as they came, and the request
    /// cost more than the spans.
    fn company(&self, beside_another: bool) -> (usize, Duration) {
        match self.enough {
            0 if beside_another => (Portion::WORTHWHILE, Portion::MOMENT),
            enough => (enough, self.wait),
        }
    }
}

/// Why something was not put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Nothing more goes in.
    Closed,
    /// There is no room whatever.
    Full,
}

impl Queue {
    /// Whether there is room for something.
    pub fn has_room(&self) -> bool {
        match self {
            Queue::Memory(queue) => queue.has_room(),
            Queue::Disk(queue) => queue.has_room(),
        }
    }

    /// Waits until there is room, at most until `deadline`.
    pub async fn room(&self, deadline: tokio::time::Instant) {
        match self {
            Queue::Memory(queue) => queue.room(deadline).await,
            Queue::Disk(queue) => queue.room(deadline).await,
        }
    }

    /// Takes a portion from the front, once there is one; nothing once the queue is closed and empty.
    pub async fn pop(&self, portion: &Portion) -> Option<Taken> {
        match self {
            Queue::Memory(queue) => queue.pop(portion).await,
            Queue::Disk(queue) => queue.pop(portion).await,
        }
    }

    /// Something that was taken out is dealt with, and need not be kept any more. What nobody says this of comes again after
    /// a start, if it is on disk.
    pub fn settle(&self, place: Option<u64>) {
        let Some(place) = place else { return };
        match self {
            Queue::Memory(queue) => queue.settle(place),
            Queue::Disk(queue) => queue.settle(place),
        }
    }

    /// How much was put in until now, as far as the process has to live for it.
    pub fn told(&self) -> usize {
        match self {
            Queue::Memory(queue) => queue.put(),
            Queue::Disk(_) => 0,
        }
    }

    /// Whether all that was put in until then is dealt with.
    pub fn is_settled(&self, told: usize) -> bool {
        match self {
            Queue::Memory(queue) => queue.settled() >= told,
            Queue::Disk(_) => true,
        }
    }

    /// Lets nothing of what is in it wait for company.
    pub fn hurry(&self) {
        match self {
            Queue::Memory(queue) => queue.hurry(),
            Queue::Disk(queue) => queue.hurry(),
        }
    }

    /// Takes no more; what is in it can still be taken out.
    pub fn close(&self) {
        match self {
            Queue::Memory(queue) => queue.close(),
            Queue::Disk(queue) => queue.close(),
        }
    }

    /// Items and bytes in it: on disk also those that are being sent.
    pub fn size(&self) -> (usize, usize) {
        match self {
            Queue::Memory(queue) => queue.size(),
            Queue::Disk(queue) => queue.size(),
        }
    }

    /// How much it has room for.
    pub fn bounds(&self) -> Bounds {
        match self {
            Queue::Memory(queue) => queue.bounds(),
            Queue::Disk(queue) => queue.bounds(),
        }
    }

    /// Whether what is in it outlives the process.
    pub fn is_on_disk(&self) -> bool {
        matches!(self, Queue::Disk(_))
    }
}

impl Load {
    /// About what an event takes in memory.
    const EVENT: usize = 1024;

    /// Spans, log records, data points or events.
    pub fn items(&self) -> usize {
        match self {
            Load::Batches(batches) => batches.iter().map(Batch::items).sum(),
            Load::Events(events) => events.len(),
            Load::Changes(count) => *count,
        }
    }

    /// Encoded bytes; for events an estimate.
    pub fn bytes(&self) -> usize {
        match self {
            Load::Batches(batches) => batches.iter().map(|batch| batch.bytes().len()).sum(),
            Load::Events(events) => events.iter().map(|record| Load::EVENT + record.event().data.as_json().len()).sum(),
            Load::Changes(_) => 0,
        }
    }

    /// Whether it is this load once more, and not another that says the same. Whoever asks holds one of them, so that no
    /// other can be where it was.
    pub fn is_same(&self, other: &Load) -> bool {
        match (self, other) {
            (Load::Batches(one), Load::Batches(other)) => {
                let is_same = |(one, other): (&Batch, &Batch)| {
                    one.bytes().as_ptr() == other.bytes().as_ptr() && one.bytes().len() == other.bytes().len()
                };
                one.len() == other.len() && one.iter().zip(other).all(is_same)
            }
            (Load::Events(one), Load::Events(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
            }
            _ => false,
        }
    }

    fn is_of_one_kind_with(&self, other: &Load) -> bool {
        match (self, other) {
            (Load::Batches(own), Load::Batches(others)) => {
                own.first().map(Batch::signal) == others.first().map(Batch::signal)
            }
            (Load::Events(_), Load::Events(_)) | (Load::Changes(_), Load::Changes(_)) => true,
            _ => false,
        }
    }

    fn append(&mut self, other: Load) {
        match (self, other) {
            (Load::Batches(own), Load::Batches(others)) => own.extend(others),
            (Load::Events(own), Load::Events(others)) => own.extend(others),
            (Load::Changes(own), Load::Changes(others)) => *own = own.saturating_add(others),
            _ => {}
        }
    }
}
