//! What is sent: recorded runs of real agents and made-up ones, each time as runs that nobody has seen before.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use spanlight::otlp::Signal;

use crate::{agents, recorded};

/// How many different users there are, and features.
const USERS: u64 = 200;
const FEATURES: u64 = 20;
/// Metrics name so many sessions at a time, because each of them is a series for as long as they do not expire.
const SESSIONS: u64 = 50;
/// Of so many runs, all but one happened on another day, so that history has days to let go of.
const LATE: u64 = 3;
const OLDEST_DAYS: u64 = 25;
/// On which, in seconds from the start: all days have been told of within ten minutes, so that there are as many later.
const EACH_DAY: u64 = 20;
const DAY: u64 = 86_400_000_000_000;

/// Requests that belong together, in the order in which they came.
pub struct Scenario {
    requests: Vec<Request>,
    /// When the last of it happened, in nanoseconds since 1970.
    end: u64,
    /// What a run of it has.
    pub spans: usize,
}

#[derive(Clone)]
enum Request {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

/// What makes a run of a scenario one of its own.
#[derive(Clone, Copy)]
struct Renewal {
    number: u64,
    ids: u128,
    /// From when it was recorded to when it is said to have happened.
    shift: i64,
}

/// All that was recorded, and as many spans again of runs that were made up.
pub fn scenarios() -> Vec<Scenario> {
    let corpus = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/corpus"));
    let folders = std::fs::read_dir(corpus).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    let recorded = folders.iter().map(|folder| {
        recorded::requests(folder).map(|batch| Request::read(batch.signal(), batch.bytes())).collect::<Vec<_>>()
    });
    let made = (0..).map(|seed| vec![Request::read(Signal::Traces, &agents::request(40, seed, 300))]);
    recorded.zip(made).flat_map(|(recorded, made)| [Scenario::of(recorded), Scenario::of(made)]).collect()
}

impl Scenario {
    fn of(requests: Vec<Request>) -> Scenario {
        let mut scenario = Scenario { requests, end: 0, spans: 0 };
        for request in &mut scenario.requests {
            scenario.spans += request.spans();
            request.times(&mut |time| scenario.end = scenario.end.max(*time));
        }
        scenario
    }

    /// A run of it, the `number`th in all, after so many `seconds`: what is to be posted, and where.
    pub fn run(&self, number: u64, seconds: u64) -> Vec<(Signal, Bytes, usize)> {
        let days = OLDEST_DAYS - (seconds / EACH_DAY) % OLDEST_DAYS;
        let late = if number.is_multiple_of(LATE) { 0 } else { DAY * days };
        let ids = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let renewal = Renewal { number, ids, shift: (now() - late) as i64 - self.end as i64 };
        let renewed = |request: &Request| {
            let mut request = request.clone();
            renewal.renew(&mut request);
            (request.signal(), request.encode(), request.spans())
        };
        self.requests.iter().map(renewed).collect()
    }
}

impl Request {
    fn read(signal: Signal, bytes: &[u8]) -> Request {
        match signal {
            Signal::Traces => Request::Traces(Message::decode(bytes).expect("valid")),
            Signal::Logs => Request::Logs(Message::decode(bytes).expect("valid")),
            Signal::Metrics => Request::Metrics(Message::decode(bytes).expect("valid")),
        }
    }

    fn encode(&self) -> Bytes {
        match self {
            Request::Traces(request) => request.encode_to_vec().into(),
            Request::Logs(request) => request.encode_to_vec().into(),
            Request::Metrics(request) => request.encode_to_vec().into(),
        }
    }

    fn signal(&self) -> Signal {
        match self {
            Request::Traces(_) => Signal::Traces,
            Request::Logs(_) => Signal::Logs,
            Request::Metrics(_) => Signal::Metrics,
        }
    }

    fn spans(&self) -> usize {
        let Request::Traces(request) = self else { return 0 };
        request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }

    fn resources(&mut self) -> Vec<&mut Resource> {
        match self {
            Request::Traces(request) => request.resource_spans.iter_mut().filter_map(|r| r.resource.as_mut()).collect(),
            Request::Logs(request) => request.resource_logs.iter_mut().filter_map(|r| r.resource.as_mut()).collect(),
            Request::Metrics(request) => {
                request.resource_metrics.iter_mut().filter_map(|r| r.resource.as_mut()).collect()
            }
        }
    }

