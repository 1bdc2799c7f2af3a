//! How large a request may be: the specification wants a limit, and says which.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::conformance::answer::{Answer, Post};
use crate::conformance::call::{Call, Returned, framed};
use crate::conformance::case::Test::{Call as Invoke, Grpc, Http, Post as Ask};
use crate::conformance::case::{Case, Finding, Trouble, unmet};
use crate::conformance::judge::{code_is, done, refused, status_is, taken};
use crate::conformance::peer::Peer;
use crate::conformance::raw::Raw;
use crate::conformance::samples::{bomb, padded, padding_head};
use crate::otlp::Signal::Traces;

/// What every receiver takes: SDKs and collectors send up to this.
const USUAL: usize = (4 << 20) - (64 << 10);
/// What a receiver with the recommended limit of 64 MiB takes.
const RECOMMENDED: usize = 60 << 20;
/// Twice the recommended limit.
const TOO_LARGE: usize = 128 << 20;
const PIECE: usize = 64 << 10;

const TOO_SMALL: &str = "spans with prompts are large: a batch of them is dropped as a whole";
const FILLS: &str = "any client can fill the receiver's memory, or sends for ever what is never taken";
const FOR_EVER: &str = "a client cannot tell that it is too large, and sends it again";

/// The answer to a body that is announced and sent as too large.
async fn oversized(peer: &Peer) -> Result<Answer, Trouble> {
    let post = Post::protobuf(Traces, "");
    let start = padding_head(TOO_LARGE);
    let mut raw = Raw::dial(peer).await?;
    let head = format!("{}Content-Length: {}\r\n\r\n", peer.head(&post), start.len() + TOO_LARGE);
    raw.write(head.as_bytes()).await?;
    raw.write(&start).await?;
    raw.flood(&vec![0; PIECE], TOO_LARGE / PIECE).await?;
    raw.answer(&post).await
}

/// The same in chunks, so that nothing is known before it comes.
async fn oversized_in_chunks(peer: &Peer) -> Result<Answer, Trouble> {
    let post = Post::protobuf(Traces, "");
    let start = padding_head(TOO_LARGE);
    let mut raw = Raw::dial(peer).await?;
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", peer.head(&post));
    raw.write(&[head.as_bytes(), &chunk(&start)].concat()).await?;
    raw.flood(&chunk(&vec![0; PIECE]), TOO_LARGE / PIECE).await?;
    // Whoever has read all of it waits for the end; who has refused it does not read this.
    raw.write(b"0\r\n\r\n").await.unwrap_or_default();
    raw.answer(&post).await
}

fn packed_bomb() -> Post {
    Post::protobuf(Traces, bomb(TOO_LARGE)).with("content-encoding", "gzip")
}

async fn oversized_call(peer: &Peer) -> Result<Returned, Trouble> {
    let start = padding_head(TOO_LARGE);
    let len = (start.len() + TOO_LARGE) as u32;
    let prefix = [&[0][..], &len.to_be_bytes(), &start].concat();
    let zeros = Bytes::from(vec![0; PIECE]);
    let pieces = std::iter::once(Bytes::from(prefix)).chain(std::iter::repeat_n(zeros, TOO_LARGE / PIECE));
    let body = StreamBody::new(stream::iter(pieces.map(|data| Ok(Frame::data(data))))).boxed_unsync();
    let connection = peer.http2().await?;
    peer.stream_on(&connection, &Call::of(Traces, ""), body).await
}

fn packed_call() -> Call {
    Call::of(Traces, "").with("grpc-encoding", "gzip").sending(vec![framed(1, &bomb(TOO_LARGE))])
}

/// It failed as the specification wants it, without a word on when to come back.
fn exhausted_for_good(returned: &Returned) -> Finding {
    code_is(returned, 8)?;
    if returned.says_when { unmet("no RetryInfo", "RESOURCE_EXHAUSTED with one, which clients retry") } else { Ok(()) }
}

/// Over HTTP.
pub const HTTP: &[Case] = &[
    Case::should(
        "http.size.4-mib",
        "otlphttp-request",
        "a body of nearly 4 MiB is taken",
        TOO_SMALL,
        Ask(|| Post::protobuf(Traces, padded(USUAL)), taken),
    ),
    Case::should(
        "http.size.60-mib",
        "otlphttp-request",
        "a body of 60 MiB is taken: 64 MiB are the recommended limit",
        TOO_SMALL,
        Ask(|| Post::protobuf(Traces, padded(RECOMMENDED)), taken),
    ),
    Case::must(
        "http.size.limited",
        "otlphttp-request",
        "a body of 128 MiB is refused for good",
        FILLS,
        Http(|peer| async { refused(&oversized(peer).await?) }.boxed()),
    ),
    Case::must(
        "http.size.limited-is-413",
        "otlphttp-request",
        "a body of 128 MiB is answered with 413",
        FOR_EVER,
        Http(|peer| async { status_is(&oversized(peer).await?, 413) }.boxed()),
    ),
    Case::must(
        "http.size.limited-in-chunks",
        "otlphttp-request",
        "a body whose size nobody announced is refused for good once it is too large",
        FILLS,
        Http(|peer| async { refused(&oversized_in_chunks(peer).await?) }.boxed()),
    ),
    Case::must(
        "http.size.bomb-is-limited",
        "otlphttp-request",
        "a small body that would be 128 MiB when unpacked is refused for good",
        FILLS,
        Ask(packed_bomb, refused),
    ),
    Case::must(
        "http.size.bomb-is-413",
        "otlphttp-request",
        "a small body that would be 128 MiB when unpacked is answered with 413",
        FOR_EVER,
        Ask(packed_bomb, |answer| status_is(answer, 413)),
    ),
];

/// Over gRPC.
pub const GRPC: &[Case] = &[
    Case::should(
        "grpc.size.4-mib",
        "otlpgrpc-request",
        "a message of nearly 4 MiB is taken",
        TOO_SMALL,
        Invoke(|| Call::of(Traces, padded(USUAL)), done),
    ),
    Case::should(
        "grpc.size.60-mib",
        "otlpgrpc-request",
        "a message of 60 MiB is taken: 64 MiB are the recommended limit",
        TOO_SMALL,
        Invoke(|| Call::of(Traces, padded(RECOMMENDED)), done),
    ),
    Case::must(
        "grpc.size.limited",
        "otlpgrpc-request",
        "a message of 128 MiB fails with RESOURCE_EXHAUSTED, without a time to come back at",
        FILLS,
        Grpc(|peer| async { exhausted_for_good(&oversized_call(peer).await?) }.boxed()),
    ),
    Case::must(
        "grpc.size.bomb-is-limited",
        "otlpgrpc-request",
        "a small message that would be 128 MiB when unpacked fails with RESOURCE_EXHAUSTED",
        FILLS,
        Invoke(packed_call, exhausted_for_good),
    ),
];
