//! Reads an output table's Parquet file: to print it and to write it in other formats.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::Array as _;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use glovebox_gateway::{PreviewColumn, TablePreview};
use glovebox_sandbox::arrow_types::arrow_to_column_type;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::arguments::ExportFormat;
use crate::terminal;

fn reader(file: File) -> Result<ParquetRecordBatchReader> {
    ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .context("the output file cannot be read as Parquet")
}

/// The first `limit` rows as a printed table, and how many rows there are.
pub(crate) fn preview(file: File, limit: usize) -> Result<(String, usize)> {
    let reader = reader(file)?;
    let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
    let header: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let right: Vec<_> = schema
        .fields()
        .iter()
        .filter(|field| field.data_type().is_numeric())
        .map(|field| field.name().as_str())
        .collect();
    let mut rows = Vec::new();
    let mut total = 0;
    for batch in reader {
        let batch = batch?;
        total += batch.num_rows();
        append_rows(&batch, limit, &mut rows)?;
    }
    Ok((terminal::table(&header, &right, rows), total))
}

/// The first `limit` rows of the Parquet file at `path`, for a page of the gateway.
pub(crate) fn table_preview(path: &Path, limit: usize) -> Result<TablePreview, String> {
    let read = || -> Result<TablePreview> {
        let reader = reader(File::open(path)?)?;
        let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
        let columns = schema.fields().iter().map(|field| PreviewColumn {
            name: field.name().clone(),
            kind: arrow_to_column_type(field.data_type())
                .map_or_else(|_| field.data_type().to_string(), |known| known.to_string()),
            numeric: field.data_type().is_numeric(),
        });
        let (mut rows, mut total_rows) = (Vec::new(), 0_u64);
        for batch in reader {
            let batch = batch?;
            total_rows += batch.num_rows() as u64;
            let mut texts = Vec::new();
            append_rows(&batch, limit.saturating_sub(rows.len()), &mut texts)?;
            for (row, texts) in texts.into_iter().enumerate() {
                let cells = batch.columns().iter().zip(texts);
                rows.push(cells.map(|(cell, text)| cell.is_valid(row).then_some(text)).collect());
            }
        }
        Ok(TablePreview { columns: columns.collect(), rows, total_rows })
    };
    read().map_err(|error| format!("{error:#}"))
}

/// Appends the rows of `batch`, as texts, up to `limit` rows in all.
pub(crate) fn append_rows(
    batch: &RecordBatch,
    limit: usize,
    rows: &mut Vec<Vec<String>>,
) -> Result<()> {
    let options = FormatOptions::default();
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows().min(limit.saturating_sub(rows.len())) {
        rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
    }
    Ok(())
}

/// The columns' names and all rows, as texts.
pub(crate) fn texts(file: File) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let reader = reader(file)?;
    let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
    let header = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in reader {
        append_rows(&batch?, usize::MAX, &mut rows)?;
    }
    Ok((header, rows))
}

/// All rows as JSON objects, one a row.
pub(crate) fn json_rows(file: File) -> Result<Vec<serde_json::Value>> {
    json_batches(&reader(file)?.collect::<Result<Vec<_>, _>>()?)
}

/// All rows of batches as JSON objects, one a row.
pub(crate) fn json_batches(batches: &[RecordBatch]) -> Result<Vec<serde_json::Value>> {
    let mut lines = Vec::new();
    write_ndjson(batches.iter().cloned().map(Ok), &mut lines)?;
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).context("a row is not valid JSON"))
        .collect()
}

fn write_ndjson(
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    to: impl Write,
) -> Result<()> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(to);
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    Ok(())
}

/// Copies the table to `path` in `format`.
pub(crate) fn export(mut file: File, format: ExportFormat, path: &Path) -> Result<()> {
    let create = || File::create(path).with_context(|| format!("cannot create {}", path.display()));
    if format == ExportFormat::Parquet {
        // The very bytes that the receipt names, so that a verifier finds it.
        std::io::copy(&mut file, &mut create()?)?;
        return Ok(());
    }
    let reader = reader(file)?;
    let mut to = BufWriter::new(create()?);
    match format {
        ExportFormat::Parquet => {}
        ExportFormat::Csv => {
            let mut writer = arrow::csv::Writer::new(&mut to);
            for batch in reader {
                writer.write(&batch?)?;
            }
        }
        ExportFormat::Ndjson => write_ndjson(reader, &mut to)?,
        ExportFormat::Arrow => {
            let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
            let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut to, &schema)?;
            for batch in reader {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
    }
    to.flush()?;
    Ok(())
}

/// The format that a file's ending asks for.
pub(crate) fn format_of(path: &Path) -> ExportFormat {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => ExportFormat::Csv,
        Some("ndjson" | "jsonl" | "json") => ExportFormat::Ndjson,
        Some("arrow" | "feather" | "ipc") => ExportFormat::Arrow,
        _ => ExportFormat::Parquet,
    }
}
