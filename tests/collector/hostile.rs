//! Whoever means ill: bombs, depth, floods, names without end. Nothing panics, nothing hangs, and memory stays bounded.

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::client::{call_raw, frame, get_with, gzip, zstd};
use super::support::collector::{Collector, Port};
use super::support::{PATIENCE, until};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// It is as well as before, has not had more memory than this, and has said nothing of a panic.
async fn is_well(collector: &Collector, most_mib: u64) {
    let event = json!({"name": "agent.started", "agent": "honest"}).to_string();
    // Where memory was short, it is not for long.
    until("an event that is taken", async || {
        let taken = collector.post("/v1/events", &[("content-type", JSON)], event.clone()).await;
        assert!([200, 503].contains(&taken.status), "{}", taken.text());
        (taken.status == 200).then_some(())
    })
    .await;
    assert_eq!(collector.get("/readyz").await.status, 200);
    let peak = collector.peak_memory();
    assert!(peak < most_mib, "it had {peak} MiB");
    let written = collector.written().join("\n");
    assert!(!written.contains("panicked"), "{written}");
}

async fn connect(collector: &Collector, port: Port) -> TcpStream {
    let url = collector.url(port).await;
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Writes until all is written or the other side has had enough, and reads what it says until it ends.
async fn pour(stream: TcpStream, pieces: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut said = Vec::new();
        // It may end with a reset.
        reader.read_to_end(&mut said).await.unwrap_or_default();
        said
    });
    for piece in pieces {
        if writer.write_all(&piece).await.is_err() {
            break;
        }
    }
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("the connection is never ended")).unwrap()
}

#[tokio::test]
async fn bombs_of_every_kind_burst_outside() {
    let collector = Collector::start().await;
    let zeros = vec![0; 100 << 20];
    let (of_gzip, of_zstd) = (gzip(&zeros), zstd(&zeros));
    // A bomb in a bomb is unpacked once, and is then no message.
    let nested = gzip(&of_gzip);
    let members: Bytes = [of_gzip.as_ref(), &of_gzip, &of_gzip].concat().into();
    let frames: Bytes = [of_zstd.as_ref(), &of_zstd].concat().into();
    let cases = [
        ("gzip", of_gzip, 413),
        ("zstd", of_zstd, 413),
        ("gzip", nested, 400),
        ("gzip", members, 413),
        ("zstd", frames, 413),
    ];
    let posts = (0..8).flat_map(|_| &cases).map(|(encoding, body, expected)| {
        let collector = &collector;
        async move {
            let headers = [("content-type", PROTOBUF), ("content-encoding", *encoding)];
            let answer = collector.post("/v1/traces", &headers, body.clone()).await;
            // Where memory is short it is told to come again, and no more of it is unpacked.
            assert!([*expected, 503].contains(&answer.status), "{encoding}: {} {}", answer.status, answer.text());
        }
    });
    join_all(posts).await;
    let (grpc, events) = (collector.url(Port::Grpc).await, collector.url(Port::Web).await + "/v1/events");
    let over_grpc = call_raw(&grpc, GRPC, &[("grpc-encoding", "gzip")], frame(1, &cases[0].1)).await;
    assert!([8, 14].contains(&over_grpc.code), "{over_grpc:?}");
    let headers = [("content-encoding", "zstd"), ("content-type", JSON)];
    let over_web = super::support::client::post(&events, &headers, cases[1].1.clone()).await;
    assert!([413, 503].contains(&over_web.status), "{over_web:?}");
    is_well(&collector, 700).await;
}

/// A message of protobuf: `field`, and what is in it.
fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(content);
    out
}

