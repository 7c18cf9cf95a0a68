//! Adding tables that are elsewhere, and giving them new credentials.

use std::collections::BTreeMap;
use std::time::Instant;

use glovebox_contract::column::Column;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Alias, TableName};
use glovebox_contract::reason::ReasonCode;

use super::seal::{self, SealedFor};
use super::{
    Credential, Location, MAX_CREDENTIAL_BYTES, OpenRemote, Origin, RemoteTable, Sealed, inputs,
};
use crate::error::{Result, RoomError};
use crate::private;
use crate::room::Room;
use crate::sources::{Rows, Source};
use crate::tables::DescribedTable;
use crate::worker::{self, DESCRIBE_TIME, WorkerSettings};

/// A table that its owner has elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOffer {
    /// Where it is.
    pub remote: RemoteTable,
    /// What opens it, when it needs something.
    pub credential: Option<Credential>,
    /// Who says so.
    pub origin: Origin,
}

/// Where the rows of a table are, when they are elsewhere. Host-private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRows {
    /// Where.
    pub table: RemoteTable,
    /// All columns when it was added, offered or not.
    pub columns: Vec<Column>,
    /// Who said so.
    pub origin: Origin,
    pub(crate) sealed: Option<Sealed>,
}

impl RemoteRows {
    /// Whether the host keeps a credential for it.
    pub fn has_credential(&self) -> bool {
        self.sealed.is_some()
    }
}

impl RemoteTable {
    /// Fails when it makes no sense, or is not for whoever says it.
    pub(super) fn check(&self, origin: Origin) -> Result<()> {
        let wrong = |why: &str| Err(RoomError::new(ReasonCode::InvalidArgument, why));
        match &self.location {
            Location::Objects { url } if url.starts_with("file:") && origin == Origin::Network => {
                let what = "a host opens no files of its own machine for a party in the network";
                Err(RoomError::new(ReasonCode::SourceRefused, what))
            }
            Location::Objects { .. } => Ok(()),
            _ if self.format.is_some() => wrong("a format is for plain files"),
            Location::Postgres { .. } if !self.partitions.is_empty() => {
                wrong("a table of a database has no partitions to choose from; a view of it has")
            }
            _ => Ok(()),
        }
    }
}

impl DescribedTable {
    /// Opens a table that is elsewhere and finds its columns, if need be by a look into its files
    /// in a jailed child. `table` is for messages.
    ///
    /// # Errors
    /// `source-unavailable`, `source-denied`, `source-refused`, `source-unsupported`, or as
    /// [`DescribedTable::read`]. The text names the table; the cause may name places, so it is for
    /// the owner.
    pub fn read_remote(
        settings: &WorkerSettings,
        table: &TableName,
        offer: &RemoteOffer,
    ) -> Result<Self> {
        let RemoteOffer { remote, credential, origin } = offer;
        check_size(credential.as_ref())?;
        let request = OpenRemote {
            table,
            remote,
            credential: credential.as_ref(),
            origin: *origin,
            deadline: Instant::now() + DESCRIBE_TIME,
        };
        let brokered = inputs::open(settings.broker()?, request)?;
        let (files, bytes) = (brokered.files(), brokered.bytes());
        let columns = match brokered.columns() {
            Some(columns) => columns,
            None => worker::describe_brokered(settings, table, brokered).map_err(|error| {
                error.reworded(|text| inputs::redacted(credential.as_ref(), text))
            })?,
        };
        let rows = RemoteRows {
            table: remote.clone(),
            columns: columns.clone(),
            origin: *origin,
            sealed: None,
        };
        let source = Source { aliases: BTreeMap::new(), rows: Rows::Remote(Box::new(rows)) };
        Ok(Self { source, columns, files, bytes, credential: credential.clone() })
    }

    /// Whether it is elsewhere: runs pin its version, not the content of files.
    pub fn is_remote(&self) -> bool {
        matches!(self.source.rows, Rows::Remote(_))
    }
}

fn check_size(credential: Option<&Credential>) -> Result<()> {
    let bytes = credential.map(Credential::to_json).transpose();
    if bytes.is_ok_and(|bytes| bytes.is_none_or(|bytes| bytes.len() <= MAX_CREDENTIAL_BYTES)) {
        return Ok(());
    }
    Err(RoomError::new(
        ReasonCode::InvalidArgument,
        format!("a credential has at most {MAX_CREDENTIAL_BYTES} bytes"),
    ))
}

/// Another credential for a table that is elsewhere, not tried yet.
#[derive(Debug)]
pub struct NewCredential {
    owner: Alias,
    table: TableName,
    rows: RemoteRows,
    credential: Credential,
}

