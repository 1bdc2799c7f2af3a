//! A fleet on one Redis, of the configurations that are shipped: gateways, derivers and WebSocket servers, each of which may
//! be killed. What was acknowledged is derived, and whoever listens is told everything once, wherever he comes back to.
// What was done, and by which seed, is needed when a check fails.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::{Kind, Server, on_both};
use crate::socket::Client;
use crate::support::client::{self, Connection};
use crate::support::collector::{Collector, Port};
use crate::support::telemetry::{agent, chat, traces};
use crate::support::{PATIENCE, tools, until};

on_both!(
    whoever_is_killed_everything_is_told_once,
    who_leaves_in_peace_hands_over_and_nothing_counts_twice,
    what_comes_into_an_empty_stream_while_nobody_reads_is_not_missing,
);

/// A collector of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Gateway,
    Deriver,
    WebSocket,
}

impl Role {
    /// As it is shipped, but on free ports, and with less patience for those that are not heard of.
    async fn start(self, server: &Server, session: &str) -> Collector {
        let file = match self {
            Role::Gateway => "redis-gateway",
            Role::Deriver => "redis-deriver",
            Role::WebSocket => "redis-websocket",
        };
        let mut config = std::fs::read_to_string(tools::file(&format!("collector-config/{file}.yaml"))).unwrap();
        for (shipped, here) in [
            ("0.0.0.0:4317", "127.0.0.1:0"),
            ("0.0.0.0:4318", "127.0.0.1:0"),
            ("0.0.0.0:13133", "127.0.0.1:0"),
            ("0.0.0.0:3010\n    auth: {token: \"${env:SPANLIGHT_TOKEN}\"}", "127.0.0.1:0"),
            ("web: {}", "web: {endpoint: '127.0.0.1:0'}"),
            ("${env:REDIS_URL:-redis://localhost:6379}", &server.url()),
            ("session_timeout: 10s", session),
        ] {
            config = config.replace(shipped, here);
        }
        Collector::with(&config).await
    }
}

/// All that runs, and where it listens.
struct Fleet {
    server: Server,
    session: &'static str,
    members: Vec<(Role, Collector)>,
    gateways: Arc<Mutex<Vec<String>>>,
    sockets: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    async fn start(kind: Kind, session: &'static str) -> Fleet {
        let server = Server::start(kind).await;
        let mut members = Vec::new();
        for role in [Role::Gateway, Role::Deriver, Role::WebSocket, Role::Gateway, Role::Deriver, Role::WebSocket] {
            members.push((role, role.start(&server, session).await));
        }
        let fleet = Fleet { server, session, members, gateways: Arc::default(), sockets: Arc::default() };
        fleet.show().await;
        fleet
    }

    /// Says to senders and clients where they may go, as a load balancer does.
    async fn show(&self) {
        let (mut gateways, mut sockets) = (Vec::new(), Vec::new());
        for (role, member) in &self.members {
            match role {
                Role::Gateway => gateways.push(member.url(Port::Http).await),
                Role::WebSocket => sockets.push(member.url(Port::Web).await),
                Role::Deriver => {}
            }
        }
        *self.gateways.lock().unwrap() = gateways;
        *self.sockets.lock().unwrap() = sockets;
    }

    /// Kills one of them, or the server, and starts another in its place.
    async fn kill(&mut self, victim: usize) {
        let Some((role, killed)) = self.members.get(victim) else {
            self.server.kill().await;
            return self.server.up().await;
        };
        killed.signal("KILL").await;
        self.members[victim] = (*role, role.start(&self.server, self.session).await);
        self.show().await;
    }

    /// Stops a deriver for so long that others have what was its, and lets it go on as if nothing had been.
    async fn pause(&self, deriver: usize) {
        let (_, paused) = &self.members[deriver];
        let name = format!("-{} ", paused.id());
        paused.signal("STOP").await;
        until("others have what was its", async || {
            let owners: BTreeMap<String, String> = self.server.ask(&["HGETALL", "{spanlight:otlp}:owners"]).await;
            owners.values().all(|owner| !owner.contains(&name)).then_some(())
        })
        .await;
        paused.signal("CONT").await;
    }

    /// What is still to be derived from, or may be needed again.
    async fn entries(&self) -> usize {
        let mut all = 0;
        for partition in 0..16 {
            all += self.server.ask::<usize>(&["XLEN", &format!("{{spanlight:otlp}}:{partition}")]).await;
        }
        all
    }

    /// The events of the stream, in order.
    async fn events(&self) -> Vec<Value> {
        let entries: Vec<(String, BTreeMap<String, String>)> =
            self.server.ask(&["XRANGE", "spanlight:events", "-", "+"]).await;
        entries.iter().map(|(_, fields)| serde_json::from_str(&fields["event"]).unwrap()).collect()
    }

