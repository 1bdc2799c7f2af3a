//! The whole collector as a process: CPU time per span, from OTLP in to OTLP out, against reading the same bytes
//! with prost, and against other collectors that only forward them: `ROTEL=PATH` names the program of PyPI's wheel
//! `rotel`, and `OTELCOL=PATH` the official Collector, which `scripts/interop` builds. `SPANLIGHT=PATH` names another program
//! of ours. The collector runs on core 1; load and sink share core 0. `-- TEXT` measures the cases with TEXT in their names.
//! `MEMORY_IN_USE=1` has all memory in use first, as it is on a machine that has run for long.
#![allow(clippy::expect_used, clippy::print_stdout)]

#[path = "support/agents.rs"]
mod agents;
#[path = "support/process.rs"]
mod process;
#[path = "support/resend.rs"]
mod resend;

use std::cell::Cell;
use std::convert::Infallible;
use std::fs;
use std::hint::black_box;
use std::io::{BufReader, Seek};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// Requests under way at a time.
const CONCURRENCY: usize = 8;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(6);

/// One line of the table.
#[derive(Clone)]
struct Case {
    name: &'static str,
    config: &'static str,
    protocol: Protocol,
    spans: usize,
    /// Bytes of what is said in every model call.
    content: usize,
    /// Spans a second, where it is not as many as are taken: what is done later is done meanwhile then, and counted.
    rate: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Grpc,
    Http,
}

