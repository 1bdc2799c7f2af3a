//! A server of S3 that can be killed and started again, empty then.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::PATIENCE;
use crate::support::tools::{file, tool};

/// A running server; it is killed when the test lets go of it.
pub struct Storage {
    pub endpoint: String,
    pub key: String,
    pub secret: String,
    process: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// Python with the packages of `tests/archive/requirements.txt`.
pub fn python() -> Command {
    Command::new(tool("storage/bin/python"))
}

impl Storage {
    /// One that looks at signatures, with the bucket `agents`.
    pub async fn start() -> Storage {
        let mut storage = Storage::without_bucket(0, true).await;
        storage.make_bucket().await;
        storage
    }

    /// One at a port, or at any if that is 0.
    pub async fn without_bucket(port: u16, is_checked: bool) -> Storage {
        let mut command = python();
        command.arg(file("tests/archive/storage.py")).arg(port.to_string()).args(is_checked.then_some("checked"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(2 * PATIENCE, stdout.next_line()).await.unwrap().unwrap().unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        let stdin = process.stdin.take().unwrap();
        Storage { endpoint: text("endpoint"), key: text("key"), secret: text("secret"), process, stdin, stdout }
    }

    /// Kills it, with all that it has.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    pub async fn make_bucket(&mut self) {
        self.ask("bucket").await;
    }

    /// Writes all objects below a directory; their names.
    pub async fn save(&mut self, directory: &Path) -> Vec<String> {
        self.ask(&format!("save {}", directory.display())).await
    }

    /// The names of all objects.
    pub async fn names(&mut self) -> Vec<String> {
        self.ask("names").await
    }

    async fn ask(&mut self, line: &str) -> Vec<String> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

/// A port at which nobody listens, that the system gives to nobody who asks for any, and that no other test has got.
pub fn port_for_later() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    loop {
        let at = (std::process::id() as u16).wrapping_mul(31).wrapping_add(GIVEN.fetch_add(1, Relaxed)) % 600;
        // Those of clusters of Redis and what they talk over, in other tests, are below.
        let port = 32_100 + at;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
