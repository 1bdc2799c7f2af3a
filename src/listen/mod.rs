//! Listening: ports that serve HTTP/1.1 and HTTP/2 within limits of time and number, until told to stop.
//!
//! Receivers and the web endpoint listen in the same way, so that neither keeps what the other would end.

mod connection;
mod ending;
mod handshake;
mod host;
mod patience;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Connections;
use handshake::Door;
pub use host::{Names, is_for_this_machine};
pub use patience::Deadline;

use crate::flow::Gate;
use crate::health::{About, Count, Health};
use crate::reload::Reloading;
use crate::tls::Terms;

/// Connections that could not be accepted.
const NOT_ACCEPTED: About = About {
    name: "spanlight.listener.not_accepted",
    unit: "{attempt}",
    help: "Attempts to accept a connection that failed, mostly for want of file descriptors.",
};

/// What a listener lets its clients do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take to send its first request's headers, and an HTTP/1.1 connection any other's.
    pub headers: Duration,
    /// How long a connection may take to agree on TLS, where the port has it.
    pub handshake: Duration,
    /// Connections at a time. Others wait in the system's backlog.
    pub connections: usize,
    /// Requests that one HTTP/2 connection may have under way.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { headers: Duration::from_secs(30), handshake: Duration::from_secs(10), connections: 8192, streams: 256 }
    }
}

/// Connections that are no crowd, also while memory is scarce.
const FEW: usize = 256;
/// What a connection may come to take, with what it has read ahead, in bytes.
const OF_A_CONNECTION: usize = 64 << 10;

/// A bound port that does not serve yet.
pub struct Listener {
    listener: TcpListener,
    name: String,
    limits: Limits,
    gate: Arc<Gate>,
    not_accepted: Count,
    door: Option<Door>,
}

/// Where a port is, and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// `grpc` or `http`.
    pub transport: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Whether it is with TLS.
    pub is_tls: bool,
    /// Whether it takes from those only who say who they are.
    pub asks_who: bool,
}

/// A port that serves. Letting go of it cuts its connections off.
pub struct Serving {
    /// Takes no more connections, and of those there are no more requests.
    stop: CancellationToken,
    /// Ends what did not end in time.
    cut: CancellationToken,
    tasks: TaskTracker,
}

/// The body of an answer.
pub trait Content: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static {}

impl<B> Content for B where B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static
{}

/// What answers requests: one for all connections of a port.
pub trait Handler<B: Content>:
    Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<B: Content, H> Handler<B> for H where
    H: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl Port {
    /// How it is reached from this machine: whoever listens everywhere is here as well.
    pub fn url(mut self) -> String {
        if self.address.ip().is_unspecified() {
            self.address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }
}

impl Listener {
    /// On a bound port. `name` is what people know it by.
    pub fn new(listener: TcpListener, name: &str, limits: Limits, health: &Health) -> Listener {
        let not_accepted = health.counter(NOT_ACCEPTED, &[("listener", name)]);
        Listener { listener, name: name.to_owned(), limits, gate: Arc::default(), not_accepted, door: None }
    }

    /// Behind a gate that knows when memory is scarce.
    pub fn behind(self, gate: Arc<Gate>) -> Listener {
        Listener { gate, ..self }
    }

    /// With TLS.
    pub fn secured(mut self, tls: Arc<Reloading<Terms>>, health: &Health) -> Listener {
        self.door = Some(Door::new(tls, self.limits.handshake, &self.name, health));
        self
    }

    /// Whether only programs on this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
    }

    /// Serves connections from now on.
    pub fn serve<B: Content>(mut self, handler: impl Handler<B>) -> Serving {
        let serving =
            Serving { stop: CancellationToken::new(), cut: CancellationToken::new(), tasks: TaskTracker::new() };
        let (stop, tasks) = (serving.stop.clone(), serving.tasks.clone());
        let connections = Connections::new(self.limits, tasks.clone(), stop.clone(), serving.cut.clone(), handler);
        let connections = Arc::new(connections);
        let (door, room) = (self.door.take().map(Arc::new), Arc::new(Semaphore::new(self.limits.connections)));
        let gone = Arc::new(Notify::new());
        serving.tasks.spawn(async move {
            // Whoever does not get a permit waits in the backlog, where a connection costs this process nothing.
            while let Some(Ok(permit)) = stop.run_until_cancelled(room.clone().acquire_owned()).await {
                let served = self.limits.connections - room.available_permits();
                let next = async {
                    self.turn(served, &gone).await;
                    self.accept().await
                };
                let Some(stream) = stop.run_until_cancelled(next).await else { break };
                let (connections, door, stop, gone) = (connections.clone(), door.clone(), stop.clone(), gone.clone());
                tasks.spawn(async move {
                    // Small answers must not wait for an acknowledgement; a socket that cannot be told so still works.
                    stream.set_nodelay(true).unwrap_or_default();
                    match door {
                        None => connections.serve(stream, CancellationToken::new()).await,
                        Some(door) => {
                            if let Some(Some(inside)) = stop.run_until_cancelled(door.open(stream)).await {
                                connections.serve(inside.stream, inside.is_revoked).await;
                            }
                        }
                    }
                    drop(permit);
                    gone.notify_one();
                });
            }
        });
        serving
    }

    /// While memory is scarce a crowd does not grow: one comes in when another has gone. Now and then one does all the same,
    /// because those who stay may have nothing to say.
    async fn turn(&self, served: usize, gone: &Notify) {
        const AT_LAST: Duration = Duration::from_millis(50);
        self.gate.let_in(OF_A_CONNECTION);
        if served > FEW && self.gate.is_scarce() {
            tokio::time::timeout(AT_LAST, gone.notified()).await.unwrap_or_default();
        }
    }

    /// The next connection, however long it takes until there is one.
    async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    self.not_accepted.add(1);
                    let remedy = "if file descriptors have run out, raise `ulimit -n` or close connections";
                    crate::report::warn(&format!("{} cannot accept connections: {error}; {remedy}", self.name));
                    // Nothing gets better by trying at once.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// Whether an accept failed because the peer is gone already.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Serving {
    /// What serves in a way of its own, without a port: until it is told to stop, or else is cut off.
    pub fn of<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(CancellationToken) -> F) -> Serving {
        let serving =
            Serving { stop: CancellationToken::new(), cut: CancellationToken::new(), tasks: TaskTracker::new() };
        let (work, cut) = (work(serving.stop.clone()), serving.cut.clone());
        serving.tasks.spawn(async move { cut.run_until_cancelled(work).await });
        serving
    }

    /// Takes no more requests, waits for those under way as long as `patience` lasts, and cuts off what is left:
    /// when this returns nothing of the port runs any more.
    pub async fn stop(self, patience: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}

#[cfg(test)]
mod tests;
