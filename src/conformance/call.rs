//! A call over gRPC as a case writes it, and what was returned.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;

use super::answer::{essence, in_time};
use super::case::{Trouble, unmet};
use super::peer::{Body, Http2, Peer, deepest};
use crate::export::otlp::code_name;
use crate::otlp::Signal;
use crate::otlp::wire::repeated;

/// Nothing that a call returns is larger.
const LARGEST: usize = 8 << 20;
/// Bytes in front of every message.
const PREFIX: usize = 5;

/// A call over gRPC.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is in it.
    pub signal: Signal,
    /// Another method than the export of the signal.
    pub path: Option<&'static str>,
    /// What its `content-type` says.
    pub content_type: &'static str,
    /// Further metadata.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Its data as it goes out, frame by frame.
    pub data: Vec<Bytes>,
}

/// What a call returned.
#[derive(Clone, Debug)]
pub struct Returned {
    /// Of HTTP, below gRPC.
    pub status: StatusCode,
    /// What it says that it is, without parameters.
    pub content_type: String,
    /// `grpc-status`; absent where there is none.
    pub code: Option<u32>,
    /// `grpc-message`, as it came.
    pub message: String,
    /// Whether the status says when to come back.
    pub says_when: bool,
    /// Whether the status stood behind the data, or alone.
    pub in_trailers: bool,
    /// Encodings that it says it knows.
    pub accepts: String,
    /// What it returned: message and prefix.
    pub body: Bytes,
}

impl Call {
    /// The export of a signal: one message, not compressed.
    pub fn of(signal: Signal, message: impl Into<Bytes>) -> Call {
        Call {
            signal,
            path: None,
            content_type: "application/grpc",
            headers: Vec::new(),
            data: vec![framed(0, &message.into())],
        }
    }

    /// With metadata.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Call {
        self.headers.push((name, value));
        self
    }

    /// With other data.
    pub fn sending(self, data: Vec<Bytes>) -> Call {
        Call { data, ..self }
    }

    /// To another method.
    pub fn to(self, path: &'static str) -> Call {
        Call { path: Some(path), ..self }
    }

    /// Of another content type.
    pub fn typed(self, content_type: &'static str) -> Call {
        Call { content_type, ..self }
    }
}

impl Returned {
    /// What it returned in a line, for people.
    pub fn told(&self) -> String {
        match self.code {
            Some(code) => {
                let message = crate::console::cut(&self.message, 120);
                format!("{} ({code}) {message}", code_name(code)).trim_end().to_owned()
            }
            None => format!("HTTP {} without a grpc-status", self.status),
        }
    }

    /// The one message that a success returns, if there is one.
    pub fn answered(&self) -> Option<&[u8]> {
        let (prefix, message) = self.body.split_at_checked(PREFIX)?;
        let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        (prefix[0] == 0 && len == message.len()).then_some(message)
    }

    /// Whether a client that follows OTLP sends the same again.
    pub fn is_retryable(&self) -> bool {
        match self.code {
            Some(1 | 4 | 10 | 11 | 14 | 15) => true,
            Some(8) => self.says_when,
            Some(_) => false,
            None => true,
        }
    }
}

/// A message behind its prefix.
pub fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(PREFIX + message.len());
    out.push(flag);
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

impl Peer {
    /// Makes a call on a connection of its own.
    pub async fn call(&self, call: &Call) -> Result<Returned, Trouble> {
        let connection = self.http2().await?;
        self.call_on(&connection, call).await
    }

    /// Makes a call on a connection that may have others under way.
    pub async fn call_on(&self, connection: &Http2, call: &Call) -> Result<Returned, Trouble> {
        let frames = call.data.clone().into_iter().map(|data| Ok(Frame::data(data)));
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        self.stream_on(connection, call, body).await
    }

    /// Makes a call whose data comes from elsewhere.
    pub async fn stream_on(&self, connection: &Http2, call: &Call, body: Body) -> Result<Returned, Trouble> {
        let mut request = self.request(call.path.unwrap_or(call.signal.grpc_path())).method(Method::POST);
        request = request.header("te", "trailers").header("content-type", call.content_type);
        for (name, value) in &call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).or_else(|error| unmet("a call", error.to_string()))?;
        let mut sender = connection.sender.clone();
        let called = async {
            match sender.send_request(request).await {
                Ok(answer) => read(answer).await,
                Err(error) => unmet("an answer", format!("none: {}", deepest(&error))),
            }
        };
        in_time(called).await
    }
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Returned, Trouble> {
    let (head, body) = answer.into_parts();
    let collected = match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => collected,
        Err(error) => return unmet("a whole answer", format!("HTTP {}, and then: {}", head.status, deepest(&*error))),
    };
    let in_trailers = collected.trailers().is_some_and(|trailers| trailers.contains_key("grpc-status"));
    let mut metadata = collected.trailers().cloned().unwrap_or_default();
    let content_type = essence(text(&head.headers, "content-type")).to_owned();
    for (name, value) in &head.headers {
        if !metadata.contains_key(name) {
            metadata.insert(name.clone(), value.clone());
        }
    }
    let details = STANDARD_NO_PAD.decode(text(&metadata, "grpc-status-details-bin").trim_end_matches('='));
    let says_when = repeated(&details.unwrap_or_default(), 3)
        .any(|any| repeated(any, 1).any(|name| name.ends_with(b"google.rpc.RetryInfo")));
    Ok(Returned {
        status: head.status,
        content_type,
        code: text(&metadata, "grpc-status").trim().parse().ok(),
        message: text(&metadata, "grpc-message").to_owned(),
        says_when,
        in_trailers,
        accepts: text(&metadata, "grpc-accept-encoding").to_owned(),
        body: collected.to_bytes(),
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}
