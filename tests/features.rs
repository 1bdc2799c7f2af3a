//! What a program takes on when it takes Spanlight on: little for the core, no server for the library.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

/// What only the command needs, and what would weigh on everybody who takes the library alone.
const COLLECTOR_ONLY: &[&str] = &[
    "axum",
    "clap",
    "clap_complete",
    "clap_mangen",
    "libsqlite3-sys",
    "object_store",
    "parquet",
    "rdkafka",
    "redis",
    "regex",
    "rusqlite",
    "saphyr-parser",
    "tikv-jemallocator",
    "tonic",
    "tonic-prost",
    "tokio-tungstenite",
    "tower",
];

#[test]
fn the_layer_brings_no_server_and_no_command_line() {
    let crates = crates(&["--features", "layer"]);
    let found: Vec<&&str> = COLLECTOR_ONLY.iter().filter(|name| crates.contains(**name)).collect();
    assert!(found.is_empty(), "the feature `layer` brings {found:?}");
    for needed in ["opentelemetry_sdk", "tokio", "tracing-subscriber"] {
        assert!(crates.contains(needed), "`{needed}` is missing, so the list was not read well: {crates:?}");
    }
}

#[test]
fn the_core_waits_for_nothing_and_traces_nothing() {
    let crates = crates(&[]);
    let unwanted = ["hyper", "opentelemetry", "opentelemetry_sdk", "tokio", "tracing", "tracing-core"];
    let found: Vec<&&str> = unwanted.iter().chain(COLLECTOR_ONLY).filter(|name| crates.contains(**name)).collect();
    assert!(found.is_empty(), "without any feature there is {found:?}");
    assert!(crates.contains("serde_json"), "the list was not read well: {crates:?}");
}

#[test]
fn kafka_is_for_whoever_asks_for_it() {
    let found = |features: &[&str]| crates(features).contains("rdkafka");
    assert!(!found(&["--features", "default"]) && found(&["--features", "kafka"]));
    // OpenSSL is the system's, so it is asked for by itself.
    assert!(!crates(&["--features", "kafka"]).contains("openssl-sys"));
    assert!(crates(&["--features", "kafka-tls"]).contains("openssl-sys"));
}

#[test]
fn the_archive_is_for_whoever_asks_for_it_and_brings_no_second_client() {
    let archive = crates(&["--features", "archive"]);
    assert!(!crates(&["--features", "default"]).contains("parquet") && archive.contains("parquet"));
    for unwanted in ["arrow-array", "aws-lc-rs", "openssl-sys", "reqwest"] {
        assert!(!archive.contains(unwanted), "the feature `archive` brings {unwanted}");
    }
}

#[test]
fn the_library_starts_no_threads_of_tokio_by_itself() {
    let features = tree(&["--features", "layer", "--edges", "normal,features", "--invert", "tokio"]);
    assert!(features.contains("tokio feature \"rt\""), "the list was not read well:\n{features}");
    for feature in ["rt-multi-thread", "signal", "process"] {
        let named = format!("tokio feature \"{feature}\"");
        assert!(!features.contains(&named), "the feature `layer` turns on {named}:\n{features}");
    }
}

#[test]
fn what_is_built_beside_it_is_locked_to_what_it_needs_now() {
    for beside in ["fuzz", "examples/rig"] {
        let manifest = format!("{beside}/Cargo.toml");
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path", &manifest])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Elsewhere crates that only these need may not have been fetched, of which nothing can be said.
        assert!(!said.contains("--locked was passed"), "cargo metadata --manifest-path {manifest} mends it:\n{said}");
    }
}

/// The names of the crates that the library is built of with these features.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let tree = tree(&[&["--edges", "normal"], features].concat());
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--package", "spanlight", "--no-default-features", "--locked", "--offline", "--prefix", "none"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `deny.toml` is for `cargo deny`, which not everybody has: its list of licences is held to here.
#[test]
fn every_licence_is_one_that_is_allowed() {
    let text = include_str!("../deny.toml");
    let (_, list) = text.split_once("allow = [").unwrap();
    let allowed: Vec<&str> = list.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    let lines = tree(&["--all-features", "--edges", "normal,build", "--target", "all", "--format", "{p}\t{l}"]);
    let crates: BTreeSet<&str> = lines.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.len() > 100, "the list was not read well");
    for line in crates {
        let (name, licence) = line.split_once('\t').unwrap();
        let licence = licence.replace('/', " OR ").replace(['(', ')'], " ");
        // All that are joined by AND, of each at least one that is joined by OR.
        let is_allowed = |one: &str| allowed.contains(&one.trim());
        let is_good = licence.split(" AND ").all(|either| either.split(" OR ").any(is_allowed));
        assert!(is_good, "{name} is under {licence}, which deny.toml does not allow");
    }
}

/// A pattern without a slash in front fits in every folder, and packages what was installed there.
#[test]
fn the_package_has_what_it_is_built_of_and_nothing_else() {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).unwrap();
    let folders = ["src/", "collector-config/", "packaging/"];
    let beside: Vec<&str> = list.lines().filter(|path| !folders.iter().any(|begin| path.starts_with(begin))).collect();
    let known = [
        ".cargo_vcs_info.json",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE",
        "README.md",
        "docs/bus.md",
    ];
    let unknown: Vec<_> = beside.iter().filter(|path| !known.contains(path)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for needed in ["Cargo.lock", "LICENSE", "docs/bus.md", "collector-config/default.yaml", "src/web/assets/index.html"]
    {
        assert!(list.lines().any(|path| path == needed), "{needed} is missing:\n{list}");
    }
}
