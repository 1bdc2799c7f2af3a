//! Reading a request's body: within a size, within memory, within patience, and decompressed.

use std::fmt::Display;
use std::io::{self, Read};
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::Semaphore;

use super::Rejection;
use crate::flow::Held;
use crate::listen::Deadline;

/// Frames below this size are copied: each would keep the whole buffer that it was read into.
const SMALL_FRAME: usize = 4 << 10;

/// The largest window of zstd, as a power of two: 8 MiB, which RFC 8878 recommends, so that no body of a few bytes can ask
/// for more memory than that.
const LARGEST_WINDOW: u32 = 23;

/// What is unpacked between two looks at memory. It is also how long nobody else gets the thread.
const STEP: usize = 256 << 10;

/// Bodies of more than a step are unpacked one for each core at a time: more would not be faster, only larger.
static UNPACKING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What we accept, for the headers that say so.
    pub const ACCEPTED: &'static str = "gzip, zstd, identity";

    /// What a body of this encoding begins with.
    fn magic(self) -> &'static [u8] {
        match self {
            Encoding::Identity => &[],
            Encoding::Gzip => &[0x1f, 0x8b],
            Encoding::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
        }
    }

    /// Of a `content-encoding` or `grpc-encoding`.
    pub fn parse(name: &str) -> Option<Encoding> {
        // Content codings know no case.
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }
}

/// Reads a whole body of at most `limit` bytes and `framing` around them.
pub async fn read<B>(mut body: B, limit: usize, framing: usize, held: &mut Held<'_>) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let most = limit.saturating_add(framing);
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(Rejection::TooLarge { limit });
    }
    let deadline = Deadline::begin();
    let mut pieces = Pieces::default();
    loop {
        let frame = match tokio::time::timeout_at(deadline.next(pieces.len), body.frame()).await {
            Err(_) => return Err(Rejection::TooSlow),
            Ok(None) => return Ok(pieces.join()),
            Ok(Some(Err(error))) => return Err(Rejection::Malformed(format!("the body broke off: {error}"))),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            if pieces.len + data.len() > most {
                return Err(Rejection::TooLarge { limit });
            }
            held.grow(data.len()).map_err(Rejection::Overloaded)?;
            pieces.push(data);
        }
    }
}

/// What has come of a body. Most bodies are one piece, which is not copied.
#[derive(Default)]
struct Pieces {
    large: Vec<Bytes>,
    /// Behind the large ones: small ones, as one.
    small: BytesMut,
    len: usize,
}

impl Pieces {
    fn push(&mut self, data: Bytes) {
        let is_first = self.len == 0;
        self.len += data.len();
        if data.len() >= SMALL_FRAME || (is_first && !data.is_empty()) {
            if !self.small.is_empty() {
                self.large.push(self.small.split().freeze());
            }
            self.large.push(data);
        } else {
            self.small.extend_from_slice(&data);
        }
    }

    fn join(mut self) -> Bytes {
        if self.small.is_empty() && self.large.len() <= 1 {
            return self.large.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        self.large.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.extend_from_slice(&self.small);
        whole.freeze()
    }
}

/// Unpacks a body to at most `limit` bytes. A body that is not packed in spite of its header is taken as it is:
/// some proxies unpack and leave the header.
pub async fn unpack(body: Bytes, encoding: Encoding, limit: usize, held: &mut Held<'_>) -> Result<Bytes, Rejection> {
    if encoding == Encoding::Identity || !body.starts_with(encoding.magic()) {
        return Ok(body);
    }
    let mut unpacker = Unpacker::new(&body, encoding, limit)?;
    if unpacker.step(held)? {
        return Ok(unpacker.out.into());
    }
    // It is never closed.
    let _turn = UNPACKING.acquire().await;
    while !unpacker.step(held)? {
        tokio::task::yield_now().await;
    }
    Ok(unpacker.out.into())
}

/// A body on its way out of its archive.
struct Unpacker<'b> {
    decoder: Box<dyn Read + Send + 'b>,
    encoding: Encoding,
    limit: usize,
    out: Vec<u8>,
}

impl<'b> Unpacker<'b> {
    fn new(body: &'b [u8], encoding: Encoding, limit: usize) -> Result<Unpacker<'b>, Rejection> {
        let decoder: io::Result<Box<dyn Read + Send>> = match encoding {
            Encoding::Identity => Ok(Box::new(body)),
            Encoding::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(body))),
            Encoding::Zstd => zstd::Decoder::with_buffer(body).and_then(|mut decoder| {
                decoder.window_log_max(LARGEST_WINDOW)?;
                Ok(Box::new(decoder) as _)
            }),
        };
        let decoder = decoder.map_err(|error| malformed(encoding, &error))?;
        let out = Vec::with_capacity((body.len() * 4).min(STEP).min(limit));
        Ok(Unpacker { decoder, encoding, limit, out })
    }

    /// Unpacks a little more, if there is room for it. Says whether this was the end.
    fn step(&mut self, held: &mut Held<'_>) -> Result<bool, Rejection> {
        held.grow(STEP).map_err(Rejection::Overloaded)?;
        // One byte more than allowed tells a body that is too large from one that just fits.
        let most = STEP.min(self.limit + 1 - self.out.len());
        let read = (&mut self.decoder).take(most as u64).read_to_end(&mut self.out);
        let read = read.map_err(|error| malformed(self.encoding, &error))?;
        if self.out.len() > self.limit {
            return Err(Rejection::TooLarge { limit: self.limit });
        }
        held.shrink(STEP - read);
        Ok(read < most)
    }
}

