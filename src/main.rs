//! The `spanlight` command.

fn main() {}
