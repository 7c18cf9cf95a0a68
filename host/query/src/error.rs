//! DataFusion's and Arrow's errors as Glovebox's.
//!
//! Messages of Arrow and DataFusion quote cell values ("overflow happened on: 7 * 9"), so no
//! text of an error that can arise while data is read ever passes. Each kind has one constant
//! text. Texts of planning errors pass in part: names that stand in the statement itself.

use std::error::Error;

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::parquet::errors::ParquetError;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::{ErrorCode, HostError};

use crate::broker::BrokerFailure;
use crate::store::FileShrank;

pub(crate) type Result<T, E = HostError> = std::result::Result<T, E>;

/// An error with the code that belongs to `reason`.
pub(crate) fn error(reason: ReasonCode, detail: impl Into<String>) -> HostError {
    HostError::new(code_of(reason), reason, detail)
}

fn code_of(reason: ReasonCode) -> ErrorCode {
    match reason {
        ReasonCode::TableNotGranted
        | ReasonCode::ColumnNotGranted
        | ReasonCode::OutputNotDeclared => ErrorCode::NotGranted,
        ReasonCode::SqlRefused | ReasonCode::SqlTooComplex => ErrorCode::PolicyDenied,
        ReasonCode::SqlInvalid
        | ReasonCode::InvalidArgument
        | ReasonCode::ParameterInvalid
        | ReasonCode::QueryFailed => ErrorCode::InvalidArgument,
        ReasonCode::SchemaMismatch | ReasonCode::OutputSchema => ErrorCode::SchemaMismatch,
        ReasonCode::MemoryLimit | ReasonCode::ScratchLimit | ReasonCode::PolicyLimit => {
            ErrorCode::LimitExceeded
        }
        ReasonCode::OutputClosed => ErrorCode::Closed,
        _ => ErrorCode::Internal,
    }
}

/// The error of a plan that was refused or does not make sense. No data was read for it.
pub(crate) fn planning(failure: &DataFusionError) -> HostError {
    match root(failure) {
        DataFusionError::SQL(..) => error(ReasonCode::SqlInvalid, first_line(failure)),
        DataFusionError::NotImplemented(text) => {
            error(ReasonCode::SqlRefused, format!("not supported: {}", clip(text)))
        }
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => error(
                ReasonCode::ColumnNotGranted,
                format!("column {} is not granted or does not exist", field.quoted_flat_name()),
            ),
            other => error(ReasonCode::SqlInvalid, clip(&other.to_string())),
        },
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => {
            if text.starts_with("Invalid function") || text.starts_with("There is no UDF") {
                error(ReasonCode::SqlRefused, function_refused(text))
            } else {
                error(ReasonCode::SqlInvalid, clip(text))
            }
        }
        _ => execution(failure),
    }
}

/// The error of a query that ran, or of a file that was read. Its text is constant.
pub(crate) fn execution(failure: &DataFusionError) -> HostError {
    // The sandbox wrote this one, and knows who reads it.
    if let Some(own) = own(failure) {
        return own.clone();
    }
    let (reason, text) = classify(failure);
    error(reason, text)
}

/// The error of a library's function, which went through the engine.
fn own(failure: &DataFusionError) -> Option<&HostError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(failure);
    while let Some(failure) = next {
        if let Some(own) = failure.downcast_ref() {
            return Some(own);
        }
        // Neither says that there is something inside.
        next = match failure.downcast_ref() {
            Some(DataFusionError::ArrowError(inner, _)) => match inner.as_ref() {
                ArrowError::ExternalError(inner) => Some(inner.as_ref()),
                _ => None,
            },
            Some(DataFusionError::Collection(all)) => all.first().map(|first| first as _),
            _ => failure.source(),
        };
    }
    None
}

/// The error of opening or describing the `index`-th file of `what`.
pub(crate) fn input(what: &str, index: usize, failure: &DataFusionError) -> HostError {
    let (reason, text) = classify(failure);
    let (reason, text) = match reason {
        ReasonCode::InputUnreadable | ReasonCode::InputChanged | ReasonCode::MemoryLimit => {
            (reason, text)
        }
        _ => CORRUPT,
    };
    error(reason, format!("file {} of {what}: {text}", index + 1))
}

/// The error of a table, `what`, that a broker cannot read.
pub(crate) fn broker(what: &str, failure: BrokerFailure) -> HostError {
    error(failure.reason(), format!("{what}: {}", failure.text()))
}

const CORRUPT: (ReasonCode, &str) =
    (ReasonCode::InputCorrupt, "a file of an input table is not valid in its format");
const FAILED: (ReasonCode, &str) = (ReasonCode::QueryFailed, "the query failed on the data");

const SCRATCH_LIMIT: (ReasonCode, &str) =
    (ReasonCode::ScratchLimit, "the query needs more scratch space than its limit");

/// Part of what the disk manager says when spill files have used up the scratch space.
const SPILL_LIMIT: &str = "used disk space";

