//! The `spanlight` command: parses, loads and runs; everything it does is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// Requests are taken and let go on different threads all the time, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    spanlight::cli::main()
}
