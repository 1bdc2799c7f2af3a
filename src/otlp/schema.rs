//! The OTLP 1.11 messages as tables: field numbers, JSON names and kinds.
//!
//! One set of tables drives the check at the door, the JSON transcoder both ways and the normaliser, so the
//! schema is written down once. Numbers and names: opentelemetry-proto 1.11.

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Message as Msg, Sfixed64, Sint32, String, Uint32,
    Uint64,
};

/// A message type: its fields, and how they are found.
#[derive(Debug)]
pub struct Message {
    /// The protobuf name, for error messages.
    pub name: &'static str,
    /// All fields, in order of number.
    pub fields: &'static [Field],
    /// Whether each of these is one of the things a signal counts (a span, a log record, a data point), and then the field
    /// number of its attributes, which most of its bytes are.
    pub item: Option<u8>,
    /// The field numbers, as bits, of ids without which the item is invalid.
    pub required_ids: u32,
    positions: [u8; Message::NUMBERS],
}

/// One field of a [`Message`].
#[derive(Debug)]
pub struct Field {
    /// The field number.
    pub number: u32,
    /// The lowerCamelCase name that OTLP/JSON uses.
    pub name: &'static str,
    /// How the value is encoded.
    pub kind: Kind,
    /// How often it may occur.
    pub rule: Rule,
}

/// How a field's value is encoded, in protobuf and in JSON.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A varint of 0 or 1.
    Bool,
    /// A varint; in JSON an integer, never a name.
    Enum,
    /// A varint of 32 bits, sign-extended to 64 when negative.
    Int32,
    /// A zigzag varint of 32 bits.
    Sint32,
    /// A varint of 32 bits.
    Uint32,
    /// A varint of 64 bits; in JSON a string.
    Int64,
    /// A varint of 64 bits; in JSON a string.
    Uint64,
    /// Four bytes, little-endian.
    Fixed32,
    /// Eight bytes, little-endian; in JSON a string.
    Fixed64,
    /// Eight bytes, little-endian, signed; in JSON a string.
    Sfixed64,
    /// IEEE 754, eight bytes.
    Double,
    /// UTF-8.
    String,
    /// Any bytes; in JSON base64.
    Bytes,
    /// Bytes that are an id of this length; in JSON hexadecimal.
    Id(usize),
    /// A nested message.
    Message(&'static Message),
}

/// How protobuf lays a kind out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// Seven bits a byte.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// A length, then as many bytes.
    LengthDelimited,
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At most once; of several scalars the last counts, several messages are merged.
    Singular,
    /// Any number of times; numbers may be packed.
    Repeated,
    /// At most one field of the message's only oneof.
    Oneof,
}

impl Message {
    /// One more than the highest field number of any OTLP message.
    const NUMBERS: usize = 17;

    /// The field of a number, if the schema knows it.
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let position = *self.positions.get(number as usize)?;
        self.fields.get(position as usize)
    }

    /// The field of a JSON name; snake_case is accepted as protobuf's own JSON parsers accept it.
    pub fn field_named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name).or_else(|| {
            let camel = camel_case(name)?;
            self.fields.iter().find(|field| field.name == camel)
        })
    }

    const fn new(name: &'static str, fields: &'static [Field]) -> Message {
        let mut positions = [u8::MAX; Message::NUMBERS];
        let mut at = 0;
        while at < fields.len() {
            positions[fields[at].number as usize] = at as u8;
            at += 1;
        }
        Message { name, fields, item: None, required_ids: 0, positions }
    }

    const fn item_with_attributes(mut self, number: u8) -> Message {
        self.item = Some(number);
        self
    }

    const fn requires_ids(mut self, numbers: &[u32]) -> Message {
        let mut at = 0;
        while at < numbers.len() {
            self.required_ids |= 1 << numbers[at];
            at += 1;
        }
        self
    }
}

impl Kind {
    /// The wire type that a value of this kind has.
    pub fn wire_type(self) -> WireType {
        match self {
            Bool | Enum | Int32 | Sint32 | Uint32 | Int64 | Uint64 => WireType::Varint,
            Fixed64 | Sfixed64 | Double => WireType::Fixed64,
            Fixed32 => WireType::Fixed32,
            String | Bytes | Id(_) | Msg(_) => WireType::LengthDelimited,
        }
    }
}

