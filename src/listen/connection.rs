//! One connection: its protocol's settings, its patience, and its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Content, Handler, Limits};

/// HTTP/2 flow control: a request of 1000 spans in one go, without waiting for window updates.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const FRAME: u32 = 128 << 10;
/// A peer that is gone without a word is noticed by pings.
const PING_EVERY: Duration = Duration::from_secs(60);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How long a connection without requests may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(100);

/// What all connections of a port have in common.
pub struct Connections<H> {
    builder: Arc<Builder<Tasks>>,
    limits: Limits,
    tasks: Tasks,
    stop: CancellationToken,
    handler: H,
}

/// Where tasks of connections run: known, so that the end of the port can wait for them and cut them off.
#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let cut = self.cut.clone();
        self.tracker.spawn(async move {
            cut.run_until_cancelled_owned(task).await;
        });
    }
}

impl<H> Connections<H> {
    /// Of a port.
    pub fn new(
        limits: Limits,
        tracker: TaskTracker,
        stop: CancellationToken,
        cut: CancellationToken,
        handler: H,
    ) -> Connections<H> {
        let tasks = Tasks { tracker, cut };
        let mut builder = Builder::new(tasks.clone());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(16 << 10)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN);
        Connections { builder: Arc::new(builder), limits, tasks, stop, handler }
    }

    /// Serves a connection until it ends, or has to: once `leaves`, there are no more requests of it.
    pub fn serve<B: Content, S>(
        &self,
        stream: S,
        leaves: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<H, B, S>
    where
        H: Handler<B>,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (builder, handler) = (self.builder.clone(), self.handler.clone());
        let (stop, cut, patience) = (self.stop.clone(), self.tasks.cut.clone(), self.limits.headers);
        let served = async move {
            let (has_begun, requests) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
            let (begun, counting) = (has_begun.clone(), requests.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                begun.store(true, Relaxed);
                // Boxed, because answering takes some kilobytes of state, which would be moved with every task around it.
                counting.track_future(Box::pin(handler.call(request)))
            });
            let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
            // Until the protocol is known neither of them looks at the time.
            let nothing_came = async {
                tokio::time::sleep(patience).await;
                if has_begun.load(Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            // How a connection ends is its peer's affair: its requests have had their answers or were not taken.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = nothing_came => {}
                () = stop.cancelled() => {}
                () = leaves.cancelled() => {}
            }
            connection.as_mut().graceful_shutdown();
            requests.close();
            let goodbye = async {
                requests.wait().await;
                tokio::time::sleep(GOODBYE).await;
            };
            // A partial header, or a peer that does not answer a goodbye, would keep it for long.
            tokio::select! {
                _ = connection => {}
                () = goodbye => {}
            }
        };
        async move {
            cut.run_until_cancelled_owned(served).await;
        }
    }
}