fn classify(failure: &DataFusionError) -> (ReasonCode, &'static str) {
    match failure {
        DataFusionError::ArrowError(error, _) => classify_arrow(error),
        DataFusionError::ParquetError(error) => classify_parquet(error),
        DataFusionError::ObjectStore(error) => classify_source(error.as_ref()),
        DataFusionError::IoError(error) => classify_io(error),
        DataFusionError::ResourcesExhausted(text) if text.contains(SPILL_LIMIT) => SCRATCH_LIMIT,
        DataFusionError::ResourcesExhausted(_) => {
            (ReasonCode::MemoryLimit, "the query needs more memory than its limit")
        }
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            classify(inner)
        }
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(all) => all.first().map_or(FAILED, classify),
        DataFusionError::External(inner) => classify_source(inner.as_ref()),
        DataFusionError::ExecutionJoin(_) | DataFusionError::Internal(_) => {
            (ReasonCode::Internal, "the query engine failed")
        }
        _ => FAILED,
    }
}

fn classify_arrow(failure: &ArrowError) -> (ReasonCode, &'static str) {
    match failure {
        ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::IpcError(_)
        | ArrowError::ParquetError(_)
        | ArrowError::AvroError(_) => CORRUPT,
        // Only the CSV and JSON readers begin their messages so; nothing of it is shown.
        ArrowError::ParseError(text) if text.starts_with("Error while parsing value") => CORRUPT,
        ArrowError::ParseError(_) | ArrowError::CastError(_) => {
            (ReasonCode::QueryFailed, "a value cannot be converted to the wanted type")
        }
        ArrowError::DivideByZero => (ReasonCode::QueryFailed, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => (ReasonCode::QueryFailed, "arithmetic overflow"),
        ArrowError::MemoryError(_) => {
            (ReasonCode::MemoryLimit, "the query needs more memory than its limit")
        }
        ArrowError::IoError(_, error) => classify_io(error),
        ArrowError::ExternalError(inner) => classify_source(inner.as_ref()),
        _ => FAILED,
    }
}

fn classify_parquet(failure: &ParquetError) -> (ReasonCode, &'static str) {
    match failure {
        ParquetError::External(inner) => match classify_source(inner.as_ref()) {
            FAILED => CORRUPT,
            known => known,
        },
        _ => CORRUPT,
    }
}

fn classify_io(failure: &std::io::Error) -> (ReasonCode, &'static str) {
    match failure.get_ref() {
        // The writer of spill files keeps only the text of the disk manager's error.
        Some(inner) if inner.to_string().contains(SPILL_LIMIT) => SCRATCH_LIMIT,
        Some(inner) => classify_source(inner),
        None if is_format_error(failure.kind()) => CORRUPT,
        None if failure.kind() == std::io::ErrorKind::StorageFull => {
            (ReasonCode::ScratchLimit, "the scratch space is full")
        }
        None => (ReasonCode::InputUnreadable, "a file of an input table cannot be read"),
    }
}

/// Positions and lengths come from the file itself, so one that cannot be reached is a bad file.
fn is_format_error(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | UnexpectedEof)
}

fn classify_source(failure: &(dyn Error + 'static)) -> (ReasonCode, &'static str) {
    let mut next = Some(failure);
    let mut stored = false;
    while let Some(failure) = next {
        if failure.is::<FileShrank>() {
            return (ReasonCode::InputChanged, "a file of an input table changed during the run");
        }
        if let Some(failure) = failure.downcast_ref::<BrokerFailure>() {
            return (failure.reason(), failure.text());
        }
        if let Some(error) = failure.downcast_ref::<DataFusionError>() {
            return classify(error);
        }
        if let Some(error) = failure.downcast_ref::<ArrowError>() {
            return classify_arrow(error);
        }
        if let Some(error) = failure.downcast_ref::<ParquetError>()
            && !matches!(error, ParquetError::External(_))
        {
            return classify_parquet(error);
        }
        if let Some(error) = failure.downcast_ref::<std::io::Error>() {
            return classify_io(error);
        }
        stored |= failure.is::<object_store::Error>();
        next = failure.source();
    }
    if stored {
        // Positions come from the file's own index, so a bad position is a bad file.
        CORRUPT
    } else {
        FAILED
    }
}

fn root(failure: &DataFusionError) -> &DataFusionError {
    match failure {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(failure, root),
        other => other,
    }
}

fn function_refused(text: &str) -> String {
    let name = text.split('\'').nth(1).unwrap_or_default();
    format!("function `{}` is not on the allow-list", clip(name))
}

fn first_line(failure: &DataFusionError) -> String {
    clip(failure.to_string().lines().next().unwrap_or_default())
}

fn clip(text: &str) -> String {
    const MOST: usize = 400;
    let end = text.floor_char_boundary(MOST);
    text.get(..end).unwrap_or_default().to_owned()
}
