//! Streams of events as the `Stream` of the `futures` crates.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Delivery, Stream};

impl futures_util::Stream for Stream {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        Stream::poll_next(self.get_mut(), context)
    }
}
