//! What reads rows that are elsewhere, as a session sees it.
//!
//! A session has no network and knows no place. It asks a [`Broker`] for pieces of numbered files
//! and for rows of numbered tables; who answers, and how, is the caller's affair. Whatever comes
//! back is taken for hostile: lengths are checked, batches are decoded with all checks, types are
//! compared with those of the grant.

use std::fmt;
use std::ops::Range;

use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use tokio::sync::{mpsc, oneshot};

/// Reads what is elsewhere. No method waits.
pub trait Broker: fmt::Debug + Send + Sync {
    /// Pieces of a file, one after the other in one buffer, in the order asked for.
    fn ranges(&self, file: FileNumber, ranges: Vec<Range<u64>>) -> Answer<Vec<u8>>;

    /// Positions of the deleted rows of a file, from 0, ascending.
    fn deleted_rows(&self, file: FileNumber) -> Answer<Vec<u64>>;

    /// Rows of a foreign table. Whoever drops the receiver wants no more.
    fn rows(&self, scan: RowScan) -> mpsc::Receiver<Result<Rows, BrokerFailure>>;
}

/// An answer that comes later. One that will never come is a failure.
pub type Answer<T> = oneshot::Receiver<Result<T, BrokerFailure>>;

/// Part of an answer to [`Broker::rows`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// An Arrow IPC stream of one batch.
    Batch(Vec<u8>),
    /// There are no more.
    End,
}

/// A file of a table of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber {
    /// The table.
    pub table: u32,
    /// The file's place in the table.
    pub file: u32,
}

/// Which rows and columns of a foreign table are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct RowScan {
    /// The table.
    pub table: u32,
    /// Places of the wanted columns among the table's.
    pub columns: Vec<u32>,
    /// Rows may be left out that do not meet all of these.
    pub conditions: Vec<Condition>,
    /// Rows after so many may be left out; only without conditions.
    pub limit: Option<u64>,
}

/// What rows are to meet. A column is its place among the table's. No condition is true for null but
/// [`Condition::Null`].
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A column beside a value.
    Compare(u32, Comparison, ParameterValue),
    /// A column is one of at least one value.
    In(u32, Vec<ParameterValue>),
    /// A column is null.
    Null(u32),
    /// A column is not null.
    NotNull(u32),
    /// Every one of at least one.
    All(Vec<Condition>),
    /// At least one of at least one.
    Any(Vec<Condition>),
}

/// How a column and a value stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a broker does not answer. It knows more, and tells it to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker says {}", .0.as_str())]
pub struct BrokerFailure(ReasonCode);

impl BrokerFailure {
    /// Who was to answer is gone, or answers nothing.
    pub const GONE: Self = Self(ReasonCode::SourceUnavailable);

    /// It answered something else than what it was asked for.
    pub const ASTRAY: Self = Self(ReasonCode::Internal);

    /// Too many foreign tables are read at once.
    pub const CROWDED: Self = Self(ReasonCode::PolicyLimit);

    /// The failure for what a broker says: `internal` when it is not for a broker to say.
    pub fn new(reason: ReasonCode) -> Self {
        use ReasonCode::{
            InputChanged, InputCorrupt, InputUnreadable, MemoryLimit, SchemaMismatch, SourceDenied,
            SourceRefused, SourceUnavailable, SourceUnsupported,
        };
        match reason {
            SourceUnavailable | SourceDenied | SourceRefused | SourceUnsupported | InputChanged
            | InputCorrupt | InputUnreadable | SchemaMismatch | MemoryLimit => Self(reason),
            _ => Self::ASTRAY,
        }
    }

    /// The public reason.
    pub fn reason(self) -> ReasonCode {
        self.0
    }

    /// The same in words.
    pub(crate) fn text(self) -> &'static str {
        match self.0 {
            ReasonCode::SourceUnavailable => "where an input table is does not answer",
            ReasonCode::SourceDenied => "the credentials of an input table are not accepted",
            ReasonCode::SourceRefused => "the host does not reach out to where an input table is",
            ReasonCode::SourceUnsupported => "an input table needs a reader that is not there",
            ReasonCode::InputChanged => "an input table changed during the run",
            ReasonCode::InputCorrupt => "a file of an input table is not valid in its format",
            ReasonCode::InputUnreadable => "a file of an input table cannot be read",
            ReasonCode::SchemaMismatch => "an input table has other columns than it had",
            ReasonCode::PolicyLimit => "too many tables of databases are read at once",
            ReasonCode::MemoryLimit => "an answer needs more memory than the limit",
            _ => "an input table was answered for astray",
        }
    }
}

/// Waits for an answer.
pub(crate) async fn wait<T>(answer: Answer<T>) -> Result<T, BrokerFailure> {
    answer.await.unwrap_or(Err(BrokerFailure::GONE))
}

/// Waits for an answer on a thread that is no runtime's.
pub(crate) fn wait_here<T>(answer: Answer<T>) -> Result<T, BrokerFailure> {
    answer.blocking_recv().unwrap_or(Err(BrokerFailure::GONE))
}
