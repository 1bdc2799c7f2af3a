//! Reading: messages into the pipelines, on a thread of its own, because librdkafka's consumer is asked and does not tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::config::Kind;
use super::membership::Membership;
use super::parcel::{Parcel, Taken, read};
use crate::event::Timestamp;
use crate::flow::{Gate, Refused, SharedIntake};
use crate::health::Reception;
use crate::kafka::Cluster;

/// A member of a group of consumers.
pub struct Reader {
    /// The receiver.
    pub id: String,
    /// Where it reads.
    pub cluster: Cluster,
    /// The topics that it reads, what their messages are, and where they are counted.
    pub topics: Vec<(String, Kind, Reception)>,
    /// What reads.
    pub consumer: BaseConsumer<Membership>,
    /// Where messages go.
    pub intake: SharedIntake,
    /// What lets them in.
    pub gate: Arc<Gate>,
}

/// What was read and not handed on yet.
#[derive(Default)]
struct Waiting {
    parcels: Vec<Parcel>,
    messages: usize,
    bytes: usize,
}

/// What the thread remembers from turn to turn.
struct State {
    waiting: Waiting,
    next_store: Instant,
    is_in_trouble: bool,
}

impl Reader {
    /// How long librdkafka is asked for something new.
    const PATIENCE: Duration = Duration::from_millis(100);
    /// How much is put together before it is handed on.
    const MOST_MESSAGES: usize = 1000;
    const MOST_BYTES: usize = 1 << 20;
    /// How often it is said how far everything is.
    const STORE: Duration = Duration::from_millis(500);

