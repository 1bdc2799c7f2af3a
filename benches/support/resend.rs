//! Requests that can be sent again as if for the first time: just ended, and of traces that nobody has seen.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// An encoded request, and where in it stands what changes.
pub struct Request {
    bytes: Vec<u8>,
    spans: Vec<Places>,
    /// When the last of its spans ended, in nanoseconds.
    end: u64,
}

/// Where a span has its trace's id and its times.
struct Places {
    trace_id: usize,
    times: [usize; 2],
}

impl Request {
    /// Of a request of traces, in whose ids the first four bytes tell nothing apart.
    pub fn new(bytes: Vec<u8>) -> Request {
        let decoded = ExportTraceServiceRequest::decode(&bytes[..]).expect("valid");
        let spans = decoded.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|it| &it.spans);
        let (mut places, mut end, mut from) = (Vec::new(), 0, 0);
        // Fields are in the order of their numbers: 1 is the trace's id, 7 and 8 are the times.
        let mut find = |tag: &[u8], value: &[u8]| {
            let field = [tag, value].concat();
            let at = bytes[from..].windows(field.len()).position(|bytes| bytes == field).expect("it is there");
            from += at + field.len();
            from - value.len()
        };
        for span in spans {
            let trace_id = find(&[0x0a, 16], &span.trace_id);
            let start = find(&[0x39], &span.start_time_unix_nano.to_le_bytes());
            let times = [start, find(&[0x41], &span.end_time_unix_nano.to_le_bytes())];
            places.push(Places { trace_id, times });
            end = end.max(span.end_time_unix_nano);
        }
        Request { bytes, spans: places, end }
    }

    /// The same work, done just now, for the so manyth time; behind some other bytes.
    pub fn again(&self, number: u32, before: &[u8]) -> Vec<u8> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set");
        let later = (now.as_nanos() as u64).wrapping_sub(self.end);
        let mut all = [before, &self.bytes].concat();
        let bytes = &mut all[before.len()..];
        for Places { trace_id, times } in &self.spans {
            bytes[*trace_id..trace_id + 4].copy_from_slice(&number.to_be_bytes());
            for at in times {
                let time: &mut [u8; 8] = bytes[*at..].first_chunk_mut().expect("a time");
                *time = u64::from_le_bytes(*time).wrapping_add(later).to_le_bytes();
            }
        }
        all
    }

    /// As it was made.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
