//! Protobuf's wire format: reading fields where they lie, and writing them.
//!
//! Everything else in [`crate::otlp`] stands on these few functions. They know tags, varints and lengths, and
//! nothing of OTLP.

use std::fmt;

/// One field of a message, borrowed from the buffer it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The field number of the message's schema, 1 or more.
    pub number: u32,
    /// What stands behind the tag.
    pub value: Wire<'a>,
}

/// A field's value as the wire knows it; the schema says what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire<'a> {
    /// int32, int64, uint32, uint64, sint32, sint64, bool and enum.
    Varint(u64),
    /// fixed64, sfixed64 and double.
    Fixed64(u64),
    /// fixed32, sfixed32 and float.
    Fixed32(u32),
    /// string, bytes, messages and packed repeated numbers.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// The bytes of a length-delimited value, or nothing.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Wire::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of a varint or fixed value, or 0.
    pub fn number(self) -> u64 {
        match self {
            Wire::Varint(number) | Wire::Fixed64(number) => number,
            Wire::Fixed32(number) => u64::from(number),
            Wire::Bytes(_) => 0,
        }
    }
}

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The buffer ends within a value.
    Truncated,
    /// A varint of more than 10 bytes or 64 bits.
    Varint,
    /// A tag of field number 0, or of more than 32 bits.
    Tag,
    /// Wire types 6 and 7 do not exist.
    WireType,
    /// Groups: protobuf gave them up, and OTLP never had them.
    Group,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Truncated => "the message ends within a value",
            Fault::Varint => "a varint is longer than 64 bits",
            Fault::Tag => "a tag has no valid field number",
            Fault::WireType => "a tag has an unknown wire type",
            Fault::Group => "groups are not part of OTLP",
        })
    }
}

/// Reads the next field and moves `buf` behind it. The buffer must not be empty.
#[inline(always)]
pub fn read_field<'a>(buf: &mut &'a [u8]) -> Result<Field<'a>, Fault> {
    let tag = read_varint(buf)?;
    if tag > u64::from(u32::MAX) || tag < 8 {
        return Err(Fault::Tag);
    }
    let value = match tag & 7 {
        0 => Wire::Varint(read_varint(buf)?),
        1 => Wire::Fixed64(u64::from_le_bytes(read_array(buf)?)),
        2 => Wire::Bytes(read_bytes(buf)?),
        3 | 4 => return Err(Fault::Group),
        5 => Wire::Fixed32(u32::from_le_bytes(read_array(buf)?)),
        _ => return Err(Fault::WireType),
    };
    Ok(Field { number: (tag >> 3) as u32, value })
}

/// Reads a varint of up to 64 bits and moves `buf` behind it.
#[inline(always)]
pub fn read_varint(buf: &mut &[u8]) -> Result<u64, Fault> {
    match buf {
        [byte, rest @ ..] if *byte < 0x80 => {
            *buf = rest;
            Ok(u64::from(*byte))
        }
        [low, high, rest @ ..] if *high < 0x80 => {
            *buf = rest;
            Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
        }
        _ => read_long_varint(buf),
    }
}

#[inline(never)]
fn read_long_varint(buf: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0u64;
    for (index, &byte) in buf.iter().take(10).enumerate() {
        if index == 9 && byte > 1 {
            return Err(Fault::Varint);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *buf = &buf[index + 1..];
            return Ok(value);
        }
    }
    Err(if buf.len() < 10 { Fault::Truncated } else { Fault::Varint })
}

#[inline(always)]
fn read_bytes<'a>(buf: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let len = usize::try_from(read_varint(buf)?).map_err(|_| Fault::Truncated)?;
    let (bytes, rest) = buf.split_at_checked(len).ok_or(Fault::Truncated)?;
    *buf = rest;
    Ok(bytes)
}

#[inline(always)]
fn read_array<const N: usize>(buf: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (array, rest) = buf.split_first_chunk().ok_or(Fault::Truncated)?;
    *buf = rest;
    Ok(*array)
}

/// The fields of a message that was checked at the door.
///
/// On bytes that were not checked the iterator ends at the first fault; it never panics.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Over the encoded fields of one message.
    pub fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field if it is this one, length-delimited and shorter than 128 bytes.
    #[inline(always)]
    pub fn next_short(&mut self, number: u8) -> Option<&'a [u8]> {
        let (bytes, rest) = short_bytes(self.rest, number)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let field = read_field(&mut self.rest);
        if field.is_err() {
            self.rest = &[];
        }
        field.ok()
    }
}

