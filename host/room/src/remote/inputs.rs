//! The inputs of a run that are elsewhere: opened before the run at one version each, served while
//! it goes on.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use glovebox_contract::column::Column;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{FileDigest, Pin, Snapshot};
use glovebox_job::broker::MAX_BROKER_SOCKETS;
use glovebox_job::descriptors::{DescriptorIndex, DescriptorList};
use glovebox_job::job::TableRows;

use super::{Broker, BrokeredTable, Credential, OpenRemote, RemoteRows, Serving};
use crate::error::{Context as _, Result, RoomError};
use crate::room::Room;
use crate::worker::WorkerSettings;

/// How long a run waits for the place of one of its tables.
const OPEN_TIME: Duration = Duration::from_secs(60);

/// A table that is elsewhere, at one version.
#[derive(Clone)]
pub(crate) struct OpenedRemote {
    /// What the worker is told.
    pub(crate) rows: TableRows,
    /// The name in the files of each column that people know by another.
    pub(crate) names_in_files: BTreeMap<String, String>,
    /// What the run reads.
    pub(crate) snapshot: Snapshot,
}

/// The tables of one run that are elsewhere. Each is opened once, by however many names the
/// notebook reads it: all of them see the same version.
#[derive(Default)]
pub(crate) struct RemoteInputs {
    opened: BTreeMap<TableName, OpenedRemote>,
    /// In the order of their numbers.
    tables: Vec<Box<dyn BrokeredTable>>,
    credentials: Vec<Credential>,
}

/// Further sockets of a run that reads a database: each scan that goes on holds one.
const SCAN_SOCKETS: usize = 24;

/// Sockets between the worker of a run and the broker: each of the worker's threads may read two
/// things at once.
fn socket_count(partitions: u32, scans: bool) -> usize {
    let threads = usize::try_from(partitions).unwrap_or(MAX_BROKER_SOCKETS);
    let count = threads.saturating_mul(2).saturating_add(2);
    count.saturating_add(if scans { SCAN_SOCKETS } else { 0 }).min(MAX_BROKER_SOCKETS)
}

/// Connected sockets: places of the worker's ends, and the broker's ends.
pub(crate) fn sockets(
    count: usize,
    descriptors: &mut DescriptorList,
) -> Result<(Vec<DescriptorIndex>, Vec<UnixStream>)> {
    let making = || "connect the worker and the broker".into();
    let (mut theirs, mut ours) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        let (worker, broker) = UnixStream::pair().trying(making)?;
        // The worker's jail lets it change nothing about a descriptor.
        worker.set_nonblocking(true).trying(making)?;
        theirs.push(descriptors.push(worker));
        ours.push(broker);
    }
    Ok((theirs, ours))
}

/// A worker's ends of the sockets, and what serves the other ends; nothing to serve without tables.
type Served = (Vec<DescriptorIndex>, Option<Box<dyn Serving>>);

impl RemoteInputs {
    /// Whether everything that the run reads is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Opens a table of the room, unless it is open.
    pub(crate) fn open(
        &mut self,
        room: &Room,
        settings: &WorkerSettings,
        table: &TableName,
        (remote, aliases): (&RemoteRows, &BTreeMap<String, String>),
    ) -> Result<OpenedRemote> {
        if let Some(opened) = self.opened.get(table) {
            return Ok(opened.clone());
        }
        let credential = room.credential(table, remote)?;
        let request = OpenRemote {
            table,
            remote: &remote.table,
            credential: credential.as_ref(),
            origin: remote.origin,
            deadline: Instant::now() + OPEN_TIME,
        };
        let brokered = open(settings.broker()?, request)?;
        let columns = match brokered.columns() {
            None => remote.columns.clone(),
            Some(columns) => {
                let offered = room.state.table(table).map(|asset| asset.columns.as_slice());
                check_columns(table, offered.unwrap_or_default(), aliases, &columns)?;
                columns
            }
        };
        let number = u32::try_from(self.tables.len())
            .map_err(|error| RoomError::internal("too many tables").because(error))?;
        let opened = OpenedRemote {
            rows: brokered.rows(number, &columns),
            names_in_files: brokered.names_in_files(),
            snapshot: snapshot(brokered.as_ref()),
        };
        self.tables.push(brokered);
        self.credentials.extend(credential);
        self.opened.insert(table.clone(), opened.clone());
        Ok(opened)
    }

