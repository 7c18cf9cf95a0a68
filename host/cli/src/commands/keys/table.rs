//! A table in, the same table with a hashed column out, batch by batch.

use std::fs::File;
use std::io::{BufReader, Seek as _, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use arrow::array::{Array as _, AsArray as _, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchReader};
use indicatif::ProgressBar;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Destination;
use super::format::Format;
use super::hasher::Hasher;
use crate::arguments::HashKeys;

/// Rows in memory at once, but for the row group that a Parquet writer gathers.
const BATCH_ROWS: usize = 8_192;
const ROW_GROUP_ROWS: usize = 131_072;

type Writer = Box<dyn Write + Send>;

/// Where a table is written.
enum Sink {
    Csv(Box<arrow::csv::Writer<Writer>>),
    Ndjson(arrow::json::LineDelimitedWriter<Writer>),
    Parquet(Box<ArrowWriter<Writer>>),
}

pub(super) fn hash(
    command: &HashKeys,
    (from, to): (Format, Format),
    column: &str,
    hasher: &mut Hasher,
    bar: &ProgressBar,
) -> Result<()> {
    let unreadable = || format!("cannot read {}", command.input.display());
    let source = open(&command.input, (from, to), column).with_context(unreadable)?;
    let index = find(&source.schema(), column)?;
    let schema = output_schema(&source.schema(), index, command.into.as_deref())?;
    let destination = Destination::new(command.output.as_deref())?;
    let mut sink = Sink::new(to, destination.writer()?, &schema)?;
    let mut rows = 0;
    for batch in source {
        let batch = batch.map_err(|error| readable(error, rows)).with_context(unreadable)?;
        let hashed = hash_column(&batch, index, hasher)?;
        let mut columns = batch.columns().to_vec();
        if command.into.is_some() {
            columns.push(Arc::new(hashed));
        } else if let Some(place) = columns.get_mut(index) {
            *place = Arc::new(hashed);
        }
        sink.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        rows += batch.num_rows();
        bar.set_message(format!("{rows} rows"));
    }
    sink.finish()?;
    hasher.check()?;
    destination.finish()
}

/// What is wrong with a file after so many rows. Arrow's own words for a malformed row show the
/// values in it.
fn readable(error: ArrowError, rows: usize) -> anyhow::Error {
    match error {
        ArrowError::IoError(_, error) => error.into(),
        ArrowError::CsvError(_) => anyhow!(
            "a row after the first {rows} does not have the columns of the header, or is not UTF-8"
        ),
        ArrowError::JsonError(_) => anyhow!(
            "a line after the first {rows} is no JSON object, or has a value of another type than \
             the lines before"
        ),
        ArrowError::ParquetError(words) => anyhow!("it is not valid Parquet: {words}"),
        _ => anyhow!("a row after the first {rows} has a value of another type than its column"),
    }
}

fn find(schema: &Schema, column: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if names.is_empty() {
            return anyhow!("there are no columns; the first line of a CSV file names them");
        }
        anyhow!("there is no column `{column}`; `--column` is one of {}", names.join(", "))
    })
}

/// The input's columns with the hashed one in its place, or behind them under its own name.
fn output_schema(schema: &Schema, index: usize, into: Option<&str>) -> Result<SchemaRef> {
    let mut fields = schema.fields().to_vec();
    match into {
        Some(name) if schema.index_of(name).is_ok() => {
            bail!("there is a column `{name}` already; choose another name for `--into`")
        }
        Some(name) => fields.push(Arc::new(Field::new(name, DataType::Utf8, true))),
        None => {
            if let Some(field) = fields.get_mut(index) {
                *field = Arc::new(Field::new(field.name(), DataType::Utf8, true));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn hash_column(batch: &RecordBatch, index: usize, hasher: &mut Hasher) -> Result<StringArray> {
    let column = batch.column(index);
    let texts = cast(column, &DataType::Utf8).with_context(|| {
        format!("the column is of type {}, which is no text", column.data_type())
    })?;
    let texts = texts.as_string::<i32>();
    Ok((0..texts.len())
        .map(|row| hasher.hash(texts.is_valid(row).then(|| texts.value(row))))
        .collect())
}

/// Reads a table. The column to hash is text whatever it looks like: as a number it would lose
/// its `+` and its zeros.
fn open(
    path: &Path,
    (from, to): (Format, Format),
    column: &str,
) -> Result<Box<dyn RecordBatchReader>> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        bail!("it is a directory; hash its files one by one");
    }
    Ok(match from {
        Format::Csv => {
            let format = arrow::csv::reader::Format::default().with_header(true);
            let (schema, _) = format
                .infer_schema(BufReader::new(&file), None)
                .map_err(|error| readable(error, 0))?;
            file.rewind()?;
            // A CSV copy keeps every other value as it was written.
            let schema = with_text(&schema, |name| to == Format::Csv || name == column);
            let reader = arrow::csv::ReaderBuilder::new(schema).with_format(format);
            Box::new(reader.with_batch_size(BATCH_ROWS).build_buffered(BufReader::new(file))?)
        }
        Format::Ndjson => {
            let (schema, _) = arrow::json::reader::infer_json_schema(BufReader::new(&file), None)
                .map_err(|error| readable(error, 0))?;
            file.rewind()?;
            let schema = with_text(&schema, |name| name == column);
            let reader = arrow::json::ReaderBuilder::new(schema).with_coerce_primitive(true);
            Box::new(reader.with_batch_size(BATCH_ROWS).build(BufReader::new(file))?)
        }
        Format::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
            Box::new(reader.with_batch_size(BATCH_ROWS).build()?)
        }
        Format::Lines => bail!("lines are no table"),
    })
}

fn with_text(schema: &Schema, is_text: impl Fn(&str) -> bool) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if is_text(field.name()) {
            Arc::new(Field::new(field.name(), DataType::Utf8, true))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Sink {
    fn new(format: Format, to: Writer, schema: &SchemaRef) -> Result<Self> {
        Ok(match format {
            Format::Csv => Self::Csv(Box::new(arrow::csv::Writer::new(to))),
            Format::Ndjson => {
                Self::Ndjson(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(to))
            }
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
                Self::Parquet(Box::new(ArrowWriter::try_new(
                    to,
                    schema.clone(),
                    Some(properties.build()),
                )?))
            }
            Format::Lines => bail!("lines are no table"),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Csv(writer) => writer.write(batch)?,
            Self::Ndjson(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Csv(writer) => writer.into_inner().flush()?,
            Self::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Self::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(())
    }
}
