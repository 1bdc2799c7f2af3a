//! Events over a WebSocket: who gets which, where they begin, and what happens to those that ask wrongly.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::support::collector::{Collector, Port};
use super::support::config::traces_to;
use super::support::{PATIENCE, until};

pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    established: Value,
}

impl Client {
    /// Connects, and reads the first message.
    pub async fn connect(collector: &Collector) -> Client {
        let (socket, _) = connect_async(url(collector).await).await.unwrap();
        let mut client = Client { socket, established: Value::Null };
        client.established = client.next().await;
        assert_eq!(client.established["type"], "connection_established");
        client
    }

    /// Connects, and says something before it reads anything.
    pub async fn saying(collector: &Collector, message: Value) -> Client {
        let (mut socket, _) = connect_async(url(collector).await).await.unwrap();
        socket.send(Message::text(message.to_string())).await.unwrap();
        let mut client = Client { socket, established: Value::Null };
        client.established = client.next().await;
        client
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    pub async fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.message().await {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn close_code(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.unwrap().code;
            }
        }
    }

    /// The next events: their offsets and what they say.
    pub async fn events(&mut self, count: usize) -> Vec<(u64, String)> {
        let mut events = Vec::new();
        while events.len() < count {
            let message = self.next().await;
            assert_eq!(message["type"], "event", "{message}");
            let said = message["event"]["message"].as_str().unwrap().to_owned();
            events.push((message["offset"].as_u64().unwrap(), said));
        }
        events
    }
}

async fn url(collector: &Collector) -> String {
    collector.url(Port::Web).await.replace("http://", "ws://") + "/ws"
}

/// Posts events and waits until they are where clients read them.
async fn post(collector: &Collector, name: &str, numbers: std::ops::Range<u64>) {
    let events = numbers
        .clone()
        .map(|number| json!({"name": name, "agent": "a", "tool": "t", "message": number.to_string()}).to_string());
    let answer = collector.post("/v1/events", &[], events.collect::<Vec<_>>().join("\n")).await;
    assert_eq!(answer.json(), json!({"accepted": numbers.end - numbers.start}));
    until("the events", async || {
        let page = collector.json("/api/v1/events?limit=1000").await;
        let last = (numbers.end - 1).to_string();
        page["events"].as_array()?.iter().find(|event| event["event"]["message"] == last.as_str()).map(|_| ())
    })
    .await;
}

pub fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    numbers.into_iter().map(|number| (number, number.to_string())).collect()
}

#[tokio::test]
async fn who_says_nothing_gets_everything_from_now() {
    let collector = Collector::start().await;
    post(&collector, "agent.failed", 0..3).await;
    let mut client = Client::connect(&collector).await;
    assert_eq!(client.established["offset"], 2, "{}", client.established);
    assert_eq!(client.established["limits"]["connections"], 1000);
    post(&collector, "tool.failed", 3..260).await;
    assert_eq!(client.events(257).await, numbered(3..260));
    client.say(json!({"type": "get_recent", "limit": 2})).await;
    let recent = client.next().await;
    assert_eq!((&recent["type"], &recent["epoch"]), (&json!("recent_events"), &client.established["epoch"]));
    let offsets: Vec<&Value> = recent["events"].as_array().unwrap().iter().map(|event| &event["offset"]).collect();
    assert_eq!(offsets, [258, 259]);
}

#[tokio::test]
async fn a_subscription_has_a_filter_and_begins_with_the_last() {
    let collector = Collector::start().await;
    post(&collector, "agent.failed", 0..4).await;
    post(&collector, "tool.failed", 4..8).await;
    let filter = json!({"scope": ["agent"], "min_priority": 10});
    let subscribe = json!({"type": "subscribe", "filter": filter, "replay": 2});
    let mut client = Client::saying(&collector, subscribe).await;
    let confirmed = client.next().await;
    assert_eq!(confirmed, json!({"type": "subscription_confirmed", "filter": filter, "next": 2}));
    post(&collector, "tool.failed", 8..9).await;
    post(&collector, "agent.failed", 9..11).await;
    assert_eq!(client.events(4).await, numbered([2, 3, 9, 10]));
    client.say(json!({"type": "unsubscribe"})).await;
    assert_eq!(client.next().await["type"], "unsubscription_confirmed");
    post(&collector, "agent.failed", 11..12).await;
    client.say(json!({"type": "subscribe", "filter": {"name": "tool.*"}})).await;
    assert_eq!(client.next().await["next"], 12);
    post(&collector, "tool.failed", 12..13).await;
    assert_eq!(client.events(1).await, numbered([12]));
}

