//! Where objects go: S3-compatible storage over our own HTTP client, or a directory.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, StaticCredentialProvider};

use super::config::{Config, Place};
use crate::blocking::off_worker;
use crate::tls;

/// Where objects go.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn ObjectStore>);

impl Store {
    /// Larger files go up in parts of this many bytes, which is what an upload takes in memory.
    const PART: usize = 8 << 20;

    /// Of what a configuration says. Nothing is connected yet.
    ///
    /// # Errors
    /// What cannot be, in words that show no secret.
    pub fn new(config: &Config) -> Result<Store, String> {
        match config.place()? {
            Place::Directory(path) => {
                let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                std::fs::create_dir_all(&path).map_err(|error| failed(&error))?;
                let files = LocalFileSystem::new_with_prefix(&path).map_err(|error| failed(&error))?;
                Ok(Store(Arc::new(files.with_fsync(true))))
            }
            Place::Bucket { name, prefix } => {
                let bucket = bucket(config, &name)?;
                Ok(Store(Arc::new(PrefixStore::new(bucket, prefix))))
            }
        }
    }

    /// Puts a file where its name says, in place of what may be there. Once this returns, it is there for good.
    ///
    /// # Errors
    /// Why it may not be.
    pub async fn put(&self, name: &str, path: &Path) -> Result<(), String> {
        let key = Key::from(name);
        let mut file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut part = || off_worker(|| read(&mut file)).map_err(|error| format!("{}: {error}", path.display()));
        let first = part()?;
        if first.len() < Store::PART {
            return self.0.put(&key, first.into()).await.map(drop).map_err(|error| reason(&error));
        }
        let mut upload = self.0.put_multipart(&key).await.map_err(|error| reason(&error))?;
        let mut next = first;
        let outcome = async {
            while !next.is_empty() {
                upload.put_part(next.clone().into()).await.map_err(|error| reason(&error))?;
                next = part()?;
            }
            upload.complete().await.map(drop).map_err(|error| reason(&error))
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            // What this leaves behind costs room, and is no object.
            upload.abort().await.unwrap_or_default();
        }
        outcome
    }
}

/// The next part of a file; the last is shorter, or empty.
fn read(file: &mut File) -> io::Result<Bytes> {
    let left = file.metadata()?.len().saturating_sub(file.stream_position()?);
    let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(Store::PART).min(Store::PART));
    file.by_ref().take(Store::PART as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn bucket(config: &Config, name: &str) -> Result<impl ObjectStore, String> {
    // Attempts are repeated by whoever asks, with new credentials and for as long as it takes.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let options = ClientOptions::new()
        .with_default_content_type("application/vnd.apache.parquet")
        .with_allow_http(config.is_plain());
    let connector = Connector { tls: config.tls.clone(), is_plain: config.is_plain(), timeout: config.timeout.0 };
    let mut builder = AmazonS3Builder::from_env()
        .with_client_options(options)
        .with_bucket_name(name)
        .with_retry(once)
        .with_http_connector(connector);
    if config.virtual_hosted_style {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let (Some(key), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        // A token of the environment belongs to another key, so that all three come from here.
        let token = config.session_token.as_ref().map(|token| token.0.clone());
        let credential = AwsCredential { key_id: key.clone(), secret_key: secret.0.clone(), token };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
    }
    builder.build().map_err(|error| reason(&error))
}

/// Connects with our own client, so that TLS is the same as everywhere.
#[derive(Debug)]
struct Connector {
    tls: tls::Tls,
    is_plain: bool,
    timeout: Duration,
}

#[derive(Debug)]
struct Requests {
    client: Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, HttpRequestBody>,
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let connector = tls::connector(&self.tls, !self.is_plain, false)
            .map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(HttpClient::new(Requests { client, timeout: self.timeout }))
    }
}

#[async_trait]
impl HttpService for Requests {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        /// No answer that means anything to us is larger, in bytes.
        const LARGEST_ANSWER: usize = 1 << 20;
        let answer = async {
            let response = self.client.request(request).await;
            let kind = |is_connect| if is_connect { HttpErrorKind::Connect } else { HttpErrorKind::Request };
            let response = response.map_err(|error| HttpError::new(kind(error.is_connect()), error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error))?;
            let whole = http_body_util::Full::new(body.to_bytes()).map_err(|never| match never {});
            Ok(HttpResponse::from_parts(head, object_store::client::HttpResponseBody::new(whole)))
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(outcome) => outcome,
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        }
    }
}

/// Why something failed, with the reasons below it in one line.
fn reason(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let said = deeper.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = deeper.source();
    }
    crate::console::cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 500)
}
