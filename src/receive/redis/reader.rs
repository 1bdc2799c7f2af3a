//! Reading one stream: what we were given before, what others left behind, and what is new.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, RedisResult, Value, cmd};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::config::Start;
use super::entry::{END, Entry, of_claim, of_read};
use super::outage::Outage;
use crate::event::Timestamp;
use crate::flow::{Gate, Refused, SharedIntake};
use crate::health::{About, Count, Health, Reception};
use crate::redis::{Link, Server};

/// A consumer of one stream.
pub struct Reader {
    id: String,
    stream: String,
    group: String,
    consumer: String,
    start: Start,
    claim_after: Duration,
    batch: usize,
    dead_letters: bool,
    link: Link,
    intake: SharedIntake,
    gate: Arc<Gate>,
    reception: Reception,
    claimed: Count,
    /// What was handed on and is still to be acknowledged, because the server went away in between.
    unacknowledged: Vec<String>,
    /// The connection over which what we were given before was read.
    connected: u64,
    next_claim: Instant,
}

impl Reader {
    /// How long the server waits for something new.
    const BLOCK: Duration = Duration::from_secs(2);
    /// Entries that `STREAM:dead` keeps, about.
    const MOST_DEAD: usize = 10_000;

    pub fn new(
        id: &str,
        stream: &str,
        config: &Config,
        server: Server,
        (intake, gate): (SharedIntake, Arc<Gate>),
        health: &Health,
    ) -> Reader {
        Reader {
            id: id.to_owned(),
            stream: stream.to_owned(),
            group: config.group.clone(),
            consumer: config.consumer(),
            start: config.start,
            claim_after: config.claim_after.0,
            batch: config.batch,
            dead_letters: config.dead_letters,
            link: Link::new(server),
            intake,
            gate,
            reception: Reception::new(health, id, "stream", "events"),
            claimed: health.counter(CLAIMED, &[("receiver", id)]),
            unacknowledged: Vec::new(),
            connected: 0,
            next_claim: Instant::now(),
        }
    }

