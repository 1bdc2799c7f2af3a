//! Spans that stand for others which go on: Logfire sends one when a span begins, with an id of its own, no length, and
//! the span that it stands for as its parent.

use super::Attributes;
use crate::event::SpanId;
use crate::otlp::view::Span;
use crate::semconv::{Key, PENDING_SPAN};

/// A span that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its own id.
    pub span: SpanId,
    /// What is above it.
    pub parent: Option<SpanId>,
}

/// What a span stands for, if it is only a placeholder.
#[inline]
pub fn pending(span: &Span<'_>, attributes: &Attributes<'_>) -> Option<Pending> {
    if !attributes.has(Key::LOGFIRE_SPAN_TYPE) || attributes.text(&[Key::LOGFIRE_SPAN_TYPE])? != PENDING_SPAN {
        return None;
    }
    let parent = attributes.text(&[Key::LOGFIRE_PENDING_PARENT_ID]).and_then(SpanId::from_hex);
    Some(Pending { span: SpanId::from_bytes(span.parent_span_id)?, parent })
}
