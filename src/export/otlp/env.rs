//! The environment that every OpenTelemetry SDK reads: where telemetry goes, by signal.
//!
//! A variable of a signal wins over the general one, and an empty one counts as not set. What is wrong with the
//! variables of one signal leaves the others alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::config::{Compression, Encoding, GrpcConfig, HttpConfig, grpc_endpoint, headers, url};
use super::{Remote, percent};
use crate::config::types::Span;
use crate::content::{Classes, Policy};
use crate::export::queue::{OnFull, QueueConfig, Sizer};
use crate::export::retry;
use crate::otlp::Signal;
use crate::tls::Tls;

/// Gives the environment's variables.
pub type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// What there is to say of an exporter, behind `OTEL_EXPORTER_OTLP_` or that and the signal.
const SETTINGS: [&str; 9] = [
    "ENDPOINT",
    "HEADERS",
    "TIMEOUT",
    "PROTOCOL",
    "COMPRESSION",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
    "INSECURE",
];

/// Exporters that SDKs know and that are not OTLP: whoever names only these wants no OTLP.
const OTHER_EXPORTERS: [&str; 5] = ["console", "jaeger", "logging", "prometheus", "zipkin"];

/// Whether prompts and answers are recorded, and where.
const CAPTURE_CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// A timeout of 0 stands for none.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where a signal goes; nowhere, unless the environment says something of OTLP for it.
pub fn remote(signal: Signal, lookup: Lookup<'_>) -> Result<Option<Remote>, String> {
    let variables = Variables { signal, lookup };
    if !variables.is_on()? {
        return Ok(None);
    }
    let protocol = variables.get("PROTOCOL");
    let text = protocol.as_ref().map_or("http/protobuf".into(), |protocol| protocol.value.to_lowercase());
    match (text.as_str(), protocol) {
        ("grpc", _) => variables.grpc().map(|config| Some(Remote::Grpc(config))),
        ("http/protobuf", _) => variables.http(Encoding::Proto).map(|config| Some(Remote::Http(config))),
        ("http/json", _) => variables.http(Encoding::Json).map(|config| Some(Remote::Http(config))),
        (_, Some(protocol)) => Err(protocol.wrong("there are grpc, http/protobuf and http/json")),
        (_, None) => Ok(None),
    }
}

