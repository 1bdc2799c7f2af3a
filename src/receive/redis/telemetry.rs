//! Reading telemetry out of partitions that collectors share: each has some of them, and with them all that is of a trace.
//!
//! An entry stays where it is until the run that it tells of is over and what was told of it is delivered, so whoever gets
//! the partition next reads again what it needs. To whoever comes too late nothing is given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::RedisResult;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::entry::{END, Entry};
use super::held::Held;
use super::outage::Outage;
use super::share::{From, Lease, Share};
use crate::event::TraceId;
use crate::flow::{Gate, Refused, SharedIntake};
use crate::health::{About, Count, Health, Reception};
use crate::otlp::{Batch, Signal};
use crate::redis::{Link, Server};

/// One of those that share.
pub struct TelemetryReader {
    id: String,
    share: Share,
    session: Duration,
    replay: Duration,
    batch: usize,
    intake: SharedIntake,
    gate: Arc<Gate>,
    receptions: Vec<(Signal, Reception)>,
    rebalances: Count,
    /// For whoever looks: how many partitions are ours, and how many entries of them are still there.
    shown: Arc<(AtomicUsize, AtomicUsize)>,
    ours: BTreeMap<u32, Ours>,
    next_renewal: Instant,
    next_settling: Instant,
}

/// A partition that is ours.
struct Ours {
    lease: Lease,
    from: From,
    /// The last entry that we know of.
    last: String,
    held: Held,
    /// Since when somebody else is to have it. Nothing is read of it any more, and it goes once what was told is delivered.
    goes_since: Option<Instant>,
}

impl Ours {
    fn new(lease: Lease) -> Ours {
        let (from, last) = (From::Again(END.to_owned()), END.to_owned());
        Ours { lease, from, last, held: Held::default(), goes_since: None }
    }
}

/// An entry on its way into the pipelines.
struct Taken {
    lease: Lease,
    entry: String,
    trace: Option<TraceId>,
    batch: Option<Batch>,
}

impl TelemetryReader {
    /// How often it is looked for what is over.
    const SETTLE: Duration = Duration::from_millis(250);
    /// How long what was told is waited for before others have it, so that nobody tells and counts it again.
    const LAST: Duration = Duration::from_secs(5);

    /// Of no partition yet.
    pub fn new(
        id: &str,
        name: &str,
        config: &Config,
        server: Server,
        (intake, gate): (SharedIntake, Arc<Gate>),
        health: &Health,
    ) -> TelemetryReader {
        let (session, now, labels) = (config.otlp.session_timeout.0, Instant::now(), [("receiver", id)]);
        let reception = |signal: Signal| (signal, Reception::new(health, id, "partitions", signal.name()));
        // A process that is started again under the same name is another: what it knew is gone.
        let member = format!("{} {}", config.consumer(), uuid::Uuid::new_v4().simple());
        let shown = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let of = shown.clone();
        health.gauge(PARTITIONS, &labels, move || of.0.load(Relaxed) as f64);
        let of = shown.clone();
        health.gauge(HELD, &labels, move || of.1.load(Relaxed) as f64);
        TelemetryReader {
            id: id.to_owned(),
            share: Share::new(Link::new(server), name, member, session),
            session,
            replay: config.otlp.replay.0,
            batch: config.batch,
            receptions: Signal::ALL.into_iter().map(reception).collect(),
            intake,
            gate,
            rebalances: health.counter(REBALANCES, &labels),
            shown,
            ours: BTreeMap::new(),
            next_renewal: now,
            next_settling: now,
        }
    }

