//! AG2: the GenAI conventions, and beside each call another span that says once more what it took.

use super::{Dialect, Op, Signs};
use crate::semconv::Key;

pub(super) static DIALECT: Dialect = Dialect {
    name: "ag2",
    signs: Signs { keys: &[Key::AG2_SPAN_TYPE], ..Signs::NONE },
    kinds: &[(Key::AG2_SPAN_TYPE, &[("usage", Op::Step)])],
    ..Dialect::BASE
};
