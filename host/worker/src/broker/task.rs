//! What is asked of the broker, and how its answer is taken.

use std::ops::Range;

use glovebox_job::broker::{
    self as wire, BrokerAnswer, BrokerRequest, MAX_ANNOUNCED_BYTES, MAX_BATCH_BYTES,
};
use glovebox_query::{BrokerFailure, Comparison, Condition, FileNumber, RowScan, Rows};
use tokio::sync::{mpsc, oneshot};

use super::line::{Line, Lost, encode};

type Told<T> = Result<T, BrokerFailure>;

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) enum Task {
    Ranges { file: FileNumber, ranges: Vec<Range<u64>>, to: oneshot::Sender<Told<Vec<u8>>> },
    DeletedRows { file: FileNumber, to: oneshot::Sender<Told<Vec<u64>>> },
    Rows { scan: RowScan, to: mpsc::Sender<Told<Rows>> },
}

/// How a task leaves its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Ready for the next.
    Ready,
    /// Of no use.
    Lost,
}

impl Task {
    pub(super) fn is_scan(&self) -> bool {
        matches!(self, Self::Rows { .. })
    }

    /// Tells whoever waits that there will be no answer.
    pub(super) fn fail(self, failure: BrokerFailure) {
        // Nobody has to be told who waits no more.
        match self {
            Self::Ranges { to, .. } => drop(to.send(Err(failure))),
            Self::DeletedRows { to, .. } => drop(to.send(Err(failure))),
            // A channel that is full drops what it has with its reader.
            Self::Rows { to, .. } => drop(to.try_send(Err(failure))),
        }
    }

    /// Asks the broker at the other end of `line` and passes its answer on. When nobody wants the
    /// rest of a long one, `can_spare` says whether the socket can be given up for that.
    pub(super) fn run(self, line: &Line, can_spare: &dyn Fn() -> bool) -> End {
        match self {
            Self::Ranges { file, ranges, to } => match to.is_closed() {
                true => End::Ready,
                false => tell(to, read_ranges(line, file, &ranges)),
            },
            Self::DeletedRows { file, to } => match to.is_closed() {
                true => End::Ready,
                false => tell(to, read_deleted_rows(line, file)),
            },
            Self::Rows { scan, to } => match pass_rows(line, scan, &to, can_spare) {
                Ok(()) => End::Ready,
                Err(Lost(failure)) => {
                    let _ = to.blocking_send(Err(failure));
                    End::Lost
                }
            },
        }
    }
}

fn tell<T>(to: oneshot::Sender<Told<T>>, read: Result<Told<T>, Lost>) -> End {
    match read {
        Ok(told) => {
            let _ = to.send(told);
            End::Ready
        }
        Err(Lost(failure)) => {
            let _ = to.send(Err(failure));
            End::Lost
        }
    }
}

/// Sends a request and reads the head of its answer. A request that is too long is not sent.
fn ask(line: &Line, request: &BrokerRequest) -> Result<Told<BrokerAnswer>, Lost> {
    let Some(message) = encode(request) else { return Ok(Err(BrokerFailure::ASTRAY)) };
    line.send(&message)?;
    head(line)
}

fn head(line: &Line) -> Result<Told<BrokerAnswer>, Lost> {
    Ok(match line.answer()? {
        BrokerAnswer::Failed { reason } => Err(BrokerFailure::new(reason)),
        other => Ok(other),
    })
}

const ASTRAY: Lost = Lost(BrokerFailure::ASTRAY);

fn read_ranges(
    line: &Line,
    file: FileNumber,
    ranges: &[Range<u64>],
) -> Result<Told<Vec<u8>>, Lost> {
    let request = BrokerRequest::Ranges {
        table: file.table,
        file: file.file,
        ranges: ranges.iter().map(|range| (range.start, range.end)).collect(),
    };
    match ask(line, &request)? {
        Err(failure) => Ok(Err(failure)),
        Ok(BrokerAnswer::Bytes { lengths }) => {
            let wanted = ranges.iter().map(|range| range.end.saturating_sub(range.start));
            if !wanted.eq(lengths.iter().copied()) {
                return Err(ASTRAY);
            }
            let all = lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(*length));
            let all = all.filter(|bytes| *bytes <= MAX_ANNOUNCED_BYTES).ok_or(ASTRAY)?;
            line.bytes(all).map(Ok)
        }
        Ok(_) => Err(ASTRAY),
    }
}

fn read_deleted_rows(line: &Line, file: FileNumber) -> Result<Told<Vec<u64>>, Lost> {
    let request = BrokerRequest::DeletedRows { table: file.table, file: file.file };
    match ask(line, &request)? {
        Err(failure) => Ok(Err(failure)),
        Ok(BrokerAnswer::DeletedRows { count }) => {
            let bytes = count.checked_mul(8).filter(|bytes| *bytes <= MAX_ANNOUNCED_BYTES);
            let bytes = line.bytes(bytes.ok_or(ASTRAY)?)?;
            let (positions, _) = bytes.as_chunks::<8>();
            Ok(Ok(positions.iter().map(|position| u64::from_le_bytes(*position)).collect()))
        }
        Ok(_) => Err(ASTRAY),
    }
}

fn pass_rows(
    line: &Line,
    scan: RowScan,
    to: &mpsc::Sender<Told<Rows>>,
    can_spare: &dyn Fn() -> bool,
) -> Result<(), Lost> {
    if to.is_closed() {
        return Ok(());
    }
    let RowScan { table, columns, conditions, limit } = scan;
    let filters = conditions.into_iter().map(filter).collect();
    let mut next = ask(line, &BrokerRequest::Rows { table, columns, filters, limit })?;
    loop {
        let (told, is_last) = match next {
            Err(failure) => (Err(failure), true),
            Ok(BrokerAnswer::End) => (Ok(Rows::End), true),
            Ok(BrokerAnswer::Batch { bytes }) if bytes <= MAX_BATCH_BYTES => {
                (Ok(Rows::Batch(line.bytes(bytes)?)), false)
            }
            Ok(_) => return Err(ASTRAY),
        };
        // Without a reader the rest is read for nobody, or the socket is given up.
        let unread = to.blocking_send(told).is_err();
        if is_last {
            return Ok(());
        }
        if unread && can_spare() {
            return Err(Lost(BrokerFailure::GONE));
        }
        next = head(line)?;
    }
}

/// A condition on the wire.
fn filter(condition: Condition) -> wire::Filter {
    let all = |conditions: Vec<Condition>| conditions.into_iter().map(filter).collect();
    match condition {
        Condition::Compare(column, operator, value) => {
            wire::Filter::Compare { column, operator: comparison(operator), value }
        }
        Condition::In(column, values) => wire::Filter::In { column, values },
        Condition::Null(column) => wire::Filter::Null { column },
        Condition::NotNull(column) => wire::Filter::NotNull { column },
        Condition::All(conditions) => wire::Filter::All { filters: all(conditions) },
        Condition::Any(conditions) => wire::Filter::Any { filters: all(conditions) },
    }
}

fn comparison(comparison: Comparison) -> wire::Comparison {
    match comparison {
        Comparison::Equal => wire::Comparison::Equal,
        Comparison::NotEqual => wire::Comparison::NotEqual,
        Comparison::Less => wire::Comparison::Less,
        Comparison::LessOrEqual => wire::Comparison::LessOrEqual,
        Comparison::Greater => wire::Comparison::Greater,
        Comparison::GreaterOrEqual => wire::Comparison::GreaterOrEqual,
    }
}
