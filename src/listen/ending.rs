//! A connection that ends when it has to, whoever has it by then: one that was upgraded is nobody's here any more.

use std::future::Future;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that ends once a future is done. It is looked at whenever somebody waits for what the other side says.
pub struct Ending<S> {
    stream: S,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Ending<S> {
    /// A stream, and what it ends with.
    pub fn with(stream: S, end: impl Future<Output = ()> + Send + 'static) -> Ending<S> {
        Ending { stream, end: Some(Box::pin(end)) }
    }

    fn has_ended(&mut self, context: &mut Context<'_>) -> bool {
        let is_done = self.end.as_mut().is_none_or(|end| end.as_mut().poll(context).is_ready());
        if is_done {
            self.end = None;
        }
        is_done
    }

    fn writable(&mut self) -> Result<&mut S> {
        if self.end.is_none() { Err(ErrorKind::BrokenPipe.into()) } else { Ok(&mut self.stream) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ending<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let own = self.get_mut();
        if own.has_ended(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut own.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ending<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(self.get_mut().writable()?).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(self.get_mut().writable()?).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(self.get_mut().writable()?).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
