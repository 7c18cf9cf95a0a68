//! The schema of a party's files, read from their heads and footers.
//!
//! A Parquet or Arrow file says its schema itself. A CSV file has a header row, and the types
//! are inferred from the first [`INFERRED_ROWS`] rows of each file. An NDJSON file's columns
//! and types are inferred from as many lines. What is inferred here is pinned by the table's
//! statement: a later value of another type is an error of the run, never a silent change.

use std::collections::BTreeSet;
use std::io::{BufReader, Read as _};
use std::sync::Arc;

use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::json::reader::infer_json_schema;
use datafusion::common::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use glovebox_contract::column::Column;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::arrow_to_column_type;

use crate::arrow_footer;
use crate::error::{Result, broker, error, input};
use crate::guard::catching;
use crate::input::{BrokeredFiles, FileFormat, InputFile};
use crate::read_at::{Fetched, Positioned, ReadAt};

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
    let schemas = files.iter().enumerate().map(|(index, file)| {
        file_schema(format, file, INFERRED_ROWS)
            .map_err(|failure| input("the table", index, &failure))
    });
    columns(agreed(format, schemas)?.fields())
}

/// The columns of a table whose files a broker reads, those of partitions at the end.
///
/// # Errors
/// As [`describe`], and what the broker says.
pub fn describe_brokered(table: &BrokeredFiles) -> Result<Vec<Column>> {
    let schemas = fetched_schemas("the table", table, INFERRED_ROWS)?;
    let schema = agreed(table.format, schemas.into_iter().map(Ok))?;
    let is_partition =
        |name: &str| table.partition_columns.iter().any(|column| column.name == name);
    let shadowed = schema.fields().iter().find(|field| is_partition(field.name()));
    // These readers find columns by their places, so none can be left out.
    if let Some(field) = shadowed.filter(|_| by_position(table.format)) {
        return Err(mismatch(format!(
            "column `{}` is in the files and in the names of their folders",
            shown(field.name())
        )));
    }
    let own: Vec<FieldRef> =
        schema.fields().iter().filter(|field| !is_partition(field.name())).cloned().collect();
    let mut all = columns(&own.into())?;
    all.extend(table.partition_columns.iter().cloned());
    Ok(all)
}

/// Whether the reader of a format finds columns by their places and not by their names.
pub(crate) fn by_position(format: FileFormat) -> bool {
    matches!(format, FileFormat::Csv | FileFormat::ArrowIpc)
}

/// Threads that look into files which a broker reads, at most.
const FETCHING_THREADS: usize = 4;

/// The schemas of all files, which are looked into side by side. Errors call the table `what`.
/// Must not be called on a thread of a runtime.
pub(crate) fn fetched_schemas(
    what: &str,
    table: &BrokeredFiles,
    rows: usize,
) -> Result<Vec<Schema>> {
    let files = Fetched::all(table);
    let look = |index: usize, file: &Fetched| {
        file_schema(table.format, file, rows).map_err(|failure| match file.failure() {
            Some(failure) => broker(what, failure),
            None => input(what, index, &failure),
        })
    };
    let threads = FETCHING_THREADS.min(files.len()).max(1);
    let failed = || error(ReasonCode::Internal, "files cannot be looked into");
    let found = std::thread::scope(|scope| {
        let workers = (0..threads).map(|worker| {
            let (files, look) = (&files, &look);
            std::thread::Builder::new().name("fetch".into()).spawn_scoped(scope, move || {
                let own = files.iter().enumerate().skip(worker).step_by(threads);
                own.map(|(index, file)| Ok((index, look(index, file)?))).collect::<Result<Vec<_>>>()
            })
        });
        let workers: Vec<_> = workers.collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.map_err(|_| failed())?.join().unwrap_or_else(|_| Err(failed())));
        joined.collect::<Vec<Result<Vec<_>>>>()
    });
    let mut schemas = Vec::with_capacity(files.len());
    for part in found {
        schemas.extend(part?);
    }
    schemas.sort_by_key(|(index, _)| *index);
    Ok(schemas.into_iter().map(|(_, schema)| schema).collect())
}

/// The one schema of files with `schemas`.
fn agreed(format: FileFormat, schemas: impl Iterator<Item = Result<Schema>>) -> Result<Schema> {
    let mut agreed: Option<Schema> = None;
    for (index, schema) in schemas.enumerate() {
        let schema = schema?;
        agreed = Some(match agreed {
            None => schema,
            Some(before) => merge(format, &before, &schema).ok_or_else(|| {
                mismatch(format!("file {} has other columns or types than file 1", index + 1))
            })?,
        });
    }
    agreed.ok_or_else(|| mismatch("a table has at least one file".into()))
}

fn columns(fields: &Fields) -> Result<Vec<Column>> {
    if fields.is_empty() {
        return Err(mismatch("the files have no columns".into()));
    }
    let mut names = BTreeSet::new();
    fields
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
    file: &dyn ReadAt,
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

/// The names in the header row of a CSV file.
pub(crate) fn csv_header(file: &dyn ReadAt) -> Result<Vec<String>, DataFusionError> {
    let schema = file_schema(FileFormat::Csv, file, 0)?;
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}
