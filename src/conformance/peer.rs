//! The receiver that is tried: where it is, how it is reached, and what it takes at all.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::{http1, http2};
use hyper::service::Service;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::answer::Post;
use super::call::Call;
use super::case::{Protocol, Trouble, unmet};
use super::samples;
use crate::otlp::Signal;
use crate::tls::{self, Tls};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A connection, with TLS or without.
pub type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// Where a receiver is and what it wants to be told.
#[derive(Clone, Debug)]
pub struct Target {
    /// The protocol that it speaks there.
    pub protocol: Protocol,
    /// Scheme, host and port, and a path in front of its own.
    pub url: Uri,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How TLS is done, where the scheme is `https`.
    pub tls: Tls,
}

/// A receiver that answers.
pub struct Peer {
    target: Target,
    connector: TowerToHyperService<HttpsConnector<HttpConnector>>,
    signals: Vec<Signal>,
    json: bool,
}

/// A connection for requests one after the other.
pub struct Http1 {
    /// Its near end.
    pub sender: http1::SendRequest<Body>,
    _running: JoinSet<()>,
}

/// A connection for requests at the same time.
pub struct Http2 {
    /// Its near end.
    pub sender: http2::SendRequest<Body>,
    _running: JoinSet<()>,
}

impl Peer {
    /// Reaches a receiver and finds out what it takes. The error is for whoever named it: that it cannot be reached, or
    /// that it is no receiver.
    pub async fn reach(target: Target) -> Result<Peer, String> {
        let config =
            if target.url.scheme_str() == Some("https") { tls::client(&target.tls)? } else { tls::no_roots()? };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(PATIENCE));
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = match target.protocol {
            Protocol::Http => builder.enable_http1().wrap_connector(tcp),
            Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
        };
        let connector = TowerToHyperService::new(connector);
        let mut peer = Peer { target, connector, signals: Signal::ALL.to_vec(), json: true };
        peer.dial().await.map_err(|error| format!("cannot reach {}: {error}", peer.target.url))?;
        peer.probe().await?;
        Ok(peer)
    }

    /// What it takes: whether there is anything at the path of a signal, and JSON.
    async fn probe(&mut self) -> Result<(), String> {
        let mut signals = Vec::new();
        for signal in Signal::ALL {
            let is_taken = match self.target.protocol {
                Protocol::Http => self.is_served(signal).await,
                Protocol::Grpc => self.is_implemented(signal).await,
            };
            match is_taken {
                Ok(true) => signals.push(signal),
                Ok(false) => {}
                Err(Trouble::Unmet(unmet)) => {
                    let remedy = self.remedy(&unmet.came);
                    return Err(format!("{} is no receiver: {}{remedy}", self.target.url, unmet.came));
                }
                Err(Trouble::Moot(why)) => return Err(format!("{}: {why}", self.target.url)),
            }
        }
        if signals.is_empty() {
            return Err(format!("{} takes no OTLP over {}", self.target.url, self.target.protocol.name()));
        }
        if self.target.protocol == Protocol::Http {
            let first = signals.first().copied().unwrap_or(Signal::Traces);
            let answer = self.post(&Post::json(first, "{}")).await;
            self.json = answer.map_or(true, |answer| answer.status.as_u16() != 415);
        }
        self.signals = signals;
        Ok(())
    }

    /// With TLS 1.3 whoever has no certificate is refused only once it believes that it is connected, and sees the reason or
    /// only that the connection is gone.
    fn remedy(&self, came: &str) -> &'static str {
        let is_unknown = self.target.url.scheme_str() == Some("https") && self.target.tls.cert_file.is_none();
        let is_explained = came.starts_with("HTTP ") || came.contains("--cert-file");
        if is_unknown && !is_explained {
            "; it may want to know who asks: --cert-file and --key-file tell it"
        } else {
            ""
        }
    }

    async fn is_served(&self, signal: Signal) -> Result<bool, Trouble> {
        let answer = self.post(&Post::protobuf(signal, samples::request(signal))).await?;
        match answer.status.as_u16() {
            401 | 403 => Err(Trouble::Moot("it wants to know who asks; --header 'authorization=…' tells it")),
            404 | 405 | 501 => Ok(false),
            _ => Ok(true),
        }
    }

    async fn is_implemented(&self, signal: Signal) -> Result<bool, Trouble> {
        let returned = self.call(&Call::of(signal, samples::request(signal))).await?;
        match returned.code {
            Some(7 | 16) => Err(Trouble::Moot("it wants to know who asks; --header 'authorization=…' tells it")),
            None => unmet("a grpc-status", format!("HTTP {} without a grpc-status", returned.status)),
            code => Ok(code != Some(12)),
        }
    }

    /// Whether there is anything for a signal.
    pub fn takes(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Whether JSON is understood at all.
    pub fn takes_json(&self) -> bool {
        self.json
    }

    /// Where it is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The host, for those who write their own requests.
    pub fn authority(&self) -> &str {
        self.target.url.authority().map_or("localhost", |authority| authority.as_str())
    }

    /// The path of a signal over HTTP, behind the path that the target has.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.target.url.path().trim_end_matches('/'))
    }

    /// A connection on which anything may be written.
    pub async fn dial(&self) -> Result<Stream, String> {
        let dialled = tokio::time::timeout(PATIENCE, self.connector.call(self.target.url.clone())).await;
        match dialled {
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
            Ok(Err(error)) => Err(deepest(&*error)),
            Err(_) => Err("no connection in time".into()),
        }
    }

    /// A connection of HTTP/1.1.
    pub async fn http1(&self) -> Result<Http1, Trouble> {
        let stream = self.connect().await?;
        let (sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
            Ok(both) => both,
            Err(error) => return unmet("a connection of HTTP/1.1", deepest(&error)),
        };
        let mut running = JoinSet::new();
        // How it ends is seen by the requests on it.
        running.spawn(async move { connection.await.unwrap_or_default() });
        Ok(Http1 { sender, _running: running })
    }

    /// A connection of HTTP/2, without asking first.
    pub async fn http2(&self) -> Result<Http2, Trouble> {
        let stream = self.connect().await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let handshake = builder.initial_stream_window_size(1 << 20).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = match handshake {
            Ok(both) => both,
            Err(error) => return unmet("a connection of HTTP/2", deepest(&error)),
        };
        let mut running = JoinSet::new();
        running.spawn(async move { connection.await.unwrap_or_default() });
        Ok(Http2 { sender, _running: running })
    }

    async fn connect(&self) -> Result<Stream, Trouble> {
        match self.dial().await {
            Ok(stream) => Ok(stream),
            Err(error) => unmet("a connection", error),
        }
    }

    /// A request with what every request has.
    pub fn request(&self, path: &str) -> http::request::Builder {
        let scheme = self.target.url.scheme_str().unwrap_or("http");
        let mut request = Request::builder().uri(format!("{scheme}://{}{}", self.authority(), self.path(path)));
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        request
    }
}

/// Why something failed, below the words of who reports it.
pub fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let words = cause.to_string();
    match tls::remedy(&words) {
        Some(remedy) => format!("{words}; {remedy}"),
        None => words,
    }
}
