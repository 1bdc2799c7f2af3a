//! Asking a running collector.

use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Failure, Target};
use crate::tls::{self, Tls};

/// How long somebody may take to say whether they are there.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer is larger.
const LARGEST_ANSWER: usize = 256 << 20;

/// Asks for a document: the bytes as they came.
pub async fn get_bytes(target: &Target, path: &str) -> Result<Bytes, Failure> {
    let response = request(target, path, &[]).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
    let body = body.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    Err(refused(status, &body))
}

/// What the collector says when it has nothing to give: what was asked makes no sense, or there is no such thing.
pub fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|json| Some(json["error"].as_str()?.to_owned()));
    let message = said.unwrap_or_else(|| format!("the collector answered {status}"));
    match status {
        StatusCode::BAD_REQUEST => Failure::usage(message),
        StatusCode::UNAUTHORIZED => Failure::new(format!("{message}; --token or SPANLIGHT_TOKEN gives one")),
        _ => Failure::new(message),
    }
}

/// Asks for a JSON document.
pub async fn get(target: &Target, path: &str) -> Result<Value, Failure> {
    let body = get_bytes(target, path).await?;
    serde_json::from_slice(&body).map_err(|error| Failure::new(format!("the answer is not JSON: {error}")))
}

/// Asks, and gives the answer as soon as its headers are there.
pub async fn request(
    target: &Target,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<http::Response<Incoming>, Failure> {
    let url = format!("{}{path}", target.url.trim_end_matches('/'));
    let uri: Uri = url.parse().map_err(|_| Failure::usage(format!("`{url}` is no URL")))?;
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(token) = &target.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::<Bytes>::default()).map_err(Failure::usage)?;
    let client = client(target, &url)?;
    client.request(request).await.map_err(|error| unreachable(&target.url, &error))
}

/// A client for a URL, with TLS if it is one of TLS.
fn client(target: &Target, url: &str) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, Failure> {
    let (ca_file, cert_file, key_file) = (target.ca_file.clone(), target.cert_file.clone(), target.key_file.clone());
    let tls = Tls { ca_file, cert_file, key_file, ..Tls::default() };
    let connector = tls::connector(&tls, url.starts_with("https:"), false).map_err(Failure::usage)?;
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Posts a body to the base URL of a receiver, as often as it asks for patience, for a minute.
pub async fn post(
    target: &Target,
    base: &str,
    path: &str,
    content_type: &'static str,
    body: Bytes,
) -> Result<Bytes, Failure> {
    const LONGEST: Duration = Duration::from_secs(60);
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let client = client(target, &url)?;
    let begun = Instant::now();
    loop {
        let mut request = Request::post(&url).header(CONTENT_TYPE, content_type);
        if let Some(token) = &target.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request =
            request.body(Full::new(body.clone())).map_err(|_| Failure::usage(format!("`{url}` is no URL")))?;
        let response = client.request(request).await.map_err(|error| unreachable(base, &error))?;
        let (status, wait) = (response.status(), retry_after(&response));
        let answer = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let answer = answer.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?.to_bytes();
        if status.is_success() {
            return Ok(answer);
        }
        if status == StatusCode::NOT_FOUND {
            return Err(Failure::usage(format!("{base} takes nothing of what is sent to {path}")));
        }
        let is_busy = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        if !is_busy || begun.elapsed() + wait > LONGEST {
            return Err(refused(status, &answer));
        }
        tokio::time::sleep(wait).await;
    }
}

fn retry_after(response: &http::Response<Incoming>) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).max(1))
}

fn unreachable(url: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let is_cut_off = error.downcast_ref().is_some_and(|error: &legacy::Error| !error.is_connect());
    let remedy = match tls::remedy(&cause.to_string()) {
        Some(remedy) => remedy,
        // With TLS 1.3 whoever has no certificate is refused only once it believes that it is connected.
        None if is_cut_off && url.starts_with("https:") => {
            "it may want to know who asks: --cert-file and --key-file tell it"
        }
        None => "is a collector running? `spanlight` starts one, --url names another",
    };
    Failure::new(format!("cannot reach {url}: {cause}; {remedy}"))
}

/// Whether somebody takes traces at the base URL of a receiver of OTLP over HTTP.
pub async fn takes_traces(url: &str) -> Result<bool, Failure> {
    let no_url = || Failure::usage(format!("`{url}` is no URL such as http://127.0.0.1:4318"));
    let uri: Uri = format!("{}/v1/traces", url.trim_end_matches('/')).parse().map_err(|_| no_url())?;
    match uri.scheme_str() {
        Some("http") => {}
        // Whether it answers is found out by whoever sends: there is no TLS here.
        Some("https") => return Ok(true),
        _ => return Err(no_url()),
    }
    let request = Request::post(uri).header("content-type", "application/x-protobuf").body(Empty::<Bytes>::new());
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let asked = tokio::time::timeout(PATIENCE, client.request(request.map_err(|_| no_url())?));
    match asked.await {
        Ok(Ok(response)) if response.status().is_success() => Ok(true),
        Ok(Ok(response)) => {
            Err(Failure::new(format!("what listens at {url} takes no traces: it answered {}", response.status())))
        }
        Ok(Err(error)) if error.is_connect() => Ok(false),
        Ok(Err(error)) => Err(Failure::new(format!("what listens at {url} does not understand us: {error}"))),
        Err(_) => Err(Failure::new(format!("there is no answer from {url}"))),
    }
}

/// A query string of the pairs that have a value.
pub fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().filter_map(|(key, value)| Some(format!("{key}={}", encode((*value)?)))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// The same of filters that may have several values each.
pub fn filter_query(filters: &[(&str, &[String])]) -> String {
    let pairs = filters.iter().flat_map(|(key, values)| values.iter().map(|value| (*key, Some(value.as_str()))));
    query(&pairs.collect::<Vec<_>>())
}

/// Text as part of a URL.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
