//! Tokens are read or written: a number alone does not say which.

use spanlight::SpanExt;

fn main() {
    spanlight::llm_span!("gpt-4o").record_usage(1935);
}