    /// Every time that is in it and known.
    fn times(&mut self, each: &mut dyn FnMut(&mut u64)) {
        let mut each = |time: &mut u64| {
            if *time > 0 {
                each(time)
            }
        };
        match self {
            Request::Traces(request) => {
                let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
                for span in scopes.flat_map(|scope| &mut scope.spans) {
                    each(&mut span.start_time_unix_nano);
                    each(&mut span.end_time_unix_nano);
                    span.events.iter_mut().for_each(|event| each(&mut event.time_unix_nano));
                }
            }
            Request::Logs(request) => {
                let scopes = request.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
                for record in scopes.flat_map(|scope| &mut scope.log_records) {
                    each(&mut record.time_unix_nano);
                    each(&mut record.observed_time_unix_nano);
                }
            }
            Request::Metrics(request) => points(request, &mut |_, start, time| {
                each(start);
                each(time);
            }),
        }
    }
}

impl Renewal {
    fn renew(self, request: &mut Request) {
        for resource in request.resources() {
            self.name(&mut resource.attributes, self.number);
            resource.attributes.retain(|attribute| attribute.key != "user.id");
            resource.attributes.push(text("user.id", format!("user-{}", self.number % USERS)));
            resource.attributes.push(text("feature", format!("feature-{}", self.number % FEATURES)));
        }
        request.times(&mut |time| *time = time.saturating_add_signed(self.shift));
        match request {
            Request::Traces(request) => {
                let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
                for span in scopes.flat_map(|scope| &mut scope.spans) {
                    self.trace(&mut span.trace_id);
                    span.links.iter_mut().for_each(|link| self.trace(&mut link.trace_id));
                    self.name(&mut span.attributes, self.number);
                }
            }
            Request::Logs(request) => {
                let scopes = request.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
                for record in scopes.flat_map(|scope| &mut scope.log_records) {
                    self.trace(&mut record.trace_id);
                    self.name(&mut record.attributes, self.number);
                }
            }
            Request::Metrics(request) => points(request, &mut |attributes, _, _| {
                self.name(attributes, self.number % SESSIONS);
            }),
        }
    }

    fn trace(self, id: &mut Vec<u8>) {
        if let Ok(known) = <[u8; 16]>::try_from(&id[..]) {
            *id = (u128::from_be_bytes(known) ^ self.ids).to_be_bytes().to_vec();
        }
    }

    /// Sessions, conversations and whatever else something is known by.
    fn name(self, attributes: &mut [KeyValue], number: u64) {
        const OF: [&str; 8] = ["session", "conversation", "prompt", "thread", "turn", "call", "message", "response"];
        for attribute in attributes {
            let key = &attribute.key;
            let is_id =
                ["id", "Id", "uuid"].iter().any(|end| key.ends_with(end)) && OF.iter().any(|of| key.contains(of));
            if let Some(AnyValue { value: Some(Value::StringValue(value)) }) = &mut attribute.value
                && (is_id || key == "gen_ai.prompt.name")
            {
                value.push_str(&format!("-{number}"));
            }
        }
    }
}

/// The attributes, beginning and time of every point.
fn points(request: &mut ExportMetricsServiceRequest, each: &mut dyn FnMut(&mut Vec<KeyValue>, &mut u64, &mut u64)) {
    let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => {
                gauge
                    .data_points
                    .iter_mut()
                    .for_each(|p| each(&mut p.attributes, &mut p.start_time_unix_nano, &mut p.time_unix_nano));
            }
            Some(Data::Sum(sum)) => {
                sum.data_points
                    .iter_mut()
                    .for_each(|p| each(&mut p.attributes, &mut p.start_time_unix_nano, &mut p.time_unix_nano));
            }
            Some(Data::Histogram(histogram)) => {
                histogram
                    .data_points
                    .iter_mut()
                    .for_each(|p| each(&mut p.attributes, &mut p.start_time_unix_nano, &mut p.time_unix_nano));
            }
            _ => {}
        }
    }
}

/// The events of a task that is done, reviewed, and every tenth time given to people, as JSON.
pub fn task(number: u64) -> String {
    let (task, feature) = (format!("task-{number}"), format!("feature-{}", number % FEATURES));
    let seconds = now() as f64 / 1e9;
    let event = |name: &str, payload: serde_json::Value| {
        let mut payload = payload;
        let known =
            [("task_id", task.clone()), ("feature", feature.clone()), ("execution_id", format!("run-{number}"))];
        let more = known.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
        payload.as_object_mut().expect("an object").extend(more);
        serde_json::json!({"event_type": name, "timestamp": seconds, "payload": payload}).to_string()
    };
    let agent = format!("agent-{}", number % 30);
    let mut events = vec![
        event("task_queued", serde_json::json!({"est_cost": 0.45})),
        event("agent_started", serde_json::json!({"agent": agent, "model": "claude-sonnet-4.5"})),
        event(
            "agent_completed",
            serde_json::json!({"agent": agent, "status": "success", "duration_ms": 2500, "cost_usd": 0.12}),
        ),
        event("validation_complete", serde_json::json!({"passed": !number.is_multiple_of(7)})),
    ];
    if number.is_multiple_of(10) {
        events.push(event("hitl_escalated", serde_json::json!({"priority": "high", "attempts": 3})));
        events.push(event("hitl_resolved", serde_json::json!({"decision": "approved"})));
    }
    events.join("\n")
}

fn text(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::StringValue(value)) }), key_strindex: 0 }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}
