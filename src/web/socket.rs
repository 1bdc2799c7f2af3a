//! Events as they happen over a WebSocket: one task for each client, which reads the hub at that client's pace.

mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
mod message;
mod opening;
mod request;
mod subscription;
mod summaries;
mod wants;

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::RawQuery;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode, Uri};
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
use super::{Shared, State, guard};
use crate::auth::Principal;
use frames::Frames;
pub use limits::Limits;
use opening::Opening;
use request::{Complaint, Envelope, Hello, Narrow, Request, Subscribe};
use subscription::Subscription;
use summaries::Summaries;

/// How long a client has to say what it wants before it gets everything.
const OPENING: Duration = Duration::from_millis(250);
/// How long it has to say who it is, where that is asked.
const AUTHENTICATION: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const GOODBYE: Duration = Duration::from_millis(250);
/// What is read of a client at a time, in bytes: clients say little, and each has so much memory, made anew for each look.
const READ_AHEAD: usize = 4 << 10;

/// All clients of the endpoint.
#[derive(Clone)]
pub struct Sockets {
    state: Arc<State>,
    room: Arc<Semaphore>,
    frames: Arc<Frames>,
    summaries: Summaries,
    /// Upgraded connections are none of the listener's any more, so their end is awaited here.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sockets {
    /// Until told to stop.
    pub fn new(state: Arc<State>, stop: CancellationToken) -> Sockets {
        let (tasks, limits) = (TaskTracker::new(), &state.sockets);
        let room = Arc::new(Semaphore::new(limits.max_connections));
        let summaries = Summaries::start(&state.connector, limits.summary_interval.0, &tasks, &stop);
        Sockets { room, frames: Arc::default(), summaries, tasks, stop, state }
    }

