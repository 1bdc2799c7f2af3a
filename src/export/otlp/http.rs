//! OTLP over HTTP, as a client.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};

use super::client::{self, Client, Rope};
use super::config::{Compression, Config, Encoding, HttpConfig};
use super::{partial_success, request};
use crate::export::credentials::{Credentials, Header};
use crate::export::discretion::Discretion;
use crate::export::{Load, Outcome};
use crate::otlp::Signal;
use crate::otlp::json::to_json;
use crate::otlp::wire::repeated;

/// The exporter, with connections of its own.
pub struct HttpExporter {
    client: Client,
    urls: [Option<Uri>; 3],
    encoding: Encoding,
    config: Config,
    credentials: Credentials,
    discretion: Discretion,
}

impl HttpExporter {
    /// Checks the endpoints. Nothing is connected before there is something to send.
    pub fn new(settings: &HttpConfig, credentials: &Credentials) -> Result<HttpExporter, String> {
        let config = settings.resolve()?;
        let urls = settings.urls()?;
        let wants_tls = urls.iter().flatten().any(|url| url.scheme_str() == Some("https"));
        let discretion = urls.iter().flatten().fold(Discretion::new(&config.headers), Discretion::with_query);
        Ok(HttpExporter {
            client: client::connect(&config.tls, wants_tls, false)?,
            urls,
            encoding: settings.encoding,
            config,
            credentials: credentials.clone(),
            discretion,
        })
    }

    /// One request, and another one where we have something better to say of ourselves by now.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        self.discretion.attempt(&self.credentials, |said| self.post(load, said)).await
    }

    async fn post(&self, load: &Load, credentials: Option<Header>) -> Outcome {
        let Some((signal, pieces)) = request(load) else { return Outcome::DONE };
        let url = match signal {
            Signal::Traces => &self.urls[0],
            Signal::Metrics => &self.urls[1],
            Signal::Logs => &self.urls[2],
        };
        let Some(url) = url else {
            return Outcome::Reject { why: format!("there is no endpoint for {signal}") };
        };
        let request = match self.request(url, signal, pieces, credentials) {
            Ok(request) => request,
            Err(error) => return Outcome::Reject { why: format!("cannot pack the request: {error}") },
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Outcome::retry(client::reason(&error)),
        };
        let (head, body) = response.into_parts();
        match client::read(body).await {
            Ok(body) => judge(head.status, &head.headers, &body.to_bytes(), SystemTime::now()),
            Err(outcome) => outcome,
        }
    }

    fn request(
        &self,
        url: &Uri,
        signal: Signal,
        pieces: Vec<Bytes>,
        credentials: Option<Header>,
    ) -> std::io::Result<Request<Rope>> {
        let (content_type, pieces) = match self.encoding {
            Encoding::Proto => ("application/x-protobuf", pieces),
            Encoding::Json => ("application/json", vec![to_json(&pieces.concat(), signal.schema()).into()]),
        };
        let (encoding, body) = match self.config.compression {
            Compression::None => (None, Rope::of(pieces)),
            compression => {
                let packed = client::pack(&pieces, compression)?;
                (Some(if compression == Compression::Gzip { "gzip" } else { "zstd" }), Rope::of([packed.into()]))
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(url);
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("spanlight/", env!("CARGO_PKG_VERSION"))));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers.extend(self.config.headers.iter().cloned().chain(credentials));
        Ok(request)
    }
}

/// OTLP: 429, 502, 503 and 504 may be repeated, nothing else.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Outcome {
    if status.is_success() {
        let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/json"));
        let (rejected, why) = if is_json { json_partial_success(body) } else { partial_success(body) };
        return Outcome::Done { rejected, why };
    }
    let why = format!("HTTP {status} {}", said(headers, body)).trim_end().to_owned();
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Retry { after: retry_after(headers, now), why },
        401 => Outcome::Denied { why },
        _ => Outcome::Reject { why },
    }
}

/// `Retry-After`: seconds or a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// What the receiver says of a failure: the message of a `google.rpc.Status`, or a text.
fn said(headers: &HeaderMap, body: &[u8]) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let message = if content_type.starts_with(b"application/x-protobuf") {
        repeated(body, 2).next().map(|message| String::from_utf8_lossy(message).into_owned())
    } else if content_type.starts_with(b"application/json") {
        let status = serde_json::from_slice::<serde_json::Value>(body).ok();
        status.and_then(|status| Some(status.get("message")?.as_str()?.to_owned()))
    } else {
        None
    };
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.trim().to_owned()
}

fn json_partial_success(body: &[u8]) -> (usize, String) {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"].iter().find_map(|key| {
        let value = &partial[*key];
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    });
    let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
    (rejected.unwrap_or(0) as usize, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_judged_as_otlp_says() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (status, retried) in
            [(429, true), (502, true), (503, true), (504, true), (400, false), (500, false), (413, false)]
        {
            let outcome = judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"no", now);
            assert_eq!(matches!(outcome, Outcome::Retry { .. }), retried, "{status}");
        }
        let after = |value: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            match judge(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", now) {
                Outcome::Retry { after, .. } => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after("17"), Some(Duration::from_secs(17)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn partial_success_in_json() {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"why"}}"#;
        let outcome = judge(StatusCode::OK, &headers, body, SystemTime::now());
        assert_eq!(outcome, Outcome::Done { rejected: 2, why: "why".into() });
        assert_eq!(judge(StatusCode::OK, &headers, b"{}", SystemTime::now()), Outcome::DONE);
    }
}
