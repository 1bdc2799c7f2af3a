//! The editor: rewrites only the records that change and keeps everything else byte for byte.
//!
//! Every level is the same operation: walk the fields of a message, hand those of one number to a closure, and
//! begin to copy only when the closure wants a change. A batch in which nothing changes is not copied at all.

use super::batch::Batch;
use super::view::{AnyValue, Group, KeyValue};
use super::wire::{put_bytes, put_f64, put_message, put_u64, read_field, repeated};

/// What is to become of one nested message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays, byte for byte.
    Keep,
    /// It goes.
    Drop,
    /// It is encoded anew.
    Replace(Vec<u8>),
}

/// A value that configuration can give an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

impl Batch {
    /// The batch with every record as `edit` wants it; nothing if `edit` keeps them all. Scopes and resources
    /// that lose their last record go with it.
    pub fn edit(&self, mut edit: impl FnMut(&Group<'_>, &[u8]) -> Edit) -> Option<Batch> {
        let mut groups = self.groups();
        let mut removed = 0;
        let bytes = rewrite(self.bytes(), 1, |resource| {
            without_empty(resource, |scope| {
                let Some(group) = groups.next() else { return Edit::Keep };
                without_empty(scope, |record| {
                    let change = edit(&group, record);
                    removed += if change == Edit::Drop { self.signal().weight(record) } else { 0 };
                    change
                })
            })
        })?;
        Some(Batch::encoded(self.signal(), bytes, self.items() - removed))
    }
}

/// The message with each field `number` as `edit` wants it; nothing if `edit` keeps them all.
pub fn rewrite(message: &[u8], number: u32, mut edit: impl FnMut(&[u8]) -> Edit) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut kept_from = 0;
    let mut rest = message;
    while !rest.is_empty() {
        let start = message.len() - rest.len();
        let Ok(field) = read_field(&mut rest) else { break };
        let Some(value) = field.value.bytes().filter(|_| field.number == number) else { continue };
        let replacement = match edit(value) {
            Edit::Keep => continue,
            Edit::Drop => None,
            Edit::Replace(replacement) => Some(replacement),
        };
        let out = out.get_or_insert_with(|| Vec::with_capacity(message.len()));
        out.extend_from_slice(&message[kept_from..start]);
        kept_from = message.len() - rest.len();
        if let Some(replacement) = replacement {
            put_bytes(out, number, &replacement);
        }
    }
    out.map(|mut out| {
        out.extend_from_slice(&message[kept_from..]);
        out
    })
}

/// A record with attributes changed: `edit` sees each and says what becomes of it, then `append` may add more.
/// `number` is the field number of the record's attributes.
pub fn edit_attributes(
    record: &[u8],
    number: u32,
    mut edit: impl FnMut(KeyValue<'_>) -> Edit,
    append: &[(&str, &Value)],
) -> Option<Vec<u8>> {
    let changed = rewrite(record, number, |attribute| edit(KeyValue::read(attribute)));
    if append.is_empty() {
        return changed;
    }
    let mut record = changed.unwrap_or_else(|| record.to_vec());
    for (key, value) in append {
        put_bytes(&mut record, number, &attribute(key, value));
    }
    Some(record)
}

/// An encoded `KeyValue`.
pub fn attribute(key: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 16);
    put_bytes(&mut out, 1, key.as_bytes());
    put_message(&mut out, 2, |out| match value {
        Value::String(text) => put_bytes(out, 1, text.as_bytes()),
        Value::Bool(truth) => put_u64(out, 2, u64::from(*truth)),
        Value::Int(number) => put_u64(out, 3, *number as u64),
        Value::Double(number) => put_f64(out, 4, *number),
    });
    out
}

/// The bytes of a traces request without the spans whose ids are invalid.
pub(super) fn drop_invalid_spans(bytes: &[u8]) -> Vec<u8> {
    let valid = |id: &[u8], len| id.len() == len && id.iter().any(|&byte| byte != 0);
    let kept = rewrite(bytes, 1, |resource| {
        without_empty(resource, |scope| {
            without_empty(scope, |record| {
                let span = super::view::Span::read(record);
                if valid(span.trace_id, 16) && valid(span.span_id, 8) { Edit::Keep } else { Edit::Drop }
            })
        })
    });
    kept.unwrap_or_else(|| bytes.to_vec())
}

/// Edits the field 2 of a message: the scopes of a resource, the records of a scope.
fn without_empty(message: &[u8], edit: impl FnMut(&[u8]) -> Edit) -> Edit {
    match rewrite(message, 2, edit) {
        None => Edit::Keep,
        Some(changed) if repeated(&changed, 2).next().is_none() => Edit::Drop,
        Some(changed) => Edit::Replace(changed),
    }
}

// === impl Value ===

impl Value {
    /// Whether a received value says the same.
    pub fn equals(&self, other: AnyValue<'_>) -> bool {
        match (self, other) {
            (Value::String(text), AnyValue::String(other)) => other == **text,
            (Value::Bool(truth), AnyValue::Bool(other)) => *truth == other,
            (Value::Int(number), AnyValue::Int(other)) => *number == other,
            (Value::Int(number), AnyValue::Double(other)) => *number as f64 == other,
            (Value::Double(number), AnyValue::Double(other)) => *number == other,
            (Value::Double(number), AnyValue::Int(other)) => *number == other as f64,
            _ => false,
        }
    }
}
