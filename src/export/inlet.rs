//! Where senders put things: whether there is room, and what has been taken once it counts as taken.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::pump::Shared;
use super::queue::disk::{CannotWrite, DiskQueue, Writing};
use super::queue::{Load, NotTaken, OnFull, Queue};
use crate::flow::Refused;
use crate::otlp::Batch;

/// What senders need of a pump.
#[derive(Clone)]
pub struct Inlet(Arc<Shared>);

/// A batch on its way into a queue on disk, or to a receiver that is waited for. If nobody waits for it, it goes there all
/// the same.
#[must_use = "whether it was written is known only to whoever waits for it"]
pub struct Keeping {
    inlet: Inlet,
    kept: Result<Kept, Refused>,
}

/// What becomes of such a batch.
enum Kept {
    /// It is known, or it was dropped.
    Known,
    /// It is being written.
    Writing(Writing),
    /// It is delivered once of so much is known what became of it.
    Sent(usize),
}

impl Inlet {
    pub(super) fn new(shared: Arc<Shared>) -> Inlet {
        Inlet(shared)
    }

    /// Waits until all of them have room at the same moment, so that whoever is let in may push to all. Refuses when
    /// that does not come to pass in time.
    pub async fn room<'p, I: Iterator<Item = &'p Inlet>>(pumps: impl Fn() -> I) -> Result<(), Refused> {
        let began = tokio::time::Instant::now();
        loop {
            let Some(Inlet(full)) = pumps().find(|pump| !pump.admits()) else { return Ok(()) };
            let deadline = began + full.settings.queue.patience.0;
            if tokio::time::Instant::now() >= deadline {
                return Err(full.refused("is full"));
            }
            let gives_up = full.failing_at().map_or(deadline, |at| deadline.min(at.into()));
            full.queue.room(gives_up).await;
        }
    }

    /// Whether something may be sent now: there is room, or nobody waits for this exporter.
    fn admits(&self) -> bool {
        self.0.loses() || self.0.queue.has_room()
    }

    /// What tells the exporter that so many measurements were added to what it writes.
    pub fn into_change_sink(self) -> Box<dyn Fn(usize) + Send + Sync> {
        Box::new(move |changes| self.send(Load::Changes(changes)))
    }

    /// Puts something into the queue. Where nobody waits for room, what does not fit is dropped and counted; so is what
    /// cannot be written to a queue on disk.
    pub fn send(&self, load: Load) {
        let Shared { queue, counts, .. } = &*self.0;
        let items = load.items();
        if self.0.loses() && !queue.has_room() {
            counts.queue_full.add(items);
            return;
        }
        let queue = match queue {
            Queue::Memory(queue) => queue,
            Queue::Disk(queue) => {
                match queue.put(&self.split(load)) {
                    Ok(writing) => queue.forget(writing),
                    Err(why) => queue.drop_for(&why, items),
                }
                return;
            }
        };
        let push = |load: Load| {
            let items = load.items();
            self.0.taken.fetch_add(items, Relaxed);
            let pushed = queue.push(load);
            if pushed.is_err() {
                self.0.done.fetch_add(items, Relaxed);
            }
            match pushed {
                Ok(()) => {}
                Err(NotTaken::Full) => counts.queue_full.add(items),
                Err(NotTaken::Closed) => counts.left.add(items),
            }
        };
        self.split(load).into_iter().for_each(push);
    }

    /// How much was sent until now; none of it waits for company any more.
    pub fn told(&self) -> usize {
        self.0.queue.hurry();
        self.0.queue.told()
    }

    /// Whether of all that was sent until then is known what became of it, as far as the process has to live for that.
    pub fn is_delivered(&self, told: usize) -> bool {
        self.0.queue.is_settled(told)
    }

    /// Whether nobody waits for it.
    pub fn is_lossy(&self) -> bool {
        self.0.settings.queue.on_full == OnFull::Drop
    }

    /// Whether what is put in has to be written or delivered before it counts as taken.
    pub fn is_waited_for(&self) -> bool {
        self.0.queue.is_on_disk() || self.0.settings.queue.wait_for_result
    }

    /// Begins to put a batch where it counts as taken.
    pub fn keep(&self, batch: Batch) -> Keeping {
        let Shared { queue, counts, .. } = &*self.0;
        let (items, load) = (batch.items(), Load::Batches(vec![batch]));
        let kept = match queue {
            Queue::Memory(_) => {
                self.send(load);
                // What came before goes first, so this is delivered by then.
                Ok(Kept::Sent(self.0.queue.told()))
            }
            Queue::Disk(_) if self.0.loses() && !queue.has_room() => {
                counts.queue_full.add(items);
                Ok(Kept::Known)
            }
            Queue::Disk(queue) => match queue.put(&self.split(load)) {
                Ok(writing) => Ok(Kept::Writing(writing)),
                Err(why) => self.dropped(queue, &why, items).map(|()| Kept::Known),
            },
        };
        Keeping { inlet: self.clone(), kept }
    }

    /// What cannot be written is dropped if nobody is to wait for this exporter, and refused otherwise.
    fn dropped(&self, queue: &DiskQueue, why: &CannotWrite, items: usize) -> Result<(), Refused> {
        if !self.0.loses() {
            return Err(self.0.refused(&format!("cannot be written: {why}")));
        }
        queue.drop_for(why, items);
        Ok(())
    }

    fn split(&self, load: Load) -> Vec<Load> {
        match (load, self.0.settings.split) {
            (Load::Batches(batches), Some(limit)) => {
                batches.iter().flat_map(|batch| batch.split(limit)).map(|batch| Load::Batches(vec![batch])).collect()
            }
            (load, _) => vec![load],
        }
    }
}

impl Keeping {
    /// Waits until all of them have reached the ack points of their queues.
    ///
    /// # Errors
    /// One of them cannot be written. What others have written already is sent, and again when its sender repeats it, which
    /// they count.
    pub async fn all(mut keeping: Vec<Keeping>) -> Result<(), Refused> {
        let mut refused = None;
        let mut kept = Vec::with_capacity(keeping.len());
        for one in &mut keeping {
            match one.kept().await {
                Ok(items) => kept.push((one.inlet.clone(), items)),
                Err(why) => refused = Some(why),
            }
        }
        let Some(refused) = refused else { return Ok(()) };
        for (Inlet(shared), items) in kept {
            if let Queue::Disk(queue) = &shared.queue {
                queue.kept_although_refused(items);
            }
        }
        Err(refused)
    }

    /// Waits until it has reached the ack point; how many items have.
    async fn kept(&mut self) -> Result<usize, Refused> {
        let writing = match &mut self.kept {
            Ok(Kept::Writing(writing)) => writing,
            Ok(Kept::Known) => return Ok(0),
            Ok(Kept::Sent(until)) => return self.inlet.0.delivered_until(*until).await.map(|()| 0),
            Err(refused) => return Err(refused.clone()),
        };
        let items = writing.items();
        if !writing.is_waited_for() {
            return Ok(items);
        }
        let written = writing.written().await;
        self.kept = Ok(Kept::Known);
        let Queue::Disk(queue) = &self.inlet.0.queue else { return Ok(0) };
        match written {
            Ok(()) => Ok(items),
            Err(why) => self.inlet.dropped(queue, &why, items).map(|()| 0),
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        // Whoever waited may have gone.
        if let (Ok(Kept::Writing(writing)), Queue::Disk(queue)) =
            (std::mem::replace(&mut self.kept, Ok(Kept::Known)), &self.inlet.0.queue)
        {
            queue.forget(writing);
        }
    }
}
