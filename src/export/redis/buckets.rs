//! Writing what happened by hour and by day: always as it stands, so that nothing is counted twice.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Value;

use super::failed;
use crate::export::Outcome;
use crate::health::{About, Count, Health};
use crate::measure::{Buckets, LeftOutOfBuckets, SharedBuckets, Snapshot, Writer};
use crate::redis::{Link, Script};

/// Writes the buckets of this process.
pub struct BucketWriter {
    link: Link,
    script: Script,
    buckets: SharedBuckets,
    writer: Writer,
    /// The field of this process.
    field: String,
    /// The connection that was last written over.
    connected: u64,
    wrote: Option<Instant>,
    refused: Count,
    id: String,
}

impl BucketWriter {
    /// Processes that may have counted in one bucket.
    const MOST_INSTANCES: usize = 10_000;
    /// However much happens, the server is left alone for so long.
    const PAUSE: Duration = Duration::from_millis(250);

    pub fn new(link: Link, buckets: SharedBuckets, id: &str, health: &Health) -> BucketWriter {
        show(&buckets, id, health);
        let writer = lock(&buckets).writer();
        let field = format!("raw:{}", lock(&buckets).instance());
        BucketWriter {
            link,
            script: Script::new(include_str!("bucket.lua")),
            buckets,
            writer,
            field,
            connected: 0,
            wrote: None,
            refused: health.counter(REFUSED, &[("exporter", id)]),
            id: id.to_owned(),
        }
    }

    /// Writes every bucket that has changed since it was last written.
    pub async fn write(&mut self) -> Outcome {
        if let Some(wrote) = self.wrote {
            tokio::time::sleep(BucketWriter::PAUSE.saturating_sub(wrote.elapsed())).await;
        }
        self.wrote = Some(Instant::now());
        match self.link.ready().await {
            // A server that was restarted may have lost what it was told last, or all of it.
            Ok(connected) if connected != self.connected => {
                lock(&self.buckets).write_again(self.writer);
                self.connected = connected;
            }
            Ok(_) => {}
            Err(error) => return failed(&self.link, "buckets", &error),
        }
        let unwritten = lock(&self.buckets).unwritten(self.writer);
        for snapshot in &unwritten {
            match self.write_one(snapshot).await {
                Ok(()) => {}
                Err(Outcome::Reject { why }) => {
                    self.refused.add(1);
                    crate::report::error(&format!("{}: {}: {why}", self.id, snapshot.name()));
                }
                Err(outcome) => return outcome,
            }
            lock(&self.buckets).written(self.writer, snapshot);
        }
        Outcome::DONE
    }

    async fn write_one(&mut self, snapshot: &Snapshot) -> Result<(), Outcome> {
        let key = format!("metrics:{}", snapshot.name());
        let field = match snapshot.part {
            0 => self.field.clone(),
            part => format!("{}.{part}", self.field),
        };
        let numbers = [
            snapshot.sequence.to_string(),
            snapshot.expires().as_seconds().to_string(),
            snapshot.period.length().as_secs().to_string(),
            BucketWriter::MOST_INSTANCES.to_string(),
        ];
        let [sequence, expires, length, most] = numbers.each_ref().map(String::as_bytes);
        let arguments = [field.as_bytes(), sequence, snapshot.sums.as_bytes(), expires, length, most];
        match self.link.run(&self.script, &[&key], &arguments).await {
            Ok(Value::Int(-1)) => {
                let most = BucketWriter::MOST_INSTANCES;
                Err(Outcome::Reject { why: format!("more than {most} processes have counted in it") })
            }
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&self.link, "buckets", &error)),
        }
    }
}

fn show(buckets: &SharedBuckets, id: &str, health: &Health) {
    let left_out: [(&str, fn(LeftOutOfBuckets) -> u64); 3] = [
        ("too_late", |left_out| left_out.too_late),
        ("overflow", |left_out| left_out.overflowed),
        ("unwritten", |left_out| left_out.unwritten),
    ];
    for (reason, pick) in left_out {
        let buckets = buckets.clone();
        health.total(LEFT_OUT, &[("exporter", id), ("reason", reason)], move || pick(lock(&buckets).left_out()) as f64);
    }
}

fn lock(buckets: &SharedBuckets) -> MutexGuard<'_, Buckets> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

const LEFT_OUT: About = About {
    name: "spanlight.buckets.left_out",
    unit: "{measurement}",
    help: "Measurements that no bucket has, or only under `(others)`, and buckets that were never written, by reason.",
};
const REFUSED: About = About {
    name: "spanlight.buckets.refused",
    unit: "{bucket}",
    help: "Buckets that the server refuses for good, each time it does.",
};
