//! The collector of this profile as a process, on free ports.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// It is killed when nobody needs it any more.
pub struct Collector {
    process: Child,
    /// Its address for OTLP over HTTP.
    pub otlp: String,
    /// Its web endpoint.
    pub web: String,
    _folder: tempfile::TempDir,
}

impl Collector {
    /// With the configuration that is built in.
    pub fn start() -> Collector {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = ["receivers.otlp.protocols.grpc", "receivers.otlp.protocols.http", "extensions.web"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
        command
            .arg("run")
            .args(ports.iter().flat_map(|port| ["--set".to_owned(), format!("{port}.endpoint=127.0.0.1:0")]));
        let mut process = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().expect("the collector");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let mut address = |of: &str| {
            let line = lines.find(|line| line.trim_start().starts_with(of)).expect("an address");
            let url = line.split_whitespace().last().unwrap_or_default();
            url.trim_end_matches("/api/v1/runs").to_owned()
        };
        let (otlp, web) = (address("OTLP/http"), address("API"));
        std::thread::spawn(move || lines.for_each(drop));
        Collector { process, otlp, web, _folder: folder }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
