//! The format on disk: what a segment, a record and a seal look like, and whether they are what was written.
//!
//! All numbers are little-endian. A segment begins with its header, twice, and goes on with records; when it is full a
//! seal is put behind them. Checksums begin with the segment's salt, so that no payload, not even a copy of another
//! segment, can be taken for a record of this one.
//!
//! A record has two checksums. With one over everything, a damaged payload and a damaged length could not be told
//! apart, and neither could a write that broke off: here the head alone says whether its length can be trusted.

use uuid::Uuid;

use crate::event::Timestamp;

/// Bytes before the first record.
pub const HEADER: usize = 2 * HEADER_COPY;
/// Bytes before a payload.
pub const HEAD: usize = 32;
/// The longest payload, in bytes.
pub const MOST_PAYLOAD: usize = 256 << 20;
/// Bytes at the end of a sealed segment.
pub const TRAILER: usize = 24;

const HEADER_COPY: usize = 64;
const MAGIC: [u8; 8] = *b"SPANLOG\x01";
const SEALED: [u8; 8] = *b"SPANSEAL";
const PLACE: usize = 24;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The epoch in which it was begun.
    pub epoch: Uuid,
    /// The smallest offset that it may hold.
    pub first: u64,
    /// What its checksums begin with.
    pub salt: u32,
}

/// What a record says of itself, before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the payload.
    pub len: u32,
    /// What the payload is, to whoever wrote it.
    pub kind: u8,
    /// Its offset.
    pub offset: u64,
    /// When it was appended.
    pub time: Timestamp,
    /// Checksum of the payload.
    sum: u32,
}

/// A record's place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The record's offset.
    pub offset: u64,
    /// When it was appended.
    pub time: Timestamp,
    /// Where its head begins, in bytes from the beginning of the segment.
    pub at: u64,
}

/// What a full segment says of its records, so that nobody need read them to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Records in the segment.
    pub records: u64,
    /// The offset behind its last record.
    pub next: u64,
    /// When its last record was appended.
    pub last: Timestamp,
    /// Where its records end, in bytes.
    pub end: u64,
    /// Some of its records, in order.
    pub places: Vec<Place>,
}

impl Header {
    /// As it stands in a file.
    pub fn write(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let (first, second) = bytes.split_at_mut(HEADER_COPY);
        first[..8].copy_from_slice(&MAGIC);
        first[8..24].copy_from_slice(self.epoch.as_bytes());
        first[24..32].copy_from_slice(&self.first.to_le_bytes());
        first[32..36].copy_from_slice(&self.salt.to_le_bytes());
        let sum = crc32c::crc32c(&first[..HEADER_COPY - 4]);
        first[HEADER_COPY - 4..].copy_from_slice(&sum.to_le_bytes());
        second.copy_from_slice(first);
        bytes
    }

    /// Of the beginning of a file: one good copy will do.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        bytes.chunks_exact(HEADER_COPY).take(2).find_map(|copy| {
            let sum = u32_at(copy, HEADER_COPY - 4)?;
            let is_whole = copy.starts_with(&MAGIC) && crc32c::crc32c(&copy[..HEADER_COPY - 4]) == sum;
            let epoch = Uuid::from_slice(copy.get(8..24)?).ok()?;
            is_whole.then_some(Header { epoch, first: u64_at(copy, 24)?, salt: u32_at(copy, 32)? })
        })
    }
}

impl Head {
    /// Of a payload.
    pub fn new(offset: u64, time: Timestamp, kind: u8, payload: &[u8], salt: u32) -> Head {
        let sum = crc32c::crc32c_append(salt, payload);
        Head { len: u32::try_from(payload.len()).unwrap_or(u32::MAX), kind, offset, time, sum }
    }

