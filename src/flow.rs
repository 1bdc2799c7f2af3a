//! Between the stages: what receivers hand on, and what they may be told.
//!
//! Receivers and exporters never meet. A receiver knows an [`Intake`]; what is behind it is the pipeline's
//! business.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::event::{Event, EventWriter, TraceId};
use crate::otlp::{Batch, Signal};

/// An event on its way to sinks. Its JSON is made once for all who ask after it.
#[derive(Debug)]
pub struct Record {
    event: Event,
    json: OnceLock<Box<str>>,
}

/// A record as sinks share it.
pub type SharedRecord = Arc<Record>;

impl Record {
    /// Of an event.
    pub fn new(event: Event) -> Record {
        Record { event, json: OnceLock::new() }
    }

    /// Of an event that was read from its JSON.
    pub fn of_json(event: Event, json: &[u8]) -> Record {
        Record { event, json: OnceLock::from(Box::from(String::from_utf8_lossy(json))) }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event, for whoever alone has the record.
    pub fn into_event(self) -> Event {
        self.event
    }

    /// The event as one line of JSON, without a line end.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| self.event.to_json().into())
    }

    /// Whether its JSON was made.
    pub fn has_json(&self) -> bool {
        self.json.get().is_some()
    }

    /// Writes the same behind others. It is not kept for those who ask after it: keeping takes longer than writing.
    pub fn write_json<'r>(&'r self, writer: &mut EventWriter<'_, 'r>) {
        match self.json.get() {
            Some(json) => writer.push(json.as_bytes()),
            None => writer.write(&self.event),
        }
    }

    /// Makes the JSON of records for those who ask after it, in less time than one after the other.
    pub fn have_json(records: &[SharedRecord]) {
        /// Enough that most share with the one before; few, because long ones are in memory twice meanwhile.
        const AT_ONCE: usize = 16;
        let mut room = Vec::new();
        for records in records.chunks(AT_ONCE) {
            room.clear();
            let mut writer = EventWriter::new(&mut room);
            let mut ends = Vec::with_capacity(records.len());
            let lacking: Vec<_> = records.iter().filter(|record| !record.has_json()).collect();
            for record in &lacking {
                writer.write(&record.event);
                ends.push(writer.len());
            }
            let mut begin = 0;
            for (record, end) in lacking.into_iter().zip(ends) {
                let json = std::str::from_utf8(&room[begin..end]).unwrap_or_default();
                record.json.get_or_init(|| json.into());
                begin = end;
            }
        }
    }
}

/// Where a receiver hands its input to.
pub trait Intake: Send + Sync + 'static {
    /// Whether anything wants telemetry of this kind.
    fn takes(&self, signal: Signal) -> bool;

    /// Whether anything wants events.
    fn takes_events(&self) -> bool;

    /// Takes a batch over. Once this returns `Ok`, what it holds has reached the configured ack point.
    fn batch(&self, batch: Batch) -> Acknowledged<'_>;

    /// Takes events over, likewise.
    fn events(&self, events: Vec<Event>) -> Acknowledged<'_>;

    /// Takes events over that may have been told before, likewise, and leaves those out that are known; how many that is.
    fn import(&self, events: Vec<Event>) -> Imported<'_> {
        Box::pin(async move { self.events(events).await.map(|()| 0) })
    }

    /// Whether work of a trace is in progress, so that what has come of it is needed again by whoever goes on with it.
    fn is_in_progress(&self, _: TraceId) -> bool {
        false
    }

    /// Forgets the work of traces that is in progress: somebody else goes on with it, and counts and tells all of it.
    fn forget(&self, _: &[TraceId]) {}

    /// How much was told and counted until now; what waits for company goes out.
    fn told(&self) -> Told {
        Told::new()
    }

    /// Whether all that was told and counted until then is where it was to go.
    fn is_delivered(&self, _: &Told) -> bool {
        true
    }

    /// Takes over for whoever listens what stands in a log that other collectors read as well.
    fn mirror(&self, _: &Mirrored) {}
}

