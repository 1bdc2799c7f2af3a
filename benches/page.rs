//! The page in Chromium with much to look at: a run of 10,000 spans, 5,000 runs. Needs what `scripts/test-tools` fetches.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/process.rs"]
mod process;

use std::process::Command;

fn main() {
    let collector = process::Collector::start();
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new("node");
    command.arg(format!("{root}/benches/page/measure.mjs")).current_dir(format!("{root}/target/tools/browser"));
    let status = command.env("PAGE", &collector.web).env("OTLP", &collector.otlp).status().expect("node");
    assert!(status.success(), "the measurement failed");
}
