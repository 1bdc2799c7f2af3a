//! Writing telemetry: by trace into the streams of partitions, from which collectors derive that share them.

use redis::{RedisResult, Value, cmd};
use xxhash_rust::xxh3::xxh3_64;

use super::{Config, failed};
use crate::event::TraceId;
use crate::export::{Load, Outcome};
use crate::otlp::Batch;
use crate::redis::{Link, Partitions, Script, beside};

/// Writes loads in order, each once.
pub struct TelemetryWriter {
    link: Link,
    script: Script,
    partitions: Partitions,
    /// How many partitions there are to be if nobody has said so yet, and how many there are, asked over which connection.
    wanted: u32,
    agreed: Option<(u64, u32)>,
    most: String,
    /// Where the server remembers the number of the last load of this writer.
    written: String,
    number: u64,
    load: Option<Load>,
    id: String,
}

impl TelemetryWriter {
    /// For so many seconds, a day, it is known what was written.
    const REMEMBERED: &'static str = "86400";

    pub fn new(link: Link, name: &str, config: &Config, id: &str) -> TelemetryWriter {
        TelemetryWriter {
            link,
            script: Script::new(include_str!("telemetry.lua")),
            partitions: Partitions::of(name),
            wanted: config.otlp.partitions,
            agreed: None,
            most: config.otlp.partition_max_length.to_string(),
            written: beside(name, &format!("writer:{}", uuid::Uuid::new_v4().simple())),
            number: 0,
            load: None,
            id: id.to_owned(),
        }
    }

    /// Writes a load once, however often it is tried.
    pub async fn write(&mut self, load: &Load) -> Outcome {
        let Load::Batches(batches) = load else {
            return Outcome::Reject { why: "only telemetry has a place in partitions".into() };
        };
        if !self.load.as_ref().is_some_and(|known| known.is_same(load)) {
            self.load = Some(load.clone());
            self.number += 1;
        }
        let written = match self.count().await {
            Ok(count) => self.add(batches, count).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(None) => {
                self.load = None;
                Outcome::DONE
            }
            Ok(Some(stream)) => Outcome::retry(format!(
                "{} has no room in {stream}: nobody derives from it, or not as fast as telemetry comes",
                self.link.server()
            )),
            Err(error) => failed(&self.link, "telemetry", &error),
        }
    }

    /// The stream that is full, if one is.
    async fn add(&mut self, batches: &[Batch], count: u32) -> RedisResult<Option<String>> {
        let Some(batch) = Batch::merge(batches) else { return Ok(None) };
        let messages = batch.by_trace();
        let mut partitions: Vec<u32> = messages.iter().map(|(trace, _)| partition(*trace, count)).collect();
        let places = partitions.clone();
        partitions.sort_unstable();
        partitions.dedup();
        let streams: Vec<String> = partitions.iter().map(|partition| self.partitions.stream(*partition)).collect();
        let mut keys = vec![self.written.as_str()];
        keys.extend(streams.iter().map(String::as_str));
        let described: Vec<(String, String)> = messages
            .iter()
            .zip(places)
            .map(|((trace, _), place)| {
                let stream = partitions.partition_point(|partition| *partition < place) + 1;
                (stream.to_string(), trace.map(|trace| trace.to_string()).unwrap_or_default())
            })
            .collect();
        let number = self.number.to_string();
        let mut arguments = vec![number.as_bytes(), self.most.as_bytes(), TelemetryWriter::REMEMBERED.as_bytes()];
        for ((_, batch), (stream, trace)) in messages.iter().zip(&described) {
            arguments.extend([stream.as_bytes(), batch.signal().name().as_bytes(), trace.as_bytes(), batch.bytes()]);
        }
        match self.link.run(&self.script, &keys, &arguments).await? {
            Value::Nil => Ok(None),
            full => redis::from_redis_value(full).map(Some).map_err(Into::into),
        }
    }

    /// How many partitions there are: what whoever came first has said, since a trace has one place only if all agree.
    async fn count(&mut self) -> RedisResult<u32> {
        let connected = self.link.ready().await?;
        if let Some((asked, count)) = self.agreed
            && asked == connected
        {
            return Ok(count);
        }
        let mut say = cmd("SETNX");
        self.link.query(say.arg(self.partitions.count()).arg(self.wanted)).await?;
        let count: u32 = redis::from_redis_value(self.link.query(cmd("GET").arg(self.partitions.count())).await?)?;
        let count = count.max(1);
        if count != self.wanted && self.agreed.is_none_or(|(_, known)| known != count) {
            let (id, key, wanted) = (&self.id, self.partitions.count(), self.wanted);
            crate::report::warn(&format!("{id}: there are {count} partitions, as {key} says, and not {wanted}"));
        }
        self.agreed = Some((connected, count));
        Ok(count)
    }
}

/// Where all is that is of a trace. What is of none has one place too, because sums and sessions need one reader.
fn partition(trace: Option<TraceId>, count: u32) -> u32 {
    trace.map_or(0, |trace| (xxh3_64(trace.as_bytes()) % u64::from(count)) as u32)
}
