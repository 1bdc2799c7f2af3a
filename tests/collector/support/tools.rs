//! Programs of others that tests run: below `target/tools`, where `scripts/test-tools` puts them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::PATIENCE;

/// Python with the packages of `tests/sdk/requirements.txt`.
pub fn python() -> Command {
    Command::new(tool("python/bin/python"))
}

/// Node.js in a directory that has the packages of `tests/sdk/package.json`.
pub fn node() -> Command {
    node_with("node")
}

/// Node.js in a directory that has the packages of `tests/specs/package.json`.
pub fn node_for_specs() -> Command {
    node_with("specs")
}

/// `npm` in the directory of the client in TypeScript, which has its packages.
pub fn npm_of_client() -> Command {
    tool("client/node_modules");
    let mut command = Command::new("npm");
    command.current_dir(file("clients/ts"));
    command
}

fn node_with(packages: &str) -> Command {
    let packages = tool(packages).join("node_modules");
    let mut command = Command::new("node");
    command.current_dir(packages.parent().unwrap());
    command
}

/// Prometheus' own checker.
pub fn promtool() -> Command {
    Command::new(tool("prometheus/usr/bin/promtool"))
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end with this on its standard input.
pub async fn feed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let fed = async {
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
    };
    let ended = async { tokio::join!(fed, process.wait_with_output()).1.unwrap() };
    tokio::time::timeout(PATIENCE, ended).await.unwrap()
}

/// A program below `target/tools`.
pub fn tool(path: &str) -> PathBuf {
    let found = file("target/tools").join(path);
    assert!(found.exists(), "there is no {}: run scripts/test-tools", found.display());
    found
}