    /// Reads until told to stop. A cluster that is away is waited for.
    pub fn run(self, stop: &CancellationToken, runtime: &Handle) {
        let mut state =
            State { waiting: Waiting::default(), next_store: Instant::now() + Reader::STORE, is_in_trouble: false };
        let names: Vec<&str> = self.topics.iter().map(|(topic, _, _)| topic.as_str()).collect();
        while let Err(error) = self.consumer.subscribe(&names) {
            crate::report::warn(&format!("{}: cannot read of {}: {error}", self.id, self.cluster));
            runtime.block_on(stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(5))));
            if stop.is_cancelled() {
                return;
            }
        }
        while !stop.is_cancelled() {
            self.read(&mut state);
            while let Some(parcel) = state.waiting.next() {
                self.hand_on(parcel, &mut state, stop, runtime);
            }
            self.store(&mut state);
        }
        let membership = self.consumer.context().clone();
        // Whoever is dropped leaves the group, and commits how far everything is.
        drop(self);
        membership.forget_what_was_given_away();
    }

    /// What has come, as much of it as is handed on at a time.
    fn read(&self, state: &mut State) {
        let mut patience = Reader::PATIENCE;
        if let Some(outage) = self.consumer.context().outage.take() {
            self.tell(&outage, state);
        }
        while self.poll(patience, state) && state.waiting.is_less_than(Reader::MOST_MESSAGES, Reader::MOST_BYTES) {
            patience = Duration::ZERO;
        }
    }

    /// Takes one message, if one comes in time. Whether one came.
    fn poll(&self, patience: Duration, state: &mut State) -> bool {
        let polled: Option<KafkaResult<BorrowedMessage<'_>>> = self.consumer.poll(patience);
        match polled {
            None => false,
            Some(Ok(message)) => {
                state.is_in_trouble = false;
                self.take(&message, &mut state.waiting);
                true
            }
            Some(Err(error)) => {
                self.tell(&self.consumer.context().trouble.behind(&error), state);
                // Some are repeated at once.
                std::thread::sleep(Reader::PATIENCE);
                false
            }
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>, waiting: &mut Waiting) {
        let membership = self.consumer.context();
        let Some(place) = membership.place(message.topic(), message.partition()) else { return };
        let Some(share) = membership.progress().share(place) else { return };
        let Some((topic, kind, reception)) = self.topics.get(place.0) else { return };
        let (taken, wrong) = read(message, (place, share), *kind, Timestamp::now());
        if let Some(wrong) = wrong {
            reception.invalid.add(wrong.items);
            let (at, why) = (taken.offset, wrong.why);
            crate::report::warn(&format!("{}: `{topic}`, partition {}, offset {at}: {why}", self.id, place.1));
        }
        waiting.add(*kind, taken);
    }

    /// Trouble is told once, until there is none any more.
    fn tell(&self, why: &str, state: &mut State) {
        if !std::mem::replace(&mut state.is_in_trouble, true) {
            crate::report::warn(&format!("{}: cannot read of {}: {why}; trying on", self.id, self.cluster));
        }
    }

    /// Hands messages on, however long it takes. Meanwhile nothing else is fetched, and the group hears of us.
    fn hand_on(&self, mut parcel: Parcel, state: &mut State, stop: &CancellationToken, runtime: &Handle) {
        let membership = self.consumer.context();
        let mut has_paused = false;
        while !stop.is_cancelled() {
            // What went to somebody else while we waited is theirs, and what has come back comes again.
            parcel.messages.retain(|taken| membership.progress().share(taken.place) == Some(taken.share));
            let Some(first) = parcel.messages.first() else { break };
            let Some((_, _, reception)) = self.topics.get(first.place.0) else { break };
            match runtime.block_on(self.offer(&parcel)) {
                Ok(()) => {
                    reception.accepted.add(parcel.items());
                    let (mut progress, now) = (membership.progress(), Instant::now());
                    parcel.messages.iter().for_each(|it| progress.took(it.place, it.offset, &it.traces, now));
                    break;
                }
                Err(refused) => {
                    reception.overloaded.add(1);
                    has_paused = true;
                    self.wait(refused.retry_after, state, stop);
                }
            }
        }
        if has_paused {
            self.say("resumed", self.consumer.assignment().and_then(|all| self.consumer.resume(&all)));
        }
    }

    /// Offers messages to the pipelines, if there is room for them.
    async fn offer(&self, parcel: &Parcel) -> Result<(), Refused> {
        let mut held = self.gate.enter()?;
        held.grow(parcel.bytes())?;
        held.may_pass()?;
        match (parcel.batch(), parcel.events()) {
            (Some(batch), _) if !batch.is_empty() => self.intake.batch(batch).await,
            (_, events) if !events.is_empty() => self.intake.events(events).await,
            _ => Ok(()),
        }
    }

    fn wait(&self, time: Duration, state: &mut State, stop: &CancellationToken) {
        let until = Instant::now() + time;
        while Instant::now() < until && !stop.is_cancelled() {
            self.say("paused", self.consumer.assignment().and_then(|all| self.consumer.pause(&all)));
            self.poll(Reader::PATIENCE, state);
            self.store(state);
        }
    }

    fn say(&self, what: &str, done: KafkaResult<()>) {
        if let Err(error) = done {
            crate::report::warn(&format!("{}: reading cannot be {what}: {error}", self.id));
        }
    }

    fn store(&self, state: &mut State) {
        if state.next_store <= Instant::now() {
            self.consumer.context().store(&self.consumer);
            state.next_store = Instant::now() + Reader::STORE;
        }
    }
}

impl Waiting {
    /// Puts a message to those of its kind.
    fn add(&mut self, kind: Kind, taken: Taken) {
        self.messages += 1;
        self.bytes += taken.bytes;
        match self.parcels.iter_mut().find(|parcel| parcel.kind == kind) {
            Some(parcel) => parcel.messages.push(taken),
            None => self.parcels.push(Parcel { kind, messages: vec![taken] }),
        }
    }

    fn next(&mut self) -> Option<Parcel> {
        let parcel = (!self.parcels.is_empty()).then(|| self.parcels.remove(0))?;
        self.messages -= parcel.messages.len();
        self.bytes -= parcel.bytes();
        Some(parcel)
    }

    fn is_less_than(&self, messages: usize, bytes: usize) -> bool {
        self.messages < messages && self.bytes < bytes
    }
}
