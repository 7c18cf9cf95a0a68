//! What a recipient may read, by the names that it sees.
//!
//! A share is called as the owner of the recipient called it, a schema as the notebook, a table as
//! the output. Runs of another party, where every party may read them, are the table
//! `output@runner`. A table that an owner shares the plain way is called as in the room, the tables
//! of what happened there `audit.events` and `audit.runs`. Clients split names at dots, so a dot in a
//! name becomes `~`.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::name::{Alias, AssetName, Identifier, TableName};
use glovebox_contract::state::{RoomState, SharingRecipient};
use glovebox_contract::statement::{AuditTable, Grant, Shared};
use serde::{Deserialize, Serialize};

/// The schema of the tables that are made of the log.
const AUDIT: &str = "audit";

/// A table of a room that can be shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(crate) enum Key {
    /// An output of a notebook, of the runs of one party.
    Output {
        /// The party.
        runner: Alias,
        /// The notebook.
        notebook: AssetName,
        /// The output.
        output: Identifier,
    },
    /// A party's own table.
    Plain {
        /// Its name.
        table: TableName,
    },
    /// A table that is made of the log.
    Audit {
        /// Which one.
        table: AuditTable,
    },
}

/// A table that a recipient may read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The share that it is in, as its owner called it.
    pub(crate) share: AssetName,
    /// The table.
    pub(crate) key: Key,
    /// Until when it was granted.
    pub(crate) until: Option<u64>,
}

/// The name that recipients see.
pub(crate) fn shown(name: &str) -> String {
    name.replace('.', "~")
}

impl Key {
    fn of_output(owner: &Alias, notebook: &AssetName, table: &str) -> Option<Self> {
        let (output, runner) = match table.split_once('@') {
            None => (table, owner.clone()),
            Some((output, runner)) => (output, runner.parse().ok()?),
        };
        // The owner's own runs have one name.
        let is_plain = !table.contains('@');
        let output = output.parse().ok()?;
        (is_plain || runner != *owner).then(|| Self::Output {
            runner,
            notebook: notebook.clone(),
            output,
        })
    }

    /// The schema that the table is in.
    pub(crate) fn schema(&self) -> String {
        match self {
            Self::Output { notebook, .. } => shown(notebook.as_str()),
            Self::Plain { table } => table.schema().to_owned(),
            Self::Audit { .. } => AUDIT.to_owned(),
        }
    }

    /// The table's name in it, for a recipient of `owner`.
    pub(crate) fn table(&self, owner: &Alias) -> String {
        match self {
            Self::Output { runner, output, .. } if runner == owner => output.to_string(),
            Self::Output { runner, output, .. } => format!("{output}@{runner}"),
            Self::Plain { table } => table.table().to_owned(),
            Self::Audit { table } => table.as_str().to_owned(),
        }
    }

    /// What a statement about a read calls it.
    pub(crate) fn in_statement(&self, owner: &Alias) -> String {
        match self {
            Self::Output { notebook, .. } => format!("{notebook}.{}", self.table(owner)),
            Self::Plain { table } => table.to_string(),
            Self::Audit { table } => table.in_statement().to_owned(),
        }
    }

    /// Whether a grant of `owner` covers the table now: for outputs, whether there is one that the
    /// owner may read.
    fn is_covered(&self, state: &RoomState, owner: &Alias, what: &Shared, now: u64) -> bool {
        match (self, what) {
            (Self::Plain { table }, Shared::Table { table: granted }) => {
                table == granted && state.table(table).is_some()
            }
            (Self::Audit { .. }, Shared::Events {}) => true,
            (
                Self::Output { runner, notebook, output },
                Shared::Output { notebook: granted, .. },
            ) => {
                notebook == granted
                    && state
                        .shared_outputs(owner, what, now)
                        .any(|(run, name, _)| run.runner() == runner && name == output)
            }
            _ => false,
        }
    }
}