/// A part of a log of events that several collectors read, and show under the same offsets.
#[derive(Clone, Debug, Default)]
pub struct Mirrored {
    /// Events with their offsets there, in order.
    pub events: Vec<(u64, SharedRecord)>,
    /// The offset before which there is nothing that could be had, if that is known to have changed.
    pub first: Option<u64>,
    /// The offset behind all of it.
    pub head: u64,
    /// Whether there was more when reading began.
    pub is_behind: bool,
}

/// How much was sent to each of the exporters that are told what comes of an input.
pub type Told = Vec<usize>;

/// The answer to events that are imported: how many were known.
pub type Imported<'a> = Pin<Box<dyn Future<Output = Result<usize, Refused>> + Send + 'a>>;

/// The answer to an input, once it is known.
pub type Acknowledged<'a> = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send + 'a>>;

/// An intake as receivers share it.
pub type SharedIntake = Arc<dyn Intake>;

/// Why an input was not taken. Nothing of it was; the sender may try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What stands in the way, for the sender's log.
    pub reason: String,
    /// When it makes sense to try again.
    pub retry_after: Duration,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try again in {}", self.reason, crate::duration::display(self.retry_after))
    }
}

impl std::error::Error for Refused {}

/// Admission by memory: what is being read and worked on is counted, and when memory is short nothing more is
/// let in, before its body is read. At the end nothing is let in any more.
#[derive(Debug)]
pub struct Gate {
    short_of_memory: AtomicBool,
    scarce: AtomicBool,
    closed: AtomicBool,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// Bytes let in since memory was last looked at.
    unseen: AtomicUsize,
    meter: OnceLock<Meter>,
}

/// Who says how much room there is.
struct Meter {
    /// Bytes let in after which to ask again.
    every: usize,
    look: Box<dyn Fn() -> Room + Send + Sync>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("every", &self.every).finish_non_exhaustive()
    }
}

/// The memory that there is for requests, in bytes of those that may be in memory at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So much, and a request that is alone may take more.
    For(usize),
    /// No more than this.
    Only(usize),
    /// None at all.
    None,
}

/// Bytes of a request that are in memory; dropping it lets them go.
#[derive(Debug)]
pub struct Held<'g> {
    gate: &'g Gate,
    bytes: usize,
}

impl Gate {
    /// Bytes of requests that may be in memory at a time, unless a memory limiter says otherwise.
    pub const MOST_IN_FLIGHT: usize = 256 << 20;
    const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// An open gate.
    pub fn new() -> Gate {
        Gate {
            short_of_memory: AtomicBool::new(false),
            scarce: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(Gate::MOST_IN_FLIGHT),
            unseen: AtomicUsize::new(0),
            meter: OnceLock::new(),
        }
    }

    /// Asks `look` how much room there is, now and whenever so many bytes more came in. There is one for good.
    pub fn measure(&self, every: usize, look: impl Fn() -> Room + Send + Sync + 'static) {
        self.meter.get_or_init(|| Meter { every, look: Box::new(look) });
        self.look();
    }

    /// Asks how much room there is.
    pub fn look(&self) {
        if let Some(meter) = self.meter.get() {
            self.unseen.store(0, Relaxed);
            self.has_room((meter.look)());
        }
    }

    /// Notes that so many bytes came in, whoever has them. A timer alone would look at memory too late where there is much to
    /// do, by seconds, which is when memory fills.
    pub fn let_in(&self, bytes: usize) {
        let unseen = self.unseen.fetch_add(bytes, Relaxed) + bytes;
        if self.meter.get().is_some_and(|meter| unseen >= meter.every) {
            self.look();
        }
    }

    /// Says how much memory there is for requests.
    pub fn has_room(&self, room: Room) {
        let (most, scarce) = match room {
            Room::For(bytes) => (bytes, false),
            Room::Only(bytes) => (bytes, true),
            Room::None => (0, true),
        };
        self.most_in_flight.store(most, Relaxed);
        self.scarce.store(scarce, Relaxed);
        self.short_of_memory.store(room == Room::None, Relaxed);
    }

    /// Lets nothing in from now on: what is behind the gate is about to end.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    /// Bytes of requests in memory.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Whether there is less room than usual.
    pub fn is_scarce(&self) -> bool {
        self.scarce.load(Relaxed)
    }

