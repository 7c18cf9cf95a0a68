//! What a guest's calls reach on the host: queries, output tables, a log.
//!
//! The sandbox knows these traits only. `glovebox-query` implements [`QueryEngine`] and the
//! worker implements [`OutputTables`] and [`GuestLog`], so no guest call touches a file here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use glovebox_contract::media::MediaType;
use glovebox_contract::reason::ReasonCode;

pub use crate::memory::Budget;

/// Code of a failed host call, as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The approved revision does not grant the named item.
    NotGranted,
    /// An argument is malformed or out of range.
    InvalidArgument,
    /// Data does not match the declared schema.
    SchemaMismatch,
    /// A limit of the room was reached.
    LimitExceeded,
    /// The query policy refused the statement.
    PolicyDenied,
    /// The thing was finished earlier.
    Closed,
    /// The host failed.
    Internal,
}

/// A failed host call.
///
/// The detail is for the component's owner only: it may hold names and numbers that the guest
/// knows anyway, and must not hold cell values.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct HostError {
    code: ErrorCode,
    reason: ReasonCode,
    detail: String,
}

impl HostError {
    /// Longest detail in bytes; the rest is cut.
    pub const MAX_DETAIL_BYTES: usize = 4096;

    /// A failure with the code for the guest, the reason for everyone, the detail for the owner.
    pub fn new(code: ErrorCode, reason: ReasonCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        let end = detail.floor_char_boundary(Self::MAX_DETAIL_BYTES);
        detail.truncate(end);
        Self { code, reason, detail }
    }

    /// What the guest is told.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What everyone is told when this failure ends the run.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What the component's owner is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Debug for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostError({:?}, {}, {:?})", self.code, self.reason, self.detail)
    }
}

/// One value: a parameter of the run or a placeholder of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// No value.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A 64-bit signed integer.
    Int64(i64),
    /// A 64-bit unsigned integer.
    UInt64(u64),
    /// A 64-bit floating-point number.
    Float64(f64),
    /// A text.
    Utf8(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date32(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampMicros(i64),
    /// A decimal number: `value` × 10^-`scale`.
    Decimal128 {
        /// Unscaled value, below 10^`precision` in size.
        value: i128,
        /// Digits, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
}

/// A stream of batches with one schema.
pub trait BatchStream: Send {
    /// Schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// The next batch, or `None` at the end. Blocks until it is there.
    fn next(&mut self) -> Result<Option<RecordBatch>, HostError>;
}

/// What a scan of a table reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Columns in this order; all granted columns when `None`.
    pub columns: Option<Vec<String>>,
    /// A SQL predicate over the table's granted columns.
    pub filter: Option<String>,
    /// Most rows.
    pub limit: Option<u64>,
    /// Preferred rows in a batch.
    pub batch_rows: Option<u32>,
}

/// The engine that reads tables and answers queries, confined to one run's grants.
pub trait QueryEngine: Send {
    /// Schema of a granted table, only its granted columns.
    fn table_schema(&self, table: &str) -> Result<SchemaRef, HostError>;

    /// Reads one table.
    fn scan(
        &mut self,
        table: &str,
        options: ScanOptions,
    ) -> Result<Box<dyn BatchStream>, HostError>;

    /// Runs one `SELECT` with `$1`, `$2`, … bound to `parameters`.
    fn query(
        &mut self,
        statement: &str,
        parameters: &[Scalar],
    ) -> Result<Box<dyn BatchStream>, HostError>;

    /// Runs an SQL notebook and writes what it makes to `outputs`. The run's parameters come
    /// from the grants that the engine was made with.
    fn run_script(&mut self, text: &str, outputs: &mut dyn OutputTables) -> Result<(), HostError>;
}

/// Size of a finished output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputSummary {
    /// Rows written.
    pub rows: u64,
    /// Bytes of the staged file.
    pub bytes: u64,
}

/// The declared outputs of a run. Nothing written is visible before the host publishes.
pub trait OutputTables: Send {
    /// Declared schema of an output.
    fn schema(&self, output: &str) -> Result<SchemaRef, HostError>;