    /// Reads until told to stop. A server that is away is waited for.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(&self.id, format!("`{}` of {}", self.stream, self.link.server()));
        while !stop.is_cancelled() {
            match self.turn(&stop).await {
                Ok(()) => outage.is_over(),
                Err(error) => {
                    if is_no_group(&error) {
                        // The stream was deleted, or the server has begun anew, so the group is to be made again.
                        self.connected = 0;
                    }
                    outage.wait(&error, &stop).await;
                }
            }
        }
        self.leave().await;
    }

    /// One look at the stream.
    async fn turn(&mut self, stop: &CancellationToken) -> RedisResult<()> {
        let connected = self.link.ready().await?;
        if connected != self.connected {
            self.join().await?;
            self.acknowledge().await?;
            self.read_own(stop).await?;
            self.connected = connected;
        }
        if self.next_claim <= Instant::now() {
            self.claim(stop).await?;
            self.next_claim = Instant::now() + self.claim_after / 2;
        }
        let block = Reader::BLOCK.min(self.next_claim.saturating_duration_since(Instant::now()));
        // 0 would be for ever.
        let block = block.max(Duration::from_millis(1));
        let mut read = self.read();
        read.arg("BLOCK").arg(block.as_millis() as u64).arg("STREAMS").arg(&self.stream).arg(">");
        let patience = block + Duration::from_secs(5);
        let Some(answer) = stop.run_until_cancelled(self.link.query_within(&read, patience)).await else {
            return Ok(());
        };
        self.take(of_read(answer?), stop).await
    }

    /// Makes the group, and the stream, unless they are there.
    async fn join(&mut self) -> RedisResult<()> {
        let start = if self.start == Start::All { "0" } else { "$" };
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(&self.group).arg(start).arg("MKSTREAM");
        match self.link.query(&create).await {
            Err(error) if error.code() == Some("BUSYGROUP") => {}
            answer => _ = answer?,
        }
        // Should the group be gone one day, nothing in the stream has been read by it.
        self.start = Start::All;
        Ok(())
    }

    /// What this consumer was given before it was restarted, or before the connection broke.
    async fn read_own(&mut self, stop: &CancellationToken) -> RedisResult<()> {
        let mut after = END.to_owned();
        while !stop.is_cancelled() {
            let mut read = self.read();
            read.arg("STREAMS").arg(&self.stream).arg(&after);
            let entries = of_read(self.link.query(&read).await?);
            let Some(last) = entries.last() else { return Ok(()) };
            after.clone_from(&last.id);
            self.take(entries, stop).await?;
        }
        Ok(())
    }

    /// Takes over what others were given and have not acknowledged for so long that they will not.
    async fn claim(&mut self, stop: &CancellationToken) -> RedisResult<()> {
        let mut from = END.to_owned();
        while !stop.is_cancelled() {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(&self.stream).arg(&self.group).arg(&self.consumer).arg(self.claim_after.as_millis() as u64);
            claim.arg(&from).arg("COUNT").arg(self.batch);
            let (next, entries) = of_claim(self.link.query(&claim).await?);
            self.claimed.add(entries.len());
            self.take(entries, stop).await?;
            if next == END {
                break;
            }
            from = next;
        }
        Ok(())
    }

    fn read(&self) -> Cmd {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(self.batch);
        read
    }

    /// Hands entries on, and acknowledges them once that is done.
    async fn take(&mut self, entries: Vec<Entry>, stop: &CancellationToken) -> RedisResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (mut good, mut bad, now) = (Vec::new(), Vec::new(), Timestamp::now());
        let mut events = Vec::new();
        for entry in &entries {
            // One that was deleted after somebody was given it has nothing to tell any more.
            if entry.fields.is_empty() {
                good.push(entry.id.clone());
                continue;
            }
            match entry.events(&self.stream, now) {
                Ok(read) => {
                    events.extend(read);
                    good.push(entry.id.clone());
                }
                Err(error) => bad.push((entry, error.to_string())),
            }
        }
        let bytes = entries.iter().map(Entry::bytes).sum();
        let accepted = good.len();
        while let Err(refused) = self.hand_on(&events, bytes).await {
            self.reception.overloaded.add(1);
            if stop.run_until_cancelled(tokio::time::sleep(refused.retry_after)).await.is_none() {
                // Whoever comes next is given them again.
                return Ok(());
            }
        }
        self.reception.accepted.add(accepted);
        self.unacknowledged.extend(good);
        for (entry, error) in bad {
            self.put_aside(entry, &error).await?;
            self.reception.invalid.add(1);
            self.unacknowledged.push(entry.id.clone());
        }
        self.acknowledge().await
    }

    /// Hands events on, if there is room for them.
    async fn hand_on(&self, events: &[crate::event::Event], bytes: usize) -> Result<(), Refused> {
        let mut held = self.gate.enter()?;
        held.grow(bytes)?;
        held.may_pass()?;
        if events.is_empty() { Ok(()) } else { self.intake.events(events.to_vec()).await }
    }

    async fn acknowledge(&mut self) -> RedisResult<()> {
        if self.unacknowledged.is_empty() {
            return Ok(());
        }
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(&self.stream).arg(&self.group).arg(&self.unacknowledged);
        self.link.query(&acknowledge).await?;
        self.unacknowledged.clear();
        Ok(())
    }

    /// An entry that is no event is said to be none, and kept where somebody can look at it, if that is wanted.
    async fn put_aside(&mut self, entry: &Entry, error: &str) -> RedisResult<()> {
        crate::report::warn(&format!("{}: the entry {} of `{}` is no event: {error}", self.id, entry.id, self.stream));
        if !self.dead_letters {
            return Ok(());
        }
        let mut add = cmd("XADD");
        add.arg(format!("{}:dead", self.stream)).arg("MAXLEN").arg("~").arg(Reader::MOST_DEAD).arg("*");
        add.arg("entry").arg(&entry.id).arg("error").arg(error);
        entry.fields.iter().for_each(|(name, value)| _ = add.arg(name).arg(value));
        self.link.query(&add).await.map(drop)
    }

    /// A consumer that owes nothing leaves the group, so that the group does not remember every process there ever was.
    async fn leave(mut self) {
        let mut owed = cmd("XPENDING");
        owed.arg(&self.stream).arg(&self.group).arg("-").arg("+").arg(1).arg(&self.consumer);
        let mut leave = cmd("XGROUP");
        leave.arg("DELCONSUMER").arg(&self.stream).arg(&self.group).arg(&self.consumer);
        let left = async {
            self.acknowledge().await?;
            match self.link.query(&owed).await? {
                Value::Array(owed) if owed.is_empty() => self.link.query(&leave).await.map(drop),
                _ => Ok(()),
            }
        };
        let left: RedisResult<()> = left.await;
        if let Err(error) = left {
            crate::report::warn(&format!("{}: cannot leave the group of `{}`: {error}", self.id, self.stream));
        }
    }
}

fn is_no_group(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

const CLAIMED: About = About {
    name: "spanlight.receiver.claimed",
    unit: "{entry}",
    help: "Entries of streams that were given to another consumer, which did not acknowledge them in time.",
};
