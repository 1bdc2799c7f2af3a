//! OTLP over gRPC, as a client.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};

use super::client::{self, Client, Rope};
use super::config::{Compression, Config};
use super::{partial_success, percent, request};
use crate::export::credentials::{Credentials, Header};
use crate::export::discretion::Discretion;
use crate::export::{Load, Outcome};
use crate::otlp::Signal;
use crate::otlp::wire::{Fields, repeated};

/// The exporter, with a connection of its own.
pub struct GrpcExporter {
    client: Client,
    uris: [Uri; 3],
    config: Config,
    credentials: Credentials,
    discretion: Discretion,
}

impl GrpcExporter {
    /// Checks the endpoint. Nothing is connected before there is something to send.
    pub fn new(config: &Config, credentials: &Credentials) -> Result<GrpcExporter, String> {
        let wants_tls = config.endpoint.scheme_str() == Some("https");
        let uri = |signal: Signal| {
            let mut parts = config.endpoint.clone().into_parts();
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static(signal.grpc_path()));
            Uri::from_parts(parts).map_err(|error| error.to_string())
        };
        let [traces, metrics, logs] = Signal::ALL;
        Ok(GrpcExporter {
            client: client::connect(&config.tls, wants_tls, true)?,
            uris: [uri(traces)?, uri(metrics)?, uri(logs)?],
            config: config.clone(),
            credentials: credentials.clone(),
            discretion: Discretion::new(&config.headers),
        })
    }

    /// One call, and another one where we have something better to say of ourselves by now.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        self.discretion.attempt(&self.credentials, |said| self.call(load, said)).await
    }

    async fn call(&self, load: &Load, credentials: Option<Header>) -> Outcome {
        let Some((signal, pieces)) = request(load) else { return Outcome::DONE };
        let body = match frame(pieces, self.config.compression) {
            Ok(body) => body,
            Err(error) => return Outcome::Reject { why: format!("cannot pack the request: {error}") },
        };
        let response = match self.client.request(self.request(signal, body, credentials)).await {
            Ok(response) => response,
            Err(error) => return Outcome::retry(client::reason(&error)),
        };
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return judge_http_status(head.status);
        }
        let collected = match client::read(body).await {
            Ok(collected) => collected,
            Err(outcome) => return outcome,
        };
        let trailers = collected.trailers().cloned();
        judge(&head.headers, trailers.as_ref(), &collected.to_bytes())
    }

    fn request(&self, signal: Signal, body: Rope, credentials: Option<Header>) -> Request<Rope> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(match signal {
            Signal::Traces => &self.uris[0],
            Signal::Metrics => &self.uris[1],
            Signal::Logs => &self.uris[2],
        });
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("spanlight/", env!("CARGO_PKG_VERSION"))));
        let encoding = match self.config.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(encoding) = encoding {
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
        }
        headers.extend(self.config.headers.iter().cloned().chain(credentials));
        request
    }
}

/// Puts the prefix in front of the message: a flag and the length.
fn frame(pieces: Vec<Bytes>, compression: Compression) -> std::io::Result<Rope> {
    let (flag, pieces) = match compression {
        Compression::None => (0, pieces),
        _ => (1, vec![client::pack(&pieces, compression)?.into()]),
    };
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let len = u32::try_from(len).map_err(|_| std::io::Error::other("a message of more than 4 GiB"))?;
    let mut prefix = vec![flag];
    prefix.extend_from_slice(&len.to_be_bytes());
    Ok(Rope::of(std::iter::once(prefix.into()).chain(pieces)))
}

