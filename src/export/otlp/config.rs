//! What can be said of the OTLP exporters. Keys are those of the OpenTelemetry Collector.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::config::types::{Span, is_this_machine};
use crate::content::Classes;
use crate::export::credentials::Auth;
use crate::export::queue::QueueConfig;
use crate::export::retry;
use crate::tls::Tls;

/// The settings that both exporters share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Scheme, host and port, and for HTTP the base path.
    pub endpoint: Uri,
    /// How TLS is done, where the scheme wants it.
    pub tls: Tls,
    /// Headers of every request.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// How requests are packed.
    pub compression: Compression,
}

/// `otlp`: over gRPC.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// `host:port`, or a URL. Without a scheme it is TLS, unless `tls.insecure` says otherwise or it is this
    /// machine.
    pub endpoint: String,
    /// TLS.
    #[serde(default)]
    pub tls: Tls,
    /// Metadata of every call.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Who we are.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// How messages are packed.
    #[serde(default)]
    pub compression: Compression,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    #[serde(default)]
    pub content: Option<Classes>,
    /// The queue in front.
    #[serde(default)]
    pub sending_queue: QueueConfig,
    /// What happens when an attempt fails.
    #[serde(default)]
    pub retry_on_failure: retry::Config,
}

/// `otlphttp`: over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The base URL; `/v1/traces` and so on are appended.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The whole URL for traces, used as it is.
    #[serde(default)]
    pub traces_endpoint: Option<String>,
    /// The whole URL for metrics, used as it is.
    #[serde(default)]
    pub metrics_endpoint: Option<String>,
    /// The whole URL for logs, used as it is.
    #[serde(default)]
    pub logs_endpoint: Option<String>,
    /// Protobuf or JSON.
    #[serde(default)]
    pub encoding: Encoding,
    /// TLS.
    #[serde(default)]
    pub tls: Tls,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Who we are.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    #[serde(default)]
    pub content: Option<Classes>,
    /// The queue in front.
    #[serde(default)]
    pub sending_queue: QueueConfig,
    /// What happens when an attempt fails.
    #[serde(default)]
    pub retry_on_failure: retry::Config,
}

/// How bodies are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON.
    Json,
}

/// How requests are packed. Fast levels only: slower ones cost more than the bytes are worth.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every receiver understands.
    #[default]
    Gzip,
    /// zstd, which is faster and smaller.
    Zstd,
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(10))
}

impl GrpcConfig {
    /// Checks endpoint and headers.
    pub fn resolve(&self) -> Result<Config, String> {
        let endpoint = grpc_endpoint(&self.endpoint, self.tls.insecure)?;
        let headers = headers(&self.headers)?;
        Ok(Config { endpoint, tls: self.tls.clone(), headers, compression: self.compression })
    }
}

impl HttpConfig {
    /// Checks headers; the endpoints are checked by [`HttpConfig::urls`].
    pub fn resolve(&self) -> Result<Config, String> {
        let any = [&self.endpoint, &self.traces_endpoint, &self.metrics_endpoint, &self.logs_endpoint];
        let first = any.into_iter().flatten().next().ok_or("an `endpoint` is needed, such as http://host:4318")?;
        let endpoint = url(first)?;
        let headers = headers(&self.headers)?;
        Ok(Config { endpoint, tls: self.tls.clone(), headers, compression: self.compression })
    }

    /// The URL for each signal, where there is one: its own as it is, or the base with the signal's path.
    pub fn urls(&self) -> Result<[Option<Uri>; 3], String> {
        let of = |own: &Option<String>, path: &str| -> Result<Option<Uri>, String> {
            match (own, &self.endpoint) {
                (Some(own), _) => url(own).map(Some),
                (None, Some(base)) => url(&format!("{}{path}", base.trim_end_matches('/'))).map(Some),
                (None, None) => Ok(None),
            }
        };
        Ok([
            of(&self.traces_endpoint, "/v1/traces")?,
            of(&self.metrics_endpoint, "/v1/metrics")?,
            of(&self.logs_endpoint, "/v1/logs")?,
        ])
    }
}

/// The URL of a gRPC endpoint, with the scheme it lacks.
pub(super) fn grpc_endpoint(text: &str, insecure: bool) -> Result<Uri, String> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host).trim_matches(['[', ']']);
        format!("{}://{text}", if insecure || is_this_machine(host) { "http" } else { "https" })
    };
    url(&with_scheme)
}

/// A URL with scheme and host.
pub fn url(text: &str) -> Result<Uri, String> {
    // Who we are and keys may be part of it, so that no more is shown than what stands before and behind them.
    let shown = || {
        let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.split(['?', '#']).next().unwrap_or_default();
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    };
    let invalid = || format!("`{}` is no endpoint; write http://host:port or https://host:port", shown());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let scheme_is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    let (Some(host), Some(authority), true) = (uri.host(), uri.authority(), scheme_is_known) else {
        return Err(invalid());
    };
    let is_whole = authority.port().is_some() || authority.as_str().ends_with(host);
    if host.is_empty() || !is_whole { Err(invalid()) } else { Ok(uri) }
}

/// Headers as requests have them.
pub fn headers(headers: &BTreeMap<String, String>) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, String> {
    let header = |(name, value): (&String, &String)| {
        let parsed_name = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
        let mut parsed =
            http::HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` is no header"))?;
        parsed.set_sensitive(true);
        Ok((parsed_name, parsed))
    };
    headers.iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let grpc = |text, insecure| grpc_endpoint(text, insecure).map(|uri| uri.to_string());
        assert_eq!(grpc("jaeger:4317", true), Ok("http://jaeger:4317/".into()));
        assert_eq!(grpc("jaeger:4317", false), Ok("https://jaeger:4317/".into()));
        assert_eq!(grpc("localhost:4317", false), Ok("http://localhost:4317/".into()));
        assert_eq!(grpc("[::1]:4317", false), Ok("http://[::1]:4317/".into()));
        assert_eq!(grpc("http://jaeger:4317", false), Ok("http://jaeger:4317/".into()));
        assert!(grpc("http://jaeger:x", false).is_err() && grpc("http://[::1]", false).is_ok());
        assert_eq!(grpc("ftp://me:key@x/?a=b", false).unwrap_err().find("key"), None);
        assert!(grpc("ftp://x", false).is_err());
        assert!(grpc("", false).is_err());
    }
}
