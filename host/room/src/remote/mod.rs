//! Rows that are not on this machine, or not in plain files: where a party says they are, and what
//! reads them for a run.
//!
//! The room keeps where a table is and its credential, sealed; a [`Broker`], which the program
//! brings, reaches out. Neither place nor credential leaves the host, and no worker learns them.

mod credential;
mod inputs;
mod location;
mod seal;
mod tables;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use glovebox_contract::column::Column;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::job::TableRows;

use crate::error::Result;

pub(crate) use inputs::{OpenedRemote, RemoteInputs, sockets};
pub(crate) use seal::Sealed;

pub use credential::{Credential, MAX_CREDENTIAL_BYTES};
pub use location::{Location, LocationError, PartitionFilter, RemoteTable};
pub use seal::{SealingKey, SealingKeyError};
pub use tables::{CheckedCredential, NewCredential, RemoteOffer, RemoteRows};

/// Who says where a table is, which decides how far the host reaches out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operator of this machine, or a party that works on it.
    Operator,
    /// A party over the network: it may not point the host at the host's own neighbours, nor at
    /// files of this machine.
    Network,
}

/// What a broker is asked to open.
#[derive(Debug, Clone, Copy)]
pub struct OpenRemote<'a> {
    /// Name of the table, for messages.
    pub table: &'a TableName,
    /// Where it is.
    pub remote: &'a RemoteTable,
    /// What opens it, when it needs something.
    pub credential: Option<&'a Credential>,
    /// Who said where it is.
    pub origin: Origin,
    /// Until when to try.
    pub deadline: Instant,
}

/// Reads rows that are elsewhere. Stands outside every jail.
pub trait Broker: Send + Sync {
    /// Finds a table as it is now: its version, its columns, its files. Reads no rows. Blocks.
    ///
    /// # Errors
    /// `source-unavailable`, `source-denied`, `source-refused`, `source-unsupported`,
    /// `input-unreadable`. The text of an error names the table; its cause may name places, never
    /// a credential.
    fn open(&self, request: OpenRemote<'_>) -> Result<Box<dyn BrokeredTable>>;

    /// Serves opened tables, the first of them as table 0, over one end of each socket, until the
    /// serving is finished or dropped. Returns at once.
    fn serve(
        &self,
        tables: Vec<Box<dyn BrokeredTable>>,
        sockets: Vec<UnixStream>,
    ) -> Result<Box<dyn Serving>>;
}

/// A table that a broker opened, at one version.
pub trait BrokeredTable: Send + Sync + std::any::Any {
    /// Its columns, as far as they are known without a look into files, partition columns included,
    /// with the names that people know. `None` when a jailed worker has to look into the files.
    fn columns(&self) -> Option<Vec<Column>>;

    /// The name in the files of each column that people know by another (Delta's column mapping).
    fn names_in_files(&self) -> BTreeMap<String, String>;

    /// What a worker is told: [`TableRows::Brokered`] or [`TableRows::Foreign`], as table `number`
    /// of the broker. `columns` are all columns of the table as the room knows them.
    fn rows(&self, number: u32, columns: &[Column]) -> TableRows;

    /// What is pinned: records of versions, in order, see [`Pinned`].
    fn pinned(&self) -> Vec<Pinned>;

    /// How many files it has; 0 for a database.
    fn files(&self) -> usize;

    /// Bytes of its files together; 0 for a database.
    fn bytes(&self) -> u64;

    /// Fails with `input-changed` when it is known by now that what was read is not the pinned
    /// version any more. Blocks.
    fn check_unchanged(&self) -> Result<()>;

    /// Itself, for the broker that opened it.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

/// A version that was pinned: in place of the digest of a content that nobody has read whole, the
/// digest of a record that says which version it is.
///
/// The record is canonical JSON with a `kind`: `object` (`bytes`, `etag`, and the `partition` whose
/// values its folders have), `delta` and `delta-sharing` (`table-id`, `version`, and the `partitions`
/// that were chosen) or `postgresql` (`snapshot`, and as far as the user may know them `system` and
/// `lsn`). Nobody but the host and the owner can compute it, and the same version always has the same
/// digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    /// Bytes of all that the record stands for.
    pub bytes: u64,
    /// Digest of the record.
    pub digest: ContentDigest,
}

/// Tables that are being served.
pub trait Serving: Send {
    /// Why something could not be had, if so: the reason that the worker was told, and the detail
    /// for the operator.
    fn failure(&self) -> Option<(ReasonCode, String)>;

    /// Bytes that went to the worker so far.
    fn bytes(&self) -> u64;

    /// [`BrokeredTable::check_unchanged`] of every table that is served. Blocks.
    ///
    /// # Errors
    /// `input-changed`, for one of them.
    fn check_unchanged(&self) -> Result<()>;
}