/// What a call came to: its status stands in the trailers, or in the headers where there is nothing else.
fn judge(headers: &HeaderMap, trailers: Option<&HeaderMap>, body: &[u8]) -> Outcome {
    let find = |name: &str| trailers.and_then(|trailers| trailers.get(name)).or_else(|| headers.get(name));
    let text = |name: &str| find(name).and_then(|value| value.to_str().ok());
    let Some(code) = text("grpc-status").and_then(|code| code.trim().parse::<u32>().ok()) else {
        // gRPC calls that UNKNOWN, which OTLP does not retry.
        return Outcome::Reject { why: "the answer has no grpc-status".into() };
    };
    if code == 0 {
        let (rejected, why) = partial_success(body.get(5..).unwrap_or_default());
        return Outcome::Done { rejected, why };
    }
    let message = percent::decode(text("grpc-message").unwrap_or_default());
    let why = format!("{} {message}", code_name(code)).trim_end().to_owned();
    let after = find("grpc-status-details-bin").and_then(|details| retry_info(details.as_bytes()));
    // OTLP: these may be repeated; RESOURCE_EXHAUSTED only if the receiver says when.
    match code {
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Retry { after, why },
        8 if after.is_some() => Outcome::Retry { after, why },
        16 => Outcome::Denied { why },
        _ => Outcome::Reject { why },
    }
}

/// A status that is not gRPC's own comes from something in between.
fn judge_http_status(status: http::StatusCode) -> Outcome {
    let why = format!("HTTP {status} instead of gRPC");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::retry(why),
        401 => Outcome::Denied { why },
        _ => Outcome::Reject { why },
    }
}

/// The delay of a `RetryInfo` among the details of a `google.rpc.Status`.
fn retry_info(details: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(details).ok()?.trim_end_matches('=');
    let status = STANDARD_NO_PAD.decode(text).ok()?;
    let info = repeated(&status, 3).find(|any| {
        let name = repeated(any, 1).next().unwrap_or_default();
        name.ends_with(b"google.rpc.RetryInfo")
    })?;
    let delay = repeated(info, 2).next().and_then(|info| repeated(info, 1).next()).unwrap_or_default();
    let number =
        |wanted| Fields::of(delay).filter(|field| field.number == wanted).last().map_or(0, |f| f.value.number());
    Some(Duration::new(number(1), u32::try_from(number(2)).unwrap_or(0).min(999_999_999)))
}

/// What gRPC calls a code.
pub fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("UNKNOWN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::{put_bytes, put_message, put_u64};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn codes_are_judged_as_otlp_says() {
        for code in 0..=17u32 {
            let outcome = judge(&headers(&[("grpc-status", &code.to_string())]), None, &[]);
            match code {
                0 => assert_eq!(outcome, Outcome::DONE),
                1 | 4 | 10 | 11 | 14 | 15 => assert!(matches!(outcome, Outcome::Retry { after: None, .. }), "{code}"),
                16 => assert!(matches!(outcome, Outcome::Denied { .. }), "{code}"),
                _ => assert!(matches!(outcome, Outcome::Reject { .. }), "{code}"),
            }
        }
    }

    #[test]
    fn the_receivers_delay_and_its_partial_success_are_read() {
        let mut status = Vec::new();
        put_message(&mut status, 3, |any| {
            put_bytes(any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
            put_message(any, 2, |info| {
                put_message(info, 1, |delay| {
                    put_u64(delay, 1, 7);
                    put_u64(delay, 2, 500_000_000);
                });
            });
        });
        let details = STANDARD_NO_PAD.encode(&status);
        let trailers =
            headers(&[("grpc-status", "8"), ("grpc-message", "too%20much"), ("grpc-status-details-bin", &details)]);
        let outcome = judge(&HeaderMap::new(), Some(&trailers), &[]);
        let why = "RESOURCE_EXHAUSTED too much".to_owned();
        assert_eq!(outcome, Outcome::Retry { after: Some(Duration::from_millis(7500)), why });

        let mut body = vec![0; 5];
        put_message(&mut body, 1, |partial| {
            put_u64(partial, 1, 3);
            put_bytes(partial, 2, b"too old");
        });
        let outcome = judge(&headers(&[("grpc-status", "0")]), None, &body);
        assert_eq!(outcome, Outcome::Done { rejected: 3, why: "too old".into() });
    }
}
