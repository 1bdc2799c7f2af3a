//! Wrong use of the library that must not compile, and what the compiler says of it.
//!
//! The messages are compared, and not only that there are some, because half of the cases are about the help that our
//! macros and attributes give. They are those of one compiler: after another is installed, or a message was changed on
//! purpose, `TRYBUILD=overwrite cargo test --test compile_fail` writes them again.
//!
//! The library and what it needs are checked once more for this, in `target/tests`: two minutes of one core when that
//! is empty, ten seconds after a change of the library, one otherwise.
#![cfg(feature = "layer")]

#[test]
fn wrong_use_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
