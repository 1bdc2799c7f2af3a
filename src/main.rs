//! The `spanlight` command: parses, loads and runs; everything it does is in the library.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
use tikv_jemallocator::Jemalloc;

// Requests are taken and let go on different threads all the time, which the system's allocator is slow at, and of which
// others come to hold three times what is in use.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    spanlight::cli::main()
}