fn main() {
    pin(std::process::id(), 0);
    let case = |name, config, protocol, spans, content| Case { name, config, protocol, spans, content, rate: None };
    let paced = |rate, case: Case| Case { rate: Some(rate), ..case };
    let cases = [
        case("forward and derive, gRPC, 1000 spans a request", "forward", Protocol::Grpc, 1000, 0),
        case("forward and derive, HTTP, 1000 spans a request", "forward", Protocol::Http, 1000, 0),
        case("forward and derive, gRPC, 10 spans a request", "forward", Protocol::Grpc, 10, 0),
        case("forward and derive, HTTP, 10 spans a request", "forward", Protocol::Http, 10, 0),
        case("with its queue on disk, gRPC, 1000 spans a request", "disk", Protocol::Grpc, 1000, 0),
        case("with its queue on disk, gRPC, 10 spans a request", "disk", Protocol::Grpc, 10, 0),
        case("1.9 kB spans with prompts, gRPC, 100 a request", "forward", Protocol::Grpc, 100, 4096),
        paced(1000, case("100 kB spans, gRPC, 10 a request, 1000/s", "forward", Protocol::Grpc, 10, 275_000)),
        case("and events to JSON lines, gRPC, 1000", "jsonl", Protocol::Grpc, 1000, 0),
        paced(15_000, case("JSON lines, history, a WebSocket, 15,000/s", "full", Protocol::Grpc, 1000, 0)),
        paced(45_000, case("JSON lines, history, a WebSocket, 45,000/s", "full", Protocol::Grpc, 1000, 0)),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let [rotel, otelcol] = ["ROTEL", "OTELCOL"].map(process::named);
    println!(
        "{:<50} {:>12} {:>10} {:>8} {:>10} {:>9}",
        "", "CPU µs/span", "in kernel", "x prost", "spans/s", "peak MiB"
    );
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    let ballast = std::env::var_os("MEMORY_IN_USE").map(|_| Ballast::new());
    for case in cases.iter().filter(|case| case.name.contains(&wanted)) {
        ballast.iter().for_each(Ballast::read);
        LocalSet::new().block_on(&runtime, measure(case, Program::Ours));
        let peers = [rotel.as_deref().map(Program::Rotel), otelcol.as_deref().map(Program::Otelcol)];
        for peer in peers.into_iter().flatten().filter(|_| case.config == "forward") {
            LocalSet::new().block_on(&runtime, measure(case, peer));
        }
    }
}

/// A file as large as memory, without anything on the disk. Once it was read the system has all of it in memory, and gives a
/// page of it to whoever writes a file. Where a host takes back the memory that nobody uses, it has to be found again page by
/// page otherwise, and that would be measured.
struct Ballast(fs::File);

impl Ballast {
    fn new() -> Ballast {
        let memory = fs::read_to_string("/proc/meminfo").expect("Linux");
        let total = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("MemTotal");
        let file = tempfile::tempfile().expect("a file");
        file.set_len(total << 10).expect("a file without content");
        Ballast(file)
    }

    fn read(&self) {
        let mut file = BufReader::with_capacity(1 << 20, &self.0);
        file.rewind().and_then(|()| std::io::copy(&mut file, &mut std::io::sink())).expect("it is readable");
    }
}

/// Which collector.
#[derive(Clone, Copy)]
enum Program<'a> {
    Ours,
    /// Forwards, and derives nothing.
    Rotel(&'a Path),
    /// The OpenTelemetry Collector, likewise.
    Otelcol(&'a Path),
}

async fn measure(case: &Case, program: Program<'_>) {
    let requests = Rc::new(requests(case));
    let prost = prost_micros(requests[0].bytes(), case.spans);
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Sink::start().await;
    let mut collector = Collector::start(case, program, folder.path(), sink.address);
    collector.is_ready().await;
    let sent = Rc::new(Cell::new(0));
    let mut load: Vec<_> = (0..CONCURRENCY)
        .map(|worker| {
            tokio::task::spawn_local(load(case.clone(), collector.ports, requests.clone(), worker, sent.clone()))
        })
        .collect();
    if case.config == "full" {
        load.push(tokio::task::spawn_local(listen(collector.ports.web)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, spans, start) = (collector.cpu(), sent.get() * case.spans as u64, Instant::now());
    tokio::time::sleep(MEASURED).await;
    let (after, spans) = (collector.cpu(), sent.get() * case.spans as u64 - spans);
    let rate = spans as f64 / start.elapsed().as_secs_f64();
    load.iter().for_each(tokio::task::JoinHandle::abort);
    let micros = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1e6 / spans as f64;
    let kernel = micros(before.kernel, after.kernel);
    let micros = micros(before.user, after.user) + kernel;
    let name = match program {
        Program::Ours => case.name,
        Program::Rotel(_) => "    Rotel, forwarding the same",
        Program::Otelcol(_) => "    OpenTelemetry Collector, forwarding the same",
    };
    println!(
        "{name:<50} {micros:>12.2} {kernel:>10.2} {:>8.2} {rate:>10.0} {:>9.1}",
        micros / prost,
        collector.peak_mib()
    );
}

/// Different requests.
fn requests(case: &Case) -> Vec<resend::Request> {
    let seeds = 1..=200_000 / case.spans as u64 / (1 + case.content as u64 / 1000);
    seeds.map(|seed| resend::Request::new(agents::request(case.spans, seed, case.content))).collect()
}

/// What reading a span with prost takes.
fn prost_micros(request: &[u8], spans: usize) -> f64 {
    let start = Instant::now();
    let mut read = 0;
    while start.elapsed() < Duration::from_millis(500) {
        black_box(ExportTraceServiceRequest::decode(request).expect("valid"));
        read += spans;
    }
    start.elapsed().as_secs_f64() * 1e6 / read as f64
}

/// Sends requests, one after the other.
async fn load(case: Case, ports: Ports, requests: Rc<Vec<resend::Request>>, worker: usize, sent: Rc<Cell<u64>>) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).http2_only(case.protocol == Protocol::Grpc).build(connector);
    let mut next = requests.len() * worker / CONCURRENCY;
    let mut number = worker as u32;
    let apart = case.rate.map(|rate| Duration::from_secs_f64((case.spans * CONCURRENCY) as f64 / f64::from(rate)));
    let mut due = tokio::time::Instant::now() + apart.unwrap_or_default() * worker as u32 / CONCURRENCY as u32;
    loop {
        if let Some(apart) = apart {
            tokio::time::sleep_until(due).await;
            due += apart;
        }
        let template = &requests[next % requests.len()];
        // No two workers give a number twice, nor does one, whether or not it was taken.
        number = number.wrapping_add(CONCURRENCY as u32);
        let request = match case.protocol {
            Protocol::Grpc => Request::post(format!("http://{}/{TRACES}", ports.grpc))
                .header("content-type", "application/grpc")
                .body(Full::new(Bytes::from(template.again(number, &prefix(template.bytes().len()))))),
            Protocol::Http => Request::post(format!("http://{}/v1/traces", ports.http))
                .header("content-type", "application/x-protobuf")
                .body(Full::new(Bytes::from(template.again(number, &[])))),
        };
        let response = client.request(request.expect("a request")).await.expect("an answer");
        assert_eq!(response.status(), 200);
        let refused = response.headers().get("grpc-status").is_some_and(|status| status != "0");
        response.into_body().collect().await.expect("an answer");
        if !refused {
            sent.set(sent.get() + 1);
            next += 1;
        }
    }
}

/// Reads all that a client of the WebSocket is sent.
async fn listen(web: SocketAddr) {
    let (mut socket, _) = connect_async(format!("ws://{web}/ws")).await.expect("a WebSocket");
    socket.send(Message::text(r#"{"type":"hello"}"#)).await.expect("a greeting");
    while let Some(Ok(message)) = socket.next().await {
        let text = message.into_text().expect("messages are texts");
        assert!(!text.starts_with(r#"{"type":"gap""#), "the client does not keep up: {text}");
    }
}

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What gRPC writes before a message.
fn prefix(len: usize) -> [u8; 5] {
    let [a, b, c, d] = (len as u32).to_be_bytes();
    [0, a, b, c, d]
}

/// Time of a processor.
struct Cpu {
    user: Duration,
    kernel: Duration,
}

/// The process that is measured.
struct Collector {
    process: Child,
    ports: Ports,
}

/// Where it listens.
#[derive(Clone, Copy)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
    web: SocketAddr,
}

impl Ports {
    fn free() -> Ports {
        let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [grpc, http, web] = listeners.each_ref().map(|listener| listener.local_addr().expect("a port"));
        Ports { grpc, http, web }
    }
}

impl Collector {
    fn start(case: &Case, program: Program<'_>, folder: &Path, sink: SocketAddr) -> Collector {
        let ports = Ports::free();
        let mut command = match program {
            Program::Ours => ours(case, folder, ports, sink),
            Program::Rotel(path) => rotel(path, folder, ports, sink),
            Program::Otelcol(path) => otelcol(path, folder, ports, sink),
        };
        let process = command.current_dir(folder).stdout(Stdio::null()).spawn().expect("the collector");
        pin(process.id(), 1);
        Collector { process, ports }
    }

    async fn is_ready(&mut self) {
        for address in [self.ports.grpc, self.ports.http] {
            while TcpStream::connect(address).await.is_err() {
                assert!(self.process.try_wait().expect("a child").is_none(), "the collector ended");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Its time so far. A tick is a hundredth of a second on every Linux.
    fn cpu(&self) -> Cpu {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("Linux");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut ticks = after_name.split_whitespace().skip(11).filter_map(|n| n.parse::<u64>().ok());
        let mut next = || Duration::from_millis(ticks.next().unwrap_or_default() * 10);
        Cpu { user: next(), kernel: next() }
    }

    fn peak_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0) / 1024.0
    }
}

fn ours(case: &Case, folder: &Path, ports: Ports, sink: SocketAddr) -> Command {
    let mut command = Command::new(process::program());
    command.arg("run").arg("--config").arg(configuration(case.config, folder, ports, sink));
    command.arg("--data-dir").arg(folder);
    command
}

fn otelcol(program: &Path, folder: &Path, ports: Ports, sink: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.arg("--config").arg(configuration("otelcol", folder, ports, sink));
    command
}

/// A configuration of `benches/collector`, with the addresses of this run.
fn configuration(name: &str, folder: &Path, ports: Ports, sink: SocketAddr) -> PathBuf {
    let config = fs::read_to_string(format!("benches/collector/{name}.yaml")).expect("a configuration");
    let addresses = [
        ("127.0.0.1:14317", ports.grpc),
        ("127.0.0.1:14318", ports.http),
        ("127.0.0.1:13010", ports.web),
        ("127.0.0.1:5317", sink),
    ];
    let config = addresses.iter().fold(config, |config, (from, to)| config.replace(from, &to.to_string()));
    let path = folder.join("collector.yaml");
    fs::write(&path, config).expect("a folder to write to");
    path
}

fn rotel(program: &Path, folder: &Path, ports: Ports, sink: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.arg("start").arg("--pid-file").arg(folder.join("rotel.pid"));
    command.arg("--otlp-grpc-endpoint").arg(ports.grpc.to_string());
    command.arg("--otlp-http-endpoint").arg(ports.http.to_string());
    command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "grpc", "--otlp-exporter-compression", "none"]);
    command.arg("--otlp-exporter-endpoint").arg(format!("http://{sink}"));
    command
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("the collector was running");
    }
}

/// Takes everything and looks at nothing.
struct Sink {
    address: SocketAddr,
}

impl Sink {
    async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port");
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| async {
                        let mut body = request.into_body();
                        while let Some(Ok(_)) = body.frame().await {}
                        let trailers = HeaderMap::from_iter([(
                            http::HeaderName::from_static("grpc-status"),
                            HeaderValue::from_static("0"),
                        )]);
                        let frames = [Frame::data(Bytes::copy_from_slice(&prefix(0))), Frame::trailers(trailers)]
                            .map(Ok::<_, Infallible>);
                        let response = Response::builder().header("content-type", "application/grpc");
                        response.body(StreamBody::new(futures_util::stream::iter(frames)))
                    });
                    // A connection ends when its collector does.
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Sink { address }
    }
}

/// Keeps a process on one core, where there is a `taskset`.
fn pin(process: u32, core: u32) {
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-p", "-c", &core.to_string(), &process.to_string()]).stdout(Stdio::null());
    if taskset.status().is_err() {
        println!("There is no `taskset`: load and collector compete for all cores.");
    }
}
