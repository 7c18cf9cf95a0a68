//! The host's side of a room, through the generated bindings.

use crate::bindings::glovebox::guest::{
    context, data, logging, outputs, parameters, sql, tables, types, volumes,
};
use crate::column::Column;
use crate::error::{Error, ErrorCode, Result};
use crate::layout::{Decoder, Encoded};
use crate::room::{Level, OutputSummary, RunInfo, ScanOptions};
use crate::scalar::Scalar;
use crate::types::Field;
use crate::volume::FileInfo;

/// What crosses as a handle, by the names that it has outside.
pub(crate) mod handles {
    pub(crate) use super::Batch;
    pub(crate) use super::Reader as Batches;
}

/// Writes a line to the log, with no room at hand.
pub(crate) fn log(level: Level, message: &str) {
    Room.log(level, message);
}

pub(crate) struct Room;
pub(crate) struct File(volumes::File);
pub(crate) struct Table(tables::Table);
pub(crate) struct Reader(data::BatchReader);
pub(crate) struct Batch(data::RecordBatch);
pub(crate) struct Schema(data::Schema);
pub(crate) struct Output {
    handle: outputs::Output,
    schema: Schema,
}

/// The host's error. Not a `From`: that would be the one for every `std::error::Error`, which
/// forgets the code.
fn refused(error: types::Error) -> Error {
    let code = match error.code {
        types::ErrorCode::NotGranted => ErrorCode::NotGranted,
        types::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        types::ErrorCode::SchemaMismatch => ErrorCode::SchemaMismatch,
        types::ErrorCode::LimitExceeded => ErrorCode::LimitExceeded,
        types::ErrorCode::PolicyDenied => ErrorCode::PolicyDenied,
        types::ErrorCode::Closed => ErrorCode::Closed,
        types::ErrorCode::Internal => ErrorCode::Internal,
    };
    Error::with_code(code, error.message)
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        let code = match error.code() {
            ErrorCode::NotGranted => types::ErrorCode::NotGranted,
            ErrorCode::InvalidArgument => types::ErrorCode::InvalidArgument,
            ErrorCode::SchemaMismatch => types::ErrorCode::SchemaMismatch,
            ErrorCode::LimitExceeded => types::ErrorCode::LimitExceeded,
            ErrorCode::PolicyDenied => types::ErrorCode::PolicyDenied,
            ErrorCode::Closed => types::ErrorCode::Closed,
            ErrorCode::Internal => types::ErrorCode::Internal,
        };
        Self { code, message: error.message().into() }
    }
}

pub(crate) fn received(scalar: types::ScalarResult) -> Scalar {
    match scalar {
        types::ScalarResult::Null => Scalar::Null,
        types::ScalarResult::Boolean(value) => Scalar::Boolean(value),
        types::ScalarResult::Int64(value) => Scalar::Int64(value),
        types::ScalarResult::Uint64(value) => Scalar::UInt64(value),
        types::ScalarResult::Float64(value) => Scalar::Float64(value),
        types::ScalarResult::Utf8(value) => Scalar::Utf8(value),
        types::ScalarResult::Binary(value) => Scalar::Binary(value),
        types::ScalarResult::Date32(value) => Scalar::Date32(value),
        types::ScalarResult::TimestampMicros(value) => Scalar::TimestampMicros(value),
        types::ScalarResult::Decimal128((low, high, precision, scale)) => {
            Scalar::Decimal128(i128::from(high) << 64 | i128::from(low), precision, scale)
        }
    }
}

fn sent(scalar: &Scalar) -> types::ScalarParam<'_> {
    match scalar {
        Scalar::Null => types::ScalarParam::Null,
        Scalar::Boolean(value) => types::ScalarParam::Boolean(*value),
        Scalar::Int64(value) => types::ScalarParam::Int64(*value),
        Scalar::UInt64(value) => types::ScalarParam::Uint64(*value),
        Scalar::Float64(value) => types::ScalarParam::Float64(*value),
        Scalar::Utf8(value) => types::ScalarParam::Utf8(value),
        Scalar::Binary(value) => types::ScalarParam::Binary(value),
        Scalar::Date32(value) => types::ScalarParam::Date32(*value),
        Scalar::TimestampMicros(value) => types::ScalarParam::TimestampMicros(*value),
        Scalar::Decimal128(value, precision, scale) => types::ScalarParam::Decimal128((
            *value as u64,
            (*value >> 64) as i64,
            *precision,
            *scale,
        )),
    }
}

