//! OTLP over gRPC: calls, their framing, and their codes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::conformance::call::{Call, framed};
use crate::conformance::case::Test::{Call as Invoke, Grpc};
use crate::conformance::case::{Case, Finding, unmet};
use crate::conformance::judge::{code_is, done, done_without_partial_success, failed, with_one_message};
use crate::conformance::peer::Peer;
use crate::conformance::samples::{gzip, request, zstd};
use crate::otlp::Signal::{Logs, Metrics, Traces};

const SERVICES: &str = "otlpgrpc-service-and-protobuf-definitions";
const HTTP2: &str = "grpc-over-http2";
const COMPRESSION: &str = "grpc-compression";
const LOST: &str = "what a client sends in good order is lost";
const FOR_EVER: &str = "a client cannot tell what is of no use from what would be taken later, and sends it again";

/// UNIMPLEMENTED
const UNIMPLEMENTED: u32 = 12;
/// Calls that a busy exporter has under way.
const AT_ONCE: usize = 64;
/// How long a client waits that has no patience.
const SHORT: Duration = Duration::from_millis(50);

fn usual() -> Call {
    Call::of(Traces, request(Traces))
}

/// A call of one message in this encoding, which the flag says that it is in.
fn packed(encoding: &'static str, message: &[u8]) -> Call {
    usual().with("grpc-encoding", encoding).sending(vec![framed(1, message)])
}

async fn at_once(peer: &Peer) -> Finding {
    let connection = peer.http2().await?;
    let call = usual();
    let returned = join_all((0..AT_ONCE).map(|_| peer.call_on(&connection, &call))).await;
    returned.into_iter().try_for_each(|returned| done(&returned?))
}

async fn after_failure(peer: &Peer) -> Finding {
    let connection = peer.http2().await?;
    failed(&peer.call_on(&connection, &Call::of(Traces, &b"\xff"[..])).await?)?;
    done(&peer.call_on(&connection, &usual()).await?)
}

