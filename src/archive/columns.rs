//! The columns: their names, their types, and what of an event goes into each. One table says it all.

use std::borrow::Cow;
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

use super::row::{Row, Text};

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
    column("event_id", Value::Name(|row| &row.event.event_id.0)),
    column("name", Value::Name(|row| &row.event.name.0)),
    column("scope", Value::Name(|row| &row.event.scope.0)),
    column("type", Value::Name(|row| &row.event.event_type.0)),
    column("status", Value::Name(|row| &row.event.status.0)),
    column("component_id", Value::Name(|row| &row.event.component_id.0)),
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
    /// What a row takes in memory beside its event, in bytes.
    pub const OVERHEAD: usize = COLUMNS.len() * 24;

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
                Value::Text(of) => push(&mut buffer.texts, of(row).map(|text| within_text(payload, text))),
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

fn within_text(payload: &Bytes, text: &Text<'_>) -> ByteArray {
    match &text.0 {
        Cow::Borrowed(text) => within(payload, text),
        Cow::Owned(text) => Bytes::copy_from_slice(text.as_bytes()).into(),
    }
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
