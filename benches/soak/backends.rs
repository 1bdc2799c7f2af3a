//! Who is sent to: a backend that takes everything and counts it, and one that is slow, refuses, and is away at times.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::TcpListener;

/// Takes everything; how many spans have come.
pub async fn good() -> (SocketAddr, Arc<AtomicU64>) {
    let (listener, address) = listen().await;
    let spans = Arc::new(AtomicU64::new(0));
    let counted = spans.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let spans = spans.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let spans = spans.clone();
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    spans.fetch_add(spans_in(&body), Relaxed);
                    let trailers = HeaderMap::from_iter([(
                        http::HeaderName::from_static("grpc-status"),
                        HeaderValue::from_static("0"),
                    )]);
                    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
                    let frames = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
                    let response = Response::builder().header("content-type", "application/grpc");
                    Ok::<_, hyper::Error>(response.body(StreamBody::new(frames)).expect("a response"))
                }
            });
            tokio::spawn(async move {
                drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, counted)
}

/// Of a message of gRPC, packed or not.
fn spans_in(framed: &[u8]) -> u64 {
    let mut unpacked = Vec::new();
    let message = match framed {
        [1, _, _, _, _, packed @ ..] => {
            flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).expect("gzip");
            &unpacked[..]
        }
        [_, _, _, _, _, message @ ..] => message,
        _ => panic!("no frame"),
    };
    let request = ExportTraceServiceRequest::decode(message).expect("valid");
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

/// Of every five minutes it is slow for two, refuses half of all for one, answers nothing for one, and refuses all for one.
pub async fn bad() -> SocketAddr {
    let (listener, address) = listen().await;
    let start = Instant::now();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request: Request<Incoming>| async move {
                let length = request.into_body().collect().await?.to_bytes().len();
                let status = match start.elapsed().as_secs() % 300 {
                    0..120 => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        200
                    }
                    120..180 => [200, 503][length % 2],
                    180..240 => {
                        tokio::time::sleep(Duration::from_secs(20)).await;
                        200
                    }
                    _ => 503,
                };
                let response = Response::builder().status(status).header("content-type", "application/x-protobuf");
                Ok::<_, hyper::Error>(response.body(Empty::<Bytes>::new()).expect("a response"))
            });
            tokio::spawn(async move {
                drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a port");
    (listener, address)
}
