//! The HTTP client below both exporters: one connection each, TLS where the scheme wants it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::config::Compression;
use super::gather::Gathering;
use crate::export::Outcome;
use crate::tls::{self, Tls};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// No answer that means anything to us is larger, in bytes.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// An HTTP client that keeps its connections.
pub type Client = HyperClient<Gathering<HttpsConnector<HttpConnector>>, Rope>;

/// A client for one exporter worker. `http2` is for gRPC.
pub fn connect(tls: &Tls, wants_tls: bool, http2: bool) -> Result<Client, String> {
    let connector = Gathering::new(tls::connector(tls, wants_tls, http2)?, http2);
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

/// A request body in pieces, none of which is copied unless it is small.
#[derive(Debug, Default)]
pub struct Rope {
    pieces: VecDeque<Bytes>,
    len: u64,
}

impl Rope {
    /// Copying so much costs less than a frame of its own.
    const SMALL: usize = 16 << 10;

    /// Of these pieces, in order; small ones in a row become one.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Rope {
        let mut rope = Rope::default();
        let mut row = BytesMut::new();
        for piece in pieces {
            rope.len += piece.len() as u64;
            if piece.len() < Rope::SMALL {
                row.extend_from_slice(&piece);
                continue;
            }
            if !row.is_empty() {
                rope.pieces.push_back(row.split().freeze());
            }
            rope.pieces.push_back(piece);
        }
        if !row.is_empty() {
            rope.pieces.push_back(row.freeze());
        }
        rope
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_pieces_in_a_row_become_one_and_large_ones_are_not_copied() {
        let large = Bytes::from(vec![9; Rope::SMALL]);
        let small = |byte: u8| Bytes::from(vec![byte; 3]);
        let mut rope = Rope::of([small(1), large.clone(), small(2), small(3), large.clone(), small(4)]);
        assert_eq!(rope.size_hint().exact(), Some(12 + 2 * Rope::SMALL as u64));
        let mut pieces = Vec::new();
        while let Some(frame) = rope.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [3, Rope::SMALL, 6, Rope::SMALL, 3]);
        assert!(pieces[1].as_ptr() == large.as_ptr() && pieces[2][..] == [2, 2, 2, 3, 3, 3]);
        assert!(rope.is_end_stream());
    }
}