/// Posts events of runs: the run, the agent, and the number that each says.
async fn post_of_runs(collector: &Collector, events: &[(&str, &str, u64)]) {
    let event = |(run, agent, number): &(&str, &str, u64)| {
        let message = number.to_string();
        json!({"name": "agent.failed", "execution_id": run, "agent": agent, "message": message, "confidence": 0.1 * *number as f64})
    };
    let body: Vec<String> = events.iter().map(|each| event(each).to_string()).collect();
    let answer = collector.post("/v1/events", &[], body.join("\n")).await;
    assert_eq!(answer.json(), json!({"accepted": events.len()}));
    let last = events.last().unwrap().2.to_string();
    until("the events", async || {
        let page = collector.json("/api/v1/events?limit=1000").await;
        page["events"].as_array()?.iter().find(|event| event["event"]["message"] == last.as_str()).map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn runs_are_subscribed_to_one_by_one_and_their_past_comes_first() {
    let collector = Collector::start().await;
    post_of_runs(&collector, &[("a", "writer", 0), ("b", "writer", 1), ("a", "critic", 2)]).await;
    let mut client = Client::saying(&collector, json!({"type": "subscribe", "executionId": "a"})).await;
    let confirmed = json!({"type": "subscription_confirmed", "execution_id": "a", "next": 3, "replayed": 2});
    assert_eq!(client.next().await, confirmed);
    assert_eq!(client.events(2).await, numbered([0, 2]));
    post_of_runs(&collector, &[("b", "writer", 3), ("a", "critic", 4), ("c", "critic", 5)]).await;
    assert_eq!(client.events(1).await, numbered([4]));
    client.say(json!({"type": "subscribe", "execution_id": "b", "replay": 1})).await;
    assert_eq!(client.next().await["replayed"], 1);
    assert_eq!(client.events(1).await, numbered([3]));
    // A run that is subscribed to twice, by two names, comes once.
    client.say(json!({"type": "subscribe", "subscription": "agent_activity"})).await;
    assert_eq!(client.next().await["subscription"], "agent_activity");
    client.say(json!({"type": "subscribe", "execution_id": "c"})).await;
    assert_eq!(client.next().await["replayed"], 0, "what is subscribed to already is not missed");
    post_of_runs(&collector, &[("a", "writer", 6), ("c", "critic", 7), ("d", "critic", 8)]).await;
    assert_eq!(client.events(3).await, numbered(6..9));
    client.say(json!({"type": "unsubscribe", "subscription": "agent_activity"})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscription_confirmed", "subscription": "agent_activity"}));
    post_of_runs(&collector, &[("d", "writer", 9), ("c", "critic", 10)]).await;
    assert_eq!(client.events(1).await, numbered([10]));
}

#[tokio::test]
async fn runs_that_are_subscribed_to_in_one_breath_bring_nothing_back_that_was_sent() {
    let collector = Collector::start().await;
    post_of_runs(&collector, &[("a", "writer", 0), ("b", "writer", 1), ("a", "writer", 2)]).await;
    let mut client = Client::saying(&collector, json!({"type": "subscribe", "conversation_id": "none"})).await;
    assert_eq!(client.next().await["replayed"], 0);
    client.say(json!({"type": "subscribe", "execution_id": "c"})).await;
    assert_eq!(client.next().await["replayed"], 0);
    post_of_runs(&collector, &[("c", "writer", 3)]).await;
    assert_eq!(client.events(1).await, numbered([3]));
    for run in ["a", "b"] {
        client.socket.feed(Message::text(json!({"type": "subscribe", "execution_id": run}).to_string())).await.unwrap();
    }
    client.socket.flush().await.unwrap();
    let mut messages = Vec::new();
    while messages.len() < 5 {
        messages.push(client.next().await);
    }
    post_of_runs(&collector, &[("c", "writer", 4)]).await;
    messages.push(client.next().await);
    let told = |kind: &'static str| messages.iter().filter(move |message| message["type"] == kind);
    let replayed: Vec<&Value> = told("subscription_confirmed").map(|message| &message["replayed"]).collect();
    assert_eq!(replayed, [2, 1]);
    let offsets: Vec<&Value> = told("event").map(|message| &message["offset"]).collect();
    assert_eq!(offsets, [0, 2, 1, 4], "each run in order, and nothing twice");
}

#[tokio::test]
async fn a_filter_narrows_what_is_subscribed_to() {
    let collector = Collector::start().await;
    // As clients of older systems say it: without a type.
    let hello = json!({"token": "none is asked for", "agent_filter": ["writer"], "performance_threshold": 0.2,
                       "subscriptions": ["agent_activity"]});
    let mut client = Client::saying(&collector, hello).await;
    let available = client.established["available_subscriptions"].as_array().unwrap();
    assert!(available.contains(&json!("agent_performance")), "{}", client.established);
    post_of_runs(&collector, &[("a", "writer", 1), ("a", "critic", 2), ("a", "writer", 3)]).await;
    assert_eq!(client.next().await["event"]["message"], "3");
    client.say(json!({"type": "filter_update", "agent_filter": [], "performance_threshold": 0.15})).await;
    let updated = json!({"type": "filter_updated", "subscriptions": ["agent_activity"], "agent_filter": [],
                         "performance_threshold": 0.15});
    assert_eq!(client.next().await, updated);
    client.say(json!({"type": "get_recent", "event_types": ["agent.*"], "limit": 2})).await;
    let recent = client.next().await;
    let said: Vec<&str> =
        recent["events"].as_array().unwrap().iter().filter_map(|e| e["event"]["message"].as_str()).collect();
    assert_eq!(said, ["2", "3"]);
    client.say(json!({"type": "get_recent", "event_types": ["tool.*"]})).await;
    assert_eq!(client.next().await["events"], json!([]));
    post_of_runs(&collector, &[("a", "critic", 4)]).await;
    assert_eq!(client.next().await["event"]["message"], "4");
}

#[tokio::test]
async fn pieces_of_an_answer_come_as_one() {
    let collector = Collector::with(&events_to("{merge_chunks: 5m}")).await;
    let mut client = Client::saying(&collector, json!({"type": "hello"})).await;
    let piece = |text: &str| {
        json!({"name": "llm.progress", "execution_id": "a", "agent": "writer", "model": "m", "chunk": text}).to_string()
    };
    let done = json!({"name": "llm.completed", "execution_id": "a", "agent": "writer", "model": "m"}).to_string();
    let body = ["Once ", "upon ", "a time"].map(piece).join("\n") + "\n" + &done;
    let web = collector.url(Port::Web).await;
    super::support::client::post(&format!("{web}/v1/events"), &[], body.into()).await;
    let merged = client.next().await;
    assert_eq!(merged["event"]["data"]["chunk"], "Once upon a time", "{merged}");
    assert_eq!((&merged["offset"], &merged["event"]["data"]["chunks"]), (&json!(0), &json!(3)));
    assert_eq!(client.next().await["event"]["name"], "llm.completed");
}

#[tokio::test]
async fn how_agents_fare_is_summed_up_for_those_who_ask() {
    let config = events_to("{summary_interval: 50ms, heartbeat_interval: 1s, client_timeout: 2s}");
    let collector = Collector::with(&config).await;
    let mut client =
        Client::saying(&collector, json!({"type": "subscribe", "subscription": "agent_performance"})).await;
    assert_eq!(client.next().await["type"], "subscription_confirmed");
    let summary = client.next().await;
    assert_eq!((&summary["type"], &summary["window"]), (&json!("performance_summary"), &json!("1h")));
    assert!(summary["summary"]["total_cost_usd"].is_number() && summary["rows"].is_array(), "{summary}");
}

#[tokio::test]
async fn a_url_says_what_simple_clients_cannot() {
    let collector = Collector::start().await;
    post(&collector, "agent.failed", 0..3).await;
    let url = url(&collector).await;
    let connect = async |url: String| connect_async(url).await.unwrap().0;
    let mut client =
        Client { socket: connect(format!("{url}?resume_from=0&scope=agent")).await, established: Value::Null };
    assert_eq!(client.next().await["type"], "connection_established");
    assert_eq!(client.events(2).await, numbered([1, 2]));
    // At the root there are events and nothing else.
    let root = url.replace("/ws", "/");
    let mut simple = Client { socket: connect(root).await, established: Value::Null };
    let mut established = Client::saying(&collector, json!({"type": "hello"})).await;
    assert_eq!(established.established["type"], "connection_established");
    post(&collector, "agent.failed", 3..4).await;
    let bare = simple.next().await;
    assert_eq!((&bare["event_type"], &bare["payload"]["message"]), (&json!("agent_completed"), &json!("3")));
    assert_eq!(established.events(1).await, numbered([3]));
    let answer = collector.get("/ws?agnet=x").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn there_is_room_for_so_many_and_others_are_told() {
    let collector = Collector::with(&events_to("{max_connections: 2}")).await;
    let (first, _second) = (Client::connect(&collector).await, Client::connect(&collector).await);
    let (socket, _) = connect_async(url(&collector).await).await.unwrap();
    let mut third = Client { socket, established: Value::Null };
    assert_eq!(third.close_code().await, CloseCode::Again);
    drop(first);
    until("room", async || {
        let (socket, _) = connect_async(url(&collector).await).await.unwrap();
        let mut client = Client { socket, established: Value::Null };
        matches!(client.message().await, Message::Text(_)).then_some(())
    })
    .await;
}

/// Events go to WebSockets, as configured.
fn events_to(settings: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         connectors: {{agent: {{}}}}\n\
         exporters: {{websocket: {settings}}}\n\
         service:\n  extensions: [web]\n  pipelines:\n    \
         traces: {{receivers: [otlp], exporters: [agent]}}\n    \
         logs/events: {{receivers: [agent], exporters: [websocket]}}\n"
    )
}

#[tokio::test]
async fn who_comes_back_gets_everything_since() {
    let collector = Collector::start().await;
    post(&collector, "agent.failed", 0..3).await;
    let client = Client::connect(&collector).await;
    let (epoch, offset) = (client.established["epoch"].clone(), client.established["offset"].clone());
    drop(client);
    post(&collector, "agent.failed", 3..250).await;
    let hello = json!({"type": "hello", "resume_from": offset, "epoch": epoch, "envelope": "event"});
    let mut client = Client::saying(&collector, hello).await;
    assert_eq!(client.events(247).await, numbered(3..250));
    post(&collector, "agent.failed", 250..251).await;
    assert_eq!(client.events(1).await, numbered([250]));
    let hello = json!({"type": "hello", "resume_from": 249, "envelope": "bare"});
    let bare = Client::saying(&collector, hello).await.next().await;
    assert_eq!((&bare["event_type"], &bare["payload"]["message"]), (&json!("agent_completed"), &json!("250")));
}

#[tokio::test]
async fn wherever_a_connection_breaks_off_the_stream_is_whole() {
    let collector = Collector::start().await;
    let (mut seen, mut client) = (Vec::new(), Client::connect(&collector).await);
    for number in 0..40 {
        post(&collector, "agent.failed", number..number + 1).await;
        // Some are read before it breaks off, and some are not.
        if number % 3 == 0 {
            seen.extend(client.events(number as usize + 1 - seen.len()).await);
        }
        let epoch = client.established["epoch"].clone();
        let hello = json!({"type": "hello", "epoch": epoch, "resume_from": seen.last().map(|(offset, _)| offset)});
        client = Client::saying(&collector, hello).await;
    }
    seen.extend(client.events(40 - seen.len()).await);
    assert_eq!(seen, numbered(0..40));
}

#[tokio::test]
async fn a_thousand_clients_and_those_that_stand_still_hold_nobody_up() {
    allow_many_connections();
    let collector = Collector::start().await;
    // Nobody reads what these are sent.
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.push(Client::connect(&collector).await);
    }
    // More than the buffers of a connection hold.
    let long = "x".repeat(18_000);
    let send = async |numbers: std::ops::Range<u64>| {
        let event = |number: u64| {
            let data = json!({"long": &long});
            json!({"name": "agent.failed", "agent": "a", "message": number.to_string(), "data": data}).to_string()
        };
        let count = numbers.end - numbers.start;
        let answer = collector.post("/v1/events", &[], numbers.map(event).collect::<Vec<_>>().join("\n")).await;
        assert_eq!(answer.json(), json!({"accepted": count}));
    };
    for portion in 0..40 {
        send(portion * 10..portion * 10 + 10).await;
    }
    // Whoever comes before an event was written is sent it.
    let written = async || (collector.json("/api/v1/events?from=399").await["next"] == 400).then_some(());
    until("all events", written).await;
    let mut clients = Vec::new();
    for _ in 0..990 {
        clients.push(Client::connect(&collector).await);
    }
    for number in 400..410 {
        send(number..number + 1).await;
    }
    let all = clients.iter_mut().map(|client| client.events(10));
    for events in futures_util::future::join_all(all).await {
        assert_eq!(events, numbered(400..410));
    }
    // They have lost nothing either.
    assert_eq!(stalled[0].events(410).await, numbered(0..410));
}

/// Both ends of a connection are open files, and many systems grant a thousand.
fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[tokio::test]
async fn what_cannot_be_had_is_a_gap() {
    let config = traces_to(&[("file", "{path: events.jsonl}")]);
    let collector = Collector::with(&config.replace("web: {", "web: {recent_events: 2, ")).await;
    let web = collector.url(Port::Web).await;
    let events =
        (0..5).map(|number| json!({"name": "agent.failed", "agent": "a", "message": number.to_string()}).to_string());
    let body = events.collect::<Vec<_>>().join("\n");
    super::support::client::post(&format!("{web}/v1/events"), &[], body.into()).await;
    until("the events", async || (collector.json("/api/v1/events").await["next"] == 5).then_some(())).await;
    let hello = json!({"type": "hello", "resume_from": 3, "epoch": "another"});
    let mut client = Client::saying(&collector, hello).await;
    let gap = json!({"type": "gap", "from": 0, "to": 3, "reason": "the collector was restarted"});
    assert_eq!(client.next().await, gap);
    assert_eq!(client.events(2).await, numbered([3, 4]));
    let hello = json!({"type": "hello", "resume_from": 0, "epoch": client.established["epoch"]});
    let mut client = Client::saying(&collector, hello).await;
    let gap = json!({"type": "gap", "from": 1, "to": 3, "reason": "no longer in memory"});
    assert_eq!(client.next().await, gap);
    assert_eq!(client.events(2).await, numbered([3, 4]));
}

#[tokio::test]
async fn what_is_not_understood_is_said_and_nothing_ends() {
    let collector = Collector::start().await;
    // Who asked for less and was not understood gets nothing rather than everything.
    let mut client = Client::saying(&collector, json!({"type": "subscribe", "filter": {"skope": "tool"}})).await;
    let error = client.next().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("invalid_filter")));
    assert!(error["message"].as_str().unwrap().contains("did you mean `scope`?"), "{error}");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    post(&collector, "agent.failed", 0..1).await;
    for (message, code) in [
        (json!({"type": "subscripe"}), "unknown_type"),
        (json!({"type": "subscribe", "execution": "x"}), "invalid_message"),
        (json!({"type": "subscribe", "execution_id": "x", "conversation_id": "y"}), "invalid_message"),
        (json!({"type": "subscribe", "execution_id": "x", "filter": {}}), "invalid_message"),
        (json!({"type": "subscribe", "subscription": "tool_use"}), "unknown_subscription"),
        (json!({"type": "unsubscribe", "execution_id": "x"}), "invalid_message"),
        (json!({"type": "filter_update", "performance_threshold": 80}), "invalid_message"),
        (json!({"type": "get_recent", "limit": 1001}), "invalid_message"),
        (json!(["hello"]), "unknown_type"),
    ] {
        client.say(message.clone()).await;
        assert_eq!(client.next().await["code"], code, "{message}");
    }
    client.socket.send(Message::text("{")).await.unwrap();
    assert_eq!(client.next().await["code"], "invalid_message");
    client.socket.send(Message::binary("{}")).await.unwrap();
    assert_eq!(client.next().await["code"], "invalid_message");
    client.say(json!({"type": "ping", "timestamp": 1})).await;
    assert_eq!(client.next().await["type"], "pong");
    client.say(json!({"type": "subscribe", "replay": 1})).await;
    assert_eq!(client.next().await["type"], "subscription_confirmed");
    assert_eq!(client.events(1).await, numbered([0]));
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let collector = Collector::start().await;
    let url = url(&collector).await;
    let own = collector.url(Port::Web).await;
    for (origin, status) in
        [("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), (own.as_str(), 101)]
    {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let got = match connect_async(request).await {
            Ok((_, response)) => response.status(),
            Err(Error::Http(response)) => response.status(),
            Err(error) => panic!("{origin}: {error}"),
        };
        assert_eq!(got, status, "{origin}");
    }
    assert_eq!(collector.get("/ws").await.status, 400);
}

#[tokio::test]
async fn too_much_is_told_and_ends() {
    let collector = Collector::start().await;
    let mut client = Client::connect(&collector).await;
    client.socket.send(Message::text(" ".repeat((1 << 20) + 1))).await.unwrap();
    assert_eq!(client.close_code().await, CloseCode::Size);
    let mut client = Client::connect(&collector).await;
    for _ in 0..101 {
        client.say(json!({"type": "ping"})).await;
    }
    assert_eq!(client.close_code().await, CloseCode::Policy);
}

#[tokio::test]
async fn a_client_does_not_hold_up_the_end() {
    let collector = Collector::start().await;
    let mut client = Client::connect(&collector).await;
    let ended = collector.stop().await;
    assert!(ended.status.success(), "{ended:?}");
    let end = async { while let Some(Ok(_)) = client.socket.next().await {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
}
