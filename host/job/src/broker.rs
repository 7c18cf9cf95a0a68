//! The wire between a worker and the broker: what a run reads of rows that are elsewhere.
//!
//! The broker stands in the host, outside the jail, with the credentials and the network. The
//! worker has connected sockets to it and nothing else: it names tables and files by number and
//! learns no place, no name and no credential.
//!
//! A message is four bytes of length, most significant first, and that much JSON; after
//! [`BrokerAnswer::Bytes`], [`BrokerAnswer::Batch`] and [`BrokerAnswer::DeletedRows`] come the bytes
//! that it announces, as they are. A socket carries one request at a time; requests that go on at
//! once take a socket each.

use std::time::Duration;

use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

/// Most sockets of one job.
pub const MAX_BROKER_SOCKETS: usize = 64;

/// Longest request in bytes.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Longest header of an answer in bytes.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Most ranges of one request.
pub const MAX_RANGES: usize = 4096;

/// Most bytes that one answer may announce: what a reader asks for at once.
pub const MAX_ANNOUNCED_BYTES: u64 = 1 << 30;

/// Most bytes of one batch of rows. A broker makes far smaller ones.
pub const MAX_BATCH_BYTES: u64 = 256 << 20;

/// How long a worker waits for the next byte of an answer before it takes its source for gone.
/// A broker that tries again and again gives up earlier.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What a worker asks for. Numbers are those of the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BrokerRequest {
    /// Pieces of a file; answered by [`BrokerAnswer::Bytes`].
    Ranges {
        /// The table.
        table: u32,
        /// The file's place in the table.
        file: u32,
        /// First byte and the byte after the last of each piece.
        ranges: Vec<(u64, u64)>,
    },
    /// Which rows of a file are deleted; answered by [`BrokerAnswer::DeletedRows`].
    DeletedRows {
        /// The table.
        table: u32,
        /// The file's place in the table.
        file: u32,
    },
    /// Rows of a foreign table; answered by [`BrokerAnswer::Batch`] any number of times, then
    /// [`BrokerAnswer::End`].
    Rows {
        /// The table.
        table: u32,
        /// Places of the wanted columns among the table's, in the wanted order, each once. None at
        /// all asks for how many rows there are: batches without columns.
        columns: Vec<u32>,
        /// Rows may be left out that do not meet all of these. The worker checks them again.
        filters: Vec<Filter>,
        /// Rows after so many may be left out.
        limit: Option<u64>,
    },
}

/// A condition on the columns of a foreign table, by their places among its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Filter {
    /// A column beside a value; never true for null.
    Compare {
        /// The column.
        column: u32,
        /// How.
        operator: Comparison,
        /// The value.
        value: ParameterValue,
    },
    /// A column is one of some values; never true for null.
    In {
        /// The column.
        column: u32,
        /// The values, at least one.
        values: Vec<ParameterValue>,
    },
    /// A column is null.
    Null {
        /// The column.
        column: u32,
    },
    /// A column is not null.
    NotNull {
        /// The column.
        column: u32,
    },
    /// Every one of at least one.
    All {
        /// They.
        filters: Vec<Filter>,
    },
    /// At least one of at least one.
    Any {
        /// They.
        filters: Vec<Filter>,
    },
}

/// How a column and a value stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What the broker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BrokerAnswer {
    /// All pieces follow, in the order in which they were asked for, without anything in between.
    Bytes {
        /// Length of each.
        lengths: Vec<u64>,
    },
    /// Positions of deleted rows follow, from 0, ascending, each as eight bytes, least significant
    /// first.
    DeletedRows {
        /// How many.
        count: u64,
    },
    /// An Arrow IPC stream of one batch follows: schema, batch, end.
    Batch {
        /// Its length.
        bytes: u64,
    },
    /// There are no more rows.
    End,
    /// It cannot be had. Why is for the host's log; the worker learns the public reason.
    Failed {
        /// The reason.
        reason: ReasonCode,
    },
}

/// The length and the JSON of a message, ready to be written.
///
/// # Errors
/// When the message is longer than `max_bytes`, or a number in it is not finite.
pub fn encode(message: &impl Serialize, max_bytes: usize) -> Result<Vec<u8>, EncodeError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(|_| EncodeError(()))?;
    let bytes = frame.len().saturating_sub(4);
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= max_bytes).ok_or(EncodeError(()))?;
    for (to, from) in frame.iter_mut().zip(length.to_be_bytes()) {
        *to = from;
    }
    Ok(frame)
}

/// A message is too long, or holds what JSON does not.
#[derive(Debug, thiserror::Error)]
#[error("a message of the broker is too long")]
pub struct EncodeError(());
