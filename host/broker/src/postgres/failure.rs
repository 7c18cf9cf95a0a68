//! What an error of the database means.

use std::error::Error;

use glovebox_contract::reason::ReasonCode;
use tokio_postgres::error::DbError;

use crate::error::Failure;
use crate::http::whole_error;

/// What went wrong, from an error that somewhere holds what the database said.
pub(super) fn of(tried: &str, error: &(dyn Error + 'static)) -> Failure {
    if let Some(said) = find::<DbError>(error) {
        return Failure::new(reason(said.code().code()), format!("{tried}: {}", words(said)));
    }
    // What is around it says less, in more words.
    let text = match find::<tokio_postgres::Error>(error) {
        Some(error) => whole_error(error),
        None => whole_error(error),
    };
    // The client has no other name for this.
    match text.contains("password missing") {
        true => Failure::denied(format!("{tried}: it asks for a password")),
        false => Failure::unavailable(format!("{tried}: {text}")),
    }
}

/// An error of a kind among an error and its causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Whether trying again may help: the database is not up, or has no room for one more connection.
pub(super) fn is_passing(failure: &Failure) -> bool {
    failure.reason == ReasonCode::SourceUnavailable
}

/// The reason for a state of the SQL standard or of PostgreSQL.
fn reason(state: &str) -> ReasonCode {
    let class = state.get(..2).unwrap_or_default();
    match (class, state) {
        // Insufficient privilege is in the class of syntax errors.
        ("28" | "0P", _) | (_, "42501") => ReasonCode::SourceDenied,
        // No such database, schema, table; a value that an expression of a view does not take.
        ("3D" | "3F" | "22" | "21" | "23" | "P0", _) | (_, "42P01" | "42809") => {
            ReasonCode::InputUnreadable
        }
        ("42", _) => ReasonCode::SchemaMismatch,
        ("0A", _) => ReasonCode::SourceUnsupported,
        // It is shutting down or starting, cancelled by a timeout, out of connections or memory.
        _ => ReasonCode::SourceUnavailable,
    }
}

/// What the database said, as far as it holds no values: the errors of expressions quote them.
fn words(said: &DbError) -> String {
    let state = said.code().code();
    match state.get(..2).unwrap_or_default() {
        "08" | "28" | "0P" | "3D" | "3F" | "42" | "53" | "55" | "57" | "58" => {
            format!("{} (SQLSTATE {state})", said.message())
        }
        _ => format!("SQLSTATE {state}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_its_reason() {
        let check = |state: &str, expect: ReasonCode| assert_eq!(reason(state), expect, "{state}");
        check("28P01", ReasonCode::SourceDenied);
        check("28000", ReasonCode::SourceDenied);
        check("42501", ReasonCode::SourceDenied);
        check("3D000", ReasonCode::InputUnreadable);
        check("42P01", ReasonCode::InputUnreadable);
        check("22012", ReasonCode::InputUnreadable);
        check("42703", ReasonCode::SchemaMismatch);
        check("0A000", ReasonCode::SourceUnsupported);
        check("57P01", ReasonCode::SourceUnavailable);
        check("57014", ReasonCode::SourceUnavailable);
        check("53300", ReasonCode::SourceUnavailable);
        check("55P03", ReasonCode::SourceUnavailable);
        check("08006", ReasonCode::SourceUnavailable);
        check("", ReasonCode::SourceUnavailable);
    }
}
