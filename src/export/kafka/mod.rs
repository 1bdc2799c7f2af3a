//! `kafka`: telemetry by trace, and events, into topics of Kafka.

mod config;
mod messages;

use std::sync::Arc;

pub use config::Config;
use messages::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};

use super::{Exporter, Load, Outcome};
use crate::kafka::{Cluster, Trouble, is_final};
use crate::reload::Reloading;

/// Sends what it is given and waits until it is delivered.
pub struct KafkaExporter {
    config: Box<Config>,
    cluster: Cluster,
    files: Arc<Reloading<()>>,
    trouble: Trouble,
    /// None once the end has come, and where a broken one could not be replaced yet.
    producer: Option<FutureProducer<Trouble>>,
    /// What the last attempt has left over.
    unsent: Option<Unsent>,
}

/// A load of which something is still to be delivered.
struct Unsent {
    /// Held, so that no other is taken for it.
    load: Load,
    messages: Vec<Message>,
    rejected: usize,
    why: String,
}

/// The exporters that a configuration wants, each making one attempt at a time; nothing is connected yet.
///
/// # Errors
/// What is wrong with the configuration, or with its files of TLS.
pub fn exporters(config: &Config) -> Result<Vec<Exporter>, String> {
    let one = |_| KafkaExporter::new(config).map(Exporter::Kafka);
    (0..config.sending_queue.num_consumers).map(one).collect()
}

impl KafkaExporter {
    fn new(config: &Config) -> Result<KafkaExporter, String> {
        let trouble = Trouble::default();
        let cluster = config.cluster()?;
        let files = Arc::new(cluster.files()?);
        let producer = Some(connect(config, &trouble)?);
        Ok(KafkaExporter { config: Box::new(config.clone()), cluster, files, trouble, producer, unsent: None })
    }

    /// One attempt: everything is sent and waited for. What was delivered is not sent again by the next one.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        let known = self.unsent.take().filter(|unsent| unsent.load.is_same(load));
        let mut unsent = known.unwrap_or_else(|| Unsent {
            load: load.clone(),
            messages: messages::of(load, &self.config),
            rejected: 0,
            why: String::new(),
        });
        match self.attempt(&mut unsent).await {
            Ok(()) => Outcome::Done { rejected: unsent.rejected, why: unsent.why },
            Err(why) => {
                self.unsent = Some(unsent);
                self.begin_anew_if_useless().await;
                Outcome::retry(format!("{} does not take messages: {why}", self.cluster))
            }
        }
    }

    /// Sends until nothing is left to be sent.
    ///
    /// # Errors
    /// Why something is left.
    async fn attempt(&self, unsent: &mut Unsent) -> Result<(), String> {
        while !unsent.messages.is_empty() {
            let before = unsent.messages.len();
            let mut left = Vec::new();
            let mut failed = None;
            for (message, sent) in self.enqueue(std::mem::take(&mut unsent.messages)) {
                let delivered = match sent {
                    Ok(delivery) => delivered(delivery).await,
                    Err(error) => Err(error),
                };
                match delivered {
                    Ok(()) => {}
                    Err(error) if is_final(&error) => {
                        unsent.rejected += message.items;
                        let bytes = message.payload.as_bytes().len();
                        unsent.why = format!("{error}, of {bytes} bytes to `{}`", message.topic);
                    }
                    Err(error) => {
                        failed = failed.or(Some(error));
                        left.push(message);
                    }
                }
            }
            unsent.messages = left;
            match failed {
                // What found no room finds it now that the rest is away.
                Some(error) if is_no_room(&error) && unsent.messages.len() < before => {}
                Some(error) => return Err(self.trouble.behind(&error)),
                None => {}
            }
        }
        Ok(())
    }

    /// Hands messages to librdkafka, which copies them and does not wait.
    fn enqueue(&self, messages: Vec<Message>) -> Vec<(Message, Result<DeliveryFuture, KafkaError>)> {
        let send = |message: &Message| {
            let Some(producer) = &self.producer else { return Err(KafkaError::Canceled) };
            let mut record = FutureRecord::<str, [u8]>::to(&message.topic).payload(message.payload.as_bytes());
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            producer.send_result(record).map_err(|(error, _)| error)
        };
        messages.into_iter().map(|message| (send(&message), message)).map(|(sent, message)| (message, sent)).collect()
    }

    /// A producer that says of itself that it is of no use any more makes room for another, and so does one that could not
    /// send since the files of TLS have changed. If none can be made, the next attempt tries again.
    async fn begin_anew_if_useless(&mut self) {
        if let Some(producer) = &self.producer {
            let why = match producer.client().fatal_error() {
                Some((_, why)) => why,
                None if self.has_new_files().await => "its files of TLS have changed".into(),
                None => return,
            };
            crate::report::warn(&format!("{}: the producer begins anew: {why}", self.cluster));
            self.close().await;
        }
        match connect(&self.config, &self.trouble) {
            Ok(producer) => self.producer = Some(producer),
            Err(why) => crate::report::warn(&format!("{}: there is no producer: {why}", self.cluster)),
        }
    }

    /// Whether there is something else in the files of TLS than when this was asked last.
    async fn has_new_files(&self) -> bool {
        let files = self.files.clone();
        match tokio::task::spawn_blocking(move || files.renew()).await {
            Ok(Ok(changed)) => changed,
            Ok(Err(error)) => {
                crate::report::warn(&format!("{}: {error}", self.cluster));
                false
            }
            Err(_) => false,
        }
    }

    /// The end. What is still on its way is waited for by nobody.
    pub async fn close(&mut self) {
        // It waits for its threads.
        let producer = self.producer.take();
        if tokio::task::spawn_blocking(move || drop(producer)).await.is_err() {
            crate::report::warn(&format!("{}: a producer did not end well", self.cluster));
        }
    }
}

fn connect(config: &Config, trouble: &Trouble) -> Result<FutureProducer<Trouble>, String> {
    config.client()?.create_with_context(trouble.clone()).map_err(|error| error.to_string())
}

async fn delivered(delivery: DeliveryFuture) -> Result<(), KafkaError> {
    match delivery.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}

fn is_no_room(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}