/// Whether all of OpenTelemetry is switched off.
pub fn is_disabled(lookup: Lookup<'_>) -> bool {
    lookup("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The variables of a signal.
struct Variables<'l> {
    signal: Signal,
    lookup: Lookup<'l>,
}

/// A variable that is set.
struct Variable {
    name: String,
    value: String,
    /// Whether it is of the signal alone.
    own: bool,
}

impl Variable {
    fn wrong(&self, remedy: &str) -> String {
        format!("{} is `{}`; {remedy}", self.name, self.value)
    }

    /// What is wrong with a value that may hold secrets.
    fn wrong_in_secret(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }
}

impl Variables<'_> {
    fn set(&self, name: String, own: bool) -> Option<Variable> {
        let value = (self.lookup)(&name)?.trim().to_owned();
        (!value.is_empty()).then_some(Variable { name, value, own })
    }

    /// The signal's own, or the general one.
    fn get(&self, setting: &str) -> Option<Variable> {
        let own = || self.set(self.own_name(setting), true);
        own().or_else(|| self.set(format!("OTEL_EXPORTER_OTLP_{setting}"), false))
    }

    fn own_name(&self, setting: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{setting}", self.signal.name().to_uppercase())
    }

    fn is_on(&self) -> Result<bool, String> {
        if is_disabled(self.lookup) {
            return Ok(false);
        }
        let Some(chosen) = self.set(format!("OTEL_{}_EXPORTER", self.signal.name().to_uppercase()), true) else {
            return Ok(SETTINGS.iter().any(|setting| self.get(setting).is_some()));
        };
        let names = chosen.value.to_lowercase();
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let is_known = |name: &&str| ["none", "otlp"].contains(name) || OTHER_EXPORTERS.contains(name);
        if !names.iter().all(is_known) {
            return Err(chosen.wrong("write otlp, or none to send nothing"));
        }
        Ok(names.contains(&"otlp") && !names.contains(&"none"))
    }

    fn grpc(&self) -> Result<GrpcConfig, String> {
        let tls = self.tls()?;
        let endpoint = self.get("ENDPOINT");
        if let Some(endpoint) = &endpoint {
            let remedy = "write http://host:port or https://host:port";
            grpc_endpoint(&endpoint.value, tls.insecure).map_err(|_| endpoint.wrong(remedy))?;
        }
        Ok(GrpcConfig {
            endpoint: endpoint.map_or_else(|| "http://localhost:4317".into(), |endpoint| endpoint.value),
            tls,
            headers: self.headers()?,
            auth: None,
            compression: self.compression()?,
            timeout: Span(self.timeout()?),
            content: self.content()?,
            sending_queue: queue(),
            retry_on_failure: retrying(),
        })
    }

    fn http(&self, encoding: Encoding) -> Result<HttpConfig, String> {
        let mut config = HttpConfig {
            endpoint: None,
            traces_endpoint: None,
            metrics_endpoint: None,
            logs_endpoint: None,
            encoding,
            tls: self.tls()?,
            headers: self.headers()?,
            auth: None,
            compression: self.compression()?,
            timeout: Span(self.timeout()?),
            content: self.content()?,
            sending_queue: queue(),
            retry_on_failure: retrying(),
        };
        let endpoint = self.get("ENDPOINT");
        if let Some(endpoint) = &endpoint {
            let remedy = "write the URL with http:// or https:// in front, such as http://localhost:4318";
            url(&endpoint.value).map_err(|_| endpoint.wrong(remedy))?;
        }
        // The endpoint of a signal is the whole URL, the general one is what the signals' paths are put behind.
        let own = endpoint.as_ref().is_some_and(|endpoint| endpoint.own);
        let place = match self.signal {
            _ if !own => &mut config.endpoint,
            Signal::Traces => &mut config.traces_endpoint,
            Signal::Metrics => &mut config.metrics_endpoint,
            Signal::Logs => &mut config.logs_endpoint,
        };
        *place = Some(endpoint.map_or_else(|| "http://localhost:4318".into(), |endpoint| endpoint.value));
        Ok(config)
    }

    fn headers(&self) -> Result<BTreeMap<String, String>, String> {
        let Some(list) = self.get("HEADERS") else { return Ok(BTreeMap::new()) };
        let wrong = |what: String| list.wrong_in_secret(&what);
        let pairs: BTreeMap<String, String> = percent::pairs(&list.value).map_err(wrong)?.into_iter().collect();
        headers(&pairs).map_err(wrong)?;
        Ok(pairs)
    }

    fn compression(&self) -> Result<Compression, String> {
        let Some(compression) = self.get("COMPRESSION") else { return Ok(Compression::None) };
        match compression.value.to_lowercase().as_str() {
            "none" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            _ => Err(compression.wrong("there are gzip and none")),
        }
    }

    /// What becomes of content, if the environment says it: to instrumentations it is whether they record any, and
    /// where, so whoever asks for it there wants it sent.
    fn content(&self) -> Result<Option<Classes>, String> {
        let Some(capture) = self.set(CAPTURE_CONTENT.to_owned(), false) else { return Ok(None) };
        let is_sent = match capture.value.to_lowercase().as_str() {
            "true" | "span_and_event" => true,
            "false" | "no_content" => false,
            "span_only" => self.signal == Signal::Traces,
            "event_only" => self.signal == Signal::Logs,
            _ => return Err(capture.wrong("there are true, false, span_only, event_only and span_and_event")),
        };
        Ok(Some(Classes::all(if is_sent { Policy::Keep } else { Policy::Drop })))
    }

    fn timeout(&self) -> Result<Duration, String> {
        let Some(timeout) = self.get("TIMEOUT") else { return Ok(DEFAULT_TIMEOUT) };
        match timeout.value.parse() {
            Ok(0) => Ok(NO_TIMEOUT),
            Ok(millis) => Ok(Duration::from_millis(millis).min(NO_TIMEOUT)),
            Err(_) => Err(timeout.wrong("write a number of milliseconds, such as 10000")),
        }
    }

    fn tls(&self) -> Result<Tls, String> {
        let insecure = match self.get("INSECURE") {
            None => false,
            Some(insecure) => match insecure.value.to_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(insecure.wrong("write true or false")),
            },
        };
        let path = |setting| self.get(setting).map(|variable| PathBuf::from(variable.value));
        let (cert_file, key_file) = (path("CLIENT_CERTIFICATE"), path("CLIENT_KEY"));
        if cert_file.is_some() != key_file.is_some() {
            let set = self.get("CLIENT_CERTIFICATE").or_else(|| self.get("CLIENT_KEY"));
            let remedy = "a client certificate and its key belong together: set CLIENT_CERTIFICATE and CLIENT_KEY";
            return Err(set.map_or_else(|| remedy.to_owned(), |set| set.wrong(remedy)));
        }
        Ok(Tls { insecure, ca_file: path("CERTIFICATE"), cert_file, key_file, ..Tls::default() })
    }
}

