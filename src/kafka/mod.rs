//! A cluster of Kafka: where it is, who we are to it, and what its errors mean.
//!
//! Exporter and receiver reach it in the same way, so that what works for one works for the other. The client is
//! librdkafka: it keeps connections, retries and threads of its own.

mod auth;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

use crate::config::types::is_this_machine;
use crate::reload::Reloading;
use crate::tls::Tls;

pub use auth::Auth;

/// How telemetry is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// OTLP as protobuf.
    #[default]
    OtlpProto,
    /// OTLP as JSON.
    OtlpJson,
}

/// What a configuration says of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Said<'c> {
    /// Some of its brokers, each as `host:port`.
    pub brokers: &'c [String],
    /// What we are called in the cluster's logs and quotas.
    pub client_id: &'c str,
    /// Who we are.
    pub auth: &'c Auth,
    /// How TLS is done, if it is.
    pub tls: Option<&'c Tls>,
}

/// A cluster.
#[derive(Clone)]
pub struct Cluster {
    brokers: Vec<String>,
    settings: ClientConfig,
    /// The files of TLS.
    files: Vec<PathBuf>,
}

/// Whether this build can do TLS, which librdkafka does with OpenSSL.
const HAS_TLS: bool = cfg!(feature = "kafka-tls");

impl Cluster {
    /// Where Kafka listens unless told otherwise.
    const PORT: u16 = 9092;

    /// Of what a configuration says. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong, in words that show no secret.
    pub fn new(said: &Said<'_>) -> Result<Cluster, String> {
        // A variable of the environment is one text, however many there are.
        let texts = said.brokers.iter().flat_map(|text| text.split(','));
        let brokers = texts.map(broker).collect::<Result<Vec<_>, _>>()?;
        if brokers.is_empty() {
            return Err("`brokers` is a list of at least one, such as [localhost:9092]".into());
        }
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", brokers.join(","));
        settings.set("client.id", said.client_id);
        // A broker that is back is to be found again soon, and a topic that somebody makes as well.
        settings.set("reconnect.backoff.max.ms", "2000");
        settings.set("topic.metadata.refresh.interval.ms", "10000");
        let tls = said.tls.filter(|tls| !tls.insecure);
        if let Some(tls) = tls {
            secure(&mut settings, tls)?;
        }
        said.auth.apply(&mut settings, tls.is_some())?;
        let files = tls.map(|tls| files(tls).into_iter().map(|(_, file)| file.clone()).collect()).unwrap_or_default();
        Ok(Cluster { brokers, settings, files })
    }

    /// How a client of it is set up, for whoever adds what only he needs.
    pub fn settings(&self) -> ClientConfig {
        self.settings.clone()
    }

    /// What tells whether the files of TLS have changed: librdkafka reads them when a client is made, and never again.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn files(&self) -> Result<Reloading<()>, String> {
        Reloading::new(self.files.clone(), |_| Ok(()))
    }

    /// A topic of this cluster, in words that are the same for whoever reads and whoever writes it.
    pub fn topic(&self, name: &str) -> String {
        let mut brokers: Vec<String> = self.brokers.iter().map(|broker| same_for_all(broker)).collect();
        brokers.sort_unstable();
        format!("{name} of {}", brokers.join(","))
    }

    /// Whether nothing that is sent leaves this machine. A name counts as elsewhere, whatever it resolves to.
    pub fn is_this_machine(&self) -> bool {
        self.brokers.iter().all(|broker| is_this_machine(host(broker)))
    }
}