    /// Lets a request in, or not.
    pub fn enter(&self) -> Result<Held<'_>, Refused> {
        self.check_open()?;
        self.check_memory()?;
        Ok(Held { gate: self, bytes: 0 })
    }

    fn check_open(&self) -> Result<(), Refused> {
        if self.closed.load(SeqCst) { Err(Gate::refused("the collector is stopping")) } else { Ok(()) }
    }

    fn check_memory(&self) -> Result<(), Refused> {
        if self.short_of_memory.load(Relaxed) { Err(Gate::refused("memory is short")) } else { Ok(()) }
    }

    fn refused(reason: &str) -> Refused {
        Refused { reason: reason.into(), retry_after: Gate::RETRY_AFTER }
    }
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

impl Held<'_> {
    /// Counts more bytes of the request, if there is room for them.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.gate.let_in(bytes);
        // What has begun stops too: it is what fills the memory.
        self.gate.check_memory()?;
        self.gate.check_open()?;
        let before = self.gate.in_flight.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        // A request that is alone may be as large as its own limit allows, unless memory is scarce.
        let alone = before + bytes == self.bytes && !self.gate.is_scarce();
        if !alone && before + bytes > self.gate.most_in_flight.load(Relaxed) {
            return Err(Gate::refused("too many requests are in memory already"));
        }
        Ok(())
    }

    /// Gives bytes back that were counted and not needed.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.gate.in_flight.fetch_sub(bytes, Relaxed);
    }

    /// Whether the request may be handed over: not once what is behind the gate is ending, because it would be
    /// acknowledged and lost.
    pub fn may_pass(&self) -> Result<(), Refused> {
        self.gate.check_open()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_many_is_that_of_each() {
        let run: Arc<str> = "run".into();
        let record = |number: usize| {
            let mut event = Event::agent_started(&format!("agent \u{fc}{number}"));
            event.identity.execution_id = (!number.is_multiple_of(7)).then(|| run.clone());
            Arc::new(Record::new(event))
        };
        let records: Vec<SharedRecord> = (0..150).map(record).collect();
        assert_eq!(records[70].json(), records[70].event().to_json());
        Record::have_json(&records[..100]);
        let mut lines = Vec::new();
        let mut writer = EventWriter::new(&mut lines);
        records.iter().for_each(|record| record.write_json(&mut writer));
        let whole: String = records.iter().map(|record| record.event().to_json()).collect();
        assert_eq!(lines, whole.into_bytes());
        assert!(records.iter().enumerate().all(|(at, record)| record.has_json() == (at < 100)));
    }

    #[test]
    fn the_gate_counts_and_lets_go() {
        let gate = Gate::new();
        gate.has_room(Room::For(100));
        let mut first = gate.enter().unwrap();
        first.grow(150).unwrap();
        let mut second = gate.enter().unwrap();
        assert!(second.grow(1).is_err());
        drop(first);
        assert!(second.grow(50).is_ok());
        second.shrink(20);
        assert_eq!(gate.in_flight(), 31);
        drop(second);
        assert_eq!(gate.in_flight(), 0);
    }

    #[test]
    fn memory_is_looked_at_while_it_fills() {
        let (gate, memory) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let resident = memory.clone();
        gate.measure(100, move || if resident.load(Relaxed) < 150 { Room::For(1000) } else { Room::None });
        memory.store(200, Relaxed);
        let mut held = gate.enter().unwrap();
        held.grow(90).unwrap();
        assert!(held.grow(10).is_err() && gate.enter().is_err(), "a hundred bytes have come in");
        memory.store(0, Relaxed);
        gate.look();
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn what_has_begun_stops_as_well() {
        let gate = Gate::new();
        let mut held = gate.enter().unwrap();
        gate.has_room(Room::None);
        assert!(gate.enter().is_err() && held.grow(1).is_err());
        assert!(held.may_pass().is_ok(), "it is in memory already, and leaves it when it is handed over");
        gate.has_room(Room::Only(10));
        held.grow(1).unwrap();
        assert!(held.grow(10).is_err(), "even alone it may not be larger");
        gate.close();
        assert!(gate.enter().is_err() && held.grow(1).is_err() && held.may_pass().is_err());
    }
}