/// The names of the recipient's shares.
pub(crate) fn shares(recipient: &SharingRecipient, now: u64) -> BTreeSet<String> {
    recipient.grants_at(now).map(|grant| shown(grant.share.as_str())).collect()
}

/// The names of the schemas of a share.
pub(crate) fn schemas(recipient: &SharingRecipient, now: u64, share: &str) -> BTreeSet<String> {
    let schema = |grant: &Grant| match &grant.what {
        Shared::Output { notebook, .. } => shown(notebook.as_str()),
        Shared::Table { table } => table.schema().to_owned(),
        Shared::Events {} => AUDIT.to_owned(),
    };
    grants_in(recipient, now, share).map(schema).collect()
}

/// The tables of a share by schema and name; of one schema, if one is named.
pub(crate) fn tables(
    state: &RoomState,
    recipient: &SharingRecipient,
    now: u64,
    share: &str,
    schema: Option<&str>,
) -> BTreeMap<(String, String), Key> {
    let owner = recipient.owner();
    let mut tables = BTreeMap::new();
    for grant in grants_in(recipient, now, share) {
        let keys: BTreeSet<Key> = match &grant.what {
            Shared::Table { table } => state
                .table(table)
                .map(|_| Key::Plain { table: table.clone() })
                .into_iter()
                .collect(),
            Shared::Events {} => AuditTable::ALL.map(|table| Key::Audit { table }).into(),
            Shared::Output { notebook, .. } => state
                .shared_outputs(owner, &grant.what, now)
                .map(|(run, output, _)| Key::Output {
                    runner: run.runner().clone(),
                    notebook: notebook.clone(),
                    output: output.clone(),
                })
                .collect(),
        };
        for key in keys {
            let name = (key.schema(), key.table(owner));
            if schema.is_none_or(|schema| schema == name.0) {
                // An output and a table of one name: the one that `find` finds.
                tables.entry(name).or_insert(key);
            }
        }
    }
    tables
}

/// The table of this name.
pub(crate) fn find(
    state: &RoomState,
    recipient: &SharingRecipient,
    now: u64,
    [share, schema, table]: [&str; 3],
) -> Option<Listed> {
    let owner = recipient.owner();
    for grant in grants_in(recipient, now, share) {
        let key = match &grant.what {
            Shared::Output { notebook, .. } if shown(notebook.as_str()) == schema => {
                Key::of_output(owner, notebook, table)
            }
            Shared::Table { table: granted }
                if granted.schema() == schema && granted.table() == table =>
            {
                Some(Key::Plain { table: granted.clone() })
            }
            Shared::Events {} if schema == AUDIT => AuditTable::ALL
                .into_iter()
                .find(|known| known.as_str() == table)
                .map(|table| Key::Audit { table }),
            _ => None,
        };
        if let Some(key) = key.filter(|key| key.is_covered(state, owner, &grant.what, now)) {
            return listed(state, recipient, now, &grant.share, &key);
        }
    }
    None
}

/// The table in a share, if the recipient may read it now.
pub(crate) fn listed(
    state: &RoomState,
    recipient: &SharingRecipient,
    now: u64,
    share: &AssetName,
    key: &Key,
) -> Option<Listed> {
    let owner = recipient.owner();
    let grants = recipient
        .grants_at(now)
        .filter(|grant| grant.share == *share && key.is_covered(state, owner, &grant.what, now));
    // A table may be granted twice: by itself and with all outputs. The longer one counts.
    let until = grants.map(|grant| grant.until.unwrap_or(u64::MAX)).max()?;
    let until = (until != u64::MAX).then_some(until);
    Some(Listed { share: share.clone(), key: key.clone(), until })
}

fn grants_in<'a>(
    recipient: &'a SharingRecipient,
    now: u64,
    share: &'a str,
) -> impl Iterator<Item = &'a Grant> {
    recipient.grants_at(now).filter(move |grant| shown(grant.share.as_str()) == share)
}
