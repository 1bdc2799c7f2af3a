//! Where senders put things: whether there is room, and what has been taken once it counts as taken.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::pump::Shared;
use super::queue::disk::{CannotWrite, DiskQueue, Writing};
use super::queue::{Load, NotTaken, Queue};
use crate::flow::Refused;
use crate::otlp::Batch;

/// What senders need of a pump.
#[derive(Clone)]
pub struct Inlet(Arc<Shared>);

/// A batch on its way into a queue on disk. If nobody waits for it, it is written all the same.
#[must_use = "whether it was written is known only to whoever waits for it"]
pub struct Keeping {
    inlet: Inlet,
    /// Nothing if it was dropped, or it is known what became of it.
    writing: Result<Option<Writing>, Refused>,
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

    /// Whether what is put in has to be written before it counts as taken.
    pub fn is_on_disk(&self) -> bool {
        self.0.queue.is_on_disk()
    }

    /// Begins to put a batch into a queue on disk.
    pub fn keep(&self, batch: Batch) -> Keeping {
        let Shared { queue, counts, .. } = &*self.0;
        let (items, load) = (batch.items(), Load::Batches(vec![batch]));
        let writing = match queue {
            Queue::Memory(_) => {
                self.send(load);
                Ok(None)
            }
            Queue::Disk(_) if self.0.loses() && !queue.has_room() => {
                counts.queue_full.add(items);
                Ok(None)
            }
            Queue::Disk(queue) => match queue.put(&self.split(load)) {
                Ok(writing) => Ok(Some(writing)),
                Err(why) => self.dropped(queue, &why, items).map(|()| None),
            },
        };
        Keeping { inlet: self.clone(), writing }
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
        let writing = match &mut self.writing {
            Ok(Some(writing)) => writing,
            Ok(None) => return Ok(0),
            Err(refused) => return Err(refused.clone()),
        };
        let items = writing.items();
        if !writing.is_waited_for() {
            return Ok(items);
        }
        let written = writing.written().await;
        self.writing = Ok(None);
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
        if let (Ok(Some(writing)), Queue::Disk(queue)) =
            (std::mem::replace(&mut self.writing, Ok(None)), &self.inlet.0.queue)
        {
            queue.forget(writing);
        }
    }
}
