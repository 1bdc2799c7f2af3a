//! Reading: messages into the pipelines, on a thread of its own, because librdkafka's consumer is asked and does not tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::config::{Config, Kind};
use super::membership::Member;
use super::parcel::{Parcel, Taken, read};
use crate::event::Timestamp;
use crate::flow::{Gate, Refused, SharedIntake};
use crate::health::Reception;
use crate::kafka::Cluster;
use crate::reload::Reloading;

/// A member of a group of consumers.
pub struct Reader {
    /// The receiver.
    id: String,
    /// Where it reads.
    cluster: Cluster,
    /// The topics that it reads, what their messages are, and where they are counted.
    topics: Vec<(String, Kind, Reception)>,
    /// How what reads is set up, and the files of TLS that it was made with.
    client: ClientConfig,
    files: Reloading<()>,
    /// What reads.
    consumer: BaseConsumer<Member>,
    /// Where messages go.
    intake: SharedIntake,
    /// What lets them in.
    gate: Arc<Gate>,
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

    /// Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with its files of TLS.
    pub fn new(
        id: &str,
        config: &Config,
        topics: Vec<(String, Kind, Reception)>,
        member: Member,
        (intake, gate): (SharedIntake, Arc<Gate>),
    ) -> Result<Reader, String> {
        let (cluster, client) = (config.cluster()?, config.client()?);
        let files = cluster.files()?;
        let consumer = client.create_with_context(member).map_err(|error| error.to_string())?;
        Ok(Reader { id: id.to_owned(), cluster, topics, client, files, consumer, intake, gate })
    }

    /// Reads until told to stop. A cluster that is away is waited for.
    pub fn run(mut self, stop: &CancellationToken, runtime: &Handle) {
        let mut state =
            State { waiting: Waiting::default(), next_store: Instant::now() + Reader::STORE, is_in_trouble: false };
        self.subscribe(stop, runtime);
        while !stop.is_cancelled() {
            self.turn(&mut state, stop, runtime);
            if self.consumer.context().has_failed() && self.has_new_files() {
                self.begin_anew(stop, runtime);
            }
        }
        let membership = self.consumer.context().clone();
        // Whoever is dropped leaves the group, and commits how far everything is.
        drop(self);
        membership.forget_what_was_given_away();
    }

    /// Asks for messages, for as long as it takes.
    fn subscribe(&self, stop: &CancellationToken, runtime: &Handle) {
        let names: Vec<&str> = self.topics.iter().map(|(topic, _, _)| topic.as_str()).collect();
        while !stop.is_cancelled()
            && let Err(error) = self.consumer.subscribe(&names)
        {
            crate::report::warn(&format!("{}: cannot read of {}: {error}", self.id, self.cluster));
            runtime.block_on(stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(5))));
        }
    }

    /// What has come, into the pipelines.
    fn turn(&self, state: &mut State, stop: &CancellationToken, runtime: &Handle) {
        self.read(state);
        while let Some(parcel) = state.waiting.next() {
            self.hand_on(parcel, state, stop, runtime);
        }
        self.store(state);
    }

    /// Whether there is something else in the files of TLS than when this was asked last.
    fn has_new_files(&self) -> bool {
        self.files.renew().unwrap_or_else(|error| {
            crate::report::warn(&format!("{}: {error}", self.id));
            false
        })
    }

    /// Another client takes the place of this one, in the group as well, and goes on where this one was: librdkafka reads the
    /// files of TLS when a client is made, and never again.
    fn begin_anew(&mut self, stop: &CancellationToken, runtime: &Handle) {
        let member = Member::clone(self.consumer.context());
        let consumer = match self.client.create_with_context(member) {
            Ok(consumer) => consumer,
            Err(error) => {
                let id = &self.id;
                crate::report::warn(&format!("{id}: its files of TLS have changed, and are no good: {error}"));
                return;
            }
        };
        crate::report::warn(&format!("{}: the consumer begins anew: its files of TLS have changed", self.id));
        // It leaves the group before the other one joins, which has its name.
        drop(std::mem::replace(&mut self.consumer, consumer));
        self.subscribe(stop, runtime);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::util::Timeout;

    use super::super::membership::Membership;
    use super::*;
    use crate::event::{Event, TraceId};
    use crate::flow::{Acknowledged, Intake};
    use crate::health::{Count, Health};
    use crate::otlp::{Batch, Signal};

    /// What was taken; everything of it goes on.
    #[derive(Default)]
    struct Taken(Mutex<Vec<String>>);

    impl Taken {
        fn tasks(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Intake for Taken {
        fn takes(&self, _: Signal) -> bool {
            false
        }

        fn takes_events(&self) -> bool {
            true
        }

        fn batch(&self, _: Batch) -> Acknowledged<'_> {
            Box::pin(async { Ok(()) })
        }

        fn events(&self, events: Vec<Event>) -> Acknowledged<'_> {
            let tasks = events.iter().filter_map(|event| event.identity.task_id.as_deref().map(str::to_owned));
            self.0.lock().unwrap().extend(tasks);
            Box::pin(async { Ok(()) })
        }

        fn is_in_progress(&self, _: TraceId) -> bool {
            true
        }
    }

    fn write(brokers: &str, tasks: std::ops::Range<usize>) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        for task in tasks {
            let trace = format!("{:032x}", task + 1);
            let event = format!(r#"{{"name": "task.queued", "task_id": "{task}", "trace_id": "{trace}"}}"#);
            producer.send(BaseRecord::to("events").key(&trace).payload(&event)).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Timeout::Never).unwrap();
    }

    #[test]
    fn a_client_that_begins_anew_goes_on_where_the_other_was() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", 3, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let said = serde_json::json!({
            "brokers": [brokers], "initial_offset": "earliest", "events": {"topics": ["events"]},
            "session_timeout": "6s",
        });
        let config: Config = serde_json::from_value(said).unwrap();
        let taken = Arc::new(Taken::default());
        let topics =
            vec![("events".to_owned(), Kind::Events, Reception::new(&Health::default(), "k", "topic", "events"))];
        let member = Membership::new("k", &config, vec!["events".into()], taken.clone(), Count::default()).member();
        let ends = (taken.clone() as SharedIntake, Arc::new(Gate::new()));
        let mut reader = Reader::new("k", &config, topics, member.clone(), ends).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stop, handle) = (CancellationToken::new(), runtime.handle());
        let mut state = State { waiting: Waiting::default(), next_store: Instant::now(), is_in_trouble: false };
        reader.subscribe(&stop, handle);
        for round in 1..=2 {
            write(&brokers, 20 * (round - 1)..20 * round);
            let deadline = Instant::now() + Duration::from_secs(60);
            while taken.tasks().len() < 20 * round && Instant::now() < deadline {
                reader.turn(&mut state, &stop, handle);
            }
            assert_eq!(taken.tasks().iter().collect::<BTreeSet<_>>().len(), 20 * round);
            assert_eq!(member.progress().held(), 20 * round, "what goes on is known still, and nothing is committed");
            assert_eq!(taken.tasks().len(), 20 * round, "nothing was read again");
            reader.begin_anew(&stop, handle);
        }
    }
}
