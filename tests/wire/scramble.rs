//! Rewrites an encoded message so that it means the same and looks different: fields in another order, unknown
//! fields among them, packed numbers unpacked, singular messages in two parts.

use spanlight::otlp::schema::{Kind, Message, Rule, WireType};
use spanlight::otlp::wire::{Fields, Wire, put_bytes, put_fixed32, put_fixed64, put_u64, read_varint};

pub fn scramble(bytes: &[u8], schema: &'static Message, seed: u64) -> Vec<u8> {
    let mut random = Random(seed | 1);
    scramble_message(bytes, schema, &mut random)
}

fn scramble_message(bytes: &[u8], schema: &'static Message, random: &mut Random) -> Vec<u8> {
    // Only the order of different fields is free: the occurrences of one field keep theirs.
    let mut by_number: Vec<(u32, Vec<Vec<u8>>)> = Vec::new();
    for field in Fields::of(bytes) {
        let known = schema.field(field.number).map(|known| (known.kind, known.rule));
        let mut parts = Vec::new();
        match (known, field.value) {
            (Some((Kind::Message(nested), Rule::Singular | Rule::Oneof)), Wire::Bytes(value)) if random.one_in(3) => {
                let (first, second) = two_parts(value, nested);
                for part in [first, second] {
                    parts.push(encoded(|out| put_bytes(out, field.number, &scramble_message(&part, nested, random))));
                }
            }
            (Some((Kind::Message(nested), _)), Wire::Bytes(value)) => {
                parts.push(encoded(|out| put_bytes(out, field.number, &scramble_message(value, nested, random))));
            }
            (Some((kind, Rule::Repeated)), Wire::Bytes(packed))
                if kind.wire_type() != WireType::LengthDelimited && random.one_in(2) =>
            {
                parts.extend(unpack(kind.wire_type(), packed, field.number));
            }
            _ => parts.push(encoded(|out| spanlight::otlp::wire::put_field(out, field))),
        }
        match by_number.iter_mut().find(|(number, _)| *number == field.number) {
            Some((_, occurrences)) => occurrences.extend(parts),
            None => by_number.push((field.number, parts)),
        }
    }
    if random.one_in(2) {
        by_number.push((900, vec![encoded(|out| put_u64(out, 900, random.next()))]));
    }
    if random.one_in(4) {
        by_number.push((901, vec![encoded(|out| put_bytes(out, 901, b"\xff\xfeunknown"))]));
        by_number.push((902, vec![encoded(|out| put_fixed32(out, 902, 7)), encoded(|out| put_fixed64(out, 903, 7))]));
    }
    let mut out = Vec::new();
    while !by_number.is_empty() {
        let at = random.next() as usize % by_number.len();
        let (_, occurrences) = &mut by_number[at];
        if !occurrences.is_empty() {
            out.extend(occurrences.remove(0));
        }
        if occurrences.is_empty() {
            by_number.remove(at);
        }
    }
    out
}

/// Two messages that merge to the given one; of a oneof, both parts together.
fn two_parts(value: &[u8], schema: &'static Message) -> (Vec<u8>, Vec<u8>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (index, field) in Fields::of(value).enumerate() {
        let oneof = schema.field(field.number).is_some_and(|known| known.rule == Rule::Oneof);
        // Repeated fields are cut at one point, so that their order stays.
        let out = if oneof || index >= 2 { &mut second } else { &mut first };
        spanlight::otlp::wire::put_field(out, field);
    }
    (first, second)
}

fn unpack(wire_type: WireType, mut packed: &[u8], number: u32) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    match wire_type {
        WireType::Fixed64 => {
            let (numbers, _) = packed.as_chunks::<8>();
            parts.extend(numbers.iter().map(|n| encoded(|out| put_fixed64(out, number, u64::from_le_bytes(*n)))));
        }
        _ => {
            while !packed.is_empty() {
                let value = read_varint(&mut packed).unwrap();
                parts.push(encoded(|out| put_u64(out, number, value)));
            }
        }
    }
    parts
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_in(&mut self, n: u64) -> bool {
        (self.next() >> 20).is_multiple_of(n)
    }
}
