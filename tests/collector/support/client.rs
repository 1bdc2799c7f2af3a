//! A plain HTTP and gRPC client: what a test sends is what arrives, byte for byte.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::PATIENCE;

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What came back of a gRPC call.
#[derive(Debug)]
pub struct GrpcAnswer {
    /// `grpc-status`.
    pub code: u16,
    /// `grpc-message`, still percent-encoded.
    pub message: String,
    /// `grpc-status-details-bin`, decoded: a `google.rpc.Status`.
    pub details: Vec<u8>,
    /// The message, without its frame.
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

pub async fn get(url: &str) -> Answer {
    get_with(url, &[]).await
}

pub async fn get_with(url: &str, headers: &[(&str, &str)]) -> Answer {
    send(Method::GET, url, headers, Full::default().boxed_unsync()).await
}

pub async fn post(url: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    send(Method::POST, url, headers, Full::new(body).boxed_unsync()).await
}

/// Posts a body whose length is not known when it begins: in chunks.
pub async fn post_chunked(url: &str, headers: &[(&str, &str)], chunks: Vec<Bytes>) -> Answer {
    let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
    send(Method::POST, url, headers, StreamBody::new(stream::iter(frames)).boxed_unsync()).await
}

pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: Body) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let answered = async {
        let response = client.request(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap()
}

/// A connection that is kept, for whoever sends much.
#[derive(Clone)]
pub struct Connection(Client<HttpConnector, Body>);

impl Connection {
    pub fn new() -> Connection {
        Connection(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Posts a body; the status, or nothing if there is no answer.
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: Bytes) -> Option<u16> {
        let mut request = Request::builder().method(Method::POST).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.0.request(request.body(Full::new(body).boxed_unsync()).unwrap());
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().ok()?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.ok()?;
        Some(status)
    }
}

/// Makes a unary gRPC call with a message that is framed here.
pub async fn call(url: &str, method: &str, message: &[u8]) -> GrpcAnswer {
    call_raw(url, method, &[], frame(0, message)).await
}

/// Makes a gRPC call with headers and bytes of the test's own.
pub async fn call_raw(url: &str, method: &str, headers: &[(&str, &str)], body: Bytes) -> GrpcAnswer {
    let mut request = Request::builder().method(Method::POST).uri(format!("{url}{method}"));
    request = request.header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let answered = async {
        let response = client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "gRPC always answers 200");
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let mut metadata = parts.headers;
        metadata.extend(collected.trailers().cloned().unwrap_or_default());
        let text = |name: &str| metadata.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = collected.to_bytes();
        GrpcAnswer {
            code: text("grpc-status").parse().unwrap(),
            message: text("grpc-message"),
            details: STANDARD_NO_PAD.decode(text("grpc-status-details-bin").trim_end_matches('=')).unwrap(),
            body: if body.len() >= 5 { body.slice(5..) } else { body },
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(5), answered).await.unwrap()
}

/// A message as gRPC frames it.
pub fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut framed = vec![flag];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed.into()
}

pub fn gzip(data: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap().into()
}

pub fn zstd(data: &[u8]) -> Bytes {
    zstd::encode_all(data, 1).unwrap().into()
}
