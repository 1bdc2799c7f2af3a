//! What a thread of the agent writes down, and what is read of it: commands as bytes.
//!
//! A command is a tag, the span it is about, a moment, its number on its thread, and a payload. Writing one copies
//! some ten bytes; nothing is allocated, shared or decided on the agent's thread that can be decided later.

/// What a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// A span was made: callsite, parent, fields.
    New,
    /// Work in it goes on, on this thread.
    Enter,
    /// It rests.
    Exit,
    /// It is over: whether a panic ended it.
    Close,
    /// Fields of its callsite were recorded.
    Fields,
    /// A field was set by key.
    Set,
    /// It follows from another span.
    Follows,
    /// An error was logged in it: callsite of the log event, fields.
    Error,
    /// A log event that says something of the work: callsite of the log event, fields.
    Said,
    /// The ids that the OpenTelemetry layer gave it.
    Ids,
    /// A piece of a model's answer.
    Chunk,
    /// Progress: text, and members of JSON.
    Progress,
}

/// One command, read.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// What it says.
    pub tag: Tag,
    /// The registry's id of the span.
    pub span: u64,
    /// Nanoseconds since the layer was made.
    pub stamp: u64,
    /// Its number on its thread.
    pub sequence: u32,
    /// What belongs to it, by its tag.
    pub payload: &'a [u8],
}

/// The size of a command without its payload.
pub const HEADER: usize = 1 + 8 + 8 + 4 + 4;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer beyond the signed ones.
    Uint(u64),
    /// A double.
    Double(f64),
    /// Text.
    Text(&'a str),
}

impl Tag {
    const ALL: [Tag; 12] = [
        Tag::New,
        Tag::Enter,
        Tag::Exit,
        Tag::Close,
        Tag::Fields,
        Tag::Set,
        Tag::Follows,
        Tag::Error,
        Tag::Said,
        Tag::Ids,
        Tag::Chunk,
        Tag::Progress,
    ];
}

/// Appends a command.
#[inline]
pub fn put(out: &mut Vec<u8>, command: &Command<'_>) {
    let mut header = [0; HEADER];
    header[0] = command.tag as u8;
    header[1..9].copy_from_slice(&command.span.to_le_bytes());
    header[9..17].copy_from_slice(&command.stamp.to_le_bytes());
    header[17..21].copy_from_slice(&command.sequence.to_le_bytes());
    header[21..25].copy_from_slice(&(command.payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(command.payload);
}

/// The commands of a buffer, in the order in which they were written.
pub fn read(buffer: &[u8]) -> impl Iterator<Item = Command<'_>> {
    let mut reader = Reader(buffer);
    std::iter::from_fn(move || {
        Some(Command {
            tag: *Tag::ALL.get(usize::from(reader.u8()?))?,
            span: reader.u64()?,
            stamp: reader.u64()?,
            sequence: reader.u32()?,
            payload: reader.block()?,
        })
    })
}

/// Appends a field: the number of its name, and its value.
#[inline]
pub fn put_field(out: &mut Vec<u8>, number: u16, value: &Value<'_>) {
    out.extend_from_slice(&number.to_le_bytes());
    match value {
        Value::Bool(truth) => out.extend_from_slice(&[0, u8::from(*truth)]),
        Value::Int(number) => put_word(out, 1, number.to_le_bytes()),
        Value::Uint(number) => put_word(out, 2, number.to_le_bytes()),
        Value::Double(number) => put_word(out, 3, number.to_le_bytes()),
        Value::Text(text) => {
            out.push(4);
            put_block(out, text.as_bytes());
        }
    }
}

/// The size of a field of text without the text.
pub const TEXT_HEADER: usize = 2 + 1 + 4;

/// Appends a field of text that is not there yet: `write` appends it.
pub fn put_text_with(out: &mut Vec<u8>, number: u16, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&[4, 0, 0, 0, 0]);
    let from = out.len();
    write(out);
    let len = (out.len() - from) as u32;
    out[from - 4..from].copy_from_slice(&len.to_le_bytes());
}

#[inline]
fn put_word(out: &mut Vec<u8>, kind: u8, word: [u8; 8]) {
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&word);
    out.extend_from_slice(&bytes);
}

/// Appends bytes behind their length.
#[inline]
pub fn put_block(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The fields of a payload.
pub fn fields(payload: &[u8]) -> impl Iterator<Item = (u16, Value<'_>)> {
    let mut reader = Reader(payload);
    std::iter::from_fn(move || {
        let number = reader.u16()?;
        let value = match reader.u8()? {
            0 => Value::Bool(reader.u8()? != 0),
            1 => Value::Int(reader.u64()? as i64),
            2 => Value::Uint(reader.u64()?),
            3 => Value::Double(f64::from_bits(reader.u64()?)),
            _ => Value::Text(reader.text()?),
        };
        Some((number, value))
    })
}

/// Reads what was put, from the front.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Bytes behind their length.
    pub fn block(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (block, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(block)
    }

    /// Text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        self.block().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = (u16, u8, u64, String)> {
        (any::<u16>(), 0u8..5, any::<u64>(), ".*")
    }

    fn as_value<'a>((_, kind, word, text): &'a (u16, u8, u64, String)) -> Value<'a> {
        match kind {
            0 => Value::Bool(*word % 2 == 0),
            1 => Value::Int(*word as i64),
            2 => Value::Uint(*word),
            3 => Value::Double(*word as f64),
            _ => Value::Text(text),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            commands in prop::collection::vec((0..12usize, any::<u64>(), any::<u64>(), prop::collection::vec(value(), 0..6)), 0..8),
        ) {
            let mut buffer = Vec::new();
            for (sequence, (tag, span, stamp, values)) in commands.iter().enumerate() {
                let mut payload = Vec::new();
                values.iter().for_each(|value| put_field(&mut payload, value.0, &as_value(value)));
                let (tag, sequence) = (Tag::ALL[*tag], sequence as u32);
                put(&mut buffer, &Command { tag, span: *span, stamp: *stamp, sequence, payload: &payload });
            }
            let read: Vec<Command<'_>> = read(&buffer).collect();
            prop_assert_eq!(read.len(), commands.len());
            for (read, (tag, span, stamp, values)) in read.iter().zip(&commands) {
                prop_assert_eq!((read.tag as usize, read.span, read.stamp), (*tag, *span, *stamp));
                let fields: Vec<(u16, Value<'_>)> = fields(read.payload).collect();
                let expected: Vec<(u16, Value<'_>)> = values.iter().map(|value| (value.0, as_value(value))).collect();
                prop_assert_eq!(fields, expected);
            }
        }
    }
}