    /// Runs that were counted, by whoever did.
    async fn counted_runs(&self) -> u64 {
        let mut runs = 0;
        for bucket in self.server.ask::<Vec<String>>(&["KEYS", "metrics:daily:*"]).await {
            runs += self.server.ask::<Option<u64>>(&["HGET", &bucket, "runs"]).await.unwrap_or(0);
        }
        runs
    }
}

/// Numbers as they come from a seed.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let seed = std::env::var("SPANLIGHT_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
        println!("SPANLIGHT_TEST_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// What senders have done.
#[derive(Default)]
struct Sent {
    stop: AtomicBool,
    next: AtomicU64,
    /// Spans that were acknowledged, by trace.
    acknowledged: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Sent {
    fn spans(&self) -> usize {
        self.acknowledged.lock().unwrap().values().map(BTreeSet::len).sum()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of a run, the root last, as SDKs send them when they end.
fn run(number: u64) -> Vec<Span> {
    let mut spans = vec![chat(1, 2, 1), chat(1, 3, 1), agent(1, 1, 0, "scribe")];
    spans.iter_mut().for_each(|span| span.trace_id[..8].copy_from_slice(&number.to_be_bytes()));
    spans
}

/// Programs that send one run after the other, each span by itself, to any gateway, until it is acknowledged.
fn send(fleet: &Fleet, sent: &Arc<Sent>, programs: usize) -> JoinSet<()> {
    let mut sending = JoinSet::new();
    for _ in 0..programs {
        let (sent, gateways) = (sent.clone(), fleet.gateways.clone());
        sending.spawn(async move {
            while !sent.stop.load(Relaxed) {
                let number = sent.next.fetch_add(1, Relaxed) + 1;
                for (at, span) in run(number).into_iter().enumerate() {
                    let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
                    let body = traces(vec![span]);
                    for attempt in number as usize + at.. {
                        let url = gateways.lock().unwrap()[attempt % 2].clone() + "/v1/traces";
                        let headers = [("content-type", "application/x-protobuf")];
                        if Connection::new().post(&url, &headers, body.clone().into()).await == Some(200) {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    sent.acknowledged.lock().unwrap().entry(trace).or_default().insert(id);
                }
            }
        });
    }
    sending
}

/// Somebody who listens from the beginning, and goes to another server now and then.
struct Listener {
    heard: Arc<Mutex<Vec<(u64, String)>>>,
    task: JoinHandle<()>,
}

impl Listener {
    async fn start(fleet: &Fleet, mut random: Random) -> Listener {
        let (heard, sockets) = (Arc::new(Mutex::new(Vec::new())), fleet.sockets.clone());
        let epoch = fleet.members.iter().find(|(role, _)| *role == Role::WebSocket).unwrap();
        let epoch = epoch.1.json("/api/v1/health").await["epoch"].as_str().unwrap().to_owned();
        let hears = heard.clone();
        let task = tokio::spawn(async move {
            loop {
                let most = 50 + random.below(300);
                let url = sockets.lock().unwrap()[random.below(2)].replace("http://", "ws://");
                listen(&format!("{url}/ws?epoch={epoch}"), most, &hears).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Listener { heard, task }
    }

    fn ids(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(_, id)| id.clone()).collect()
    }
}

/// Listens until so many events were heard, or the server is gone.
async fn listen(url: &str, most: usize, heard: &Mutex<Vec<(u64, String)>>) {
    let last = heard.lock().unwrap().last().map(|(offset, _): &(u64, String)| *offset);
    let url = last.map_or(url.to_owned(), |last| format!("{url}&resume_from={last}"));
    let Ok((mut socket, _)) = connect_async(url).await else { return };
    let mut count = 0;
    while count < most
        && let Some(Ok(message)) = socket.next().await
    {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(message["type"], "gap", "{message}");
        if message["type"] == "event" {
            let id = message["event"]["event_id"].as_str().unwrap().to_owned();
            heard.lock().unwrap().push((message["offset"].as_u64().unwrap(), id));
            count += 1;
        }
    }
}

/// Waits until all that was acknowledged is derived and nothing is in progress any more; the events of the stream.
async fn all_is_derived(fleet: &Fleet, sent: &Sent) -> Vec<Value> {
    let finished = async {
        while fleet.entries().await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, finished).await.is_err() {
        let owners: BTreeMap<String, String> = fleet.server.ask(&["HGETALL", "{spanlight:otlp}:owners"]).await;
        let said: Vec<String> = fleet.members.iter().flat_map(|(_, member)| member.written()).collect();
        panic!("{} entries are left; {owners:?}\n{}", fleet.entries().await, said.join("\n"));
    }
    let events = fleet.events().await;
    let mut ended: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "completed") {
        let id = |name: &str| event[name].as_str().unwrap().to_owned();
        ended.entry(id("trace_id")).or_default().insert(id("span_id"));
    }
    let acknowledged = sent.acknowledged.lock().unwrap().clone();
    assert_eq!(ended.len(), acknowledged.len(), "runs");
    for (trace, spans) in &acknowledged {
        assert_eq!(ended.get(trace), Some(spans), "{trace}");
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "the stream has something twice");
    for trace in acknowledged.keys() {
        let of_run: Vec<&str> = events
            .iter()
            .filter(|event| event["trace_id"] == **trace)
            .map(|event| event["name"].as_str().unwrap())
            .collect();
        assert_eq!(of_run.last(), Some(&"agent.completed"), "{of_run:?}");
        assert_eq!(of_run.len(), 6, "{of_run:?}");
    }
    events
}

/// Every listener has heard what the stream has, in its order, once.
async fn all_have_heard(events: &[Value], listeners: &[Listener]) {
    let expected: Vec<&str> = events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    for listener in listeners {
        until("all events", async || (listener.ids().len() >= expected.len()).then_some(())).await;
        assert!(!listener.task.is_finished(), "a listener was told of a gap");
        assert_eq!(listener.ids(), expected);
    }
}

async fn whoever_is_killed_everything_is_told_once(kind: Kind) {
    let kills = std::env::var("SPANLIGHT_TEST_KILLS").map_or(7, |kills| kills.parse().unwrap());
    let mut fleet = Fleet::start(kind, "session_timeout: 1s").await;
    let (mut random, sent) = (Random::seeded(), Arc::new(Sent::default()));
    let mut listeners = Vec::new();
    for number in 0..3 {
        listeners.push(Listener::start(&fleet, Random(number)).await);
    }
    let sending = send(&fleet, &sent, 4);
    let mut victims: Vec<usize> = Vec::new();
    for _ in 0..kills {
        let (before, more) = (sent.spans(), 20 + random.below(40));
        until("more spans", async || (sent.spans() > before + more).then_some(())).await;
        if victims.is_empty() {
            victims = (0..=fleet.members.len()).collect();
        }
        let victim = victims.remove(random.below(victims.len()));
        println!("{} spans; then {:?}", sent.spans(), fleet.members.get(victim).map(|(role, _)| role));
        match fleet.members.get(victim) {
            // The other one is killed.
            Some((Role::Deriver, _)) if victim == 1 => fleet.pause(victim).await,
            _ => fleet.kill(victim).await,
        }
    }
    sent.stop.store(true, Relaxed);
    sending.join_all().await;
    let events = all_is_derived(&fleet, &sent).await;
    all_have_heard(&events, &listeners).await;
    let runs = sent.acknowledged.lock().unwrap().len() as u64;
    let counted = fleet.counted_runs().await;
    println!("{kills} kills, {runs} runs, {counted} counted, {} events", events.len());
    assert!(counted >= runs, "{counted} of {runs} runs were counted");
}

async fn who_leaves_in_peace_hands_over_and_nothing_counts_twice(kind: Kind) {
    let (mut fleet, sent) = (Fleet::start(kind, "session_timeout: 8s").await, Arc::new(Sent::default()));
    let listener = Listener::start(&fleet, Random(1)).await;
    let sending = send(&fleet, &sent, 2);
    for _ in 0..2 {
        let before = sent.spans();
        until("more spans", async || (sent.spans() > before + 60).then_some(())).await;
        for role in [Role::Deriver, Role::Gateway] {
            let at = fleet.members.iter().position(|(of, _)| *of == role).unwrap();
            let (_, leaving) = fleet.members.remove(at);
            fleet.members.push((role, role.start(&fleet.server, fleet.session).await));
            fleet.show().await;
            let ended = leaving.stop().await;
            assert!(ended.status.success(), "{ended:?}");
        }
    }
    sent.stop.store(true, Relaxed);
    sending.join_all().await;
    let events = all_is_derived(&fleet, &sent).await;
    all_have_heard(&events, &[listener]).await;
    let runs = sent.acknowledged.lock().unwrap().len() as u64;
    assert_eq!(fleet.counted_runs().await, runs);
    let url = fleet.sockets.lock().unwrap()[0].clone();
    let page = client::get(&format!("{url}/api/v1/runs?limit=1000")).await.json();
    assert!(page["runs"].as_array().is_some_and(|shown| !shown.is_empty()), "{page}");
}

async fn what_comes_into_an_empty_stream_while_nobody_reads_is_not_missing(kind: Kind) {
    let mut server = Server::start(kind).await;
    let collector = Role::WebSocket.start(&server, "").await;
    until("a server of WebSockets", async || (collector.get("/readyz").await.status == 200).then_some(())).await;
    let mut client = Client::connect(&collector).await;

    // It asks the stream that it was in the middle of reading where it begins, and that is where it has never been.
    collector.signal("STOP").await;
    server.kill().await;
    server.up().await;
    let event = r#"{"event_type": "task_queued", "payload": {"task_id": "t", "feature": "f"}}"#;
    server.ask::<String>(&["XADD", "spanlight:events", "*", "event", event]).await;
    collector.signal("CONT").await;
    let message = client.next().await;
    assert_eq!(message["type"], "event", "{message}");
}