fn fields(schema: &data::Schema) -> Result<Vec<Field>> {
    let fields = schema.fields().into_iter().map(|field| {
        Ok(Field {
            data_type: field.data_type.parse()?,
            name: field.name,
            nullable: field.nullable,
        })
    });
    fields.collect()
}

fn file_info(info: volumes::FileInfo) -> FileInfo {
    FileInfo { path: info.path, size: info.size, digest: info.digest }
}

impl File {
    pub(crate) fn info(&self) -> FileInfo {
        file_info(self.0.info())
    }

    pub(crate) fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>> {
        self.0.read(offset, length).map_err(refused)
    }
}

impl Room {
    pub(crate) fn parameter(&self, name: &str) -> Result<Scalar> {
        Ok(received(parameters::get(name).map_err(refused)?))
    }

    pub(crate) fn parameters(&self) -> Vec<(String, Scalar)> {
        parameters::all().into_iter().map(|(name, value)| (name, received(value))).collect()
    }

    pub(crate) fn table_names(&self) -> Vec<String> {
        tables::list_tables()
    }

    pub(crate) fn table(&self, name: &str) -> Result<Table> {
        Ok(Table(tables::open_table(name).map_err(refused)?))
    }

    pub(crate) fn query(&self, statement: &str, parameters: &[Scalar]) -> Result<Reader> {
        let parameters: Vec<_> = parameters.iter().map(sent).collect();
        Ok(Reader(sql::query(statement, &parameters).map_err(refused)?))
    }

    pub(crate) fn volume_names(&self) -> Vec<String> {
        volumes::list_volumes()
    }

    pub(crate) fn volume_files(&self, volume: &str) -> Result<Vec<FileInfo>> {
        let files = volumes::list_files(volume).map_err(refused)?;
        Ok(files.into_iter().map(file_info).collect())
    }

    pub(crate) fn open_file(&self, volume: &str, path: &str) -> Result<File> {
        Ok(File(volumes::open_file(volume, path).map_err(refused)?))
    }

    pub(crate) fn output_names(&self) -> Vec<String> {
        outputs::list_outputs()
    }

    pub(crate) fn output(&self, name: &str) -> Result<Output> {
        let handle = outputs::open_output(name).map_err(refused)?;
        let schema = Schema(handle.schema());
        Ok(Output { handle, schema })
    }

    pub(crate) fn run_info(&self) -> RunInfo {
        let info = context::current_run();
        RunInfo {
            run_id: info.run_id,
            room: info.room,
            component: info.component,
            revision_digest: info.revision_digest,
            started_at: info.started_at,
        }
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => logging::Level::Debug,
            Level::Info => logging::Level::Info,
            Level::Warn => logging::Level::Warn,
            Level::Error => logging::Level::Error,
        };
        logging::log(level, message);
    }

    pub(crate) fn progress(&self, done: u64, total: Option<u64>) {
        logging::progress(done, total);
    }

    pub(crate) fn display(&self, media_type: &str, data: &[u8]) {
        logging::display(media_type, data);
    }
}

impl Table {
    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        fields(&self.0.schema())
    }

    pub(crate) fn scan(&self, options: &ScanOptions) -> Result<Reader> {
        let columns = options.columns.as_ref();
        let columns: Option<Vec<&str>> =
            columns.map(|columns| columns.iter().map(String::as_str).collect());
        let options = tables::ScanOptions {
            columns: columns.as_deref(),
            filter: options.filter.as_deref(),
            limit: options.limit,
            batch_rows: options.batch_rows,
        };
        Ok(Reader(self.0.scan(options).map_err(refused)?))
    }
}