#[tokio::test]
async fn what_is_nested_without_end_is_refused() {
    let collector = Collector::start().await;
    // `AnyValue { kvlist_value { values { key, value: AnyValue … } } }`, and the same of arrays.
    for of_list in [true, false] {
        let mut value = message(1, b"x");
        for _ in 0..5000 {
            value =
                if of_list { message(6, &message(1, &message(2, &value))) } else { message(5, &message(1, &value)) };
        }
        let attribute = message(9, &[message(1, b"key"), message(2, &value)].concat());
        let ids = [message(1, &[1; 16]), message(2, &[1; 8])].concat();
        let span = [ids, message(5, b"name"), attribute].concat();
        let request = message(1, &message(2, &message(2, &span)));
        let answer = collector.post("/v1/traces", &[("content-type", PROTOBUF)], request).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
    for body in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(1_000_000), "{\"a\":[".repeat(300_000)] {
        for (path, wrapped) in [
            ("/v1/traces", body.clone()),
            ("/v1/logs", format!("{{\"resourceLogs\":{body}}}")),
            ("/v1/events", body.clone()),
            ("/v1/events", format!("{{\"name\":\"agent.started\",\"agent\":\"a\",\"metadata\":{body}}}")),
        ] {
            let answer = collector.post(path, &[("content-type", JSON)], wrapped).await;
            // What OTLP does not know is passed over, whatever is in it.
            let is_unknown = path == "/v1/traces" && answer.text() == "{}";
            assert!(answer.status == 400 || is_unknown, "{path}: {} {}", answer.status, answer.text());
        }
    }
    is_well(&collector, 500).await;
}

/// Spans of as many agents, models, tools and keys as there are spans.
fn crowd(numbers: std::ops::Range<u32>) -> String {
    let text = |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
    let span = |number: u32| {
        let (trace, span) = (format!("{:032x}", number + 1), format!("{:016x}", number + 1));
        let operation = ["invoke_agent", "chat", "execute_tool"][number as usize % 3];
        json!({
            "traceId": trace, "spanId": span, "name": format!("work {number}"), "kind": 1,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000",
            "attributes": [
                text("gen_ai.operation.name", operation.into()),
                text("gen_ai.agent.name", format!("agent-{number}")),
                text("gen_ai.request.model", format!("model-{number}")),
                text("gen_ai.tool.name", format!("tool-{number}")),
                text("gen_ai.conversation.id", format!("talk-{number}")),
                text("user.id", format!("user-{number}")),
                text("feature", format!("feature-{number}")),
                text(&format!("key.{number}"), "x".repeat(100)),
            ],
        })
    };
    let spans: Vec<Value> = numbers.map(span).collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
}