    /// As it stands in a file.
    pub fn write(&self, salt: u32) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4] = self.kind;
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.as_micros().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sum.to_le_bytes());
        let sum = crc32c::crc32c_append(salt, &bytes[..HEAD - 4]);
        bytes[HEAD - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Of bytes that begin with a record's head.
    pub fn read(bytes: &[u8], salt: u32) -> Option<Head> {
        let bytes = bytes.get(..HEAD)?;
        // Looked at first, because it rules out nearly everything when a head is looked for byte by byte.
        if bytes[5..8] != [0; 3] {
            return None;
        }
        let len = u32_at(bytes, 0)?;
        if len as usize > MOST_PAYLOAD || crc32c::crc32c_append(salt, &bytes[..HEAD - 4]) != u32_at(bytes, HEAD - 4)? {
            return None;
        }
        let time = Timestamp::from_micros(u64_at(bytes, 16)?.cast_signed());
        Some(Head { len, kind: bytes[4], offset: u64_at(bytes, 8)?, time, sum: u32_at(bytes, 24)? })
    }

    /// Bytes of the record, head and payload.
    pub fn size(&self) -> u64 {
        HEAD as u64 + u64::from(self.len)
    }

    /// Whether this is the payload that was written.
    pub fn is_of(&self, payload: &[u8], salt: u32) -> bool {
        crc32c::crc32c_append(salt, payload) == self.sum
    }
}

impl Seal {
    /// As it stands behind the records.
    pub fn write(&self, salt: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.places.len() * PLACE + TRAILER);
        for number in [self.records, self.next, self.last.as_micros().cast_unsigned(), self.end] {
            bytes.extend(number.to_le_bytes());
        }
        for place in &self.places {
            for number in [place.offset, place.time.as_micros().cast_unsigned(), place.at] {
                bytes.extend(number.to_le_bytes());
            }
        }
        let len = bytes.len() as u64;
        bytes.extend(SEALED);
        bytes.extend(len.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(crc32c::crc32c_append(salt, &bytes).to_le_bytes());
        bytes
    }

    /// How long the seal of a file is, trailer included, of the file's last bytes.
    pub fn size(trailer: &[u8]) -> Option<u64> {
        let len = u64_at(trailer, 8).filter(|len| *len <= MOST_PAYLOAD as u64)?;
        trailer.starts_with(&SEALED).then_some(len + TRAILER as u64)
    }

    /// Of a whole seal.
    pub fn read(bytes: &[u8], salt: u32) -> Option<Seal> {
        let (signed, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32c::crc32c_append(salt, signed) != u32_at(sum, 0)? {
            return None;
        }
        let body = bytes.get(..bytes.len().checked_sub(TRAILER)?)?;
        let place = |bytes: &[u8]| {
            let time = Timestamp::from_micros(u64_at(bytes, 8)?.cast_signed());
            Some(Place { offset: u64_at(bytes, 0)?, time, at: u64_at(bytes, 16)? })
        };
        Some(Seal {
            records: u64_at(body, 0)?,
            next: u64_at(body, 8)?,
            last: Timestamp::from_micros(u64_at(body, 16)?.cast_signed()),
            end: u64_at(body, 24)?,
            places: body.get(32..)?.chunks_exact(PLACE).map(place).collect::<Option<_>>()?,
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_not() {
        let time = Timestamp::from_micros(1_795_242_480_000_000);
        let head = Head::new(7, time, 3, b"payload", 99);
        let bytes = head.write(99);
        assert_eq!(Head::read(&bytes, 99), Some(head));
        assert_eq!(Head::read(&bytes, 98), None, "of another segment");
        assert!(head.is_of(b"payload", 99) && !head.is_of(b"Payload", 99));
        let seal = Seal { records: 1, next: 8, last: time, end: 167, places: vec![Place { offset: 7, time, at: 128 }] };
        let sealed = seal.write(99);
        assert_eq!(Seal::size(&sealed[sealed.len() - TRAILER..]), Some(sealed.len() as u64));
        assert_eq!(Seal::read(&sealed, 99), Some(seal));
        for bit in 0..HEAD * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::read(&damaged, 99), None, "bit {bit}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Seal::read(&damaged, 99), None, "bit {bit}");
        }
    }

    #[test]
    fn a_header_survives_damage_to_one_of_its_copies() {
        let header = Header { epoch: Uuid::from_u128(5), first: 12, salt: 4 };
        let bytes = header.write();
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&damaged), Some(header), "bit {bit}");
        }
        assert_eq!(Header::read(&[0; HEADER]), None);
        assert_eq!(Header::read(&bytes[..HEADER_COPY - 1]), None);
    }
}
