//! The built binary, started on free ports in a directory of its own.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::client::{self, Answer};
use super::{PATIENCE, until};

/// A running collector; it is killed when the test lets go of it.
pub struct Collector {
    /// Where its configuration and its data are.
    pub dir: TempDir,
    process: Child,
    screen: Arc<Screen>,
    readers: [JoinHandle<()>; 2],
}

/// What it has written so far.
#[derive(Default)]
struct Screen {
    stdout: Mutex<Vec<String>>,
    stderr: Mutex<Vec<String>>,
    more: Notify,
    /// Held by whoever wants nobody to read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

const ON_FREE_PORTS: [&str; 6] = [
    "--set",
    "receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "--set",
    "receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
    "--set",
    "extensions.web.endpoint=127.0.0.1:0",
];

impl Collector {
    /// Starts it with the configuration that is built in, on free ports.
    pub async fn start() -> Collector {
        Collector::spawn(None, &ON_FREE_PORTS, &[]).await
    }

    /// Starts it likewise, with variables in its environment.
    pub async fn start_in(variables: &[(&str, &str)]) -> Collector {
        Collector::spawn(None, &ON_FREE_PORTS, variables).await
    }

    /// Starts it likewise, with no more open files than this.
    pub async fn with_few_files(most: u32) -> Collector {
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &most.to_string(), env!("CARGO_BIN_EXE_spanlight")]);
        Collector::run(command, None, &ON_FREE_PORTS, &[]).await
    }

    /// Starts it with a configuration.
    pub async fn with(config: &str) -> Collector {
        Collector::spawn(Some(config), &[], &[]).await
    }

    /// Starts it with a configuration that may listen beyond this machine without asking anybody.
    pub async fn open_to_all(config: &str) -> Collector {
        Collector::spawn(Some(config), &["--insecure-bind"], &[]).await
    }

    /// Starts it with a configuration, and with variables in its environment.
    pub async fn with_environment(config: &str, variables: &[(&str, &str)]) -> Collector {
        Collector::spawn(Some(config), &[], variables).await
    }

    /// Starts it with a configuration, and lets no file of it grow above this many KiB.
    pub async fn with_small_files(config: &str, most_kib: u32) -> Collector {
        let mut command = Command::new("sh");
        let script = r#"trap '' XFSZ && ulimit -S -f "$0" && exec "$@""#;
        // In blocks of 512 bytes.
        command.args(["-c", script, &(2 * most_kib).to_string(), env!("CARGO_BIN_EXE_spanlight")]);
        Collector::run(command, Some(config), &[], &[]).await
    }

    /// Lets files grow again.
    pub async fn lift_limit_of_files(&self) {
        let id = self.process.id().unwrap().to_string();
        let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &id]).status().await.unwrap();
        assert!(lifted.success());
    }

    /// Starts it with a configuration of which some values are changed, on free ports.
    pub async fn with_changes(config: &str, changes: &[&str], variables: &[(&str, &str)]) -> Collector {
        let changes: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        Collector::spawn(Some(config), &[&ON_FREE_PORTS[..], &changes].concat(), variables).await
    }

    async fn spawn(config: Option<&str>, args: &[&str], variables: &[(&str, &str)]) -> Collector {
        Collector::run(Command::new(env!("CARGO_BIN_EXE_spanlight")), config, args, variables).await
    }

    /// Kills it as the system does when there is no memory, and starts it again where it was.
    pub async fn killed_and_started_again(mut self) -> Collector {
        self.process.kill().await.unwrap();
        self.started_again().await
    }

    /// Has it end by a signal, and starts it again where it was.
    pub async fn ended_and_started_again(mut self, signal: &str) -> Collector {
        self.signal(signal).await;
        assert!(self.gone().await.success());
        self.started_again().await
    }

    /// Starts one that is gone again, where it was.
    pub async fn started_again(self) -> Collector {
        let Collector { dir, readers, .. } = self;
        readers.iter().for_each(JoinHandle::abort);
        let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
        command.args(["run", "--config", "collector.yaml"]);
        Collector::begin(dir, command).await
    }

    async fn run(command: Command, config: Option<&str>, args: &[&str], variables: &[(&str, &str)]) -> Collector {
        Collector::run_in(tempfile::tempdir().unwrap(), command, config, args, variables).await
    }

    /// Ends one that was started with the configuration that is built in, by a signal, and starts it again in the same
    /// directory.
    pub async fn restart(mut self, signal: &str) -> Collector {
        self.signal(signal).await;
        self.gone().await;
        let command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
        Collector::run_in(self.dir, command, None, &ON_FREE_PORTS, &[]).await
    }

    /// What becomes of a second one in the same directory.
    pub async fn another(&self) -> Ended {
        run_in(self.dir.path(), &[&["run"], &ON_FREE_PORTS[..]].concat()).await
    }

    async fn run_in(
        dir: TempDir,
        mut command: Command,
        config: Option<&str>,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Collector {
        command.arg("run").args(args);
        command.envs(variables.iter().copied());
        if let Some(config) = config {
            std::fs::write(dir.path().join("collector.yaml"), config).unwrap();
            command.args(["--config", "collector.yaml"]);
        }
        Collector::begin(dir, command).await
    }

    async fn begin(dir: TempDir, mut command: Command) -> Collector {
        command.current_dir(dir.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let screen = Arc::new(Screen::default());
        let readers = [
            tokio::spawn(read(process.stdout.take().unwrap(), screen.clone(), |screen| &screen.stdout)),
            tokio::spawn(read(process.stderr.take().unwrap(), screen.clone(), |screen| &screen.stderr)),
        ];
        let collector = Collector { dir, process, screen, readers };
        collector.line("Spanlight").await;
        collector
    }

    /// Waits for a line of its output that contains `text`.
    pub async fn line(&self, text: &str) -> String {
        let found = async {
            loop {
                let more = self.screen.more.notified();
                let lines = [&self.screen.stdout, &self.screen.stderr].map(|lines| lines.lock().unwrap().clone());
                if let Some(line) = lines.iter().flatten().find(|line| line.contains(text)) {
                    return line.clone();
                }
                more.await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| {
            let (stdout, stderr) = (self.screen.stdout.lock().unwrap(), self.screen.stderr.lock().unwrap());
            panic!("there is no line with `{text}`:\n{}\n{}", stdout.join("\n"), stderr.join("\n"))
        })
    }

    /// All that it has written so far.
    pub fn written(&self) -> Vec<String> {
        [&self.screen.stdout, &self.screen.stderr].map(|lines| lines.lock().unwrap().clone()).concat()
    }

    /// Nobody reads what it writes as long as the guard lives, as with a pager in front of it.
    pub async fn unread(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.screen.reading.clone().lock_owned().await
    }

    /// Waits until the process is gone, whether or not anybody reads its last words.
    pub async fn gone(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap()
    }

    /// `http://…` of OTLP over gRPC, of OTLP over HTTP, or of the web endpoint, as the banner says.
    pub async fn url(&self, what: Port) -> String {
        let line = self.line(what.title()).await;
        let url = line.split_whitespace().nth(1).unwrap();
        url.trim_end_matches("/api/v1/runs").to_owned()
    }

    /// Asks the web endpoint.
    pub async fn get(&self, path: &str) -> Answer {
        client::get(&format!("{}{path}", self.url(Port::Web).await)).await
    }

    /// Asks the web endpoint for JSON.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Posts a body to the OTLP/HTTP port.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
        client::post(&format!("{}{path}", self.url(Port::Http).await), headers, body.into()).await
    }

    /// Posts a protobuf request of traces, which must be taken.
    pub async fn take_traces(&self, request: Vec<u8>) {
        let answer = self.post("/v1/traces", &[("content-type", "application/x-protobuf")], request).await;
        assert_eq!((answer.status, answer.text()), (200, String::new()));
    }

    /// A sample of its own metrics, by its whole name with labels.
    pub async fn sample(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until a sample has a value.
    pub async fn sample_becomes(&self, series: &str, value: f64) {
        until(&format!("{series} {value}"), async || (self.sample(series).await == Some(value)).then_some(())).await;
    }

    /// The path of a file below its data directory.
    pub fn data(&self, file: &str) -> PathBuf {
        self.dir.path().join("spanlight-data").join(file)
    }

    /// The events in its JSONL file, once there are at least `count`.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        let path = self.data("agent-events.jsonl");
        until(&format!("{count} events in {}", path.display()), async || {
            let text = std::fs::read_to_string(&path).ok()?;
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let events: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (events.len() >= count).then_some(events)
        })
        .await
    }

    /// The most memory that it has had so far, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Sends a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Ended {
        let status = self.gone().await;
        for reader in self.readers {
            reader.await.unwrap();
        }
        let text = |lines: &Mutex<Vec<String>>| lines.lock().unwrap().join("\n");
        Ended { status, stdout: text(&self.screen.stdout), stderr: text(&self.screen.stderr) }
    }

    /// Stops it as a person would.
    pub async fn stop(self) -> Ended {
        self.signal("INT").await;
        self.ended().await
    }
}

/// What listens.
#[derive(Clone, Copy)]
pub enum Port {
    Grpc,
    Http,
    Web,
}

impl Port {
    fn title(self) -> &'static str {
        match self {
            Port::Grpc => "OTLP/grpc",
            Port::Http => "OTLP/http",
            Port::Web => "API ",
        }
    }
}

/// Runs a command that ends by itself.
pub async fn run(args: &[&str]) -> Ended {
    run_in(&std::env::temp_dir(), args).await
}

/// Runs a command that ends by itself, in a directory.
pub async fn run_in(dir: &std::path::Path, args: &[&str]) -> Ended {
    run_with(dir, args, &[]).await
}

/// Runs a command that ends by itself, in a directory, with variables in its environment.
pub async fn run_with(dir: &std::path::Path, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
    let command = command.current_dir(dir).args(args).envs(variables.iter().copied());
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn read(from: impl AsyncRead + Unpin, screen: Arc<Screen>, part: fn(&Screen) -> &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let _reading = screen.reading.lock().await;
        part(&screen).lock().unwrap().push(line);
        screen.more.notify_waiters();
    }
}
