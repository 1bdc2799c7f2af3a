//! Reading all of a stream of events, for whoever listens here: under offsets that are made from the entries, so that they
//! are the same for all collectors that read it, and whoever goes from one to another goes on where he was.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisResult, Value, cmd};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::config::Start;
use super::entry::{END, Entry, list, of_read};
use super::outage::Outage;
use crate::event::{Event, Timestamp};
use crate::flow::{Gate, Mirrored, Record, Refused, SharedIntake, SharedRecord};
use crate::health::{Health, Reception};
use crate::redis::{Link, Server};

/// Whoever reads all of a stream.
pub struct MirrorReader {
    id: String,
    stream: String,
    start: Start,
    batch: usize,
    link: Link,
    intake: SharedIntake,
    gate: Arc<Gate>,
    reception: Reception,
    /// The connection over which it was looked what there is.
    connected: u64,
    /// The last entry that was read; nothing before it is known where to begin.
    last: Option<String>,
    /// The offset behind its events.
    head: u64,
    /// The last entry that was there when reading began, until it is reached.
    behind: Option<u64>,
}

impl MirrorReader {
    /// How long the server waits for something new.
    const BLOCK: Duration = Duration::from_secs(2);

    /// Nothing is connected yet.
    pub fn new(
        id: &str,
        stream: &str,
        config: &Config,
        server: Server,
        (intake, gate): (SharedIntake, Arc<Gate>),
        health: &Health,
    ) -> MirrorReader {
        MirrorReader {
            id: id.to_owned(),
            stream: stream.to_owned(),
            start: config.start,
            batch: config.batch,
            link: Link::new(server),
            intake,
            gate,
            reception: Reception::new(health, id, "stream", "events"),
            connected: 0,
            last: None,
            head: 0,
            behind: None,
        }
    }