    /// Starts an output; the second time is [`ReasonCode::OutputClosed`].
    fn open(&mut self, output: &str) -> Result<(), HostError>;

    /// Appends rows to an open output.
    fn write(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError>;

    /// Completes an open output.
    fn finish(&mut self, output: &str) -> Result<OutputSummary, HostError>;
}

/// The files of a run's volumes. Which there are, and how long each is, the grants say.
pub trait VolumeFiles: Send {
    /// The `length` bytes from `offset` on of a granted file that has as many.
    ///
    /// # Errors
    /// [`ReasonCode::VolumeChanged`] when it has them no more.
    fn read(
        &self,
        volume: &str,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, HostError>;
}

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// For the author while writing.
    Debug,
    /// Normal.
    Info,
    /// Suspicious.
    Warn,
    /// Wrong.
    Error,
}

/// Where text and progress of a guest go.
pub trait GuestLog: Send {
    /// One line, already capped and free of control characters.
    fn log(&mut self, level: LogLevel, message: &str);

    /// An output of a cell, whole, within the log limit; a text is free of control characters.
    fn display(&mut self, media_type: MediaType, data: &[u8]);

    /// How far the guest says it is.
    fn progress(&mut self, done: u64, total: Option<u64>);
}

/// One log for a guest and for the libraries whose functions its queries call.
#[derive(Clone)]
pub struct SharedLog(Arc<Mutex<Box<dyn GuestLog>>>);

impl SharedLog {
    /// Shares `log`.
    pub fn new(log: Box<dyn GuestLog>) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    fn with(&self, tell: impl FnOnce(&mut dyn GuestLog)) {
        tell(self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut());
    }
}

impl GuestLog for SharedLog {
    fn log(&mut self, level: LogLevel, message: &str) {
        self.with(|log| log.log(level, message));
    }

    fn display(&mut self, media_type: MediaType, data: &[u8]) {
        self.with(|log| log.display(media_type, data));
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.with(|log| log.progress(done, total));
    }
}

/// Everything one run may reach on the host.
pub struct Services {
    /// Queries and scans.
    pub query: Box<dyn QueryEngine>,
    /// Output tables.
    pub outputs: Box<dyn OutputTables>,
    /// Log and progress.
    pub log: Box<dyn GuestLog>,
    /// Files of volumes.
    pub volumes: Box<dyn VolumeFiles>,
    /// Memory of the guest, shared with the libraries whose functions its queries call.
    pub memory: Budget,
}

/// Services for a component that reaches none: nothing that would call them is linked.
pub(crate) struct Nothing;

fn not_linked<T>() -> Result<T, HostError> {
    let detail = "a library reaches no table, query or output";
    Err(HostError::new(ErrorCode::NotGranted, ReasonCode::ImportNotGranted, detail))
}

impl QueryEngine for Nothing {
    fn table_schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        not_linked()
    }

    fn scan(&mut self, _: &str, _: ScanOptions) -> Result<Box<dyn BatchStream>, HostError> {
        not_linked()
    }

    fn query(&mut self, _: &str, _: &[Scalar]) -> Result<Box<dyn BatchStream>, HostError> {
        not_linked()
    }

    fn run_script(&mut self, _: &str, _: &mut dyn OutputTables) -> Result<(), HostError> {
        not_linked()
    }
}

impl OutputTables for Nothing {
    fn schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        not_linked()
    }

    fn open(&mut self, _: &str) -> Result<(), HostError> {
        not_linked()
    }

    fn write(&mut self, _: &str, _: &RecordBatch) -> Result<(), HostError> {
        not_linked()
    }

    fn finish(&mut self, _: &str) -> Result<OutputSummary, HostError> {
        not_linked()
    }
}

impl VolumeFiles for Nothing {
    fn read(&self, _: &str, _: &str, _: u64, _: u64) -> Result<Vec<u8>, HostError> {
        not_linked()
    }
}

impl GuestLog for Nothing {
    fn log(&mut self, _: LogLevel, _: &str) {}

    fn display(&mut self, _: MediaType, _: &[u8]) {}

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}