    /// Reads until told to stop. A server that is away is waited for.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(&self.id, format!("partitions of {}", self.share.server()));
        while !stop.is_cancelled() {
            match self.turn(&stop).await {
                Ok(()) => outage.is_over(),
                Err(error) => outage.wait(&error, &stop).await,
            }
        }
        if let Err(error) = self.leave().await {
            crate::report::warn(&format!("{}: partitions cannot be given back: {error}", self.id));
        }
    }

    /// One look at all partitions.
    async fn turn(&mut self, stop: &CancellationToken) -> RedisResult<()> {
        self.renew_in_time().await?;
        if self.next_settling <= Instant::now() {
            self.settle().await?;
            self.next_settling = Instant::now() + TelemetryReader::SETTLE;
        }
        let taken = self.read().await?;
        if !taken.is_empty() {
            return self.hand_on(taken, stop).await;
        }
        let stays = || self.ours.values().filter(|ours| ours.goes_since.is_none());
        if stays().any(|ours| matches!(ours.from, From::Again(_))) {
            return Ok(());
        }
        let next = self.next_renewal.min(self.next_settling).saturating_duration_since(Instant::now());
        let last: BTreeMap<u32, String> = stays().map(|ours| (ours.lease.partition, ours.last.clone())).collect();
        if last.is_empty() {
            stop.run_until_cancelled(tokio::time::sleep(next)).await;
            return Ok(());
        }
        stop.run_until_cancelled(self.share.wait(&last, next)).await.unwrap_or(Ok(()))
    }

    /// Says that we are alive, if it is time, and takes note of what is ours now.
    async fn renew_in_time(&mut self) -> RedisResult<()> {
        if self.next_renewal > Instant::now() {
            return Ok(());
        }
        let leases = self.share.renew().await?;
        let now = Instant::now();
        self.next_renewal = now + self.session / 4;
        let is_ours = |lease: &Lease| leases.iter().any(|(ours, _)| ours == lease);
        let lost = self.ours.values().map(|ours| &ours.lease).filter(|lease| !is_ours(lease));
        let lost: Vec<u32> = lost.map(|lease| lease.partition).collect();
        self.lose(&lost);
        for (lease, goes) in leases {
            let ours = self.ours.entry(lease.partition).or_insert_with(|| Ours::new(lease));
            ours.goes_since = ours.goes_since.or(Some(now)).filter(|_| goes);
        }
        self.show();
        Ok(())
    }

    /// Whoever has these partitions now goes on with what is in progress there; here it would count as lost one day.
    fn lose(&mut self, partitions: &[u32]) {
        for partition in partitions {
            let Some(ours) = self.ours.remove(partition) else { continue };
            self.rebalances.add(1);
            let mut traces: Vec<TraceId> = ours.held.traces().collect();
            traces.sort_unstable();
            traces.dedup();
            self.intake.forget(&traces);
        }
    }

    fn show(&self) {
        self.shown.0.store(self.ours.len(), Relaxed);
        self.shown.1.store(self.ours.values().map(|ours| ours.held.len()).sum(), Relaxed);
    }

    /// What there is to read.
    async fn read(&mut self) -> RedisResult<Vec<Taken>> {
        let read = self.ours.values().filter(|ours| ours.goes_since.is_none());
        let from: Vec<(&Lease, &From)> = read.map(|ours| (&ours.lease, &ours.from)).collect();
        if from.is_empty() {
            return Ok(Vec::new());
        }
        let read = match self.share.read(&from, (self.batch / from.len()).max(1)).await {
            Ok(read) => read,
            Err(error) => {
                // We may have been given something without having heard of it.
                self.ours.values_mut().for_each(|ours| ours.from = From::Again(ours.last.clone()));
                return Err(error);
            }
        };
        let (mut taken, mut lost) = (Vec::new(), Vec::new());
        for (ours, entries) in self.ours.values_mut().filter(|ours| ours.goes_since.is_none()).zip(read) {
            let Some(entries) = entries else {
                lost.push(ours.lease.partition);
                continue;
            };
            match (entries.last(), &mut ours.from) {
                (Some(entry), From::Again(id)) => id.clone_from(&entry.id),
                (None, from @ From::Again(_)) => *from = From::New,
                _ => {}
            }
            entries.last().iter().for_each(|entry| ours.last.clone_from(&entry.id));
            let of_ours = entries.into_iter().map(|entry| (ours.lease.clone(), entry));
            taken.extend(of_ours);
        }
        self.lose(&lost);
        Ok(taken.into_iter().map(|(lease, entry)| self.taken(lease, &entry)).collect())
    }

    /// Reads an entry. One that cannot be read, or that nobody takes, is counted and passed over.
    fn taken(&self, lease: Lease, entry: &Entry) -> Taken {
        let field = |name: &str| entry.field(name).unwrap_or_default();
        let signal = Signal::ALL.into_iter().find(|signal| signal.name().as_bytes() == field("signal"));
        let trace = std::str::from_utf8(field("trace")).ok().and_then(TraceId::from_hex);
        let read = match signal {
            // It was taken out after somebody was given it.
            _ if entry.fields.is_empty() => Ok(None),
            None => Err("it names no signal".to_owned()),
            Some(signal) if !self.intake.takes(signal) => Err(format!("no pipeline takes {signal} from here")),
            Some(signal) => {
                let read = Batch::read(signal, field("otlp").to_vec().into());
                read.map(|received| Some(received.batch)).map_err(|error| error.to_string())
            }
        };
        let batch = read.unwrap_or_else(|why| {
            self.receptions.iter().find(|(of, _)| Some(*of) == signal).iter().for_each(|(_, it)| it.invalid.add(1));
            let partition = lease.partition;
            crate::report::warn(&format!(
                "{}: the entry {} of partition {partition} is left out: {why}",
                self.id, entry.id
            ));
            None
        });
        Taken { lease, entry: entry.id.clone(), trace: trace.filter(|_| batch.is_some()), batch }
    }

    /// Hands entries on, however long it takes. Meanwhile nothing else is read, and the others hear of us.
    async fn hand_on(&mut self, mut taken: Vec<Taken>, stop: &CancellationToken) -> RedisResult<()> {
        for at in 0..self.receptions.len() {
            while let Some(batch) = self.put_together(&mut taken, self.receptions[at].0) {
                let items = batch.items();
                let reception = &self.receptions[at].1;
                let Err(refused) = self.offer(batch).await else {
                    reception.accepted.add(items);
                    break;
                };
                reception.overloaded.add(1);
                let pause = refused.retry_after.min(self.session / 4);
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    // Whoever comes next is given them again.
                    return Ok(());
                }
                // A server that is away is no reason to let go of what we have; the next turn says so.
                _ = self.renew_in_time().await.is_err();
            }
        }
        let now = Instant::now();
        for Taken { lease, entry, trace, .. } in taken {
            if let Some(ours) = self.ours.get_mut(&lease.partition).filter(|ours| ours.lease == lease) {
                ours.held.took(entry, trace, now);
            }
        }
        Ok(())
    }

    /// What entries say in a signal. What went to somebody else meanwhile is theirs.
    fn put_together(&self, taken: &mut Vec<Taken>, signal: Signal) -> Option<Batch> {
        taken.retain(|taken| self.ours.get(&taken.lease.partition).is_some_and(|ours| ours.lease == taken.lease));
        let batches = taken.iter().filter_map(|taken| taken.batch.clone());
        Batch::merge(&batches.filter(|batch| batch.signal() == signal).collect::<Vec<_>>())
    }

    /// Offers telemetry to the pipelines, if there is room for it.
    async fn offer(&self, batch: Batch) -> Result<(), Refused> {
        let mut held = self.gate.enter()?;
        held.grow(batch.bytes().len())?;
        held.may_pass()?;
        self.intake.batch(batch).await
    }

    /// Takes out what nobody needs any more.
    async fn settle(&mut self) -> RedisResult<()> {
        let oldest = Instant::now().checked_sub(self.replay);
        let mut known = HashMap::new();
        for ours in self.ours.values_mut() {
            let intake = &self.intake;
            let is_in_progress = |trace| *known.entry(trace).or_insert_with(|| intake.is_in_progress(trace));
            let done = ours.held.done(oldest, is_in_progress, || intake.told(), |told| intake.is_delivered(told));
            if let Err(error) = self.share.done(&ours.lease, &done).await {
                ours.held.not_done(done);
                return Err(error);
            }
        }
        self.give_back().await?;
        self.show();
        Ok(())
    }

    /// Gives back what others are to have, once nothing of it would be told and counted again there.
    async fn give_back(&mut self) -> RedisResult<()> {
        let is_ready = |ours: &&Ours| {
            let waited = ours.goes_since.map(|since| since.elapsed());
            waited.is_some_and(|waited| ours.held.settling() == 0 || waited > TelemetryReader::LAST)
        };
        let leases: Vec<Lease> = self.ours.values().filter(is_ready).map(|ours| ours.lease.clone()).collect();
        for lease in leases {
            self.share.give(&lease).await?;
            self.lose(&[lease.partition]);
        }
        Ok(())
    }

    /// Gives everything back. What is over is let out first, so that nobody tells and counts it again.
    async fn leave(&mut self) -> RedisResult<()> {
        let deadline = Instant::now() + TelemetryReader::LAST;
        self.settle().await?;
        while self.ours.values().any(|ours| ours.held.settling() > 0) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.settle().await?;
        }
        let all: Vec<u32> = self.ours.keys().copied().collect();
        self.lose(&all);
        self.share.leave().await
    }
}

const REBALANCES: About = About {
    name: "spanlight.receiver.rebalances",
    unit: "{rebalance}",
    help: "How often the partitions of Kafka were shared anew among the group that this process is of; and partitions of Redis \
           that went from this process to another.",
};
const PARTITIONS: About = About {
    name: "spanlight.receiver.partitions",
    unit: "{partition}",
    help: "Partitions of Kafka or Redis that this process reads.",
};
const HELD: About = About {
    name: "spanlight.receiver.held",
    unit: "{message}",
    help: "Messages of Kafka that were taken and are not committed, because runs that they may tell of are in progress; and \
           entries of Redis that were taken and are not let go of.",
};
