//! One output file.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::OutputDeclaration;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::event::OutputSummary;
use glovebox_sandbox::arrow_types::columns_to_schema;
use glovebox_sandbox::services::{ErrorCode, HostError};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::conform::conform;
use crate::content::ContentHasher;

/// Rows of a row group. Part of the format of outputs: another value makes other bytes.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// Bytes of a row group, about.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Named in every file as its writer. Part of the format of outputs.
const CREATED_BY: &str = "glovebox";

type Writer = ArrowWriter<BufWriter<File>>;

pub(super) struct Table {
    max_bytes: u64,
    max_rows: u64,
    metadata: Vec<KeyValue>,
    name: Identifier,
    rows: u64,
    content: ContentHasher,
    schema: SchemaRef,
    state: State,
}

enum State {
    /// Not opened yet.
    Empty(File),
    Open(Box<Writer>),
    Finished(OutputSummary),
    /// Broke a rule, or its file could not be written.
    Broken,
}

impl Table {
    pub(super) fn new(
        name: &Identifier,
        declaration: &OutputDeclaration,
        limits: &Limits,
        file: File,
        metadata: &[(&str, String)],
    ) -> Result<Self, HostError> {
        let content = ContentHasher::new(&declaration.columns).map_err(|error| {
            HostError::new(
                ErrorCode::Internal,
                ReasonCode::Internal,
                format!("output `{name}` cannot be declared so: {error}"),
            )
        })?;
        let pair = |(key, value): &(&str, String)| KeyValue::new((*key).to_owned(), value.clone());
        Ok(Self {
            content,
            max_bytes: declaration
                .max_bytes
                .unwrap_or(limits.output_bytes)
                .min(limits.output_bytes),
            max_rows: declaration.max_rows.unwrap_or(limits.output_rows).min(limits.output_rows),
            metadata: metadata.iter().map(pair).collect(),
            name: name.clone(),
            rows: 0,
            schema: Arc::new(columns_to_schema(&declaration.columns)),
            state: State::Empty(file),
        })
    }

    pub(super) fn name(&self) -> &Identifier {
        &self.name
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Bytes of the file so far, without the row group that is being made.
    pub(super) fn bytes(&self) -> u64 {
        match &self.state {
            State::Open(writer) => writer.bytes_written() as u64,
            State::Finished(summary) => summary.bytes,
            State::Empty(_) | State::Broken => 0,
        }
    }

    /// Size of the output if it is finished.
    pub(super) fn summary(&self) -> Result<OutputSummary, HostError> {
        match &self.state {
            State::Finished(summary) => Ok(*summary),
            State::Empty(_) | State::Open(_) | State::Broken => Err(self.error(
                ErrorCode::InvalidArgument,
                ReasonCode::OutputUnfinished,
                "was not finished",
            )),
        }
    }

    pub(super) fn open(&mut self) -> Result<(), HostError> {
        let file = match std::mem::replace(&mut self.state, State::Broken) {
            State::Empty(file) => file,
            other => {
                self.state = other;
                return Err(self.closed("was opened before"));
            }
        };
        let properties = properties(self.metadata.clone()).map_err(|error| self.failed(&error))?;
        let writer = ArrowWriter::try_new(BufWriter::new(file), self.schema(), Some(properties))
            .map_err(|error| self.failed(&error))?;
        self.state = State::Open(Box::new(writer));
        Ok(())
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), HostError> {
        let mut writer = self.take_writer("is not open")?;
        let batch = conform(batch, &self.schema)
            .map_err(|why| self.error(ErrorCode::SchemaMismatch, ReasonCode::OutputSchema, &why))?;
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        if self.rows > self.max_rows {
            return Err(self.error(
                ErrorCode::LimitExceeded,
                ReasonCode::OutputRows,
                &format!("has more than {} rows", self.max_rows),
            ));
        }
        writer.write(&batch).map_err(|error| self.failed(&error))?;
        self.content.update(&batch).map_err(|error| self.failed(&error.into()))?;
        if writer.bytes_written() as u64 + writer.in_progress_size() as u64 > self.max_bytes {
            // The size in progress is an estimate; what counts is what is in the file.
            writer.flush().map_err(|error| self.failed(&error))?;
            self.check_bytes(writer.bytes_written() as u64)?;
        }
        self.state = State::Open(writer);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<OutputSummary, HostError> {
        let writer = self.take_writer("is not open")?;
        let buffer = writer.into_inner().map_err(|error| self.failed(&error))?;
        let mut file = buffer
            .into_inner()
            .map_err(|error| self.failed(&ParquetError::from(error.into_error())))?;
        let bytes =
            file.seek(SeekFrom::End(0)).map_err(|error| self.failed(&ParquetError::from(error)))?;
        self.check_bytes(bytes)?;
        let content = self.content.finish();
        let summary = OutputSummary { bytes, content, rows: self.rows };
        self.state = State::Finished(summary);
        Ok(summary)
    }

    /// The open writer; without being put back, the output stays broken.
    fn take_writer(&mut self, otherwise: &str) -> Result<Box<Writer>, HostError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Open(writer) => Ok(writer),
            other => {
                self.state = other;
                Err(self.closed(otherwise))
            }
        }
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), HostError> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        Err(self.error(
            ErrorCode::LimitExceeded,
            ReasonCode::OutputBytes,
            &format!("has more than {} bytes", self.max_bytes),
        ))
    }

    fn closed(&self, what: &str) -> HostError {
        self.error(ErrorCode::Closed, ReasonCode::OutputClosed, what)
    }

    /// A file that cannot be written. The writer's own words may quote values.
    fn failed(&self, error: &ParquetError) -> HostError {
        if is_about_space(error) {
            return self.error(
                ErrorCode::Internal,
                ReasonCode::StorageFull,
                "could not be written: the host's storage is full",
            );
        }
        self.error(ErrorCode::Internal, ReasonCode::Internal, "could not be written")
    }

    fn error(&self, code: ErrorCode, reason: ReasonCode, what: &str) -> HostError {
        HostError::new(code, reason, format!("output `{}` {what}", self.name))
    }
}

fn is_about_space(error: &ParquetError) -> bool {
    let ParquetError::External(source) = error else { return false };
    source.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}

fn properties(metadata: Vec<KeyValue>) -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_key_value_metadata(Some(metadata))
        .build())
}