    /// Reads until told to stop. A server that is away is waited for.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(&self.id, format!("`{}` of {}", self.stream, self.link.server()));
        while !stop.is_cancelled() {
            match self.turn(&stop).await {
                Ok(()) => outage.is_over(),
                Err(error) => outage.wait(&error, &stop).await,
            }
        }
    }

    /// One look at the stream.
    async fn turn(&mut self, stop: &CancellationToken) -> RedisResult<()> {
        let connected = self.link.ready().await?;
        if connected != self.connected {
            self.look().await?;
            self.connected = connected;
        }
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(self.batch).arg("BLOCK").arg(MirrorReader::BLOCK.as_millis() as u64);
        read.arg("STREAMS").arg(&self.stream).arg(self.last.as_deref().unwrap_or(END));
        let patience = MirrorReader::BLOCK + Duration::from_secs(5);
        match stop.run_until_cancelled(self.link.query_within(&read, patience)).await {
            Some(answer) => {
                self.take(of_read(answer?), stop).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Looks where the stream begins and ends. What was trimmed before it was read is missing, and is said to whoever has
    /// not come further.
    async fn look(&mut self) -> RedisResult<()> {
        let oldest = self.one("XRANGE", "-", "+").await?;
        let newest = self.one("XREVRANGE", "+", "-").await?;
        let first = match (&oldest, &newest) {
            (_, Some(newest)) if self.last.is_none() && self.start == Start::New => {
                self.last = Some(newest.id.clone());
                self.head = newest.offset() + 1;
                Some(self.head)
            }
            (Some(oldest), _) if self.is_cut_before(oldest).await? => {
                if self.last.is_some() {
                    crate::report::warn(&format!(
                        "{}: what was added to `{}` until {} was trimmed before it was read; a longer stream keeps it for longer",
                        self.id, self.stream, oldest.id
                    ));
                }
                Some(oldest.offset())
            }
            _ => None,
        };
        if self.last.is_none() {
            self.last = Some(END.to_owned());
        }
        self.behind = newest.map(|newest| newest.offset()).filter(|newest| *newest >= self.head);
        self.show(Vec::new(), first);
        Ok(())
    }

    /// Whether something is missing before the oldest entry that was not read. Where nothing was read yet the stream may have
    /// been empty, so that the oldest entry is just the first.
    async fn is_cut_before(&mut self, oldest: &Entry) -> RedisResult<bool> {
        if self.head > 0 { Ok(oldest.offset() >= self.head) } else { self.was_trimmed().await }
    }

    /// Whether there were entries once that are not there any more. Servers that do not say so may have trimmed some.
    async fn was_trimmed(&mut self) -> RedisResult<bool> {
        let Value::Array(said) = self.link.query(cmd("XINFO").arg("STREAM").arg(&self.stream)).await? else {
            return Ok(true);
        };
        let number = |name: &str| {
            let at = said.iter().position(|word| matches!(word, Value::BulkString(word) if word == name.as_bytes()))?;
            match said.get(at + 1) {
                Some(Value::Int(number)) => Some(*number),
                _ => None,
            }
        };
        Ok(number("entries-added").is_none_or(|added| Some(added) != number("length")))
    }

    async fn one(&mut self, command: &str, from: &str, to: &str) -> RedisResult<Option<Entry>> {
        let mut range = cmd(command);
        range.arg(&self.stream).arg(from).arg(to).arg("COUNT").arg(1);
        Ok(list(self.link.query(&range).await?).pop())
    }

    /// Hands entries on, however long it takes.
    async fn take(&mut self, entries: Vec<Entry>, stop: &CancellationToken) {
        let Some(last) = entries.last().map(|entry| entry.id.clone()) else { return };
        let (now, bytes) = (Timestamp::now(), entries.iter().map(Entry::bytes).sum());
        let (mut records, mut head): (Vec<(u64, SharedRecord)>, u64) = (Vec::new(), self.head);
        for entry in &entries {
            match entry.events(&self.stream, now) {
                Ok(read) => {
                    for event in read {
                        // Several in one entry stand behind each other.
                        let offset = entry.offset().max(head);
                        head = offset + 1;
                        records.push((offset, Arc::new(record(event, entry))));
                    }
                }
                Err(error) => {
                    self.reception.invalid.add(1);
                    let (id, stream) = (&self.id, &self.stream);
                    crate::report::warn(&format!("{id}: the entry {} of `{stream}` is no event: {error}", entry.id));
                }
            }
        }
        while let Err(refused) = self.hand_on(&records, bytes).await {
            self.reception.overloaded.add(1);
            if stop.run_until_cancelled(tokio::time::sleep(refused.retry_after)).await.is_none() {
                return;
            }
        }
        self.reception.accepted.add(records.len());
        let read_to = entries.last().map_or(head, |entry| entry.offset() + 1);
        (self.last, self.head) = (Some(last), head.max(read_to));
        self.behind = self.behind.filter(|newest| *newest >= self.head);
        self.show(records, None);
    }

    fn show(&self, events: Vec<(u64, SharedRecord)>, first: Option<u64>) {
        let is_behind = self.behind.is_some();
        self.intake.mirror(&Mirrored { events, first, head: self.head, is_behind });
    }

    /// Hands events on to the agent connector, if there is room for them.
    async fn hand_on(&self, records: &[(u64, SharedRecord)], bytes: usize) -> Result<(), Refused> {
        let mut held = self.gate.enter()?;
        held.grow(bytes)?;
        held.may_pass()?;
        if records.is_empty() {
            return Ok(());
        }
        self.intake.events(records.iter().map(|(_, record)| record.event().clone()).collect()).await
    }
}

/// The event as the stream has it, if it stands there as we write it.
fn record(event: Event, entry: &Entry) -> Record {
    match (entry.field("event_id"), entry.field("event")) {
        (Some(_), Some(json)) => Record::of_json(event, json),
        _ => Record::new(event),
    }
}
