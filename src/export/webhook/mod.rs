//! `webhook`: events as JSON to a URL, signed, so that whoever gets them knows from whom they are.

mod config;
mod sign;

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Limited};

pub use config::Config;

use super::credentials::{Credentials, Header};
use super::discretion::Discretion;
use super::otlp::client::{self, Client, Rope};
use super::otlp::retry_after;
use super::{Load, Outcome};
use crate::config::types::Secret;
use crate::flow::SharedRecord;

/// The header with the signature.
pub const SIGNATURE: &str = "x-spanlight-signature";

/// The exporter, with a connection of its own.
pub struct WebhookExporter {
    client: Client,
    url: Uri,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    secret: Option<Secret>,
    credentials: Credentials,
    discretion: Discretion,
}

impl WebhookExporter {
    /// Checks what is configured. Nothing is connected before there is something to tell.
    pub fn new(config: &Config, credentials: &Credentials) -> Result<WebhookExporter, String> {
        let url = config.url()?;
        let wants_tls = url.scheme_str() == Some("https");
        let client = client::connect(&config.tls, wants_tls, false)?;
        let (headers, secret) = (config.headers()?, config.secret.clone());
        let discretion = Discretion::new(&headers).with_query(&url).with_path(&url);
        Ok(WebhookExporter { client, url, headers, secret, credentials: credentials.clone(), discretion })
    }

    /// One request with all events of the load, and another one where we have something better to say of ourselves by now.
    pub async fn export(&mut self, load: &Load) -> Outcome {
        self.discretion.attempt(&self.credentials, |said| self.post(load, said)).await
    }

    async fn post(&self, load: &Load, credentials: Option<Header>) -> Outcome {
        let Load::Events(events) = load else {
            return Outcome::Reject { why: "a webhook is told of events only".into() };
        };
        let request = match self.request(body(events), SystemTime::now(), credentials) {
            Ok(request) => request,
            Err(why) => return Outcome::Reject { why },
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Outcome::retry(client::reason(&error)),
        };
        let status = response.status();
        let after = retry_after(response.headers(), SystemTime::now());
        if status.is_success() {
            return Outcome::DONE;
        }
        let said = Limited::new(response.into_body(), client::LARGEST_ANSWER).collect().await;
        let said = said.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        let why = format!("HTTP {status} {}", said.trim()).trim_end().to_owned();
        match status.as_u16() {
            408 | 429 | 500..=599 => Outcome::Retry { after, why },
            401 => Outcome::Denied { why },
            _ => Outcome::Reject { why },
        }
    }

    fn request(&self, body: Bytes, now: SystemTime, credentials: Option<Header>) -> Result<Request<Rope>, String> {
        let signature = self.secret.as_ref().map(|secret| sign::header(secret, &body, now)).transpose()?;
        let mut request = Request::new(Rope::of([body]));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.url);
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("spanlight/", env!("CARGO_PKG_VERSION"))));
        headers.extend(self.headers.iter().cloned().chain(credentials));
        if let Some(signature) = signature {
            headers.insert(SIGNATURE, signature);
        }
        Ok(request)
    }
}

/// `{"events":[…]}`
fn body(events: &[SharedRecord]) -> Bytes {
    let mut body = String::from("{\"events\":[");
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(event.json());
    }
    body.push_str("]}");
    body.into()
}
