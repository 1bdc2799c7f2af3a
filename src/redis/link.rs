//! A connection to a server that is made when it is needed, and made anew once it has failed.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisError, RedisResult, Value};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Address, Server};

/// A connection, and those to other nodes where the server is one of a cluster and says that a key is elsewhere.
pub struct Link {
    server: Server,
    connections: HashMap<Address, MultiplexedConnection>,
    /// How often the server was connected to.
    connected: u64,
}

/// A script that the server runs as one step.
pub struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    /// Of its text.
    pub fn new(code: &'static str) -> Script {
        Script { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }
}

impl Link {
    /// How often a command is sent on to where the cluster says that its key is.
    const MOST_MOVES: usize = 3;
    /// Nodes of a cluster that connections are kept to.
    const MOST_NODES: usize = 64;

    /// Nothing is connected yet.
    pub fn new(server: Server) -> Link {
        Link { server, connections: HashMap::new(), connected: 0 }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Connects unless it is connected. Every connection has a number of its own: where it has changed, the server may
    /// have begun anew, and know nothing of what it was told.
    pub async fn ready(&mut self) -> RedisResult<u64> {
        let home = self.server.address.clone();
        self.connection(&home, self.server.timeout).await.map(drop)?;
        Ok(self.connected)
    }

    /// One attempt at a command.
    pub async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.query_within(command, self.server.timeout).await
    }

    /// One attempt at a command whose answer may take longer than others'.
    pub async fn query_within(&mut self, command: &Cmd, patience: Duration) -> RedisResult<Value> {
        let mut address = self.server.address.clone();
        for _ in 0..Link::MOST_MOVES {
            // Whoever no longer waits for the answer leaves a connection behind that is not to be used again.
            let mut connection = self.connection(&address, patience).await?;
            self.connections.remove(&address);
            let answer = within(patience, connection.send_packed_command(command)).await;
            let answer = answer.and_then(Value::extract_error);
            if answer.as_ref().err().is_none_or(|error| !is_of_the_connection(error)) {
                self.connections.insert(address, connection);
            }
            match answer.as_ref().err().and_then(|error| moved_to(error, &self.server.address)) {
                Some(node) => address = node,
                None => return answer,
            }
        }
        Err((ErrorKind::Client, "the nodes of the cluster send one to another and back").into())
    }

    /// Runs a script, which is sent along where the server does not have it.
    pub async fn run(&mut self, script: &Script, keys: &[&str], arguments: &[&[u8]]) -> RedisResult<Value> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            arguments.iter().for_each(|argument| _ = command.arg(*argument));
            command
        };
        match self.query(&command("EVALSHA", &script.hash)).await {
            Err(error) if error.code() == Some("NOSCRIPT") => self.query(&command("EVAL", script.code)).await,
            answer => answer,
        }
    }

    async fn connection(&mut self, address: &Address, patience: Duration) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = self.connections.get(address) {
            return Ok(connection.clone());
        }
        let connection = within(patience.min(self.server.timeout), self.server.connect(address)).await?;
        if self.connections.len() >= Link::MOST_NODES {
            self.connections.clear();
        }
        self.connections.insert(address.clone(), connection.clone());
        self.connected += u64::from(*address == self.server.address);
        Ok(connection)
    }
}

impl Server {
    async fn connect(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        match (address, &self.tls) {
            (Address::Unix(path), _) => self.greet(UnixStream::connect(path).await?).await,
            (Address::Tcp(host, port), tls) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = tls else { return self.greet(stream).await };
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                self.greet(TlsConnector::from(tls.clone()).connect(name, stream).await?).await
            }
        }
    }

    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        // Answers are waited for here, and differently long.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
        let no_answer = format!("no answer within {}", crate::duration::display(patience));
        Err(io::Error::new(io::ErrorKind::TimedOut, no_answer).into())
    })
}

/// Whether it is the connection that failed, or that leads to where nothing can be written any more.
fn is_of_the_connection(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

/// Where the cluster says that the key is.
fn moved_to(error: &RedisError, home: &Address) -> Option<Address> {
    if error.code() != Some("MOVED") {
        return None;
    }
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    let host = match (host, home) {
        // A node that does not know its own name means the one that was asked.
        ("" | "?", Address::Tcp(host, _)) => host.clone(),
        _ => host.trim_matches(['[', ']']).to_owned(),
    };
    Some(Address::Tcp(host, port.parse().ok()?))
}
