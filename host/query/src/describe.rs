//! The schema of a party's files, read from their heads and footers.
//!
//! A Parquet or Arrow file says its schema itself. A CSV file has a header row, and the types
//! are inferred from the first [`INFERRED_ROWS`] rows of each file. An NDJSON file's columns
//! and types are inferred from as many lines. What is inferred here is pinned by the table's
//! statement: a later value of another type is an error of the run, never a silent change.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::json::reader::infer_json_schema;
use datafusion::common::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::reader::{ChunkReader, Length};
use glovebox_contract::column::Column;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::arrow_to_column_type;

use crate::arrow_footer;
use crate::error::{Result, error, input};
use crate::guard::catching;
use crate::input::{FileFormat, InputFile};
use crate::store::FileShrank;

/// Rows of each CSV or NDJSON file that decide its column types.
pub const INFERRED_ROWS: usize = 4_096;

/// Bytes of each CSV or NDJSON file that are read at most to infer its types.
const INFERRED_BYTES: u64 = 64 << 20;

/// The columns of a table that consists of `files`.
///
/// All files must have the same columns. Numbers and times of CSV and NDJSON files may be
/// narrower in one file than in another; the wider type wins, and text wins over both. NDJSON
/// columns come in the order of their names.
///
/// # Errors
/// `input-corrupt` when a file is not valid in its format, `input-unreadable` when it cannot be
/// read, `schema-mismatch` when the files differ or a type has no name in a manifest. A file is
/// named by its number, from 1.
pub fn describe(format: FileFormat, files: Vec<InputFile>) -> Result<Vec<Column>> {
    let mut agreed: Option<Schema> = None;
    for (index, file) in files.iter().enumerate() {
        let schema = file_schema(format, file, INFERRED_ROWS)
            .map_err(|failure| input("the table", index, &failure))?;
        agreed = Some(match agreed {
            None => schema,
            Some(before) => merge(format, &before, &schema).ok_or_else(|| {
                mismatch(format!("file {} has other columns or types than file 1", index + 1))
            })?,
        });
    }
    let schema = agreed.ok_or_else(|| mismatch("a table has at least one file".into()))?;
    if schema.fields().is_empty() {
        return Err(mismatch("the files have no columns".into()));
    }
    let mut names = BTreeSet::new();
    schema
        .fields()
        .iter()
        .map(|field| {
            if !names.insert(field.name().as_str()) {
                return Err(mismatch(format!("two columns are named `{}`", shown(field.name()))));
            }
            let column_type =
                arrow_to_column_type(&without_null(field.data_type())).map_err(|_| {
                    mismatch(format!(
                        "column `{}` has a type that is not supported",
                        shown(field.name())
                    ))
                })?;
            Ok(Column { name: field.name().clone(), nullable: field.is_nullable(), column_type })
        })
        .collect()
}

fn mismatch(detail: String) -> glovebox_sandbox::services::HostError {
    error(ReasonCode::SchemaMismatch, detail)
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

/// A column without any value is read as text.
fn without_null(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    }
}

/// The schema that `file` says it has, or seems to have. Metadata is left out.
pub(crate) fn file_schema(
    format: FileFormat,
    file: &InputFile,
    rows: usize,
) -> Result<Schema, DataFusionError> {
    let reader = Positioned::new(file)?;
    let schema = catching(|| match format {
        FileFormat::Parquet => {
            let metadata = ArrowReaderMetadata::load(&reader, ArrowReaderOptions::new())?;
            Ok(metadata.schema().as_ref().clone())
        }
        FileFormat::Csv => {
            let format = Format::default().with_header(true);
            let (schema, _) = format.infer_schema(reader.take(INFERRED_BYTES), Some(rows))?;
            Ok(schema)
        }
        FileFormat::Ndjson => {
            let (schema, _) =
                infer_json_schema(BufReader::new(reader.take(INFERRED_BYTES)), Some(rows))?;
            Ok(Schema::new(by_name(schema.fields())))
        }
        FileFormat::ArrowIpc => {
            arrow_footer::check(file)?;
            let reader = arrow::ipc::reader::FileReader::try_new(BufReader::new(reader), None)?;
            Ok(reader.schema().as_ref().clone())
        }
    })?;
    Ok(Schema::new(schema.fields().iter().map(|field| plain(field)).collect::<Vec<_>>()))
}

