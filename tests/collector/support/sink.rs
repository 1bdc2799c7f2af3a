//! An OTLP peer downstream, over gRPC and HTTP on one port, that behaves as badly as a test wants.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// How the peer answers one request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Takes it.
    Accept,
    /// Takes it with this `Export…ServiceResponse`.
    AcceptWith(Vec<u8>),
    /// Answers an HTTP status with these headers.
    Http(u16, Vec<(&'static str, &'static str)>),
    /// Answers a gRPC status with this `grpc-status-details-bin`.
    Grpc(u16, String),
    /// Answers nothing for so long, then takes it.
    Hang(Duration),
    /// Breaks the connection.
    Break,
    /// Answers an HTTP status with these headers and this body, whatever the protocol.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// Begins an answer that takes it, and breaks the connection in the middle.
    BreakWithin,
    /// Begins an answer that takes it, and then nothing more comes.
    Stall,
    /// Answers without an end.
    Endless,
    /// Takes it, and takes nothing more on this connection.
    Goodbye,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    /// The message, unpacked and without a frame.
    pub body: Bytes,
    /// Whether it was answered as taken.
    pub taken: bool,
}

/// The peer.
pub struct Sink {
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Behaviour>>,
    otherwise: Mutex<Option<Behaviour>>,
    more: Notify,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

impl Sink {
    /// A peer that takes everything.
    pub async fn start() -> Sink {
        Sink::at("127.0.0.1:0").await
    }

    /// The same, on an address that was free.
    pub async fn at(address: &str) -> Sink {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, state.clone()));
        Sink { address, state, accepting }
    }

    /// What it does with the next requests, one each.
    pub fn will(&self, script: impl IntoIterator<Item = Behaviour>) -> &Sink {
        self.state.script.lock().unwrap().extend(script);
        self
    }

    /// What it does with requests that the script says nothing of.
    pub fn otherwise(&self, behaviour: Behaviour) -> &Sink {
        *self.state.otherwise.lock().unwrap() = Some(behaviour);
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Waits until what arrived is enough.
    pub async fn until<T>(&self, what: &str, enough: impl Fn(&[Received]) -> Option<T>) -> T {
        let found = async {
            loop {
                let more = self.state.more.notified();
                if let Some(found) = enough(&self.received()) {
                    return found;
                }
                more.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        waited.unwrap_or_else(|_| panic!("waited in vain for {what}; {} requests came", self.received().len()))
    }

    /// Waits until so many spans were taken, and gives all that were.
    pub async fn spans(&self, count: usize) -> Vec<Span> {
        self.until(&format!("{count} spans"), |received| {
            let spans: Vec<Span> = received.iter().filter(|request| request.taken).flat_map(Received::spans).collect();
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Received {
    /// The spans of a request of traces; none of another signal.
    pub fn spans(&self) -> Vec<Span> {
        if !self.path.ends_with("/v1/traces") && !self.path.contains("TraceService") {
            return Vec::new();
        }
        spans_of(&self.body)
    }
}

/// The spans of an encoded request.
pub fn spans_of(request: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(request).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let goodbye = Arc::new(Notify::new());
            let service = service_fn(|request| serve(request, state.clone(), goodbye.clone()));
            let builder = auto::Builder::new(TokioExecutor::new());
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            // A connection that a test breaks ends with an error, as it should.
            tokio::select! {
                ended = connection.as_mut() => return ended.ok(),
                () = goodbye.notified() => connection.as_mut().graceful_shutdown(),
            }
            connection.await.ok()
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<State>,
    goodbye: Arc<Notify>,
) -> Result<Response<Body>, std::io::Error> {
    let grpc = request.version() == Version::HTTP_2;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let behaviour = state.script.lock().unwrap().pop_front();
    let behaviour = behaviour.or_else(|| state.otherwise.lock().unwrap().clone()).unwrap_or(Behaviour::Accept);
    let taken =
        matches!(behaviour, Behaviour::Accept | Behaviour::AcceptWith(_) | Behaviour::Hang(_) | Behaviour::Goodbye);
    let body = unpack(body, &parts.headers, grpc);
    let path = parts.uri.path().to_owned();
    state.received.lock().unwrap().push(Received { at: Instant::now(), path, headers: parts.headers, body, taken });
    state.more.notify_waiters();
    Ok(match behaviour {
        Behaviour::Accept => success(grpc, Vec::new()),
        Behaviour::AcceptWith(response) => success(grpc, response),
        Behaviour::Hang(time) => {
            tokio::time::sleep(time).await;
            success(grpc, Vec::new())
        }
        Behaviour::Http(status, headers) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(whole(Bytes::new())).unwrap()
        }
        Behaviour::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(whole(body)).unwrap()
        }
        Behaviour::Grpc(code, details) => {
            let response = Response::builder().header("content-type", "application/grpc").header("grpc-status", code);
            let response = response.header("grpc-status-details-bin", details).header("grpc-message", "as scripted");
            response.body(whole(Bytes::new())).unwrap()
        }
        Behaviour::BreakWithin => {
            let pieces = [Ok(Frame::data(Bytes::from_static(b"\n"))), Err(std::io::Error::other("as scripted"))];
            begun(grpc, futures_util::stream::iter(pieces))
        }
        Behaviour::Stall => begun(grpc, futures_util::stream::pending()),
        Behaviour::Endless => {
            let piece = Bytes::from(vec![0; 64 << 10]);
            begun(grpc, futures_util::stream::repeat_with(move || Ok(Frame::data(piece.clone()))))
        }
        Behaviour::Goodbye => {
            goodbye.notify_one();
            success(grpc, Vec::new())
        }
        Behaviour::Break => return Err(std::io::Error::other("as scripted")),
    })
}

fn success(grpc: bool, message: Vec<u8>) -> Response<Body> {
    if !grpc {
        let response = Response::builder().header("content-type", "application/x-protobuf");
        return response.body(whole(Bytes::from(message))).unwrap();
    }
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let frames = [Frame::data(super::client::frame(0, &message)), Frame::trailers(trailers)].map(Ok);
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// The beginning of an answer that takes the request.
fn begun(
    grpc: bool,
    frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
) -> Response<Body> {
    let content_type = if grpc { "application/grpc" } else { "application/x-protobuf" };
    Response::builder().header("content-type", content_type).body(StreamBody::new(frames).boxed_unsync()).unwrap()
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn unpack(body: Bytes, headers: &HeaderMap, grpc: bool) -> Bytes {
    let name = if grpc { "grpc-encoding" } else { "content-encoding" };
    let encoding = headers.get(name).map_or("identity", |value| value.to_str().unwrap());
    let packed = !grpc || body[0] == 1;
    let body = if grpc { body.slice(5..) } else { body };
    match encoding {
        "gzip" if packed => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut out).unwrap();
            out.into()
        }
        "zstd" if packed => zstd::decode_all(&body[..]).unwrap().into(),
        _ => body,
    }
}
