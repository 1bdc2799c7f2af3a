//! The two protocols on one port: a listener whose requests go to gRPC or to HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;

use super::http::decline;
use super::reply::Answer;
use super::{Service, grpc, http as over_http};
use crate::listen::{Listener, Serving};

/// What the content type says of a request's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    /// A relative of gRPC that is not taken here.
    LikeGrpc,
    Http,
}

impl Protocol {
    /// Media types know no case, and parameters change nothing.
    fn of(content_type: &[u8]) -> Protocol {
        const GRPC: &[u8] = b"application/grpc";
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match essence.split_at_checked(GRPC.len()) {
            Some((grpc, rest)) if grpc.eq_ignore_ascii_case(GRPC) => {
                let is_known = rest.is_empty() || rest.eq_ignore_ascii_case(b"+proto");
                if is_known { Protocol::Grpc } else { Protocol::LikeGrpc }
            }
            _ => Protocol::Http,
        }
    }
}

/// Serves the requests of a listener.
pub fn serve(listener: Listener, mut service: Service) -> Serving {
    service.loopback = listener.is_loopback();
    let service = Arc::new(service);
    listener.serve(service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(handle(&service, request).await) }
    }))
}

/// gRPC and HTTP are told apart by content type, so that a mixed-up port works as well.
async fn handle(service: &Service, request: Request<Incoming>) -> Answer {
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match Protocol::of(content_type) {
        Protocol::Http => over_http::serve(service, request).await,
        Protocol::Grpc if request.version() == Version::HTTP_2 && request.method() == Method::POST => {
            grpc::serve(service, request).await
        }
        protocol => not_grpc(service, protocol, &request),
    }
}

/// The answer to what would be gRPC but for its type, version or method. It is HTTP's: a client that does not speak
/// gRPC would take the 200 of every gRPC answer for a success.
fn not_grpc(service: &Service, protocol: Protocol, request: &Request<Incoming>) -> Answer {
    service.grpc_reception(request.uri().path()).unsupported.add(1);
    if protocol == Protocol::LikeGrpc {
        let message = "gRPC is application/grpc or application/grpc+proto; over HTTP there are \
                       application/x-protobuf and application/json";
        return decline(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, message);
    }
    if request.version() != Version::HTTP_2 {
        let message = "gRPC needs HTTP/2 from end to end: let proxies pass it on as HTTP/2 (h2c), or send OTLP over \
                       HTTP as application/x-protobuf";
        return decline(StatusCode::HTTP_VERSION_NOT_SUPPORTED, None, message);
    }
    let mut answer = decline(StatusCode::METHOD_NOT_ALLOWED, None, "gRPC takes POST");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_from_its_relatives() {
        for known in ["application/grpc", "Application/gRPC+proto", "application/grpc; charset=utf-8"] {
            assert_eq!(Protocol::of(known.as_bytes()), Protocol::Grpc, "{known}");
        }
        for other in
            ["application/grpc+json", "application/grpc-web", "application/grpc-web+proto", "application/grpcs"]
        {
            assert_eq!(Protocol::of(other.as_bytes()), Protocol::LikeGrpc, "{other}");
        }
        for http in ["", "application/json", "application/x-protobuf"] {
            assert_eq!(Protocol::of(http.as_bytes()), Protocol::Http, "{http}");
        }
    }
}
