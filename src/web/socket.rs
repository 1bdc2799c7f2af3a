//! Events as they happen over a WebSocket: one task for each client, which reads the hub at that client's pace.

mod message;
mod subscription;

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::api::refuse;
use super::{Shared, guard};
use crate::hub::Hub;
use subscription::Subscription;

/// Clients at a time.
const MOST_CONNECTIONS: usize = 1000;
/// Bytes of a message of a client.
const MOST_BYTES: usize = 1 << 20;
/// Messages of a client within a minute.
const MOST_MESSAGES: usize = 100;
/// Events that are given at once to whoever asks for recent ones.
const MOST_RECENT: usize = 1000;
/// How long a client has to say what it wants before it gets everything.
const OPENING: Duration = Duration::from_millis(250);
/// How often a client is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a client may say nothing, or take nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a farewell may take.
const GOODBYE: Duration = Duration::from_millis(250);

/// All clients of the endpoint.
#[derive(Clone)]
pub struct Sockets {
    room: Arc<Semaphore>,
    /// Upgraded connections are none of the listener's any more, so their end is awaited here.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sockets {
    /// Until told to stop.
    pub fn new(stop: CancellationToken) -> Sockets {
        Sockets { room: Arc::new(Semaphore::new(MOST_CONNECTIONS)), tasks: TaskTracker::new(), stop }
    }

    /// Waits for the end of all, once they were told to stop.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// `GET /ws`
pub async fn open(
    sockets: Sockets,
    state: Shared,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    // Browsers let any page open a WebSocket to anywhere, and read it.
    if !guard::is_of_this_origin(&headers) {
        return refuse(StatusCode::FORBIDDEN, "pages of other origins may not read events");
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return refuse(rejection.status(), &rejection.body_text()),
    };
    let Ok(permit) = sockets.room.clone().try_acquire_owned() else {
        let message = format!("there are {MOST_CONNECTIONS} WebSockets already; close some, or try again later");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let (hub, stop, running) = (state.hub.clone(), sockets.stop.clone(), sockets.tasks.token());
    // From here on, so that nothing that happens during the handshake is missed.
    let begin = hub.head();
    upgrade.max_message_size(MOST_BYTES).max_frame_size(MOST_BYTES).on_upgrade(move |mut socket| async move {
        let mut client = Client::new(hub, begin);
        let stopping = End::Close(close_code::AWAY, "the collector stops");
        let end = stop.run_until_cancelled(client.serve(&mut socket)).await.unwrap_or(stopping);
        // A client that is gone need not be told.
        timeout(GOODBYE, say_goodbye(socket, end)).await.unwrap_or_default();
        drop((permit, running));
    })
}

/// How a conversation ends.
enum End {
    /// The connection is broken, or the client takes nothing.
    Gone,
    /// The client says goodbye.
    Bye,
    /// The client is told why it ends.
    Close(CloseCode, &'static str),
}

async fn say_goodbye(mut socket: WebSocket, end: End) {
    match end {
        End::Gone => return,
        End::Bye => {}
        End::Close(code, reason) => {
            let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            if socket.send(farewell).await.is_err() {
                return;
            }
        }
    }
    // What is too long is not read, but a connection that is closed with something unread is reset, and then the client
    // may not see why: it gets the time to look.
    if matches!(end, End::Close(close_code::SIZE, _)) {
        std::future::pending::<()>().await;
    }
    while let Some(Ok(_)) = socket.recv().await {}
}

/// One client.
struct Client {
    subscription: Subscription,
    hub: Arc<Hub>,
    /// When its last messages came.
    messages: VecDeque<Instant>,
    heard: Instant,
}

impl Client {
    fn new(hub: Arc<Hub>, begin: u64) -> Client {
        let subscription = Subscription::new(hub.clone(), begin);
        Client { subscription, hub, messages: VecDeque::new(), heard: Instant::now() }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        match self.converse(socket).await {
            Ok(end) => end,
            Err(Unsent) => End::Gone,
        }
    }

    async fn converse(&mut self, socket: &mut WebSocket) -> Result<End, Unsent> {
        let connection = Uuid::now_v7().to_string();
        let last = self.subscription.next().checked_sub(1);
        say(socket, message::established(&connection, self.hub.epoch(), last)).await?;
        let mut watch = self.hub.watch();
        let opening = Instant::now() + OPENING;
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            watch.borrow_and_update();
            let has_more = self.subscription.look();
            let is_behind = !has_more && self.subscription.is_behind();
            // What a client says comes first: it may not want what would be sent, and it is not silent.
            tokio::select! {
                biased;
                received = socket.recv() => {
                    if let Some(end) = self.receive(socket, received).await? {
                        return Ok(end);
                    }
                }
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() >= SILENCE {
                        return Ok(End::Close(close_code::AWAY, "nothing was heard for too long"));
                    }
                    send(socket, Message::Ping(Bytes::new())).await?;
                }
                () = sleep_until(opening), if self.subscription.is_opening() => self.subscription.take_all(),
                () = std::future::ready(()), if has_more => {
                    for text in self.subscription.take() {
                        feed(socket, Message::Text(text.into())).await?;
                    }
                    within_patience(socket.flush()).await?;
                }
                () = tokio::task::yield_now(), if is_behind => {}
                changed = watch.changed(), if !has_more => {
                    if changed.is_err() {
                        return Ok(End::Close(close_code::AWAY, "no more events come"));
                    }
                }
            }
        }
    }

    async fn receive(
        &mut self,
        socket: &mut WebSocket,
        received: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<End>, Unsent> {
        let message = match received {
            None => return Ok(Some(End::Gone)),
            Some(Err(error)) => return Ok(Some(end_of(error))),
            Some(Ok(message)) => message,
        };
        self.heard = Instant::now();
        if self.is_one_too_many() {
            return Ok(Some(End::Close(close_code::POLICY, "more than 100 messages within a minute")));
        }
        match message {
            Message::Text(text) => {
                if let Some(answer) = self.subscription.answer(&text) {
                    say(socket, answer).await?;
                }
            }
            Message::Binary(_) => say(socket, subscription::no_text()).await?,
            // The library answers pings by itself.
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Ok(Some(End::Bye)),
        }
        Ok(None)
    }

    fn is_one_too_many(&mut self) -> bool {
        const MINUTE: Duration = Duration::from_secs(60);
        self.messages.push_back(self.heard);
        while self.messages.front().is_some_and(|first| first.elapsed() >= MINUTE) {
            self.messages.pop_front();
        }
        self.messages.len() > MOST_MESSAGES
    }
}

/// What becomes of a connection on which something came that is no message.
fn end_of(error: axum::Error) -> End {
    match error.source().and_then(|error| error.downcast_ref()) {
        Some(tungstenite::Error::Capacity(_)) => End::Close(close_code::SIZE, "messages have at most 1 MiB"),
        Some(tungstenite::Error::Utf8(_)) => End::Close(close_code::INVALID, "text is UTF-8"),
        Some(tungstenite::Error::Protocol(_)) => End::Close(close_code::PROTOCOL, "this is no WebSocket frame"),
        _ => End::Gone,
    }
}

/// A message did not get to the client.
struct Unsent;

async fn say(socket: &mut WebSocket, text: String) -> Result<(), Unsent> {
    send(socket, Message::Text(text.into())).await
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Unsent> {
    within_patience(socket.send(message)).await
}

async fn feed(socket: &mut WebSocket, message: Message) -> Result<(), Unsent> {
    within_patience(socket.feed(message)).await
}

async fn within_patience(sent: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Unsent> {
    match timeout(SILENCE, sent).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Unsent),
    }
}