    /// Lets the broker serve the tables, over sockets whose other ends go to a worker with so many
    /// partitions. Nothing when there are no tables.
    pub(crate) fn serve(
        &mut self,
        settings: &WorkerSettings,
        partitions: u32,
        descriptors: &mut DescriptorList,
    ) -> Result<Served> {
        if self.is_empty() {
            return Ok((Vec::new(), None));
        }
        let scans = |opened: &OpenedRemote| matches!(opened.rows, TableRows::Foreign(_));
        let count = socket_count(partitions, self.opened.values().any(scans));
        let (theirs, ours) = sockets(count, descriptors)?;
        let serving = settings.broker()?.serve(std::mem::take(&mut self.tables), ours)?;
        Ok((theirs, Some(serving)))
    }

    /// `text` without anything of the credentials.
    pub(crate) fn redact(&self, text: &str) -> String {
        let credentials = self.credentials.iter();
        credentials.fold(text.to_owned(), |text, credential| credential.redact(&text))
    }
}

/// Opens a table. No error shows its credential, whoever made the error.
pub(super) fn open(broker: &dyn Broker, request: OpenRemote<'_>) -> Result<Box<dyn BrokeredTable>> {
    request.remote.check(request.origin)?;
    let opened = broker.open(request);
    opened.map_err(|error| error.reworded(|text| redacted(request.credential, text)))
}

/// `text` without anything of the credential.
pub(super) fn redacted(credential: Option<&Credential>, text: &str) -> String {
    credential.map_or_else(|| text.to_owned(), |credential| credential.redact(text))
}

/// What a run reads of an opened table, in the words of the log.
fn snapshot(table: &dyn BrokeredTable) -> Snapshot {
    let pinned = table.pinned().into_iter();
    let files = pinned.map(|pinned| FileDigest { bytes: pinned.bytes, digest: pinned.digest });
    Snapshot { files: files.collect(), pin: Pin::Version, tables: Vec::new() }
}

/// Fails unless all columns that the owner offered are still there, and what they were.
fn check_columns(
    table: &TableName,
    offered: &[Column],
    aliases: &BTreeMap<String, String>,
    found: &[Column],
) -> Result<()> {
    for column in offered {
        let name = aliases.get(&column.name).unwrap_or(&column.name);
        let now = found.iter().find(|now| now.name == *name);
        let why = match now {
            None => "is not there any more",
            Some(now) if now.column_type != column.column_type => "has another type now",
            Some(now) if now.nullable && !column.nullable => "may be null now",
            Some(_) => continue,
        };
        return Err(RoomError::new(
            ReasonCode::SchemaMismatch,
            format!(
                "table {table}: its column `{}` {why}; its owner has to add it again",
                column.name.escape_debug()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_columns_have_to_stay_what_they_were() {
        let columns = |text: &str| -> Vec<Column> {
            let columns = text.split_whitespace().filter_map(|column| column.split_once(':'));
            let column = |(name, kind): (&str, &str)| {
                let (kind, nullable) = match kind.strip_suffix('?') {
                    Some(kind) => (kind, true),
                    None => (kind, false),
                };
                let json = serde_json::json!({ "name": name, "type": kind, "nullable": nullable });
                serde_json::from_value(json).unwrap()
            };
            columns.map(column).collect()
        };
        let check = |offered: &str, found: &str, expect: Result<(), &str>| {
            let aliases = [("mail".to_owned(), "eml".to_owned())].into();
            let table = "a.t".parse().unwrap();
            let checked = check_columns(&table, &columns(offered), &aliases, &columns(found));
            let checked = checked.map_err(|error| {
                assert_eq!(error.reason(), ReasonCode::SchemaMismatch);
                error.to_string()
            });
            let said =
                |why: &str| format!("table a.t: its column {why}; its owner has to add it again");
            assert_eq!(checked, expect.map_err(said), "{offered} in {found}");
        };
        check("id:int64", "id:int64", Ok(()));
        check("id:int64", "new:utf8 id:int64", Ok(()));
        check("id:int64?", "id:int64", Ok(()));
        check("mail:utf8", "eml:utf8 mail:int64", Ok(()));
        check("id:int64", "new:int64", Err("`id` is not there any more"));
        check("id:int64", "id:int32", Err("`id` has another type now"));
        check("id:int64", "id:int64?", Err("`id` may be null now"));
        check("mail:utf8", "mail:utf8", Err("`mail` is not there any more"));
    }

    #[test]
    fn sockets_are_connected_in_pairs() {
        let mut descriptors = DescriptorList::new();
        let (theirs, ours) = sockets(socket_count(3, false), &mut descriptors).unwrap();
        assert_eq!((theirs.len(), ours.len(), descriptors.len()), (8, 8, 8));
        assert_eq!(socket_count(3, true), 32);
        assert_eq!(socket_count(16, true), 58);
        assert_eq!(socket_count(u32::MAX, false), MAX_BROKER_SOCKETS);
    }
}
