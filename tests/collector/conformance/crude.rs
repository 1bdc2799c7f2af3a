//! Receivers that look at nothing: each treats every request alike, in one wrong way.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::client::frame;

/// What a receiver does with every request.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Takes it, whatever it is.
    Takes,
    /// Takes it, and answers as if nobody read that.
    TakesSloppily,
    /// Takes it, says that there is something to say, and says nothing.
    SaysNothing,
    /// Takes it but for one item, and does not say why.
    LeavesOut,
    /// Refuses it for good.
    Refuses,
    /// Refuses it as if nobody read that.
    RefusesSloppily,
    /// Refuses it for now.
    Busy,
}

impl Manner {
    pub const ALL: [Manner; 7] = [
        Manner::Takes,
        Manner::TakesSloppily,
        Manner::SaysNothing,
        Manner::LeavesOut,
        Manner::Refuses,
        Manner::RefusesSloppily,
        Manner::Busy,
    ];
}

/// A receiver; it is gone when the test lets go of it.
pub struct Crude {
    address: SocketAddr,
    _running: JoinSet<()>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Crude {
    pub async fn start(manner: Manner) -> Crude {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let service = service_fn(|request| serve(request, manner));
                    // Clients break off as they like.
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Crude { address, _running: running }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(request: Request<Incoming>, manner: Manner) -> Result<Response<Body>, Infallible> {
    let (head, mut body) = request.into_parts();
    let content_type = head.headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    // Bodies are nothing to look at, but whoever sends one waits until it is read.
    while let Some(Ok(_)) = body.frame().await {}
    Ok(match content_type.starts_with("application/grpc") {
        true => over_grpc(manner),
        false => over_http(manner, &head.method, &content_type),
    })
}

fn over_http(manner: Manner, method: &Method, content_type: &str) -> Response<Body> {
    let is_json = content_type.starts_with("application/json");
    let content_type = if is_json { "application/json" } else { "application/x-protobuf" };
    let in_form = |json: &'static str, protobuf: &'static [u8]| if is_json { json.as_bytes() } else { protobuf };
    let (status, headers, body): (u16, Vec<(&str, &str)>, &[u8]) = match manner {
        Manner::Takes => (200, vec![("content-type", content_type)], in_form("{}", b"")),
        Manner::TakesSloppily => (200, vec![("content-type", "text/plain"), ("content-encoding", "none")], b"ok"),
        Manner::SaysNothing => {
            (200, vec![("content-type", content_type)], in_form(r#"{"partialSuccess":{}}"#, b"\x0a\x00"))
        }
        Manner::LeavesOut => {
            let json = r#"{"partialSuccess":{"rejectedSpans":"1"}}"#;
            (200, vec![("content-type", content_type)], in_form(json, b"\x0a\x02\x08\x01"))
        }
        Manner::Refuses => (400, vec![("content-type", content_type)], in_form("{}", b"")),
        Manner::RefusesSloppily if *method != Method::POST => (405, vec![], b"no"),
        Manner::RefusesSloppily => (400, vec![("content-type", "text/plain"), ("retry-after", "1")], b"no"),
        Manner::Busy => (503, vec![("content-type", content_type)], in_form("{}", b"")),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(frames([Frame::data(Bytes::copy_from_slice(body))])).unwrap()
}

fn over_grpc(manner: Manner) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/grpc");
    let refusal =
        |code: u16| Response::builder().header("content-type", "application/grpc").header("grpc-status", code);
    let message: &[u8] = match manner {
        Manner::Takes => b"",
        Manner::SaysNothing => b"\x0a\x00",
        Manner::LeavesOut => b"\x0a\x02\x08\x01",
        Manner::TakesSloppily => return refusal(0).body(frames([])).unwrap(),
        Manner::Refuses => return refusal(3).body(frames([])).unwrap(),
        Manner::RefusesSloppily => return refusal(2).body(frames([])).unwrap(),
        Manner::Busy => return refusal(14).body(frames([])).unwrap(),
    };
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    response.body(frames([Frame::data(frame(0, message)), Frame::trailers(trailers)])).unwrap()
}

fn frames<const N: usize>(frames: [Frame<Bytes>; N]) -> Body {
    StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed_unsync()
}