fn camel_case(name: &str) -> Option<std::string::String> {
    if !name.contains('_') {
        return None;
    }
    let mut words = name.split('_');
    let mut camel = words.next()?.to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    Some(camel)
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, rule: Rule::Singular }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, rule: Rule::Repeated }
}

const fn either(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, rule: Rule::Oneof }
}

/// `ExportTraceServiceRequest`, and `TracesData` alike.
pub static TRACES: Message =
    Message::new("ExportTraceServiceRequest", &[many(1, "resourceSpans", Msg(&RESOURCE_SPANS))]);
/// `ExportMetricsServiceRequest`, and `MetricsData` alike.
pub static METRICS: Message =
    Message::new("ExportMetricsServiceRequest", &[many(1, "resourceMetrics", Msg(&RESOURCE_METRICS))]);
/// `ExportLogsServiceRequest`, and `LogsData` alike.
pub static LOGS: Message = Message::new("ExportLogsServiceRequest", &[many(1, "resourceLogs", Msg(&RESOURCE_LOGS))]);

static RESOURCE_SPANS: Message = Message::new(
    "ResourceSpans",
    &[one(1, "resource", Msg(&RESOURCE)), many(2, "scopeSpans", Msg(&SCOPE_SPANS)), one(3, "schemaUrl", String)],
);
static SCOPE_SPANS: Message = Message::new(
    "ScopeSpans",
    &[one(1, "scope", Msg(&SCOPE)), many(2, "spans", Msg(&SPAN)), one(3, "schemaUrl", String)],
);
/// `Span`.
pub static SPAN: Message = Message::new(
    "Span",
    &[
        one(1, "traceId", Id(16)),
        one(2, "spanId", Id(8)),
        one(3, "traceState", String),
        one(4, "parentSpanId", Id(8)),
        one(5, "name", String),
        one(6, "kind", Enum),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Msg(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Msg(&SPAN_EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Msg(&SPAN_LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Msg(&STATUS)),
        one(16, "flags", Fixed32),
    ],
)
.item_with_attributes(9)
.requires_ids(&[1, 2]);
static SPAN_EVENT: Message = Message::new(
    "Span.Event",
    &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", String),
        many(3, "attributes", Msg(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
);
static SPAN_LINK: Message = Message::new(
    "Span.Link",
    &[
        one(1, "traceId", Id(16)),
        one(2, "spanId", Id(8)),
        one(3, "traceState", String),
        many(4, "attributes", Msg(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    ],
);
static STATUS: Message = Message::new("Status", &[one(2, "message", String), one(3, "code", Enum)]);

static RESOURCE_LOGS: Message = Message::new(
    "ResourceLogs",
    &[one(1, "resource", Msg(&RESOURCE)), many(2, "scopeLogs", Msg(&SCOPE_LOGS)), one(3, "schemaUrl", String)],
);
static SCOPE_LOGS: Message = Message::new(
    "ScopeLogs",
    &[one(1, "scope", Msg(&SCOPE)), many(2, "logRecords", Msg(&LOG_RECORD)), one(3, "schemaUrl", String)],
);
static LOG_RECORD: Message = Message::new(
    "LogRecord",
    &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "severityNumber", Enum),
        one(3, "severityText", String),
        one(5, "body", Msg(&ANY_VALUE)),
        many(6, "attributes", Msg(&KEY_VALUE)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", Id(16)),
        one(10, "spanId", Id(8)),
        one(11, "observedTimeUnixNano", Fixed64),
        one(12, "eventName", String),
    ],
)
.item_with_attributes(6);

static RESOURCE_METRICS: Message = Message::new(
    "ResourceMetrics",
    &[one(1, "resource", Msg(&RESOURCE)), many(2, "scopeMetrics", Msg(&SCOPE_METRICS)), one(3, "schemaUrl", String)],
);
static SCOPE_METRICS: Message = Message::new(
    "ScopeMetrics",
    &[one(1, "scope", Msg(&SCOPE)), many(2, "metrics", Msg(&METRIC)), one(3, "schemaUrl", String)],
);
static METRIC: Message = Message::new(
    "Metric",
    &[
        one(1, "name", String),
        one(2, "description", String),
        one(3, "unit", String),
        either(5, "gauge", Msg(&GAUGE)),
        either(7, "sum", Msg(&SUM)),
        either(9, "histogram", Msg(&HISTOGRAM)),
        either(10, "exponentialHistogram", Msg(&EXPONENTIAL_HISTOGRAM)),
        either(11, "summary", Msg(&SUMMARY)),
        many(12, "metadata", Msg(&KEY_VALUE)),
    ],
);
static GAUGE: Message = Message::new("Gauge", &[many(1, "dataPoints", Msg(&NUMBER_DATA_POINT))]);
static SUM: Message = Message::new(
    "Sum",
    &[
        many(1, "dataPoints", Msg(&NUMBER_DATA_POINT)),
        one(2, "aggregationTemporality", Enum),
        one(3, "isMonotonic", Bool),
    ],
);
static HISTOGRAM: Message = Message::new(
    "Histogram",
    &[many(1, "dataPoints", Msg(&HISTOGRAM_DATA_POINT)), one(2, "aggregationTemporality", Enum)],
);
static EXPONENTIAL_HISTOGRAM: Message = Message::new(
    "ExponentialHistogram",
    &[many(1, "dataPoints", Msg(&EXPONENTIAL_DATA_POINT)), one(2, "aggregationTemporality", Enum)],
);
static SUMMARY: Message = Message::new("Summary", &[many(1, "dataPoints", Msg(&SUMMARY_DATA_POINT))]);
static NUMBER_DATA_POINT: Message = Message::new(
    "NumberDataPoint",
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        either(4, "asDouble", Double),
        many(5, "exemplars", Msg(&EXEMPLAR)),
        either(6, "asInt", Sfixed64),
        many(7, "attributes", Msg(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
)
.item_with_attributes(7);
static HISTOGRAM_DATA_POINT: Message = Message::new(
    "HistogramDataPoint",
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Msg(&EXEMPLAR)),
        many(9, "attributes", Msg(&KEY_VALUE)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
)
.item_with_attributes(9);
static EXPONENTIAL_DATA_POINT: Message = Message::new(
    "ExponentialHistogramDataPoint",
    &[
        many(1, "attributes", Msg(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Msg(&BUCKETS)),
        one(9, "negative", Msg(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Msg(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zeroThreshold", Double),
    ],
)
.item_with_attributes(1);
static BUCKETS: Message = Message::new("Buckets", &[one(1, "offset", Sint32), many(2, "bucketCounts", Uint64)]);
static SUMMARY_DATA_POINT: Message = Message::new(
    "SummaryDataPoint",
    &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Msg(&QUANTILE)),
        many(7, "attributes", Msg(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
)
.item_with_attributes(7);
static QUANTILE: Message = Message::new("ValueAtQuantile", &[one(1, "quantile", Double), one(2, "value", Double)]);
static EXEMPLAR: Message = Message::new(
    "Exemplar",
    &[
        one(2, "timeUnixNano", Fixed64),
        either(3, "asDouble", Double),
        one(4, "spanId", Id(8)),
        one(5, "traceId", Id(16)),
        either(6, "asInt", Sfixed64),
        many(7, "filteredAttributes", Msg(&KEY_VALUE)),
    ],
);

static RESOURCE: Message = Message::new(
    "Resource",
    &[
        many(1, "attributes", Msg(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Msg(&ENTITY_REF)),
    ],
);
static ENTITY_REF: Message = Message::new(
    "EntityRef",
    &[
        one(1, "schemaUrl", String),
        one(2, "type", String),
        many(3, "idKeys", String),
        many(4, "descriptionKeys", String),
    ],
);
static SCOPE: Message = Message::new(
    "InstrumentationScope",
    &[
        one(1, "name", String),
        one(2, "version", String),
        many(3, "attributes", Msg(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
);
/// `KeyValue`: an attribute.
pub static KEY_VALUE: Message =
    Message::new("KeyValue", &[one(1, "key", String), one(2, "value", Msg(&ANY_VALUE)), one(3, "keyStrindex", Int32)]);
/// `AnyValue`: an attribute's value or a log record's body.
pub static ANY_VALUE: Message = Message::new(
    "AnyValue",
    &[
        either(1, "stringValue", String),
        either(2, "boolValue", Bool),
        either(3, "intValue", Int64),
        either(4, "doubleValue", Double),
        either(5, "arrayValue", Msg(&ARRAY_VALUE)),
        either(6, "kvlistValue", Msg(&KEY_VALUE_LIST)),
        either(7, "bytesValue", Bytes),
        either(8, "stringValueStrindex", Int32),
    ],
);
static ARRAY_VALUE: Message = Message::new("ArrayValue", &[many(1, "values", Msg(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message::new("KeyValueList", &[many(1, "values", Msg(&KEY_VALUE))]);