    /// Waits for the end of all, once they were told to stop.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// `GET /ws`, and `/` for those who want nothing but events.
pub async fn open(
    sockets: Sockets,
    state: Shared,
    headers: HeaderMap,
    uri: Uri,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let limits = &state.sockets;
    // Browsers let any page open a WebSocket to anywhere, and read it.
    if !guard::is_of_this_origin(&headers, &uri) && !guard::is_of_origins(&headers, &limits.allowed_origins) {
        return refuse(
            StatusCode::FORBIDDEN,
            "pages of other origins may not read events; `allowed_origins` lets them",
        );
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return refuse(rejection.status(), &rejection.body_text()),
    };
    let opening = match Opening::parse(uri.path(), query.as_deref()) {
        Ok(opening) => opening,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, &message),
    };
    let principal = match guard::principal(&state, &headers) {
        Ok(principal) => principal,
        Err(answer) => return *answer,
    };
    // From here on, so that nothing that happens during the handshake is missed.
    let (begin, is_behind) = (state.hub.head(), state.hub.is_behind());
    let (most, running) = (limits.max_message_size, sockets.tasks.token());
    let upgrade = upgrade.read_buffer_size(READ_AHEAD).max_message_size(most).max_frame_size(most);
    upgrade.on_upgrade(move |mut socket| async move {
        let end = match sockets.room.clone().try_acquire_owned() {
            // A browser is not told of a refusal before the upgrade.
            _ if is_behind => End::Close(close_code::AGAIN, "what others have shown is still being read; try again"),
            Err(_) => End::Close(close_code::AGAIN, "there is no room for more WebSockets; try again later"),
            Ok(_permit) => {
                let mut client = Client::new(&sockets, principal, opening, begin);
                let stopping = End::Close(close_code::AWAY, "the collector stops");
                sockets.stop.run_until_cancelled(client.serve(&mut socket)).await.unwrap_or(stopping)
            }
        };
        // A client that is gone need not be told.
        timeout(GOODBYE, say_goodbye(socket, end)).await.unwrap_or_default();
        drop(running);
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
    state: Arc<State>,
    subscription: Subscription,
    summaries: Summaries,
    /// Whether it is told where it is before it is sent events.
    is_greeted: bool,
    /// Who it is, once that is known.
    principal: Option<Principal>,
    /// When its last messages came.
    messages: VecDeque<Instant>,
    heard: Instant,
}

impl Client {
    fn new(sockets: &Sockets, principal: Option<Principal>, opening: Opening, begin: u64) -> Client {
        let state = sockets.state.clone();
        let seen = principal.clone().unwrap_or_default();
        let mut subscription = Subscription::new(state.hub.clone(), sockets.frames.clone(), seen, begin);
        if let Some(hello) = opening.hello {
            // It was read when it was parsed, so there is nothing to complain of.
            subscription.answer(Ok(Request::Hello(hello)));
        }
        Client {
            subscription,
            summaries: sockets.summaries.clone(),
            is_greeted: opening.is_greeted,
            principal,
            messages: VecDeque::new(),
            heard: Instant::now(),
            state,
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        let met = match self.principal.is_some() {
            true => Ok(None),
            false => self.meet(socket).await,
        };
        match met {
            Ok(Some(end)) => end,
            Ok(None) => self.converse(socket).await.unwrap_or(End::Gone),
            Err(Unsent) => End::Gone,
        }
    }

    /// Lets a client say who it is, which it has to do first.
    async fn meet(&mut self, socket: &mut WebSocket) -> Result<Option<End>, Unsent> {
        let Ok(received) = timeout(AUTHENTICATION, socket.recv()).await else {
            return Ok(Some(End::Close(close_code::POLICY, "no `hello` with a `token` came")));
        };
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) => return Ok(Some(End::Bye)),
            Some(Err(error)) => return Ok(Some(end_of(error))),
            None => return Ok(Some(End::Gone)),
            Some(Ok(_)) => Utf8Bytes::default(),
        };
        let token = match request::parse(&text) {
            Ok(Request::Hello(Hello { token, .. })) => token,
            _ => None,
        };
        let denied = match guard::believe(&self.state, token.as_deref()) {
            Ok(principal) => {
                self.subscription.is_for(principal.clone());
                self.principal = Some(principal);
                self.hear(socket, &text).await?;
                return Ok(None);
            }
            Err(denied) => denied,
        };
        self.state.denied.add(1);
        self.say(socket, message::error(&Complaint { code: "unauthorized", message: denied })).await?;
        Ok(Some(End::Close(close_code::POLICY, "the token is missing or not valid")))
    }

    async fn converse(&mut self, socket: &mut WebSocket) -> Result<End, Unsent> {
        if self.is_greeted {
            let connection = Uuid::now_v7().to_string();
            let last = self.subscription.next().checked_sub(1);
            let (wants, limits) = (self.subscription.wants(), &self.state.sockets);
            self.say(socket, message::established(&connection, self.state.hub.epoch(), last, wants, limits)).await?;
            // The URL may have asked for them before it was known who asks.
            if wants.summaries() && !self.sees_all() {
                self.say(socket, no_summaries()).await?;
            }
        }
        let (heartbeat, silence) = {
            let limits = &self.state.sockets;
            (limits.heartbeat_interval.0, limits.client_timeout.0)
        };
        let mut watch = self.state.hub.watch();
        let opening = Instant::now() + OPENING;
        let mut end_of_belief =
            std::pin::pin!(guard::end_of_belief(self.principal.as_ref().and_then(Principal::until)));
        let mut heartbeat = interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            watch.borrow_and_update();
            let has_more = self.subscription.look();
            let wants_summaries = self.sees_all() && self.subscription.wants().summaries();
            let is_behind = !has_more && self.subscription.is_behind();
            // What a client says comes first: it may not want what would be sent, and it is not silent.
            tokio::select! {
                biased;
                received = socket.recv() => {
                    if let Some(end) = self.receive(socket, received).await? {
                        return Ok(end);
                    }
                }
                () = end_of_belief.as_mut() => {
                    return Ok(End::Close(close_code::POLICY, "the token has expired"));
                }
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() >= silence {
                        return Ok(End::Close(close_code::AWAY, "nothing was heard for too long"));
                    }
                    self.send(socket, Message::Ping(Bytes::new())).await?;
                }
                () = sleep_until(opening), if self.subscription.is_opening() => self.subscription.take_all(),
                summary = self.summaries.next(), if wants_summaries => {
                    self.send(socket, Message::Text(summary)).await?;
                }
                () = std::future::ready(()), if has_more => {
                    for text in self.subscription.take() {
                        self.feed(socket, Message::Text(text)).await?;
                    }
                    self.within_patience(socket.flush()).await?;
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
            return Ok(Some(End::Close(close_code::POLICY, "too many messages within a minute")));
        }
        match message {
            Message::Text(text) => self.hear(socket, &text).await?,
            Message::Binary(_) => {
                self.say(socket, message::error(&Complaint::invalid("messages are JSON, as text"))).await?;
            }
            // The library answers pings by itself.
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Ok(Some(End::Bye)),
        }
        Ok(None)
    }

    /// Does what a text says, and answers it.
    async fn hear(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Unsent> {
        let said = request::parse(text);
        let may_not = self.subscription.envelope() == Envelope::Bare && !self.is_greeted;
        if let Some(answer) = self.forbid(&said) {
            return self.say(socket, answer).await;
        }
        match self.subscription.answer(said) {
            // Whoever knows nothing but events is told nothing else.
            Some(answer) if !may_not => self.say(socket, answer).await,
            _ => Ok(()),
        }
    }

    /// Summaries are of everybody's work.
    fn forbid(&self, said: &Result<Request, (Option<&'static str>, Complaint)>) -> Option<String> {
        let is_of_summaries = |name: &String| name == wants::AGENT_PERFORMANCE.name;
        let asks = match said {
            Ok(Request::Subscribe(Subscribe { subscription: Some(name), .. })) => is_of_summaries(name),
            Ok(
                Request::Hello(Hello { subscriptions: Some(names), .. })
                | Request::FilterUpdate(Narrow { subscriptions: Some(names), .. }),
            ) => names.iter().any(is_of_summaries),
            _ => false,
        };
        (asks && !self.sees_all()).then(no_summaries)
    }

    fn sees_all(&self) -> bool {
        self.principal.as_ref().is_some_and(Principal::sees_all)
    }

    async fn say(&self, socket: &mut WebSocket, text: String) -> Result<(), Unsent> {
        self.send(socket, Message::Text(text.into())).await
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), Unsent> {
        self.within_patience(socket.send(message)).await
    }

    async fn feed(&self, socket: &mut WebSocket, message: Message) -> Result<(), Unsent> {
        self.within_patience(socket.feed(message)).await
    }

    async fn within_patience(&self, sent: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Unsent> {
        match timeout(self.state.sockets.client_timeout.0, sent).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Unsent),
        }
    }

    fn is_one_too_many(&mut self) -> bool {
        const MINUTE: Duration = Duration::from_secs(60);
        self.messages.push_back(self.heard);
        while self.messages.front().is_some_and(|first| first.elapsed() >= MINUTE) {
            self.messages.pop_front();
        }
        self.messages.len() > self.state.sockets.messages_per_minute
    }
}

fn no_summaries() -> String {
    let message = "summaries of performance are of everybody's work, which this token may not see".to_owned();
    message::error(&Complaint { code: "forbidden", message })
}

/// What becomes of a connection on which something came that is no message.
fn end_of(error: axum::Error) -> End {
    match error.source().and_then(|error| error.downcast_ref()) {
        Some(tungstenite::Error::Capacity(_)) => End::Close(close_code::SIZE, "the message is too long"),
        Some(tungstenite::Error::Utf8(_)) => End::Close(close_code::INVALID, "text is UTF-8"),
        Some(tungstenite::Error::Protocol(_)) => End::Close(close_code::PROTOCOL, "this is no WebSocket frame"),
        _ => End::Gone,
    }
}

/// A message did not get to the client.
struct Unsent;