/// A credential that opens its table.
#[derive(Debug)]
pub struct CheckedCredential(NewCredential);

impl NewCredential {
    /// Opens the table with it. Takes as long as the place takes, and needs no room meanwhile.
    ///
    /// # Errors
    /// As [`DescribedTable::read_remote`].
    pub fn checked(self, settings: &WorkerSettings) -> Result<CheckedCredential> {
        check_size(Some(&self.credential))?;
        let request = OpenRemote {
            table: &self.table,
            remote: &self.rows.table,
            credential: Some(&self.credential),
            origin: self.rows.origin,
            deadline: Instant::now() + DESCRIBE_TIME,
        };
        inputs::open(settings.broker()?, request)?;
        Ok(CheckedCredential(self))
    }
}

impl Room {
    /// Whether the room would take a statement now; a refusal is logged. For whoever has much to do
    /// before it hands the statement in.
    ///
    /// # Errors
    /// With the reason of the refusal.
    pub fn check_acceptable(&mut self, envelope: &Envelope) -> Result<()> {
        self.signer_of_acceptable(envelope).map(drop)
    }

    /// Another credential for a table of `owner` that is elsewhere. The caller has made sure that it
    /// speaks for the owner, by its key; `origin` is where it spoke.
    ///
    /// # Errors
    /// `not-permitted` when the table is another's; `not-found` when it is not one that is
    /// elsewhere.
    pub fn new_credential(
        &self,
        owner: &Alias,
        table: &TableName,
        credential: Credential,
        origin: Origin,
    ) -> Result<NewCredential> {
        let mut rows = self.remote_source(owner, table)?;
        // Settings of a credential may say where a table is, so the network never gains by it what
        // it may not say.
        if origin == Origin::Network {
            rows.origin = origin;
        }
        Ok(NewCredential { owner: owner.clone(), table: table.clone(), rows, credential })
    }

    /// Gives a table another credential. The table stays what it is: nothing is logged, and no
    /// revision changes.
    ///
    /// # Errors
    /// `input-changed` when the table was replaced meanwhile.
    pub fn replace_credential(&mut self, credential: &CheckedCredential) -> Result<()> {
        let CheckedCredential(NewCredential { owner, table, rows, credential }) = credential;
        self.locked(|room, _| {
            if room.remote_source(owner, table)?.table != rows.table {
                let what = format!("table {table} was replaced meanwhile");
                return Err(RoomError::new(ReasonCode::InputChanged, what));
            }
            let sealed = room.seal(table, &rows.table, credential)?;
            room.store
                .replace_credential(table, &RemoteRows { sealed: Some(sealed), ..rows.clone() })
        })
    }

    /// Where a party's own table is, when it is elsewhere.
    fn remote_source(&self, owner: &Alias, table: &TableName) -> Result<RemoteRows> {
        if table.schema() != owner.as_str() {
            return Err(RoomError::new(
                ReasonCode::NotPermitted,
                format!("table {table} belongs to {}", table.schema()),
            ));
        }
        match self.store.source(table)?.map(|source| source.rows) {
            Some(Rows::Remote(remote)) => Ok(*remote),
            _ => Err(RoomError::not_found(format!(
                "table {table} is not one that this host reads elsewhere"
            ))),
        }
    }

    /// `source` with the credential sealed for this room's table.
    pub(crate) fn with_sealed(
        &self,
        mut source: Source,
        table: &TableName,
        credential: Option<&Credential>,
    ) -> Result<Source> {
        if let (Rows::Remote(remote), Some(credential)) = (&mut source.rows, credential) {
            remote.sealed = Some(self.seal(table, &remote.table, credential)?);
        }
        Ok(source)
    }

    fn seal(
        &self,
        table: &TableName,
        remote: &RemoteTable,
        credential: &Credential,
    ) -> Result<Sealed> {
        let definition = private::definition(remote)?;
        let of = SealedFor { room: self.state.id(), table, definition: &definition };
        self.home.sealing_key()?.seal(&of, credential)
    }

    /// The credential of a table, when the host keeps one.
    pub(super) fn credential(
        &self,
        table: &TableName,
        remote: &RemoteRows,
    ) -> Result<Option<Credential>> {
        let Some(sealed) = &remote.sealed else { return Ok(None) };
        let definition = private::definition(&remote.table)?;
        let of = SealedFor { room: self.state.id(), table, definition: &definition };
        seal::open(&self.home.opening_keys(), &of, sealed).map(Some)
    }
}