fn malformed(encoding: Encoding, error: &io::Error) -> Rejection {
    Rejection::Malformed(format!("the body is not {encoding:?} as its header says: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::io::Write;
    use std::time::Duration;

    use crate::flow::{Gate, Room};
    use futures_util::stream::{self, Stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn bodies_are_unpacked_up_to_the_limit() {
        let gate = Gate::new();
        for size in [10_000, STEP, STEP * 5 + 3] {
            let data = vec![7; size];
            for (packed, encoding) in
                [(gzip(&data), Encoding::Gzip), (zstd::encode_all(&data[..], 1).unwrap(), Encoding::Zstd)]
            {
                let mut held = gate.enter().unwrap();
                let packed = Bytes::from(packed);
                assert_eq!(unpack(packed.clone(), encoding, size, &mut held).await.unwrap(), data);
                assert_eq!(gate.in_flight(), size);
                let refused = unpack(packed.clone(), encoding, size - 1, &mut held).await;
                assert!(matches!(refused, Err(Rejection::TooLarge { limit }) if limit == size - 1));
                let broken = packed.slice(..packed.len() - 3);
                let refused = unpack(broken, encoding, size, &mut held).await;
                assert!(matches!(refused, Err(Rejection::Malformed(_))), "{refused:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_does_not_say_how_much_memory_it_takes() {
        let gate = Gate::new();
        let with_window = |log: u32| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(b"a little").unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let small = unpack(with_window(LARGEST_WINDOW), Encoding::Zstd, 100, &mut gate.enter().unwrap()).await;
        assert_eq!(small.unwrap(), &b"a little"[..]);
        let large = unpack(with_window(27), Encoding::Zstd, 100, &mut gate.enter().unwrap()).await;
        assert!(matches!(large, Err(Rejection::Malformed(_))), "{large:?}");
    }

    #[tokio::test]
    async fn nothing_is_unpacked_that_there_is_no_room_for() {
        let gate = Gate::new();
        gate.has_room(Room::For(STEP * 3));
        let mut other = gate.enter().unwrap();
        other.grow(1).unwrap();
        let mut held = gate.enter().unwrap();
        let bomb = Bytes::from(gzip(&vec![0; STEP * 20]));
        let packed = bomb.clone();
        let mut unpacker = Unpacker::new(&packed, Encoding::Gzip, STEP * 100).unwrap();
        while matches!(unpacker.step(&mut held), Ok(false)) {}
        assert!(unpacker.out.len() < STEP * 3, "{}", unpacker.out.len());
        let refused = unpack(bomb, Encoding::Gzip, STEP * 100, &mut gate.enter().unwrap()).await;
        assert!(matches!(refused, Err(Rejection::Overloaded(_))), "{refused:?}");
    }

    fn body(frames: impl Stream<Item = Bytes> + Unpin) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        use futures_util::StreamExt;
        StreamBody::new(frames.map(|data| Ok(Frame::data(data))))
    }

    #[tokio::test]
    async fn frames_of_any_size_make_the_same_body() {
        let gate = Gate::new();
        let sizes = [1, 2, SMALL_FRAME, 3, 0, SMALL_FRAME + 1, SMALL_FRAME - 1, 5];
        let frames: Vec<Bytes> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size].into()).collect();
        let whole = frames.concat();
        let read = read(body(stream::iter(frames)), 1 << 20, 0, &mut gate.enter().unwrap()).await;
        assert_eq!(read.unwrap(), whole);
    }

    #[test]
    fn one_frame_is_not_copied_and_small_ones_are_kept_as_one() {
        let only = Bytes::from_static(b"only");
        let mut pieces = Pieces::default();
        pieces.push(only.clone());
        assert_eq!(pieces.join().as_ptr(), only.as_ptr());
        let mut pieces = Pieces::default();
        (0..100_000).for_each(|_| pieces.push(Bytes::from_static(b"x")));
        assert_eq!((pieces.large.len(), pieces.len), (1, 100_000));
        assert!(pieces.small.capacity() < 200_000 && pieces.join().len() == 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_keep_a_request_open() {
        let gate = Gate::new();
        let trickle = |pause: u64, size: usize| {
            let frames = stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                Some((Bytes::from(vec![0; size]), ()))
            });
            body(Box::pin(frames))
        };
        let took = |pause, size| {
            let (gate, body) = (&gate, trickle(pause, size));
            async move {
                let begun = tokio::time::Instant::now();
                let result = read(body, 16 << 20, 0, &mut gate.enter().unwrap()).await;
                (begun.elapsed().as_secs(), result.unwrap_err())
            }
        };
        assert!(matches!(took(31, 1).await, (30, Rejection::TooSlow)));
        assert!(matches!(took(29, 1).await, (60, Rejection::TooSlow)));
        // Slow and steady is welcome: 100 KiB/s up to the limit.
        assert!(matches!(took(10, 1000 << 10).await, (170, Rejection::TooLarge { .. })));
    }
}
