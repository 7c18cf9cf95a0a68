//! What an approval covers.
//!
//! A revision is everything that decides what a notebook can do: the component, its libraries and
//! manifest, the very columns it reads with their types, who may run it, the limits and the rules
//! for its outputs. Its digest is computed from the state of the room, never taken from a party, so
//! a change in any part (an owner who adds a table again with other types, for example) is another
//! revision, which nobody has approved yet.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::column::Column;
use crate::digest::{Blake3Digest, ContentDigest};
use crate::limits::Limits;
use crate::manifest::InputDeclaration;
use crate::name::{Alias, AssetName, RoomId, TableName};
use crate::reason::ReasonCode;
use crate::state::Refusal;
use crate::statement::{NotebookAsset, OutputSettings, RoomDocument, TableAsset};

/// Everything that an approval covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The party that added the notebook.
    pub author: Alias,
    /// The component.
    pub component: ContentDigest,
    /// Whether the component hides its source.
    pub hidden: bool,
    /// The tables it reads, in order of their names.
    pub inputs: Vec<RevisionInput>,
    /// The interfaces it imports.
    pub interfaces: BTreeSet<String>,
    /// Its libraries.
    pub libraries: BTreeMap<AssetName, ContentDigest>,
    /// The room's limits.
    pub limits: Limits,
    /// Digest of the manifest's canonical form.
    pub manifest: Blake3Digest,
    /// The notebook.
    pub notebook: AssetName,
    /// The room's rules for outputs.
    pub outputs: OutputSettings,
    /// The room.
    pub room: RoomId,
    /// Who may run it.
    pub runners: BTreeSet<Alias>,
}

/// A table that a revision reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionInput {
    /// The columns it sees, in the table's order, with the table's types.
    pub columns: Vec<Column>,
    /// The party that owns the table.
    pub owner: Alias,
    /// The table.
    pub table: TableName,
}

/// A revision and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundRevision {
    revision: Revision,
    digest: Blake3Digest,
}

impl BoundRevision {
    /// Binds a notebook to the tables of the room as they are now.
    pub(crate) fn bind(
        room: &RoomId,
        document: &RoomDocument,
        author: &Alias,
        asset: &NotebookAsset,
        tables: &BTreeMap<TableName, TableAsset>,
    ) -> Result<Self, Refusal> {
        let inputs = asset
            .manifest
            .inputs
            .iter()
            .map(|(name, declared)| bind_input(name, declared, tables.get(name)))
            .collect::<Result<_, _>>()?;
        let revision = Revision {
            author: author.clone(),
            component: asset.component,
            hidden: asset.hidden,
            inputs,
            interfaces: asset.interfaces.clone(),
            libraries: asset.manifest.libraries.clone(),
            limits: document.limits.clone(),
            manifest: canonical::digest(&asset.manifest)?,
            notebook: asset.manifest.name.clone(),
            outputs: document.outputs.clone(),
            room: *room,
            runners: asset.runners.clone(),
        };
        let digest = canonical::digest(&revision)?;
        Ok(Self { revision, digest })
    }

    /// What the digest is of. Its canonical JSON, hashed with BLAKE3, gives the digest.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// What an approval names.
    pub fn digest(&self) -> &Blake3Digest {
        &self.digest
    }
}

fn bind_input(
    name: &TableName,
    declared: &InputDeclaration,
    table: Option<&TableAsset>,
) -> Result<RevisionInput, Refusal> {
    let refuse = |reason, why: String| Err(Refusal::new(reason, format!("table {name}: {why}")));
    let owner = name.schema().parse()?;
    let Some(table) = table else {
        return refuse(ReasonCode::NotFound, "the room has no such table".into());
    };
    let present = table.columns_by_name();
    for (column, expected) in &declared.columns {
        match present.get(column.as_str()) {
            None => {
                return refuse(
                    ReasonCode::SchemaMismatch,
                    format!("it has no column `{}`", column.escape_debug()),
                );
            }
            Some(found) if !expected.is_compatible(&found.column_type) => {
                return refuse(
                    ReasonCode::SchemaMismatch,
                    format!(
                        "the column `{}` is {}, the notebook expects {expected}",
                        column.escape_debug(),
                        found.column_type
                    ),
                );
            }
            Some(_) => {}
        }
    }
    let granted = |column: &&Column| declared.columns.contains_key(&column.name);
    let columns = table.columns.iter().filter(granted).cloned().collect();
    Ok(RevisionInput { columns, owner, table: name.clone() })
}