/// The fields 1 and 2 of a message that is just these, length-delimited and short: how every SDK writes nearly
/// every attribute. Most bytes of most requests are attributes, and this reads them at half the price.
#[inline(always)]
pub fn short_pair(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = short_bytes(message, 1)?;
    let (second, rest) = short_bytes(rest, 2)?;
    rest.is_empty().then_some((first, second))
}

/// The field `number` at the front of a message, if it is length-delimited and shorter than 128 bytes, and
/// what follows it.
#[inline(always)]
pub fn short_bytes(message: &[u8], number: u8) -> Option<(&[u8], &[u8])> {
    match message {
        [tag, len, rest @ ..] if *tag == number << 3 | 2 && *len < 0x80 => rest.split_at_checked(*len as usize),
        _ => None,
    }
}

/// The length-delimited values of one field number, in order.
pub fn repeated(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message).filter(move |field| field.number == number).filter_map(|field| field.value.bytes())
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The encoded length of a varint.
#[inline]
pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint field.
pub fn put_u64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a fixed64 field.
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a double field.
pub fn put_f64(out: &mut Vec<u8>, number: u32, value: f64) {
    put_fixed64(out, number, value.to_bits());
}

/// Appends a fixed32 field.
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a message field whose content `write` appends; its length is put in front afterwards.
pub fn put_message<T>(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    put_varint(out, u64::from(number) << 3 | 2);
    out.push(0);
    let start = out.len();
    let result = write(out);
    let len = out.len() - start;
    let gap = varint_len(len as u64) - 1;
    if gap > 0 {
        out.extend_from_slice(&[0; 10][..gap]);
        out.copy_within(start..start + len, start + gap);
    }
    let mut value = len as u64;
    for byte in &mut out[start - 1..start + gap] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    out[start + gap - 1] &= 0x7f;
    result
}

/// Appends a field as it was read.
pub fn put_field(out: &mut Vec<u8>, field: Field<'_>) {
    match field.value {
        Wire::Varint(value) => put_u64(out, field.number, value),
        Wire::Fixed64(value) => put_fixed64(out, field.number, value),
        Wire::Fixed32(value) => put_fixed32(out, field.number, value),
        Wire::Bytes(value) => put_bytes(out, field.number, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_are_read_as_they_were_written(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut prost = Vec::new();
            prost::encoding::encode_varint(value, &mut prost);
            prop_assert_eq!(&out, &prost);
            prop_assert_eq!(read_varint(&mut out.as_slice()), Ok(value));
        }

        #[test]
        fn varints_are_judged_as_prost_judges_them(bytes in proptest::collection::vec(prop_oneof![0x80u8..=0xff, any::<u8>()], 0..12)) {
            let ours = read_varint(&mut bytes.as_slice()).ok();
            let theirs = prost::encoding::decode_varint(&mut bytes.as_slice()).ok();
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn a_message_gets_its_length_whatever_its_size(len in 0usize..70_000) {
            let mut out = vec![1, 2, 3];
            put_message(&mut out, 5, |out| out.resize(out.len() + len, 7));
            let fields: Vec<_> = Fields::of(&out[3..]).collect();
            prop_assert_eq!(fields.len(), 1);
            prop_assert_eq!(fields[0].value.bytes().map(<[u8]>::len), Some(len));
            let mut plain = vec![1, 2, 3];
            put_bytes(&mut plain, 5, &vec![7; len]);
            prop_assert_eq!(out, plain);
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let fault = |mut bytes: &[u8]| read_field(&mut bytes).err();
        assert_eq!(fault(&[0x0a, 5, 1]), Some(Fault::Truncated));
        assert_eq!(fault(&[0x0b]), Some(Fault::Group));
        assert_eq!(fault(&[0x0c]), Some(Fault::Group));
        assert_eq!(fault(&[0x0e]), Some(Fault::WireType));
        assert_eq!(fault(&[0x00]), Some(Fault::Tag));
        assert_eq!(fault(&[0xff; 11]), Some(Fault::Varint));
        assert_eq!(fault(&[0x08]), Some(Fault::Truncated));
        assert_eq!(fault(&[0x09, 1, 2]), Some(Fault::Truncated));
    }
}
