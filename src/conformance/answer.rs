//! A request over HTTP as a case writes it, and the answer that came.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::case::{Trouble, unmet};
use super::peer::{Body, Http1, PATIENCE, Peer, deepest};
use crate::otlp::Signal;

/// The content type of OTLP in protobuf.
pub const PROTOBUF: &str = "application/x-protobuf";
/// The content type of OTLP/JSON.
pub const JSON: &str = "application/json";
/// No answer that means anything is larger.
const LARGEST: usize = 8 << 20;

/// A request over HTTP.
#[derive(Clone, Debug)]
pub struct Post {
    /// What is in it.
    pub signal: Signal,
    /// `POST`, unless another method is the point.
    pub method: Method,
    /// Another path than that of the signal.
    pub path: Option<&'static str>,
    /// What its `content-type` says.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Its body.
    pub body: Bytes,
}

/// The answer to a request over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its version.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// What the request said of itself.
    pub asked: Post,
}

impl Post {
    /// A request in protobuf.
    pub fn protobuf(signal: Signal, body: impl Into<Bytes>) -> Post {
        Post {
            signal,
            method: Method::POST,
            path: None,
            content_type: PROTOBUF,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A request in JSON.
    pub fn json(signal: Signal, body: impl Into<Bytes>) -> Post {
        Post { content_type: JSON, ..Post::protobuf(signal, body) }
    }

    /// Of another content type.
    pub fn typed(self, content_type: &'static str) -> Post {
        Post { content_type, ..self }
    }

    /// With a header.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Post {
        self.headers.push((name, value));
        self
    }

    /// To another path.
    pub fn to(self, path: &'static str) -> Post {
        Post { path: Some(path), ..self }
    }

    /// With another method.
    pub fn by(self, method: Method) -> Post {
        Post { method, ..self }
    }

    /// Whether its answer is to be JSON.
    pub fn is_json(&self) -> bool {
        essence(self.content_type).eq_ignore_ascii_case(JSON)
    }

    /// The path that it goes to.
    pub fn path(&self) -> &'static str {
        self.path.unwrap_or(self.signal.http_path())
    }
}

impl Answer {
    /// The text of a header, or nothing.
    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
    }

    /// What it says its body is, without parameters.
    pub fn content_type(&self) -> &str {
        essence(self.header(header::CONTENT_TYPE))
    }

    /// The answer in a line, for people.
    pub fn told(&self) -> String {
        let content_type = self.header(header::CONTENT_TYPE);
        let kind = if content_type.is_empty() { "no content type" } else { content_type };
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect();
        let body = if text.is_empty() { "an empty body".to_owned() } else { crate::console::cut(text.trim(), 120) };
        format!("HTTP {}, {kind}, {body}", self.status)
    }
}

/// A media type without its parameters.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl Peer {
    /// Sends a request on a connection of its own.
    pub async fn post(&self, post: &Post) -> Result<Answer, Trouble> {
        let mut connection = self.http1().await?;
        self.post_on(&mut connection, post).await
    }

    /// Sends a request on a connection that may have had others.
    pub async fn post_on(&self, connection: &mut Http1, post: &Post) -> Result<Answer, Trouble> {
        let request = self.to_send(post, Full::new(post.body.clone()).boxed_unsync())?;
        let asked = async {
            if let Err(error) = connection.sender.ready().await {
                return unmet("an open connection", deepest(&error));
            }
            match connection.sender.send_request(request).await {
                Ok(answer) => read(answer, post).await,
                Err(error) => unmet("an answer", format!("none: {}", deepest(&error))),
            }
        };
        in_time(asked).await
    }

    /// The request as it goes out, with any body.
    pub fn to_send(&self, post: &Post, body: Body) -> Result<http::Request<Body>, Trouble> {
        let mut request = self.request(post.path()).method(post.method.clone()).header(header::HOST, self.authority());
        if !post.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, post.content_type);
        }
        for (name, value) in &post.headers {
            request = request.header(*name, *value);
        }
        request.body(body).or_else(|error| unmet("a request", error.to_string()))
    }
}

/// The whole answer.
pub async fn read(answer: http::Response<Incoming>, asked: &Post) -> Result<Answer, Trouble> {
    let (head, body) = answer.into_parts();
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(Answer {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: body.to_bytes(),
            asked: asked.clone(),
        }),
        Err(error) => unmet("a whole answer", format!("HTTP {}, and its body broke off: {error}", head.status)),
    }
}

/// What comes in time, or that nothing does.
pub async fn in_time<T>(asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => unmet("an answer", format!("none within {} s", PATIENCE.as_secs())),
    }
}
