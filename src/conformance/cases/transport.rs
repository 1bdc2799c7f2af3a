//! HTTP below OTLP: connections, framing, and versions.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};

use crate::conformance::answer::{Post, in_time, read};
use crate::conformance::call::Call;
use crate::conformance::case::Test::Http;
use crate::conformance::case::{Case, Finding, unmet};
use crate::conformance::judge::{done, taken};
use crate::conformance::peer::{Peer, deepest};
use crate::conformance::raw::Raw;
use crate::conformance::samples::request;
use crate::otlp::Signal::Traces;

/// Connections that one process of many agents has to a receiver.
const AT_ONCE: usize = 32;

fn usual() -> Post {
    Post::protobuf(Traces, request(Traces))
}

async fn keep_alive(peer: &Peer) -> Finding {
    let mut connection = peer.http1().await?;
    for _ in 0..3 {
        taken(&peer.post_on(&mut connection, &usual()).await?)?;
    }
    Ok(())
}

async fn keep_alive_after_refusal(peer: &Peer) -> Finding {
    let mut connection = peer.http1().await?;
    let refused = peer.post_on(&mut connection, &Post::protobuf(Traces, &b"\xff"[..])).await?;
    if refused.header("connection").eq_ignore_ascii_case("close") {
        return unmet("an open connection", "the refusal closes it");
    }
    taken(&peer.post_on(&mut connection, &usual()).await?)
}

async fn pipelined(peer: &Peer) -> Finding {
    let mut raw = Raw::dial(peer).await?;
    // They differ in their answers, so that another order is seen.
    let bad = Post::protobuf(Traces, &b"\xff"[..]);
    let wire = [peer.on_the_wire(&usual()), peer.on_the_wire(&bad), peer.on_the_wire(&usual())].concat();
    raw.write(&wire).await?;
    taken(&raw.answer(&usual()).await?)?;
    let second = raw.answer(&bad).await?;
    if !second.status.is_client_error() {
        return unmet("answers in the order of the requests", second.told());
    }
    taken(&raw.answer(&usual()).await?)
}

async fn at_once(peer: &Peer) -> Finding {
    let post = usual();
    let answers = join_all((0..AT_ONCE).map(|_| peer.post(&post))).await;
    answers.into_iter().try_for_each(|answer| taken(&answer?))
}

async fn chunked(peer: &Peer) -> Finding {
    let post = usual();
    let mut wire = format!("{}Transfer-Encoding: chunked\r\n\r\n", peer.head(&post)).into_bytes();
    for chunk in post.body.chunks(7) {
        wire.extend_from_slice(format!("{:x};extension=1\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let mut raw = Raw::dial(peer).await?;
    raw.write(&wire).await?;
    taken(&raw.answer(&post).await?)
}

async fn expect_continue(peer: &Peer) -> Finding {
    let post = usual().with("expect", "100-continue");
    let mut raw = Raw::dial(peer).await?;
    let head = format!("{}Content-Length: {}\r\n\r\n", peer.head(&post), post.body.len());
    raw.write(head.as_bytes()).await?;
    let interim = raw.answer(&post).await?;
    if interim.status.as_u16() != 100 {
        return unmet("HTTP 100 before the body", interim.told());
    }
    raw.write(&post.body).await?;
    taken(&raw.answer(&post).await?)
}

async fn in_pieces(peer: &Peer) -> Finding {
    let wire = peer.on_the_wire(&usual());
    let mut raw = Raw::dial(peer).await?;
    for piece in wire.chunks(wire.len().div_ceil(20)) {
        raw.write(piece).await?;
        tokio::task::yield_now().await;
    }
    taken(&raw.answer(&usual()).await?)
}

async fn broken_off(peer: &Peer) -> Finding {
    let wire = peer.on_the_wire(&usual());
    for _ in 0..4 {
        let mut raw = Raw::dial(peer).await?;
        raw.write(&wire[..wire.len() - 10]).await?;
    }
    taken(&peer.post(&usual()).await?)
}

async fn http2(peer: &Peer) -> Finding {
    let post = usual();
    let mut connection = peer.http2().await?;
    // HTTP/2 has the host elsewhere.
    let mut request = peer.to_send(&post, Full::new(Bytes::clone(&post.body)).boxed_unsync())?;
    request.headers_mut().remove("host");
    let asked = async {
        match connection.sender.send_request(request).await {
            Ok(answer) => read(answer, &post).await,
            Err(error) => unmet("an answer over HTTP/2", deepest(&error)),
        }
    };
    taken(&in_time(asked).await?)
}

async fn grpc(peer: &Peer) -> Finding {
    done(&peer.call(&Call::of(Traces, request(Traces))).await?)
}

/// The cases.
pub const CASES: &[Case] = &[
    Case::should(
        "http.connection.kept",
        "otlphttp-connection",
        "a connection takes one request after the other",
        "every export pays for a connection of its own",
        Http(|peer| keep_alive(peer).boxed()),
    ),
    Case::may(
        "http.connection.kept-after-refusal",
        "rfc9112-9.3",
        "a connection outlives a request that was refused",
        "every refusal costs a connection",
        Http(|peer| keep_alive_after_refusal(peer).boxed()),
    ),
    Case::should(
        "http.connection.pipelined",
        "rfc9112-9.3.2",
        "requests that come before the answers to others are answered in order",
        "an answer is taken for that of another request: data is dropped or sent twice",
        Http(|peer| pipelined(peer).boxed()),
    ),
    Case::should(
        "http.connection.at-once",
        "otlphttp-concurrent-requests",
        "32 connections are served at the same time",
        "one slow client keeps others waiting",
        Http(|peer| at_once(peer).boxed()),
    ),
    Case::must(
        "http.connection.chunked",
        "rfc9112-7.1",
        "a body in chunks, with extensions, is read",
        "clients that write as they go send nothing",
        Http(|peer| chunked(peer).boxed()),
    ),
    Case::must(
        "http.connection.expect-continue",
        "rfc9110-10.1.1",
        "a client that asks whether to send its body is told to",
        "such clients wait for a second or more before each request",
        Http(|peer| expect_continue(peer).boxed()),
    ),
    Case::must(
        "http.connection.in-pieces",
        "rfc9112-2.1",
        "a request that comes in small pieces is put together",
        "telemetry is lost where the network is slow",
        Http(|peer| in_pieces(peer).boxed()),
    ),
    Case::must(
        "http.connection.broken-off",
        "rfc9112-8",
        "requests that break off hurt nobody else",
        "a client that crashes takes the receiver with it",
        Http(|peer| broken_off(peer).boxed()),
    ),
    Case::may(
        "http.connection.http2",
        "otlphttp",
        "HTTP/2 is spoken without TLS, without asking first",
        "several requests at a time need several connections",
        Http(|peer| http2(peer).boxed()),
    ),
    Case::may(
        "http.connection.grpc",
        "otlphttp-connection",
        "gRPC is spoken on the port of HTTP",
        "a client with the wrong port fails",
        Http(|peer| grpc(peer).boxed()),
    ),
];