/// The fields in the order of their names, at every depth: JSON objects have no order, and the
/// inference returns them in a random one.
fn by_name(fields: &Fields) -> Vec<FieldRef> {
    let mut sorted: Vec<FieldRef> = fields
        .iter()
        .map(|field| {
            let data_type = by_name_type(field.data_type());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        })
        .collect();
    sorted.sort_by(|one, other| one.name().cmp(other.name()));
    sorted
}

fn by_name_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(by_name(fields).into()),
        DataType::List(item) => {
            let item_type = by_name_type(item.data_type());
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(item_type)))
        }
        other => other.clone(),
    }
}

fn plain(field: &Field) -> Field {
    Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
}

/// `data_type` without the metadata of nested fields.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) => DataType::List(Arc::new(plain(item))),
        DataType::LargeList(item) => DataType::LargeList(Arc::new(plain(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain(field)).collect())
        }
        other => other.clone(),
    }
}

fn merge(format: FileFormat, one: &Schema, other: &Schema) -> Option<Schema> {
    let named = one.fields().len() == other.fields().len()
        && one.fields().iter().zip(other.fields()).all(|(one, other)| one.name() == other.name());
    match format {
        FileFormat::Parquet | FileFormat::ArrowIpc => {
            let same = named
                && one
                    .fields()
                    .iter()
                    .zip(other.fields())
                    .all(|(one, other)| one.data_type() == other.data_type());
            same.then(|| widen(one, other))
        }
        FileFormat::Csv => named.then(|| widen(one, other)),
        FileFormat::Ndjson => {
            // A line may leave a field out, so files may too.
            let mut merged = widen(one, other).fields().to_vec();
            for field in other.fields() {
                if one.field_with_name(field.name()).is_err() {
                    merged.push(Arc::clone(field));
                }
            }
            Some(Schema::new(by_name(&merged.into())))
        }
    }
}

/// The fields of `one`, with the wider type where `other` has another.
fn widen(one: &Schema, other: &Schema) -> Schema {
    let fields = one.fields().iter().map(|field| match other.field_with_name(field.name()) {
        Ok(found) => Arc::new(Field::new(
            field.name(),
            wider(field.data_type(), found.data_type()),
            field.is_nullable() || found.is_nullable(),
        )),
        Err(_) => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn wider(one: &DataType, other: &DataType) -> DataType {
    use DataType::{Date32, Float64, Int64, Null, Timestamp, Utf8};
    match (one, other) {
        (one, other) if one == other => one.clone(),
        (Null, known) | (known, Null) => known.clone(),
        (Int64, Float64) | (Float64, Int64) => Float64,
        (Date32, time @ Timestamp(_, None)) | (time @ Timestamp(_, None), Date32) => time.clone(),
        (Timestamp(a, None), Timestamp(b, None)) => Timestamp(finer(*a, *b), None),
        _ => Utf8,
    }
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    one.max(other)
}

/// Checks that `input` is still as long as it was.
pub(crate) fn check_length(input: &InputFile) -> Result<(), DataFusionError> {
    if input.file.metadata()?.len() < input.bytes {
        return Err(DataFusionError::External(Box::new(FileShrank)));
    }
    Ok(())
}

/// Reads an input file from its start, at positions, without moving the shared cursor.
struct Positioned<'a> {
    file: &'a File,
    bytes: u64,
    position: u64,
}

impl<'a> Positioned<'a> {
    fn new(input: &'a InputFile) -> Result<Self, DataFusionError> {
        check_length(input)?;
        Ok(Self { file: &input.file, bytes: input.bytes, position: 0 })
    }
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = self.file.read_at(part, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Length for Positioned<'_> {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Positioned<'_> {
    type T = BufReader<std::io::Cursor<bytes::Bytes>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let length = usize::try_from(self.bytes.saturating_sub(start))
            .map_err(|_| ParquetError::EOF("file too large".into()))?;
        Ok(BufReader::new(std::io::Cursor::new(self.get_bytes(start, length)?)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF("range outside the file".into()));
        }
        let mut buffer = vec![0; length];
        self.file
            .read_exact_at(&mut buffer, start)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(buffer.into())
    }
}

/// The names in the header row of a CSV file.
pub(crate) fn csv_header(file: &InputFile) -> Result<Vec<String>, DataFusionError> {
    let schema = file_schema(FileFormat::Csv, file, 0)?;
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}