async fn cancelled(peer: &Peer) -> Finding {
    let connection = peer.http2().await?;
    let half = framed(0, &request(Traces)).slice(..20);
    let given_up = (0..8).map(|_| {
        // Half of a message, and nothing more, until nobody waits for an answer.
        let frames = stream::iter([Ok(Frame::data(half.clone()))]).chain(stream::pending());
        let (connection, call) = (&connection, usual());
        async move {
            let body = StreamBody::new(frames).boxed_unsync();
            tokio::time::timeout(SHORT, peer.stream_on(connection, &call, body)).await.is_err()
        }
    });
    if !join_all(given_up).await.into_iter().all(|is_given_up| is_given_up) {
        return unmet("no answer before the message is whole", "one");
    }
    done(&peer.call_on(&connection, &usual()).await?)
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::must("grpc.service.traces", SERVICES, "TraceService/Export takes a request", LOST, Invoke(usual, done)),
    Case::must(
        "grpc.service.metrics",
        SERVICES,
        "MetricsService/Export takes a request with metrics of all five kinds",
        LOST,
        Invoke(|| Call::of(Metrics, request(Metrics)), done),
    ),
    Case::must(
        "grpc.service.logs",
        SERVICES,
        "LogsService/Export takes a request",
        LOST,
        Invoke(|| Call::of(Logs, request(Logs)), done),
    ),
    Case::must(
        "grpc.answer.message",
        "full-success",
        "a success returns one message of the service, and its status behind it",
        "clients of gRPC take it for a broken call, and send again",
        Invoke(usual, with_one_message),
    ),
    Case::must(
        "grpc.answer.no-partial",
        "full-success",
        "a full success leaves partial_success unset",
        "a client that looks whether it is there reports items as left out that were taken",
        Invoke(usual, done_without_partial_success),
    ),
    Case::should(
        "grpc.empty.request",
        "full-success",
        "a request without any bytes is a success",
        "a client with nothing to say counts failures",
        Invoke(|| Call::of(Traces, ""), done),
    ),
    Case::should(
        "grpc.empty.resource",
        "empty-telemetry-envelopes",
        "a resource without scopes is a success",
        "what a filter has emptied takes the rest of its batch with it",
        Invoke(|| Call::of(Traces, &b"\x0a\x00"[..]), done),
    ),
    Case::must(
        "grpc.encoding.gzip",
        "protocol-details",
        "messages in gzip are taken",
        "most collectors pack with gzip by default: all that they send is lost",
        Invoke(|| packed("gzip", &gzip(&request(Traces))), done),
    ),
    Case::must(
        "grpc.encoding.not-packed",
        COMPRESSION,
        "a message that is not packed is taken although an encoding is named",
        "clients leave small messages as they are",
        Invoke(|| usual().with("grpc-encoding", "gzip"), done),
    ),
    Case::must(
        "grpc.encoding.identity",
        COMPRESSION,
        "an encoding may be named that is none",
        LOST,
        Invoke(|| usual().with("grpc-encoding", "identity"), done),
    ),
    Case::may(
        "grpc.encoding.zstd",
        "protocol-details",
        "messages in zstd are taken",
        "packing costs clients more than it has to",
        Invoke(|| packed("zstd", &zstd(&request(Traces))), done),
    ),
    Case::must(
        "grpc.encoding.unknown",
        COMPRESSION,
        "an encoding that is not known fails with UNIMPLEMENTED",
        "a client cannot know that it has to pack in another way",
        Invoke(|| packed("conformance", b"?"), |returned| code_is(returned, UNIMPLEMENTED)),
    ),
    Case::should(
        "grpc.encoding.unknown-says-which",
        COMPRESSION,
        "it says which encodings it knows",
        "a client cannot know in which way it has to pack",
        Invoke(
            || packed("conformance", b"?"),
            |returned| match returned.accepts.contains("gzip") {
                true => Ok(()),
                false => unmet("grpc-accept-encoding with gzip", format!("`{}`", returned.accepts)),
            },
        ),
    ),
    Case::must(
        "grpc.encoding.packed-in-nothing",
        COMPRESSION,
        "a message that is packed without saying how fails with a code that is not retried",
        FOR_EVER,
        Invoke(|| usual().sending(vec![framed(1, &gzip(&request(Traces)))]), failed),
    ),
    Case::must(
        "grpc.encoding.broken",
        "failures",
        "a message that is no gzip fails with a code that is not retried",
        FOR_EVER,
        Invoke(|| packed("gzip", b"no gzip at all"), failed),
    ),
    Case::must(
        "grpc.method.unknown",
        HTTP2,
        "a method that there is none of fails with UNIMPLEMENTED",
        "a client cannot know that what it wants is not there",
        Invoke(
            || usual().to("/opentelemetry.proto.collector.trace.v1.TraceService/Conformance"),
            |returned| code_is(returned, UNIMPLEMENTED),
        ),
    ),
    Case::must(
        "grpc.service.unknown",
        HTTP2,
        "a service that there is none of fails with UNIMPLEMENTED",
        "a client cannot know that what it wants is not there",
        Invoke(|| usual().to("/conformance.Service/Export"), |returned| code_is(returned, UNIMPLEMENTED)),
    ),
    Case::must(
        "grpc.type.proto",
        HTTP2,
        "application/grpc+proto is gRPC",
        LOST,
        Invoke(|| usual().typed("application/grpc+proto"), done),
    ),
    Case::must(
        "grpc.metadata.unknown",
        HTTP2,
        "metadata that nobody knows changes nothing, binary metadata neither",
        "what proxies and tenants add gets telemetry refused",
        Invoke(|| usual().with("x-conformance", "a").with("x-conformance-bin", "AP8"), done),
    ),
    Case::must(
        "grpc.metadata.timeout",
        HTTP2,
        "a call with a deadline is taken",
        "every exporter sets one",
        Invoke(|| usual().with("grpc-timeout", "10S"), done),
    ),
    Case::must(
        "grpc.framing.pieces",
        HTTP2,
        "a message is put together from frames of any size",
        LOST,
        Invoke(
            || {
                let whole = framed(0, &request(Traces));
                let pieces = (0..whole.len()).step_by(3).map(|at| whole.slice(at..whole.len().min(at + 3)));
                usual().sending(pieces.collect())
            },
            done,
        ),
    ),
    Case::must(
        "grpc.framing.short",
        "failures",
        "a message that is shorter than its prefix says fails with a code that is not retried",
        FOR_EVER,
        Invoke(|| usual().sending(vec![Bytes::from_static(b"\0\0\0\x01\0abc")]), failed),
    ),
    Case::should(
        "grpc.framing.nothing",
        "failures",
        "a call without a message fails with a code that is not retried",
        FOR_EVER,
        Invoke(|| usual().sending(Vec::new()), failed),
    ),
    Case::should(
        "grpc.framing.two-messages",
        "grpc-status-codes",
        "a call with two messages, where one is due, fails with a code that is not retried",
        "the second is lost without a word",
        Invoke(
            || {
                let message = framed(0, &request(Traces));
                usual().sending(vec![message.clone(), message])
            },
            failed,
        ),
    ),
    Case::must(
        "grpc.connection.at-once",
        "otlpgrpc-concurrent-requests",
        "64 calls are under way on one connection",
        "what is sent takes as long as the network's delay, call by call",
        Grpc(|peer| at_once(peer).boxed()),
    ),
    Case::must(
        "grpc.connection.after-failure",
        HTTP2,
        "a call that fails leaves others on its connection alone",
        "one bad batch breaks off the telemetry of a whole process",
        Grpc(|peer| after_failure(peer).boxed()),
    ),
    Case::must(
        "grpc.connection.after-cancelling",
        HTTP2,
        "calls that their client gives up leave others on their connection alone",
        "a client that is slow once is not served any more",
        Grpc(|peer| cancelled(peer).boxed()),
    ),
];