/// Telemetry of a program must not hold the program up: what finds no room is dropped and counted. One attempt at a
/// time is enough for one process.
fn queue() -> QueueConfig {
    let (num_consumers, on_full) = (1, OnFull::Drop);
    QueueConfig {
        num_consumers,
        on_full,
        sizer: Sizer::Items,
        queue_size: Some(65_536),
        max_mib: Some(32),
        ..QueueConfig::default()
    }
}

/// Programs are shorter-lived than collectors, so the first repetition comes sooner.
fn retrying() -> retry::Config {
    retry::Config { initial_interval: Span(Duration::from_secs(1)), ..retry::Config::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an environment for a signal, in short.
    fn said(signal: Signal, variables: &[(&str, &str)]) -> String {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        match remote(signal, &lookup) {
            Ok(None) => "off".into(),
            Ok(Some(Remote::Grpc(config))) => format!("grpc {}", config.resolve().unwrap().endpoint),
            Ok(Some(Remote::Http(config))) => {
                let [traces, metrics, logs] = config.urls().unwrap();
                let url = match signal {
                    Signal::Traces => traces,
                    Signal::Metrics => metrics,
                    Signal::Logs => logs,
                };
                format!("{:?} {}", config.encoding, url.unwrap())
            }
            Err(error) => error,
        }
    }

    fn traces(variables: &[(&str, &str)]) -> Remote {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        remote(Signal::Traces, &lookup).unwrap().unwrap()
    }

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

    #[test]
    fn signals_go_where_the_environment_says() {
        type Row = (&'static [(&'static str, &'static str)], [&'static str; 3]);
        let table: &[Row] = &[
            (&[], ["off"; 3]),
            (&[(ENDPOINT, "")], ["off"; 3]),
            (
                &[(ENDPOINT, "http://otel:4318/")],
                [
                    "Proto http://otel:4318/v1/traces",
                    "Proto http://otel:4318/v1/metrics",
                    "Proto http://otel:4318/v1/logs",
                ],
            ),
            (&[(OF_TRACES, "http://t/own")], ["Proto http://t/own", "off", "off"]),
            (
                &[(OF_TRACES, "http://t"), (ENDPOINT, "http://otel/base")],
                ["Proto http://t/", "Proto http://otel/base/v1/metrics", "Proto http://otel/base/v1/logs"],
            ),
            (&[(PROTOCOL, "grpc")], ["grpc http://localhost:4317/"; 3]),
            (&[(PROTOCOL, "GRPC"), (ENDPOINT, "otel:4317")], ["grpc https://otel:4317/"; 3]),
            (
                &[(PROTOCOL, "grpc"), (ENDPOINT, "otel:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")],
                ["grpc http://otel:4317/"; 3],
            ),
            (
                &[(ENDPOINT, "http://otel:4318"), ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")],
                [
                    "Proto http://otel:4318/v1/traces",
                    "Proto http://otel:4318/v1/metrics",
                    "Json http://otel:4318/v1/logs",
                ],
            ),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], ["Proto http://localhost:4318/v1/traces", "off", "off"]),
            (
                &[(PROTOCOL, "grpc"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "console")],
                ["grpc http://localhost:4317/", "off", "off"],
            ),
            (&[(ENDPOINT, "http://otel"), ("OTEL_SDK_DISABLED", "TRUE")], ["off"; 3]),
        ];
        for (variables, expected) in table {
            assert_eq!(Signal::ALL.map(|signal| said(signal, variables)), *expected, "{variables:?}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_variable_and_loses_its_signal_only() {
        let on = ("OTEL_TRACES_EXPORTER", "otlp");
        for (name, value, says) in [
            (ENDPOINT, "otel:4318", "OTEL_EXPORTER_OTLP_ENDPOINT is `otel:4318`; write the URL with http://"),
            (PROTOCOL, "http", "OTEL_EXPORTER_OTLP_PROTOCOL is `http`; there are grpc, http/protobuf and http/json"),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "10s",
                "OTEL_EXPORTER_OTLP_TIMEOUT is `10s`; write a number of milliseconds",
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "br", "OTEL_EXPORTER_OTLP_COMPRESSION is `br`; there are gzip and none"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "1", "OTEL_EXPORTER_OTLP_INSECURE is `1`; write true or false"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k", "OTEL_EXPORTER_OTLP_CLIENT_KEY is `/k`; a client certificate"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "OTEL_EXPORTER_OTLP_HEADERS: its entry 1 has no name"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a%20b=s3cret", "OTEL_EXPORTER_OTLP_HEADERS: `a b` is no header name"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0A", "OTEL_EXPORTER_OTLP_HEADERS: the value of `a` is no header"),
        ] {
            let error = said(Signal::Traces, &[on, (name, value)]);
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let variables = [(PROTOCOL, "grpc"), ("OTEL_TRACES_EXPORTER", "otpl")];
        assert_eq!(
            said(Signal::Traces, &variables),
            "OTEL_TRACES_EXPORTER is `otpl`; write otlp, or none to send nothing"
        );
        assert_eq!(said(Signal::Logs, &variables), "grpc http://localhost:4317/");
    }

    #[test]
    fn content_goes_where_it_is_captured_and_else_only_to_this_machine() {
        for (capture, endpoint, [on_spans, on_events]) in [
            ("", "http://otel:4318", [Policy::Drop; 2]),
            ("", "http://localhost:4318", [Policy::Keep; 2]),
            ("", "http://[::1]:4318", [Policy::Keep; 2]),
            ("true", "http://otel:4318", [Policy::Keep; 2]),
            ("SPAN_AND_EVENT", "http://otel:4318", [Policy::Keep; 2]),
            ("span_only", "http://otel:4318", [Policy::Keep, Policy::Drop]),
            ("EVENT_ONLY", "http://otel:4318", [Policy::Drop, Policy::Keep]),
            ("NO_CONTENT", "http://localhost:4318", [Policy::Drop; 2]),
            ("false", "http://localhost:4318", [Policy::Drop; 2]),
        ] {
            let lookup = |name: &str| match name {
                CAPTURE_CONTENT => Some(capture.to_owned()),
                ENDPOINT => Some(endpoint.to_owned()),
                _ => None,
            };
            let content = |signal| remote(signal, &lookup).unwrap().unwrap().content();
            let expected = [Classes::all(on_spans), Classes::all(on_events)];
            assert_eq!([content(Signal::Traces), content(Signal::Logs)], expected, "{capture} {endpoint}");
        }
        let wrong = said(Signal::Traces, &[(CAPTURE_CONTENT, "yes"), (ENDPOINT, "http://otel")]);
        assert!(wrong.starts_with(&format!("{CAPTURE_CONTENT} is `yes`; there are true")), "{wrong}");
    }

    #[test]
    fn the_rest_is_read_and_the_signals_own_wins() {
        let Remote::Http(config) = traces(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20abc%3D, x-team = a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key"),
        ]) else {
            panic!("no HTTP")
        };
        let headers: Vec<(&str, &str)> = config.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("authorization", "Basic abc="), ("x-team", "a")]);
        assert_eq!((config.timeout.0, config.compression), (Duration::from_millis(2500), Compression::None));
        let Tls { ca_file, cert_file, key_file, .. } = config.tls;
        assert_eq!([ca_file, cert_file, key_file], ["/ca", "/cert", "/key"].map(|path| Some(path.into())));
        assert_eq!((config.sending_queue.num_consumers, config.sending_queue.on_full), (1, OnFull::Drop));
        let Remote::Grpc(config) = traces(&[(PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")]) else {
            panic!("no gRPC")
        };
        assert_eq!((config.timeout.0, config.compression), (NO_TIMEOUT, Compression::None));
    }
}
