//! Listening and serving connections, HTTP/1.1 and HTTP/2 on one port, until told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reply::Answer;
use super::{Service, grpc, http as over_http};

/// A bound port that does not serve yet.
pub struct Listener {
    listener: TcpListener,
    service: Arc<Service>,
    max_concurrent_streams: u32,
}

/// A port that serves.
pub struct Serving {
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Listener {
    /// How long a connection may take to send a request's headers.
    const HEADER_PATIENCE: Duration = Duration::from_secs(30);
    /// HTTP/2 flow control: a request of 1000 spans in one go, without waiting for window updates.
    const STREAM_WINDOW: u32 = 1 << 20;
    const CONNECTION_WINDOW: u32 = 8 << 20;
    const FRAME: u32 = 128 << 10;

    /// On a bound port.
    pub fn new(listener: TcpListener, service: Service, max_concurrent_streams: u32) -> Listener {
        Listener { listener, service: Arc::new(service), max_concurrent_streams }
    }

    /// Serves connections from now on.
    pub fn serve(self) -> Serving {
        let serving = Serving { stop: CancellationToken::new(), connections: TaskTracker::new() };
        let (stop, connections) = (serving.stop.clone(), serving.connections.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = self.listener.accept() => accepted,
                    () = stop.cancelled() => break,
                };
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(self.connection(stream, stop.clone()));
                    }
                    // Out of file descriptors, or the peer is gone already: neither is ours to end over.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
            connections.close();
        });
        serving
    }

    fn connection(&self, stream: TcpStream, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let service = self.service.clone();
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Listener::HEADER_PATIENCE);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(Listener::STREAM_WINDOW)
            .initial_connection_window_size(Listener::CONNECTION_WINDOW)
            .max_frame_size(Listener::FRAME)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(16 << 10)
            .keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(20));
        async move {
            // Small answers must not wait for an acknowledgement; a socket that cannot be told so still works.
            stream.set_nodelay(true).unwrap_or_default();
            let handler = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(handle(&service, request).await) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), handler);
            let mut connection = std::pin::pin!(connection);
            // How a connection ends is its peer's affair: its requests have had their answers or were not taken.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            connection.await.unwrap_or_default();
        }
    }
}

impl Serving {
    /// Takes no more requests, and waits for those under way.
    pub async fn stop(self, patience: Duration) {
        self.stop.cancel();
        self.connections.close();
        // Connections that do not end are cut off; what they had not been answered is not taken.
        tokio::time::timeout(patience, self.connections.wait()).await.unwrap_or_default();
    }
}

/// gRPC and HTTP are told apart by content type, so that a mixed-up port works as well.
async fn handle(service: &Service, request: Request<Incoming>) -> Answer {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.is_some_and(|content_type| content_type.starts_with(b"application/grpc")) {
        grpc::serve(service, request).await
    } else {
        over_http::serve(service, request).await
    }
}
