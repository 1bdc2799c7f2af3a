//! Connections that do nothing, that are too many, and that have to end.

use http_body_util::Empty;
use hyper::service::service_fn;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::flow::Room;

const SOON: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A port whose requests end when the test says so.
struct Port {
    address: std::net::SocketAddr,
    serving: Serving,
    begun: Arc<Notify>,
    end: Arc<Notify>,
}

impl Port {
    async fn with(limits: Limits) -> Port {
        Port::of(limits, |listener| listener).await
    }

    async fn of(limits: Limits, more: impl FnOnce(Listener) -> Listener) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, ends) = (begun.clone(), end.clone());
        let handler = service_fn(move |_| {
            let (begins, ends) = (begins.clone(), ends.clone());
            async move {
                begins.notify_one();
                ends.notified().await;
                Ok(Response::new(Empty::<Bytes>::new()))
            }
        });
        let serving = more(Listener::new(listener, "test", limits, &Health::default())).serve(handler);
        Port { address, serving, begun, end }
    }

    async fn connect(&self, first: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        stream
    }
}

/// What comes until the other side ends the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is cut off may end with a reset.
    tokio::time::timeout(SOON, stream.read_to_end(&mut text)).await.unwrap().unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn who_asks_nothing_is_not_kept() {
    let port = Port::with(Limits { headers: Duration::from_millis(50), ..Limits::default() }).await;
    for first in [&b""[..], b"PRI *", b"GET / HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let text = rest(port.connect(first).await).await;
        assert!(!text.contains("200 OK"), "{text}");
    }
    // A request may take its time.
    let busy = port.connect(REQUEST).await;
    port.begun.notified().await;
    rest(port.connect(b"").await).await;
    port.end.notify_one();
    assert!(rest(busy).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let port = Port::with(Limits { connections: 1, ..Limits::default() }).await;
    let first = port.connect(REQUEST).await;
    port.begun.notified().await;
    let second = port.connect(REQUEST).await;
    let waits = tokio::time::timeout(Duration::from_millis(50), port.begun.notified()).await;
    assert!(waits.is_err(), "the second is served beside the first");
    drop(first);
    port.begun.notified().await;
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_grows_slowly_while_memory_is_scarce() {
    let (gate, gone) = (Arc::new(Gate::new()), Notify::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = Listener::new(listener, "test", Limits::default(), &Health::default()).behind(gate.clone());
    let waits = async |served: usize| {
        let start = tokio::time::Instant::now();
        listener.turn(served, &gone).await;
        start.elapsed() > Duration::ZERO
    };
    assert!(!waits(FEW + 1).await);
    gate.has_room(Room::None);
    assert!(!waits(FEW).await);
    assert!(waits(FEW + 1).await, "nobody goes, and it comes in after a while");
    gone.notify_one();
    assert!(!waits(FEW + 1).await, "another has gone");
}

#[tokio::test]
async fn the_end_waits_for_requests_only_and_not_for_ever() {
    let port = Port::with(Limits::default()).await;
    let idle = [port.connect(b"").await, port.connect(b"GET / HT").await, port.connect(b"PRI *").await];
    let begun = std::time::Instant::now();
    port.serving.stop(SOON).await;
    assert!(begun.elapsed() < SOON / 2, "nothing was under way");
    for stream in idle {
        rest(stream).await;
    }
    let port = Port::with(Limits::default()).await;
    let busy = port.connect(REQUEST).await;
    port.begun.notified().await;
    let (end, stopped) = (port.end.clone(), tokio::spawn(port.serving.stop(SOON)));
    end.notify_one();
    assert!(rest(busy).await.starts_with("HTTP/1.1 200 OK"), "what is under way gets its answer");
    stopped.await.unwrap();

    let port = Port::with(Limits::default()).await;
    let busy = port.connect(REQUEST).await;
    port.begun.notified().await;
    port.serving.stop(Duration::from_millis(50)).await;
    assert_eq!(Arc::strong_count(&port.end), 1, "what did not end in time is cut off");
    assert_eq!(rest(busy).await, "");
}

/// Nobody has a certificate here, and nobody gets far enough to want one.
fn tls() -> Arc<Reloading<Terms>> {
    let make = |_: &[Vec<u8>]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let resolver = Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
        builder
            .map(|builder| Terms::new(builder.with_no_client_auth().with_cert_resolver(resolver), None))
            .map_err(|error| error.to_string())
    };
    Arc::new(Reloading::new(Vec::new(), make).unwrap())
}

#[tokio::test]
async fn a_handshake_that_does_not_end_holds_no_place() {
    let health = Health::default();
    let limits = Limits { handshake: Duration::from_millis(50), connections: 1, ..Limits::default() };
    let port = Port::of(limits, |listener| listener.secured(tls(), &health)).await;
    // Nothing, the beginning of a record, and one byte of a record that announces more.
    for first in [&b""[..], b"\x16", b"\x16\x03", b"\x16\x03\x01\x40\x00\x01"] {
        assert_eq!(rest(port.connect(first).await).await, "");
    }
    let failed = |reason: &str| health.sum("spanlight.listener.handshakes_failed", &[("reason", reason)]);
    assert_eq!((failed("too_slow"), failed("broken_off")), (4, 0));
    // The one place is free again, and the end does not wait for those who shake hands.
    let waiting = port.connect(b"\x16").await;
    let begun = std::time::Instant::now();
    port.serving.stop(SOON).await;
    assert!(begun.elapsed() < SOON / 2);
    rest(waiting).await;
}
