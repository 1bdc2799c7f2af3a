//! The columns: their names, their types, and what of an event goes into each. One table says it all.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::row::Row;
use crate::history::Text;

/// A column: what it is called, and its value of an event.
struct Column {
    name: &'static str,
    value: Value,
}

/// What kind of value, and where it comes from.
enum Value {
    /// Always there.
    Name(for<'r> fn(&'r Row<'_>) -> &'r str),
    Text(for<'r> fn(&'r Row<'_>) -> Option<&'r Text<'r>>),
    /// Microseconds since 1970, UTC.
    Time(fn(&Row<'_>) -> Option<i64>),
    Whole(fn(&Row<'_>) -> Option<i64>),
    Number(fn(&Row<'_>) -> Option<f64>),
    Flag(fn(&Row<'_>) -> Option<bool>),
}

const fn column(name: &'static str, value: Value) -> Column {
    Column { name, value }
}

/// The column of the whole event.
const EVENT: &str = "event";

const COLUMNS: &[Column] = &[
    column("journal", Value::Name(|row| row.journal)),
    column("offset", Value::Whole(|row| whole(Some(row.offset)))),
    column("event_id", Value::Name(|row| row.event.event_id.as_str())),
    column("name", Value::Name(|row| row.event.name.as_str())),
    column("scope", Value::Name(|row| row.event.scope.as_str())),
    column("type", Value::Name(|row| row.event.event_type.as_str())),
    column("status", Value::Name(|row| row.event.status.as_str())),
    column("component_id", Value::Name(|row| row.event.component_id.as_str())),
    column("timestamp", Value::Time(|row| Some(row.time.as_micros()))),
    column("observed_at", Value::Time(|row| row.event.observed_at().map(|time| time.as_micros()))),
    column("message", Value::Text(|row| row.event.message.as_ref())),
    column("trace_id", Value::Text(|row| row.event.trace_id.as_ref())),
    column("span_id", Value::Text(|row| row.event.span_id.as_ref())),
    column("parent_span_id", Value::Text(|row| row.event.parent_span_id.as_ref())),
    column("workflow_id", Value::Text(|row| row.event.workflow_id.as_ref())),
    column("parent_workflow_id", Value::Text(|row| row.event.parent_workflow_id.as_ref())),
    column("execution_id", Value::Text(|row| row.event.execution_id())),
    column("conversation_id", Value::Text(|row| row.event.conversation_id.as_ref())),
    column("session_id", Value::Text(|row| row.event.session_id.as_ref())),
    column("user_id", Value::Text(|row| row.event.user_id.as_ref())),
    column("correlation_id", Value::Text(|row| row.event.correlation_id.as_ref())),
    column("task_id", Value::Text(|row| row.event.task_id.as_ref())),
    column("feature", Value::Text(|row| row.event.feature.as_ref())),
    column("agent", Value::Text(|row| row.event.agent.as_ref())),
    column("model", Value::Text(|row| row.event.model.as_ref())),
    column("provider", Value::Text(|row| row.event.provider.as_ref())),
    column("tool", Value::Text(|row| row.event.tool.as_ref())),
    column("priority", Value::Whole(|row| row.event.priority)),
    column("duration_ms", Value::Number(|row| row.event.performance.duration_ms)),
    column("cost_usd", Value::Number(|row| row.event.performance.cost_usd)),
    column("input_tokens", Value::Whole(|row| whole(row.event.performance.input_tokens))),
    column("output_tokens", Value::Whole(|row| whole(row.event.performance.output_tokens))),
    column("cache_read_tokens", Value::Whole(|row| whole(row.event.performance.cache_read_tokens))),
    column("cache_write_tokens", Value::Whole(|row| whole(row.event.performance.cache_write_tokens))),
    column("reasoning_tokens", Value::Whole(|row| whole(row.event.performance.reasoning_tokens))),
    column("ttft_ms", Value::Number(|row| row.event.performance.ttft_ms)),
    column("success", Value::Flag(|row| row.event.performance.success)),
    column("confidence", Value::Number(|row| row.event.performance.confidence)),
    column("source_kind", Value::Text(|row| row.event.source.kind.as_ref())),
    column("source_dialect", Value::Text(|row| row.event.source.dialect.as_ref())),
    column("source_instance", Value::Text(|row| row.event.source.instance.as_ref())),
    column("source_service", Value::Text(|row| row.event.source.service.as_ref())),
    column(EVENT, Value::Name(|row| row.json)),
];

/// Readers know no unsigned numbers as well; what does not fit is in the event, and not changed here.
fn whole(number: Option<u64>) -> Option<i64> {
    number.and_then(|number| i64::try_from(number).ok())
}

/// The schema of every file.
///
/// # Errors
/// None that could happen: the table above is what it is made of.
pub fn schema() -> Result<TypePtr> {
    let fields = COLUMNS.iter().map(|column| {
        let (physical, logical) = match column.value {
            Value::Name(_) | Value::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Value::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Value::Whole(_) => (Physical::INT64, None),
            Value::Number(_) => (Physical::DOUBLE, None),
            Value::Flag(_) => (Physical::BOOLEAN, None),
        };
        let repetition =
            if matches!(column.value, Value::Name(_)) { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        let field = Type::primitive_type_builder(column.name, physical);
        field.with_repetition(repetition).with_logical_type(logical).build().map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Type::group_type_builder("events").with_fields(fields).build().map(Arc::new)
}

/// How every file is written: nothing in it depends on when or where that happens.
///
/// # Errors
/// None that could happen.
pub fn properties() -> Result<WriterPropertiesPtr> {
    let event = ColumnPath::from(EVENT);
    let properties = WriterProperties::builder()
        .set_created_by(concat!("spanlight ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // No two events are the same, and nobody looks for the smallest.
        .set_column_dictionary_enabled(event.clone(), false)
        .set_column_statistics_enabled(event, EnabledStatistics::None);
    Ok(Arc::new(properties.build()))
}

/// Rows by their columns, until there are enough of them for a row group.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<Buffer>,
    count: usize,
}

/// The values of a column that are there, and for each row whether there is one.
#[derive(Debug, Default)]
struct Buffer {
    present: Vec<i16>,
    texts: Vec<ByteArray>,
    wholes: Vec<i64>,
    numbers: Vec<f64>,
    flags: Vec<bool>,
}

impl Rows {
    /// What a row takes in memory at most beside its event, in bytes.
    pub const OVERHEAD: usize = COLUMNS.len() * (size_of::<ByteArray>() + size_of::<i16>());

    /// None yet.
    pub fn new() -> Rows {
        Rows { columns: COLUMNS.iter().map(|_| Buffer::default()).collect(), count: 0 }
    }

    /// Takes a row, whose texts are parts of this payload where they stand there as they are.
    pub fn push(&mut self, row: &Row<'_>, payload: &Bytes) {
        self.count += 1;
        for (buffer, column) in self.columns.iter_mut().zip(COLUMNS) {
            let is_there = match column.value {
                Value::Name(of) => push(&mut buffer.texts, Some(of(row)).map(|text| within(payload, text))),
                Value::Text(of) => push(&mut buffer.texts, of(row).map(|text| within(payload, text.as_str()))),
                Value::Time(of) | Value::Whole(of) => push(&mut buffer.wholes, of(row)),
                Value::Number(of) => push(&mut buffer.numbers, of(row)),
                Value::Flag(of) => push(&mut buffer.flags, of(row)),
            };
            buffer.present.push(i16::from(is_there));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes all of them as a row group, and has none any more.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut group = file.next_row_group()?;
        for (buffer, column) in self.columns.iter_mut().zip(COLUMNS) {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General(format!("there is no column {}", column.name)));
            };
            buffer.write(writer.untyped(), matches!(column.value, Value::Name(_)))?;
            writer.close()?;
            *buffer = Buffer::default();
        }
        self.count = 0;
        group.close().map(drop)
    }
}

impl Buffer {
    fn write(&self, writer: &mut ColumnWriter<'_>, is_required: bool) -> Result<()> {
        let present = (!is_required).then_some(self.present.as_slice());
        let written = match writer {
            ColumnWriter::ByteArrayColumnWriter(writer) => writer.write_batch(&self.texts, present, None)?,
            ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&self.wholes, present, None)?,
            ColumnWriter::DoubleColumnWriter(writer) => writer.write_batch(&self.numbers, present, None)?,
            ColumnWriter::BoolColumnWriter(writer) => writer.write_batch(&self.flags, present, None)?,
            _ => return Err(ParquetError::General("the schema has a type that no column is of".into())),
        };
        let wanted = self.texts.len() + self.wholes.len() + self.numbers.len() + self.flags.len();
        if written == wanted {
            Ok(())
        } else {
            Err(ParquetError::General(format!("{written} of {wanted} were written")))
        }
    }
}

fn push<T>(values: &mut Vec<T>, value: Option<T>) -> bool {
    let before = values.len();
    values.extend(value);
    values.len() > before
}

/// A text without copying it, if it stands in the payload.
fn within(payload: &Bytes, text: &str) -> ByteArray {
    let whole = payload.as_ptr_range();
    let part = text.as_bytes().as_ptr_range();
    if !part.is_empty() && whole.start <= part.start && part.end <= whole.end {
        payload.slice_ref(text.as_bytes()).into()
    } else {
        Bytes::copy_from_slice(text.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::event::{Data, Event, EventName, Performance, Source, SourceKind, Timestamp, TraceId};

    fn text() -> impl Strategy<Value = Option<Arc<str>>> {
        proptest::option::of("\\PC{0,12}|[\"\\\\\\n\u{0}]{1,3}".prop_map(|text| text.as_str().into()))
    }

    fn performance() -> impl Strategy<Value = Performance> {
        let number = || proptest::option::of(0.0..1e9);
        let whole = || proptest::option::of(0..i64::MAX as u64);
        (number(), number(), [whole(), whole(), whole(), whole(), whole()], proptest::option::of(any::<bool>()))
            .prop_map(|(duration_ms, cost_usd, [input, output, read, write, reasoning], success)| Performance {
                duration_ms,
                cost_usd,
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: read,
                cache_write_tokens: write,
                reasoning_tokens: reasoning,
                ttft_ms: duration_ms,
                success,
                confidence: success.map(|_| 0.5),
            })
    }

    fn event() -> impl Strategy<Value = Event> {
        let name = proptest::sample::select(vec!["llm.completed", "tool.failed", "my.own"]);
        let texts = [(); 8].map(|()| text());
        let trace = proptest::option::of(1..u128::MAX);
        (name, 0..4_000_000_000_000_000i64, texts, trace, performance()).prop_map(
            |(name, micros, texts, trace, performance)| {
                let mut event = Event::named(EventName::parse(name).unwrap(), Timestamp::from_micros(micros));
                let [agent, model, feature, user, execution, message, service, said] = texts;
                event.dimensions.agent = agent;
                event.dimensions.model = model;
                event.dimensions.feature = feature;
                event.identity.user_id = user;
                event.identity.execution_id = execution;
                event.message = message;
                event.trace_id = trace.and_then(|id| TraceId::from_bytes(&id.to_be_bytes()));
                event.performance = performance;
                event.data = Data::build(|data| said.iter().for_each(|said| data.str("said", said)));
                event.source = Source { kind: SourceKind::Http, dialect: None, instance: None, service };
                event
            },
        )
    }

    fn file(events: &[String]) -> Vec<u8> {
        let (mut rows, mut out) = (Rows::new(), Vec::new());
        let mut file = SerializedFileWriter::new(&mut out, schema().unwrap(), properties().unwrap()).unwrap();
        for (offset, json) in (7..).zip(events) {
            let payload = Bytes::from(json.clone());
            rows.push(&Row::read("of-this-journal", offset, &payload).unwrap(), &payload);
            if offset % 3 == 0 {
                rows.write(&mut file).unwrap();
            }
        }
        if !rows.is_empty() {
            rows.write(&mut file).unwrap();
        }
        file.close().unwrap();
        out
    }

    /// What a column should hold, by where it stands in the JSON.
    fn expected(json: &Json, column: &str) -> Field {
        let member = |key: &str| json.get(key).cloned().unwrap_or_default();
        let micros = |text: Json| text.as_str().and_then(Timestamp::parse).map(Timestamp::as_micros);
        let value = match column {
            "timestamp" | "observed_at" => {
                return micros(member(column)).map_or(Field::Null, Field::TimestampMicros);
            }
            "execution_id" if member(column).is_null() => member("trace_id"),
            column if column.starts_with("source_") => json["source"][&column["source_".len()..]].clone(),
            column if !json["performance"][column].is_null() => json["performance"][column].clone(),
            column => member(column),
        };
        match value {
            Json::Null => Field::Null,
            Json::String(text) => Field::Str(text),
            Json::Bool(flag) => Field::Bool(flag),
            Json::Number(number) if ["duration_ms", "cost_usd", "ttft_ms", "confidence"].contains(&column) => {
                Field::Double(number.as_f64().unwrap())
            }
            Json::Number(number) => Field::Long(number.as_i64().unwrap()),
            other => panic!("{column}: {other}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_column_holds_what_the_event_says(events in proptest::collection::vec(event(), 1..8)) {
            let events: Vec<String> = events.iter().map(Event::to_json).collect();
            let bytes = file(&events);
            prop_assert_eq!(&bytes, &file(&events), "the same events are the same bytes");
            let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
            let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), events.len());
            for (offset, (row, event)) in (7..).zip(rows.iter().zip(&events)) {
                let json: Json = serde_json::from_str(event).unwrap();
                for (name, field) in row.get_column_iter() {
                    let expected = match name.as_str() {
                        "journal" => Field::Str("of-this-journal".into()),
                        "offset" => Field::Long(offset),
                        EVENT => Field::Str(event.clone()),
                        name => expected(&json, name),
                    };
                    prop_assert_eq!(field, &expected, "{}", name);
                }
            }
        }
    }

    #[test]
    fn what_no_column_can_hold_is_in_the_event() {
        let json = r#"{"event_id":"a","name":"b.c","scope":"agent","type":"progress","status":"running","component_id":"x",
            "timestamp":"2026-11-22T00:00:00Z","performance":{"input_tokens":18446744073709551615}}"#;
        let reader = SerializedFileReader::new(Bytes::from(file(&[json.to_owned()]))).unwrap();
        let row = reader.get_row_iter(None).unwrap().next().unwrap().unwrap();
        let field = |name: &str| row.get_column_iter().find(|(column, _)| *column == name).unwrap().1.clone();
        assert_eq!((field("input_tokens"), field(EVENT)), (Field::Null, Field::Str(json.to_owned())));
        assert!(Row::read("j", 0, br#"{"name":"b.c"}"#).is_none() && Row::read("j", 0, b"\xff").is_none());
    }
}