/// `host:port` of what stands for a broker.
fn broker(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` in `brokers` is no broker; write host:port, such as localhost:9092");
    let text = text.trim();
    if text.contains('@') {
        return Err("`brokers` says where brokers are, as host:port, and `auth.sasl` who we are".into());
    }
    if text.is_empty() || text.contains(['/', ' ']) {
        return Err(wrong());
    }
    let has_port = text.rsplit_once(':').is_some_and(|(before, _)| !before.contains(':') || before.ends_with(']'));
    if !has_port {
        return Ok(format!("{text}:{}", Cluster::PORT));
    }
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|_| text.to_owned()).ok_or_else(wrong)
}

fn host(broker: &str) -> &str {
    broker.rsplit_once(':').map_or(broker, |(host, _)| host.trim_start_matches('[').trim_end_matches(']'))
}

fn same_for_all(broker: &str) -> String {
    match broker.rsplit_once(':') {
        Some((_, port)) if is_this_machine(host(broker)) => format!("localhost:{port}"),
        _ => broker.to_owned(),
    }
}

/// TLS is librdkafka's own, so it is told of in its words.
fn secure(settings: &mut ClientConfig, tls: &Tls) -> Result<(), String> {
    if !HAS_TLS {
        return Err(WITHOUT_TLS.into());
    }
    settings.set("security.protocol", "ssl");
    for (key, file) in files(tls) {
        std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
        settings.set(key, file.display().to_string());
    }
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        return Err("`tls.cert_file` and `tls.key_file` belong together".into());
    }
    if tls.insecure_skip_verify {
        settings.set("enable.ssl.certificate.verification", "false");
    }
    Ok(())
}

/// The files of TLS, each with what librdkafka calls it.
fn files(tls: &Tls) -> Vec<(&'static str, &PathBuf)> {
    let all = [
        ("ssl.ca.location", &tls.ca_file),
        ("ssl.crl.location", &tls.crl_file),
        ("ssl.certificate.location", &tls.cert_file),
        ("ssl.key.location", &tls.key_file),
    ];
    all.into_iter().filter_map(|(key, file)| Some((key, file.as_ref()?))).collect()
}

/// What there is to say where TLS is wanted and cannot be had.
const WITHOUT_TLS: &str =
    "this binary was built without TLS for Kafka; build with --features kafka-tls, or write `tls: {insecure: true}`";

/// Checks the name of a topic.
///
/// # Errors
/// Why it is none.
pub fn check_topic(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || !name.chars().all(fits) || matches!(name, "." | "..") {
        return Err(format!(
            "`{name}` is no name of a topic: it has up to 249 letters, digits, dots, underscores and hyphens"
        ));
    }
    Ok(())
}

/// Whether the cluster will say the same of the same message every time. Everything else passes: a topic may be made,
/// a leader be found, a password be right tomorrow.
pub fn is_final(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::MessageBatchTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTopic
        )
    )
}

/// What stands in the way of a client, as it was told last: an attempt that fails says only that it took too long.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// An error with the trouble behind it.
    pub fn behind(&self, error: &KafkaError) -> String {
        match self.take() {
            Some(trouble) => format!("{error} ({trouble})"),
            None => error.to_string(),
        }
    }

    /// It, if there is any that was not asked for yet.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Remembers it.
    pub fn note(&self, reason: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

/// Of a producer nothing but the trouble is of interest.
impl ClientContext for Trouble {
    fn error(&self, _: KafkaError, reason: &str) {
        self.note(reason);
    }
}

impl fmt::Display for Cluster {
    /// Where it is; neither who we are nor what we say to be let in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brokers.join(","))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(brokers: &[&str], tls: Option<&Tls>) -> Result<Cluster, String> {
        let brokers: Vec<String> = brokers.iter().map(|&broker| broker.to_owned()).collect();
        Cluster::new(&Said { brokers: &brokers, client_id: "spanlight", auth: &Auth::default(), tls })
    }

    #[test]
    fn brokers_have_a_host_and_a_port() {
        let shown = |broker: &str| cluster(&[broker], None).unwrap().to_string();
        assert_eq!(shown("kafka"), "kafka:9092");
        assert_eq!(shown("[::1]:9093"), "[::1]:9093");
        assert_eq!(shown("[::1]"), "[::1]:9092");
        assert_eq!(shown("kafka:1, other"), "kafka:1,other:9092");
        for wrong in ["", "kafka:port", "kafka:1,", "kafka://host:1"] {
            assert!(cluster(&[wrong], None).unwrap_err().contains("brokers"), "{wrong}");
        }
        let userinfo = cluster(&["SASL_SSL://ada:hush@host:1"], None).unwrap_err();
        assert!(userinfo.contains("auth.sasl") && !userinfo.contains("hush"), "{userinfo}");
        assert!(cluster(&[], None).unwrap_err().contains("brokers"));
        assert!(cluster(&["localhost", "127.0.0.1:1", "[::1]:2"], None).unwrap().is_this_machine());
        assert!(!cluster(&["localhost", "kafka"], None).unwrap().is_this_machine());
    }

    #[test]
    fn a_topic_is_the_same_whoever_names_its_brokers() {
        let topic = |brokers: &[&str]| cluster(brokers, None).unwrap().topic("t");
        assert_eq!(topic(&["127.0.0.1:9092", "b:1"]), topic(&["b:1", "localhost"]));
        assert_ne!(topic(&["localhost:9093"]), topic(&["localhost"]));
    }

    #[test]
    fn tls_that_cannot_be_had_is_said() {
        let plain = Tls { insecure: true, ..Tls::default() };
        assert!(cluster(&["kafka"], Some(&plain)).is_ok());
        let wanted = cluster(&["kafka"], Some(&Tls::default()));
        assert_eq!(wanted.is_ok(), HAS_TLS, "{wanted:?}");
    }

    #[test]
    fn names_of_topics_are_those_that_kafka_takes() {
        assert!(check_topic("otlp_spans").is_ok() && check_topic("team-a.spans").is_ok());
        for wrong in ["", ".", "a b", "^otlp_.*", &"x".repeat(250)] {
            assert!(check_topic(wrong).is_err(), "{wrong}");
        }
    }
}
