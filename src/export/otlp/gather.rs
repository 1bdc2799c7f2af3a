//! Writing much at a time: HTTP/2 writes a frame, which is 16 KiB with most receivers, flushes, and writes the next.
//!
//! Every write goes the system's whole way through the network, which takes longer than copying 16 KiB. So frames are put
//! behind each other until the last of those that come in a row.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// A connector whose connections gather what is written to them.
#[derive(Clone, Debug)]
pub struct Gathering<C> {
    connector: C,
    is_http2: bool,
}

/// Such a connection.
#[derive(Debug)]
pub struct Gathered<S> {
    stream: S,
    /// Of HTTP/1 whole bodies come at once.
    is_http2: bool,
    waiting: Vec<u8>,
    /// How much of what waits is written.
    written: usize,
    /// What came last was a whole frame, and nobody has flushed since.
    more_may_come: bool,
}

/// What a frame has at least that is not the last of a message.
const FRAME: usize = 16 << 10;
/// So much is written at once.
const ENOUGH: usize = 128 << 10;

impl<C> Gathering<C> {
    /// Connections of HTTP/2 gather, others write what they are given.
    pub fn new(connector: C, is_http2: bool) -> Gathering<C> {
        Gathering { connector, is_http2 }
    }
}

impl<C> Service<Uri> for Gathering<C>
where
    C: Service<Uri>,
    C::Response: Connection + Read + Write + Unpin + Send + 'static,
    C::Future: Unpin + Send + 'static,
{
    type Response = Gathered<C::Response>;
    type Error = C::Error;
    type Future = MapOk<C::Future, fn(C::Response) -> Gathered<C::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let gathered = if self.is_http2 { Gathered::new } else { Gathered::as_it_comes };
        self.connector.call(uri).map_ok(gathered)
    }
}

impl<S: Write + Unpin> Gathered<S> {
    fn new(stream: S) -> Gathered<S> {
        Gathered { stream, is_http2: true, waiting: Vec::new(), written: 0, more_may_come: false }
    }

    fn as_it_comes(stream: S) -> Gathered<S> {
        Gathered { is_http2: false, ..Gathered::new(stream) }
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.waiting.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if self.waiting.len() + len > ENOUGH {
            ready!(self.write_out(cx))?;
        }
        if !self.is_http2 || len > ENOUGH {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        }
        pieces.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
        self.more_may_come = len >= FRAME;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.more_may_come) {
            // Should nothing come after all, the connection looks here once more, and it is written then.
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.write_out(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Read + Write + Unpin> Read for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // Whoever reads is done with writing. What cannot be written now is when the stream says so.
        if let Poll::Ready(Err(error)) = self.write_out(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Connection> Connection for Gathered<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;

    /// Takes at most so much at a time, and every other time nothing.
    #[derive(Default)]
    struct Wire {
        got: Vec<u8>,
        writes: usize,
        most: usize,
        is_stuck: bool,
    }

    impl Write for Wire {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.is_stuck = !self.is_stuck && self.most < usize::MAX;
            if self.is_stuck {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = bytes.len().min(self.most);
            self.got.extend_from_slice(&bytes[..taken]);
            self.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Writes frames as HTTP/2 does, each with a flush behind it, and one at the end.
    fn write(wire: Wire, frames: &[Vec<u8>]) -> Wire {
        let mut gathered = Gathered::new(wire);
        let cx = &mut Context::from_waker(Waker::noop());
        let until_ready = |gathered: &mut Gathered<Wire>, cx: &mut Context<'_>| {
            while Pin::new(&mut *gathered).poll_flush(cx)?.is_pending() {}
            io::Result::Ok(())
        };
        for frame in frames {
            let mut rest = &frame[..];
            while !rest.is_empty() {
                let (head, body) = rest.split_at(rest.len().min(9));
                let pieces = [IoSlice::new(head), IoSlice::new(body)];
                if let Poll::Ready(written) = Pin::new(&mut gathered).poll_write_vectored(cx, &pieces) {
                    rest = &rest[written.unwrap()..];
                }
            }
            until_ready(&mut gathered, cx).unwrap();
        }
        until_ready(&mut gathered, cx).unwrap();
        gathered.stream
    }

    #[test]
    fn frames_in_a_row_are_one_write_and_the_last_does_not_wait() {
        let whole = |count: usize| vec![vec![7; FRAME + 9]; count];
        let at_once = || Wire { most: usize::MAX, ..Wire::default() };
        assert_eq!(write(at_once(), &whole(7)).writes, 1);
        assert_eq!(write(at_once(), &[whole(3), vec![vec![1; 100]]].concat()).writes, 1);
        assert_eq!(write(at_once(), &whole(14)).writes, 2);
        assert_eq!(write(at_once(), &[vec![1; 100], vec![2; 100]]).writes, 2, "what is short is no part of a row");
        let large = write(at_once(), &[vec![1; 100], vec![2; 2 * ENOUGH]]);
        assert_eq!(large.got.len(), 100 + 2 * ENOUGH);
    }

    proptest! {
        #[test]
        fn every_byte_arrives_in_order(lens in prop::collection::vec(0..3 * FRAME, 0..20), most in 1..FRAME) {
            let frames: Vec<Vec<u8>> = lens.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let wire = write(Wire { most: most.max(1000), ..Wire::default() }, &frames);
            prop_assert!(wire.got == frames.concat());
        }
    }
}
