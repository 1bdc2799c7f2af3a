//! Servers of Redis and Valkey, on free ports, that can be killed and started again.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, cmd};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::tools::tool;
use super::{PATIENCE, until};

/// Which server.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Redis,
    Valkey,
}

/// A server; it is killed when the test lets go of it. What it has acknowledged survives that.
pub struct Server {
    pub dir: TempDir,
    pub port: u16,
    kind: Kind,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// One that runs.
    pub async fn start(kind: Kind) -> Server {
        let mut server = Server::absent(kind, &[]);
        server.up().await;
        server
    }

    /// One that does not run yet.
    pub fn absent(kind: Kind, arguments: &[&str]) -> Server {
        let port = port_for_later();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Server { dir: tempfile::tempdir().unwrap(), port, kind, arguments, process: None }
    }

    /// Starts it, with what it had written.
    pub async fn up(&mut self) {
        self.spawn();
        self.connection().await;
    }

    /// Starts it without asking it anything.
    pub fn spawn(&mut self) {
        let mut command = match self.kind {
            Kind::Redis => Command::new(tool("redis/usr/bin/redis-server")),
            Kind::Valkey => Command::new(tool("valkey/valkey-server")),
        };
        command.env("LD_LIBRARY_PATH", tool("redis/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)));
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        // By default 10,000 above the other, which is a port that the system gives to anybody.
        command.args(["--cluster-port", &(self.port + OF_CLUSTER).to_string()]);
        // By default it acknowledges a second or two before it writes.
        command.args(["--appendfsync", "always", "--dir"]).arg(self.dir.path()).args(&self.arguments);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(process.spawn().unwrap());
    }

    /// Kills it, in the middle of whatever it does.
    pub async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        until("a connection to the server", async || self.try_connection().await).await
    }

    async fn try_connection(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        connection.set_response_timeout(PATIENCE);
        // It answers before it has loaded what it had.
        cmd("DBSIZE").query_async::<u64>(&mut connection).await.ok().map(|_| connection)
    }

    /// What a command gives.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = cmd(words[0]);
        words[1..].iter().for_each(|word| _ = command.arg(*word));
        command.query_async(&mut self.connection().await).await.unwrap()
    }

    /// Waits until a command gives this.
    pub async fn becomes<T: FromRedisValue + PartialEq>(&self, words: &[&str], expected: T) {
        until(&format!("{words:?}"), async || (self.ask::<T>(words).await == expected).then_some(())).await;
    }
}

/// How far above its port a server of a cluster listens to the others.
const OF_CLUSTER: u16 = 6_000;

/// A free port that the system gives to nobody who asks for any: it is still free when the server comes, and so is the one
/// for the cluster.
fn port_for_later() -> u16 {
    const NOT_EPHEMERAL: std::ops::Range<u16> = 20_000..26_000;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() + std::process::id();
    let from = (seed % u32::from(NOT_EPHEMERAL.end - NOT_EPHEMERAL.start)) as u16;
    let can_be_had = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let is_free = |port: &u16| can_be_had(*port) && can_be_had(*port + OF_CLUSTER);
    NOT_EPHEMERAL.cycle().skip(from.into()).find(is_free).unwrap()
}
