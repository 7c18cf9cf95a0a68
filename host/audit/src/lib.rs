//! What happened in a room, as tables for SQL and Delta Sharing.
//!
//! A [`Journal`] reads the log of a room, statement by statement, and checks each as every party
//! does. It makes two tables, which are the same wherever the same log is read:
//!
//! - [`EVENTS`](columns::EVENTS): what happened, one row an event, in the columns of Databricks'
//!   `system.access.clean_room_events` and some that it lacks: the key that acted, digests of
//!   parameters and libraries, what was refused and why, rules and their uses, reads of outputs,
//!   and the statement that says so.
//! - [`RUNS`](columns::RUNS): what was run, on whose data, what it used, what it costs and who pays.
//!   The figures are those of the receipts, which the contract rounds up to powers of two; `bytes_in`
//!   is the length of the files that were pinned, however much of them was read, and 0 for a table of
//!   a database.
//!
//! [`statements()`] is the log itself as a third table. Nothing here is more than the log says, which
//! all parties of a room read: no rows, no paths, no values of parameters.
//!
//! | Databricks' word | here |
//! |---|---|
//! | `account_id` | the public key of the host |
//! | `metastore_id` | `glovebox:<region>:<public key of the host>` |
//! | `initiator_global_metastore_id` | the same with the key of the party that signed |
//! | `event_id` | digest of the statement, and a number if it makes several events |
//! | `event_time` | when the signer says it said so; the log's order is `position` |
//! | `notebook_checksum`, `notebook_etag` | digests of the component and of the revision |
//!
//! Types of events that Databricks does not have:
//!
//! | `event_type` | says |
//! |---|---|
//! | `CLEAN_ROOM_ACCEPTED`, `COLLABORATOR_KEY_CHANGED` | a party agreed to the room, or signs with another key |
//! | `RUN_NOTEBOOK_REQUESTED`, `RUN_NOTEBOOK_CANCEL_REQUESTED` | a runner asked for a run, or took that back |
//! | `REQUEST_REFUSED` | the host turned something down: `refused_request`, `reason`, `requested_by` |
//! | `AUTO_APPROVAL_RULE_CREATED`, `…_REPLACED`, `…_DELETED`, `…_USED` | a rule, and each run that it approved |
//! | `OUTPUT_READ`, `SHARED_TABLE_READ` | a party read an output; its recipient read a shared table |
//! | `SHARE_RECIPIENT_UPDATED`, `SHARE_GRANTED`, `SHARE_REVOKED` | what a party shares with whom |
//! | `CLEAN_ROOM_PAUSED`, `…_RESUME_AGREED`, `NOTEBOOK_PAUSED`, `…_RESUME_AGREED` | runs stop, and the votes to go on |
//! | `NOTEBOOK_DEPRECATED` | an author gives a revision up |
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable
    )
)]
#![forbid(unsafe_code)]

pub mod columns;
pub mod error;
mod events;
mod journal;
mod rows;
mod runs;
mod said;
mod statements;
mod values;
mod write;

pub use error::AuditError;
pub use journal::Journal;
pub use rows::{Rows, Table};
pub use statements::statements;
pub use write::write_parquet;

#[cfg(test)]
#[path = "../../contract/tests/contract/support.rs"]
#[expect(dead_code, reason = "the tests of the contract use the rest")]
mod support;
#[cfg(test)]
mod tests;
