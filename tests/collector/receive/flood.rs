//! More than the process can take, for as long as `OVERLOAD_SECONDS` says: its memory stays within its limit, whoever is
//! refused is told when to come back, all that was acknowledged arrives, and afterwards it takes again at once.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use spanlight::otlp::{Batch, Signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::PROTOBUF;
use super::overload::asks_to_come_back;
use crate::support::client::{call, post};
use crate::support::collector::{Collector, Port};
use crate::support::telemetry::agents;
use crate::support::until;

/// Of one request, and bytes of content in each.
const SPANS: usize = 100;
const CONTENT: usize = 2000;
const LIMIT_MIB: u64 = 192;
/// Load, as a multiple of what is taken.
const TIMES: f64 = 2.5;
/// How long it is looked at what the process can take.
const LOOK: Duration = Duration::from_secs(2);

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Taken,
    ComeBack,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_it_can_take_is_refused_and_what_it_took_arrives() {
    let backend = Backend::start().await;
    let collector = Collector::with(&config(&backend.url)).await;
    let ports = [collector.url(Port::Http).await, collector.url(Port::Grpc).await];
    let (taken, rate) = capacity(&ports).await;
    let seconds = std::env::var("OVERLOAD_SECONDS").map_or(5.0, |seconds| seconds.parse().unwrap());
    let told = flood(&ports, rate * TIMES, Duration::from_secs_f64(seconds)).await;
    // It takes again, and says so.
    until("a request that is taken", async || (send(&ports, 0).await == Told::Taken).then_some(())).await;
    assert_eq!(collector.get("/readyz").await.status, 200);
    let (during, refused): (Vec<_>, Vec<_>) = told.into_iter().partition(|(_, told)| *told == Told::Taken);
    let acknowledged: Vec<u64> = during.iter().map(|(seed, _)| *seed).chain(taken).chain([0]).collect();
    until("all that was acknowledged", async || backend.has_all(&acknowledged).then_some(())).await;
    let (peak, refused) = (collector.peak_memory(), refused.len());
    println!("{rate:.0} requests/s, then {} taken and {refused} refused in {seconds} s; {peak} MiB", during.len());
    assert!(refused > 0, "{TIMES} times what it can take were taken");
    assert!(peak <= LIMIT_MIB + MARGIN_MIB, "{peak} MiB");
}

/// What a process may be above its limit: as much as it may have in flight, which has just been let in when memory is looked
/// at, and is copied once more when it is joined, unpacked or handed on.
const MARGIN_MIB: u64 = LIMIT_MIB / 5;

fn config(backend: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '127.0.0.1:0'}}}}}}}}
processors: {{memory_limiter: {{limit_mib: {LIMIT_MIB}}}}}
connectors: {{agent: {{}}}}
exporters: {{otlphttp: {{endpoint: '{backend}', compression: none}}}}
extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}
service:
  extensions: [web]
  pipelines:
    traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [agent, otlphttp]}}
"
    )
}

/// How many requests a second are taken from senders who wait for each answer, and which these were.
async fn capacity(ports: &[String; 2]) -> (Vec<u64>, f64) {
    const SENDERS: u64 = 8;
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 1..=SENDERS {
        let ports = ports.clone();
        senders.spawn(async move {
            let mut taken = Vec::new();
            while start.elapsed() < LOOK {
                let seed = sender << 32 | taken.len() as u64;
                assert!(send(&ports, seed).await == Told::Taken, "{SENDERS} senders are no overload");
                taken.push(seed);
            }
            taken
        });
    }
    let taken = senders.join_all().await.concat();
    let rate = taken.len() as f64 / start.elapsed().as_secs_f64();
    (taken, rate)
}

/// Sends so many requests a second, whether or not those before have been answered, and what became of each. Where others
/// work on the machine as well it takes more than it took when that was measured, so then it is sent more and more until
/// something is refused.
async fn flood(ports: &[String; 2], rate: f64, length: Duration) -> Vec<(u64, Told)> {
    const LONGEST: Duration = Duration::from_secs(60);
    let (start, mut sending) = (tokio::time::Instant::now(), JoinSet::new());
    let has_refused = Arc::new(AtomicBool::new(false));
    let mut next = start;
    for number in 1.. {
        let beyond = start.elapsed().saturating_sub(length);
        if !beyond.is_zero() && (has_refused.load(Relaxed) || beyond > LONGEST) {
            break;
        }
        next += Duration::from_secs_f64(1.0 / (rate * (1.0 + beyond.as_secs_f64() / 5.0)));
        tokio::time::sleep_until(next).await;
        let (ports, has_refused) = (ports.clone(), has_refused.clone());
        sending.spawn(async move {
            let told = send(&ports, number).await;
            has_refused.fetch_or(told == Told::ComeBack, Relaxed);
            (number, told)
        });
    }
    sending.join_all().await
}

/// Sends a request of its own, every other one to the port for gRPC.
async fn send([http, grpc]: &[String; 2], seed: u64) -> Told {
    let body = agents::request(SPANS, seed, CONTENT);
    if seed % 2 == 1 {
        let answer = call(grpc, Signal::Traces.grpc_path(), &body).await;
        if answer.code == 0 {
            return Told::Taken;
        }
        assert!(asks_to_come_back(&answer) > Duration::ZERO);
        return Told::ComeBack;
    }
    let answer = post(&format!("{http}/v1/traces"), &[("content-type", PROTOBUF)], body.into()).await;
    if answer.status == 200 {
        return Told::Taken;
    }
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(matches!((answer.status, after), (429 | 503, Some(1..))), "{answer:?}");
    Told::ComeBack
}

/// Takes everything, and remembers whose spans have come.
struct Backend {
    url: String,
    arrived: Arc<Mutex<HashMap<u64, HashSet<Identity>>>>,
}

type Identity = ([u8; 8], [u8; 8]);

impl Backend {
    async fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived: Arc<Mutex<HashMap<u64, HashSet<Identity>>>> = Arc::default();
        let backend = Backend { url, arrived: arrived.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let arrived = arrived.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let arrived = arrived.clone();
                    async move {
                        note(request.into_body().collect().await.unwrap().to_bytes(), &arrived);
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                    }
                });
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok()
                });
            }
        });
        backend
    }

    fn has_all(&self, seeds: &[u64]) -> bool {
        let arrived = self.arrived.lock().unwrap();
        seeds.iter().all(|seed| arrived.get(seed).is_some_and(|spans| spans.len() == SPANS))
    }
}

/// A seed is the first half of its trace ids.
fn note(body: Bytes, arrived: &Mutex<HashMap<u64, HashSet<Identity>>>) {
    let batch = Batch::read(Signal::Traces, body).unwrap().batch;
    for span in batch.groups().flat_map(|group| group.spans()) {
        let (seed, trace) = span.trace_id.split_first_chunk::<8>().unwrap();
        let identity = (trace.try_into().unwrap(), span.span_id.try_into().unwrap());
        arrived.lock().unwrap().entry(u64::from_be_bytes(*seed)).or_default().insert(identity);
    }
}
