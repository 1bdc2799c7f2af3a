//! The HTTP client below both exporters: one connection each, TLS where the scheme wants it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::config::Compression;
use crate::export::Outcome;
use crate::tls::{self, Tls};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// No answer that means anything to us is larger, in bytes.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// An HTTP client that keeps its connections.
pub type Client = HyperClient<HttpsConnector<HttpConnector>, Rope>;

/// A client for one exporter worker. `http2` is for gRPC.
pub fn connect(tls: &Tls, wants_tls: bool, http2: bool) -> Result<Client, String> {
    let connector = tls::connector(tls, wants_tls, http2)?;
    Ok(HyperClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .http2_only(http2)
        .http2_initial_stream_window_size(1 << 20)
        .http2_initial_connection_window_size(4 << 20)
        .http2_max_send_buf_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(60))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .build(connector))
}

/// A request body in pieces, none of them copied.
#[derive(Debug, Default)]
pub struct Rope {
    pieces: VecDeque<Bytes>,
    len: u64,
}

impl Rope {
    /// Of these pieces, in order.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Rope {
        let pieces: VecDeque<Bytes> = pieces.into_iter().collect();
        Rope { len: pieces.iter().map(|piece| piece.len() as u64).sum(), pieces }
    }
}

impl Body for Rope {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.len -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len)
    }
}

/// Packs a body.
pub fn pack(pieces: &[Bytes], compression: Compression) -> std::io::Result<Vec<u8>> {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let out = Vec::with_capacity(len / 4 + 64);
    match compression {
        Compression::None => Ok(pieces.concat()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
            encoder.finish()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, 1)?;
            pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
            encoder.finish()
        }
    }
}

/// The whole of an answer, and the trailers behind it. One that is too large is for good, says OTLP: whether the request
/// was taken is not known, and the next answer to it would be as large.
pub async fn read(body: Incoming) -> Result<Collected<Bytes>, Outcome> {
    Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let why = format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20);
            return Outcome::Reject { why };
        }
        Outcome::retry(format!("the answer broke off: {error}"))
    })
}

/// Why a request failed, down to the reason below the client's own words.
pub fn reason(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_connect() { format!("cannot connect: {cause}") } else { cause.to_string() }
}
