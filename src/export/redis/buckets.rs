//! Writing what happened by hour and by day: always as it stands, so that nothing is counted twice.

use std::collections::BTreeSet;
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
    /// The keys and fields that this process has written and may write again.
    fields: BTreeSet<(String, String)>,
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
    /// With more processes than this, those that have ended are put together …
    const MOST_APART: usize = 64;
    /// … after so many seconds, in which nothing of them is still on its way.
    const ENDED_FOR: usize = 60;
    /// More than anybody writes who does not run for weeks, and then it is not worth much.
    const MOST_FIELDS: usize = 1000;
    /// How long a process that ends waits to have said so.
    const FAREWELL: Duration = Duration::from_millis(500);
    /// However much happens, the server is left alone for so long.
    const PAUSE: Duration = Duration::from_millis(250);

    pub fn new(link: Link, buckets: SharedBuckets, id: &str, health: &Health) -> BucketWriter {
        show(&buckets, id, health);
        let writer = lock(&buckets).writer();
        let field = format!("raw:{}", lock(&buckets).instance());
        BucketWriter {
            link,
            script: Script::new(include_str!("bucket.lua")),
            fields: BTreeSet::new(),
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
        if self.fields.len() > BucketWriter::MOST_FIELDS {
            self.fields.clear();
        }
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
            BucketWriter::MOST_APART.to_string(),
            BucketWriter::MOST_INSTANCES.to_string(),
            BucketWriter::ENDED_FOR.to_string(),
        ];
        let [sequence, expires, length, apart, most, ended_for] = numbers.each_ref().map(String::as_bytes);
        let sums = snapshot.sums.as_bytes();
        let arguments = [field.as_bytes(), sequence, sums, expires, length, apart, most, ended_for];
        match self.link.run(&self.script, &[&key], &arguments).await {
            Ok(Value::Int(-1)) => {
                let most = BucketWriter::MOST_INSTANCES;
                Err(Outcome::Reject { why: format!("more than {most} processes have counted in it") })
            }
            Ok(_) => {
                self.fields.insert((key, field));
                Ok(())
            }
            Err(error) => Err(failed(&self.link, "buckets", &error)),
        }
    }

    /// The end: what was written is said to be final. What could not be written, or not be said to be, stays as it is.
    pub async fn close(&mut self) {
        if !lock(&self.buckets).unwritten(self.writer).is_empty() {
            return;
        }
        let script = Script::new(include_str!("ended.lua"));
        let farewell = async {
            for (key, field) in std::mem::take(&mut self.fields) {
                if self.link.run(&script, &[&key], &[field.as_bytes()]).await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(BucketWriter::FAREWELL, farewell).await.unwrap_or_default();
    }
}

fn show(buckets: &SharedBuckets, id: &str, health: &Health) {
    let left_out = |reason, pick: fn(LeftOutOfBuckets) -> u64| {
        let buckets = buckets.clone();
        health.total(LEFT_OUT, &[("exporter", id), ("reason", reason)], move || pick(lock(&buckets).left_out()) as f64);
    };
    left_out("too_late", |left_out| left_out.too_late);
    left_out("overflow", |left_out| left_out.overflowed);
    left_out("unwritten", |left_out| left_out.unwritten);
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
