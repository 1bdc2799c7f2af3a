//! The collector as a process, on free ports: that of this profile, or the program that `SPANLIGHT=PATH` names.
#![allow(dead_code, reason = "each benchmark needs a part of it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// It is killed when nobody needs it any more.
pub struct Collector {
    process: Child,
    /// Its address for OTLP over gRPC.
    pub grpc: String,
    /// Its address for OTLP over HTTP.
    pub otlp: String,
    /// Its web endpoint.
    pub web: String,
    folder: tempfile::TempDir,
}

impl Collector {
    /// With the configuration that is built in.
    pub fn start() -> Collector {
        let ports = ["receivers.otlp.protocols.grpc", "receivers.otlp.protocols.http", "extensions.web"];
        let set = ports.map(|port| ["--set".to_owned(), format!("{port}.endpoint=127.0.0.1:0")]);
        Collector::run(tempfile::tempdir().expect("a folder"), &set.concat())
    }

    /// With a configuration that has it listen on free ports.
    pub fn with(config: &str) -> Collector {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("collector.yaml"), config).expect("a folder to write to");
        Collector::run(folder, &["--config", "collector.yaml"].map(str::to_owned))
    }

    fn run(folder: tempfile::TempDir, arguments: &[String]) -> Collector {
        let mut command = Command::new(program());
        command.arg("run").args(arguments);
        let mut process = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().expect("the collector");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let mut address = |of: &str| {
            let line = lines.find(|line| line.trim_start().starts_with(of)).expect("an address");
            let url = line.split_whitespace().nth(1).unwrap_or_default();
            url.trim_end_matches("/api/v1/runs").to_owned()
        };
        let [grpc, otlp, web] = ["OTLP/grpc", "OTLP/http", "API"].map(&mut address);
        std::thread::spawn(move || lines.for_each(drop));
        Collector { process, grpc, otlp, web, folder }
    }

    /// Asks it to end, and waits until it has; whether it went well.
    pub fn end(mut self) -> bool {
        let asked = Command::new("kill").arg(self.id().to_string()).status();
        asked.is_ok_and(|status| status.success()) && self.process.wait().is_ok_and(|status| status.success())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its data is.
    pub fn data(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "spanlight-data")
    }
}

/// What is measured.
pub fn program() -> PathBuf {
    named("SPANLIGHT").unwrap_or_else(|| env!("CARGO_BIN_EXE_spanlight").into())
}

/// The program that a variable names, wherever it is run from.
pub fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(|path| std::fs::canonicalize(path).expect("a program"))
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
