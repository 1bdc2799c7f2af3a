//! Telemetry that ends where it begins is of no use to anybody.
#![deny(unused_must_use)]

fn main() {
    spanlight::init();
}