#[tokio::test]
async fn names_without_end_are_counted_and_not_kept() {
    let config = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
extensions: {web: {endpoint: '127.0.0.1:0', recent_events: 1000, recent_spans_mib: 4}}
connectors: {agent: {max_spans: 2000, settle_timeout: 1s}}
exporters: {prometheus: {}}
service:
  extensions: [web]
  pipelines:
    traces: {receivers: [otlp], exporters: [agent]}
    logs: {receivers: [otlp], exporters: [agent]}
    metrics: {receivers: [agent], exporters: [prometheus]}
";
    let collector = Collector::with(config).await;
    let send = async |numbers: std::ops::Range<u32>| {
        for begin in numbers.step_by(2000) {
            let answer = collector.post("/v1/traces", &[("content-type", JSON)], crowd(begin..begin + 2000)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        collector.get("/metrics").await.text()
    };
    // All tables are full by now.
    let shown = send(0..30_000).await.lines().count();
    let before = collector.peak_memory();
    let metrics = send(30_000..90_000).await;
    let after = collector.peak_memory();
    assert!(after < before + before / 2 + 50, "it grew from {before} to {after} MiB");
    let more = metrics.lines().count();
    assert!(more <= shown + shown / 10, "there were {shown} lines of metrics and are {more}");
    let overflow = metrics.lines().filter(|line| line.contains("overflow") && !line.starts_with('#'));
    let counted = overflow.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).any(|count| count > 1000.0);
    assert!(counted, "what was not kept is not counted");
    is_well(&collector, after + 100).await;
}

#[tokio::test]
async fn thousands_of_connections_that_say_nothing_hold_nobody_up() {
    let collector = Collector::start().await;
    let mut idle = Vec::new();
    for number in 0..1500 {
        let mut stream = connect(&collector, [Port::Web, Port::Http, Port::Grpc][number % 3]).await;
        // Some begin, and do not go on.
        let begun: &[u8] =
            [&b""[..], b"GET / HTTP/1.1\r\nhost: localho", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][number / 3 % 3];
        stream.write_all(begun).await.unwrap();
        idle.push(stream);
    }
    is_well(&collector, 300).await;
    drop(idle);
    is_well(&collector, 300).await;
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let collector = Collector::start().await;
    for port in [Port::Web, Port::Http, Port::Grpc] {
        let line = format!("x-{}: {}\r\n", "a".repeat(100), "b".repeat(900)).into_bytes();
        let head = std::iter::once(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n".to_vec());
        let said = pour(connect(&collector, port).await, head.chain(std::iter::repeat_n(line, 50_000))).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        let many = (0..100_000).map(|number| format!("a{number}: b\r\n").into_bytes());
        let head = std::iter::once(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n".to_vec());
        pour(connect(&collector, port).await, head.chain(many)).await;
        // A line that never ends.
        let head = std::iter::once(b"GET /".to_vec());
        pour(connect(&collector, port).await, head.chain(std::iter::repeat_n(vec![b'a'; 1000], 50_000))).await;
        pour(connect(&collector, port).await, std::iter::repeat_n(vec![0xff; 1000], 1000)).await;
    }
    is_well(&collector, 300).await;
}

/// A frame of HTTP/2.
fn h2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `POST http://localhost/`
const REQUEST: &[u8] = b"\x83\x86\x84\x41\x09localhost";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

#[tokio::test]
async fn floods_of_http2_end_their_connection_and_nothing_else() {
    let collector = Collector::start().await;
    let preface = || std::iter::once(PREFACE.to_vec());
    for port in [Port::Web, Port::Http, Port::Grpc] {
        // Requests that are taken back as soon as they are made.
        let resets = (0..50_000).map(|number| {
            let stream = number * 2 + 1;
            [h2(HEADERS, 0x4, stream, REQUEST), h2(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        });
        let said = pour(connect(&collector, port).await, preface().chain(resets)).await;
        assert!(!said.is_empty(), "it says goodbye");
        // Headers that go on and on.
        let begin = std::iter::once(h2(HEADERS, 0, 1, REQUEST));
        let go_on = std::iter::repeat_n(h2(CONTINUATION, 0, 1, &[0x40, 1, b'a', 1, b'b'].repeat(200)), 50_000);
        pour(connect(&collector, port).await, preface().chain(begin).chain(go_on)).await;
        let begin = std::iter::once(h2(HEADERS, 0, 1, REQUEST));
        pour(
            connect(&collector, port).await,
            preface().chain(begin).chain(std::iter::repeat_n(h2(CONTINUATION, 0, 1, b""), 100_000)),
        )
        .await;
    }
    // What has to be answered, by somebody who does not read the answers.
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[0, 4, 0, 0, 0xff, 0xff])] {
        let mut stream = connect(&collector, Port::Http).await;
        stream.write_all(PREFACE).await.unwrap();
        let flood = h2(kind, 0, 0, payload).repeat(1000);
        for _ in 0..200 {
            // It may stop reading, or end it; both is well.
            let written = tokio::time::timeout(std::time::Duration::from_millis(200), stream.write_all(&flood)).await;
            if !matches!(written, Ok(Ok(()))) {
                break;
            }
        }
    }
    is_well(&collector, 300).await;
}

/// What is written, piece by piece.
type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;

/// A frame of a WebSocket as clients send it, that announces this length.
fn ws(first: u8, len: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first, 0x80 | 127];
    out.extend(len.to_be_bytes());
    out.extend([0; 4]);
    out.extend_from_slice(payload);
    out
}

#[tokio::test]
async fn frames_without_end_end_their_websocket_and_nothing_else() {
    let collector = Collector::start().await;
    let open = b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const TEXT: u8 = 1;
    const CONTINUED: u8 = 0;
    const LAST: u8 = 0x80;
    let begin = || std::iter::once(open.to_vec());
    let cases: Vec<(&str, Pieces)> = vec![
        ("announces all there is", Box::new(begin().chain([ws(LAST | TEXT, u64::MAX >> 1, b"x")]))),
        ("announces a little too much", Box::new(begin().chain([ws(LAST | TEXT, (1 << 20) + 1, b"x")]))),
        (
            "comes in pieces",
            Box::new(
                begin()
                    .chain([ws(TEXT, 1000, &[b'x'; 1000])])
                    .chain(std::iter::repeat_n(ws(CONTINUED, 1000, &[b'x'; 1000]), 3000)),
            ),
        ),
        ("is no text", Box::new(begin().chain([ws(LAST | TEXT, 4, &[0xff; 4])]))),
        ("is of no kind", Box::new(begin().chain([ws(0x8f, 4, b"abcd")]))),
        ("goes on with nothing", Box::new(begin().chain([ws(LAST | CONTINUED, 4, b"abcd")]))),
        ("is pings only", Box::new(begin().chain(std::iter::repeat_n(vec![0x89, 0x80, 0, 0, 0, 0], 100_000)))),
        (
            "is nested",
            Box::new(
                begin()
                    .chain([{
                        let deep = "[".repeat(100_000);
                        ws(LAST | TEXT, deep.len() as u64, deep.as_bytes())
                    }])
                    .chain(std::iter::repeat_n(vec![0x89, 0x80, 0, 0, 0, 0], 200)),
            ),
        ),
    ];
    for (what, pieces) in cases {
        let said = pour(connect(&collector, Port::Web).await, pieces).await;
        assert!(said.starts_with(b"HTTP/1.1 101 "), "{what}: {}", String::from_utf8_lossy(&said));
    }
    is_well(&collector, 300).await;
}

#[tokio::test]
async fn questions_that_make_no_sense_are_answered_all_the_same() {
    let collector = Collector::start().await;
    let web = collector.url(Port::Web).await;
    let long = "a".repeat(6000);
    let many = "agent=x&".repeat(1500);
    for query in [
        "q=%22%20OR%201=1--",
        "q=NEAR(a%20b)",
        "q=%00",
        "q=*",
        "limit=99999999999999999999",
        "limit=-1",
        "from=18446744073709551615",
        "since=99999999999999w",
        "until=-1",
        &format!("q={long}"),
        &many,
        "%ff=%ff",
        "&&&===",
    ] {
        for path in ["/api/v1/runs", "/api/v1/events", "/api/v1/ledger", "/api/v1/metrics", "/api/v1/budgets/x/verdict"]
        {
            let answer = get_with(&format!("{web}{path}?{query}"), &[]).await;
            assert!([200, 400, 404, 414, 431].contains(&answer.status), "{path}?{query}: {}", answer.status);
        }
    }
    for path in [
        "/api/v1/runs/%00",
        "/api/v1/runs/..%2f..%2fetc%2fpasswd",
        "/assets/../../Cargo.toml",
        "/assets/%2e%2e/%2e%2e/Cargo.toml",
        "//",
        "/assets//etc/passwd",
    ] {
        let answer = get_with(&format!("{web}{path}"), &[]).await;
        assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    is_well(&collector, 300).await;
}

#[tokio::test]
async fn the_largest_numbers_that_there_are_break_nothing() {
    let collector = Collector::start().await;
    let web = collector.url(Port::Web).await;
    let epoch = collector.json("/api/v1/events").await["epoch"].as_str().unwrap().to_owned();
    let last = format!("{epoch}:{}", u64::MAX);
    let refused = get_with(&format!("{web}/api/v1/stream"), &[("last-event-id", &last)]).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    for path in ["events?from=MAX", "runs/x/events?from=MAX", "events?limit=MAX", "events?since=MAXs", "runs?limit=MAX"]
    {
        let path = format!("/api/v1/{}", path.replace("MAX", &u64::MAX.to_string()));
        let answer = collector.get(&path).await;
        assert!([200, 400].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    is_well(&collector, 300).await;
}
