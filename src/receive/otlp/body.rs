//! Reading a request's body: within a size, within memory, within patience, and decompressed.

use std::fmt::Display;
use std::io::Read;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::Rejection;
use crate::flow::Held;

/// How long a sender may pause within a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Compressed bodies above this size are unpacked on a thread that no connection waits for.
const UNPACK_ELSEWHERE: usize = 256 << 10;

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
    let mut frames: Vec<Bytes> = Vec::new();
    let mut len = 0;
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Err(_) => return Err(Rejection::TooSlow),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Rejection::Malformed(format!("the body broke off: {error}"))),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            len += data.len();
            if len > most {
                return Err(Rejection::TooLarge { limit });
            }
            held.grow(data.len()).map_err(Rejection::Overloaded)?;
            frames.push(data);
        }
    }
    Ok(joined(frames, len))
}

fn joined(mut frames: Vec<Bytes>, len: usize) -> Bytes {
    if frames.len() == 1
        && let Some(only) = frames.pop()
    {
        return only;
    }
    let mut whole = BytesMut::with_capacity(len);
    frames.into_iter().for_each(|frame| whole.extend_from_slice(frame.chunk()));
    whole.freeze()
}

/// Unpacks a body to at most `limit` bytes. A body that is not packed in spite of its header is taken as it is:
/// some proxies unpack and leave the header.
pub async fn unpack(body: Bytes, encoding: Encoding, limit: usize, held: &mut Held<'_>) -> Result<Bytes, Rejection> {
    let unpacked = match encoding {
        Encoding::Identity => return Ok(body),
        _ if !body.starts_with(encoding.magic()) => return Ok(body),
        _ if body.len() <= UNPACK_ELSEWHERE => unpack_now(&body, encoding, limit),
        _ => match tokio::task::spawn_blocking(move || unpack_now(&body, encoding, limit)).await {
            Ok(unpacked) => unpacked,
            Err(error) => Err(Rejection::Internal(format!("unpacking the body failed: {error}"))),
        },
    }?;
    held.grow(unpacked.len()).map_err(Rejection::Overloaded)?;
    Ok(unpacked.into())
}

fn unpack_now(body: &[u8], encoding: Encoding, limit: usize) -> Result<Vec<u8>, Rejection> {
    // One byte more than allowed tells a body that is too large from one that just fits.
    let most = limit as u64 + 1;
    let mut out = Vec::with_capacity((body.len() * 4).min(limit));
    let result = match encoding {
        Encoding::Identity => return Ok(body.to_vec()),
        Encoding::Gzip => flate2::read::MultiGzDecoder::new(body).take(most).read_to_end(&mut out),
        Encoding::Zstd => zstd::Decoder::with_buffer(body).and_then(|decoder| decoder.take(most).read_to_end(&mut out)),
    };
    if let Err(error) = result {
        return Err(Rejection::Malformed(format!("the body is not {encoding:?} as its header says: {error}")));
    }
    if out.len() > limit { Err(Rejection::TooLarge { limit }) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_unpacked_up_to_the_limit() {
        let data = vec![7; 10_000];
        for (packed, encoding) in
            [(gzip(&data), Encoding::Gzip), (zstd::encode_all(&data[..], 1).unwrap(), Encoding::Zstd)]
        {
            assert_eq!(unpack_now(&packed, encoding, 10_000).unwrap(), data);
            assert!(matches!(unpack_now(&packed, encoding, 9_999), Err(Rejection::TooLarge { limit: 9_999 })));
            let broken = &packed[..packed.len() - 3];
            assert!(matches!(unpack_now(broken, encoding, 10_000), Err(Rejection::Malformed(_))));
        }
    }
}