impl Schema {
    pub(crate) fn create(fields: &[Field]) -> Result<Self> {
        let types: Vec<String> = fields.iter().map(|field| field.data_type.to_string()).collect();
        let fields: Vec<_> = fields
            .iter()
            .zip(&types)
            .map(|(field, data_type)| data::FieldParam {
                name: &field.name,
                data_type,
                nullable: field.nullable,
            })
            .collect();
        Ok(Self(data::Schema::create(&fields).map_err(refused)?))
    }
}

impl Reader {
    /// # Safety
    /// The handle is one of a reader and nobody else's.
    pub(crate) unsafe fn from_handle(handle: u32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { data::BatchReader::from_handle(handle) })
    }

    pub(crate) fn handle(&self) -> u32 {
        self.0.handle()
    }

    pub(crate) fn take_handle(&self) -> u32 {
        self.0.take_handle()
    }

    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        fields(&self.0.schema())
    }

    pub(crate) fn next(&mut self) -> Result<Option<Batch>> {
        Ok(self.0.next().map_err(refused)?.map(Batch))
    }
}

fn indices(indices: &[usize]) -> Vec<u32> {
    indices.iter().map(|index| *index as u32).collect()
}

impl Batch {
    pub(crate) fn from_columns(
        fields: &[Field],
        rows: usize,
        columns: Vec<Column>,
    ) -> Result<Self> {
        Self::of_schema(&Schema::create(fields)?, rows, &columns)
    }

    /// A batch of a schema that the host holds already.
    pub(crate) fn of_schema(schema: &Schema, rows: usize, columns: &[Column]) -> Result<Self> {
        let Encoded { nodes, buffers } = Encoded::of(columns);
        let nodes: Vec<_> = nodes
            .into_iter()
            .map(|(length, null_count)| data::FieldNode { length, null_count })
            .collect();
        let columns = data::ColumnsParam { nodes: &nodes, buffers: &buffers };
        let batch = data::RecordBatch::from_columns(&schema.0, rows as u64, columns);
        Ok(Self(batch.map_err(refused)?))
    }

    /// # Safety
    /// The handle is one of a batch and nobody else's.
    pub(crate) unsafe fn from_handle(handle: u32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { data::RecordBatch::from_handle(handle) })
    }

    pub(crate) fn handle(&self) -> u32 {
        self.0.handle()
    }

    pub(crate) fn take_handle(&self) -> u32 {
        self.0.take_handle()
    }

    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        fields(&self.0.schema())
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.0.num_rows() as usize
    }

    pub(crate) fn columns(&self, wanted: &[usize], fields: &[Field]) -> Result<Vec<Column>> {
        let columns = self.0.columns(&indices(wanted)).map_err(refused)?;
        let mut decoder = Decoder {
            nodes: columns.nodes.into_iter().map(|node| (node.length, node.null_count)),
            buffers: columns.buffers.into_iter(),
        };
        fields.iter().map(|field| decoder.column(&field.data_type)).collect()
    }

    pub(crate) fn slice(&self, offset: usize, length: usize) -> Result<Self> {
        Ok(Self(self.0.slice(offset as u64, length as u64).map_err(refused)?))
    }

    pub(crate) fn project(&self, wanted: &[usize], _fields: &[Field]) -> Result<Self> {
        Ok(Self(self.0.project(&indices(wanted)).map_err(refused)?))
    }
}

impl Output {
    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        fields(&self.schema.0)
    }

    pub(crate) fn write_columns(&mut self, rows: usize, columns: &[Column]) -> Result<()> {
        let batch = Batch::of_schema(&self.schema, rows, columns)?;
        self.handle.write(&batch.0).map_err(refused)
    }

    pub(crate) fn write_batch(&mut self, batch: &Batch) -> Result<()> {
        self.handle.write(&batch.0).map_err(refused)
    }

    pub(crate) fn finish(self) -> Result<OutputSummary> {
        let summary = outputs::Output::finish(self.handle).map_err(refused)?;
        Ok(OutputSummary { rows: summary.rows, bytes: summary.bytes })
    }
}
