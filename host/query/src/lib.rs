//! The query engine of Glovebox: the only crate that names DataFusion.
//!
//! A [`Session`] knows the tables that one run was granted, as files that the host has opened,
//! or whose rows it asks of a [`Broker`], and nothing else: no file system, no network, no clock,
//! no function that is not on the reviewed list in `policies/sql/functions.txt`. The same statement
//! over the same files gives the same batches in the same order, also in parallel.
//!
//! | file | what |
//! |---|---|
//! | `input` | what a session is made from |
//! | `broker`, `foreign` | rows that are elsewhere |
//! | `store`, `table`, `prepared`, `catalog` | from opened files to names that SQL can resolve |
//! | `view` | an owner's SQL over tables that only it can name |
//! | `describe`, `read_at` | schema of a party's files |
//! | `policy`, `plan_policy`, `functions` | which SQL may run |
//! | `arrange`, `in_order`, `exact_sum` | the same answer every time |
//! | `libraries` | functions of private libraries |
//! | `local` | a query over tables in memory |
//! | `session`, `script`, `stream`, `memory` | planning and running |
//! | `edge`, `coerce` | schemas and values where batches leave |
//! | `error`, `guard` | no cell value in an error |
#![forbid(unsafe_code)]
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

mod arrange;
mod arrow_footer;
mod broker;
mod catalog;
mod coerce;
mod describe;
mod edge;
mod error;
mod exact_sum;
mod foreign;
mod functions;
mod guard;
mod in_order;
mod input;
mod libraries;
pub mod local;
mod memory;
mod overflow;
mod plan_policy;
mod policy;
mod prepared;
mod read_at;
mod script;
mod session;
mod store;
mod stream;
mod table;
mod view;

pub use broker::{Answer, Broker, BrokerFailure, Comparison, Condition, FileNumber, RowScan, Rows};
pub use describe::{INFERRED_ROWS, describe, describe_brokered};
pub use input::{
    BrokeredFile, BrokeredFiles, BrokeredTable, FileFormat, ForeignTable, Input, InputFile,
    InputTable, InputView, SessionSettings,
};
pub use session::Session;
pub use view::describe_view;
