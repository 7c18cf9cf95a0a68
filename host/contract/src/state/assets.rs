//! Tables and notebooks that parties add.

use super::effect::Effect;
use super::notebook::Version;
use super::{Refusal, RoomState};
use crate::digest::Blake3Digest;
use crate::name::{Alias, TableName};
use crate::reason::ReasonCode;
use crate::revision::BoundRevision;
use crate::statement::{AssetStatement, NotebookAsset, TableAsset};

/// Most tables and notebooks of one party.
const MAX_ASSETS: usize = 1000;

impl RoomState {
    pub(super) fn decide_asset(
        &self,
        party: &Alias,
        asset: &AssetStatement,
        digest: &Blake3Digest,
        at: u64,
    ) -> Result<Effect, Refusal> {
        match asset {
            AssetStatement::Table(table) => self.decide_table(party, table),
            AssetStatement::Notebook(notebook) => self.decide_notebook(party, notebook, digest, at),
        }
    }

    fn decide_table(&self, party: &Alias, table: &TableAsset) -> Result<Effect, Refusal> {
        self.require_owner(party, &table.name)?;
        if !self.tables.contains_key(&table.name) {
            self.require_room_for_asset(party)?;
        }
        Ok(Effect::AddTable(table.clone()))
    }

    fn decide_notebook(
        &self,
        party: &Alias,
        asset: &NotebookAsset,
        digest: &Blake3Digest,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let name = &asset.manifest.name;
        match self.notebooks.get(name) {
            Some(notebook) => self.require_author(party, notebook.author(), name)?,
            None => self.require_room_for_asset(party)?,
        }
        for runner in &asset.runners {
            self.member(runner)?;
        }
        let limit = self.document.limits.component_bytes;
        if asset.component_bytes > limit {
            return Err(Refusal::new(
                ReasonCode::PolicyLimit,
                format!(
                    "the component has {} bytes, the room allows {limit}",
                    asset.component_bytes
                ),
            ));
        }
        let latest = self.notebooks.get(name).and_then(|notebook| notebook.latest());
        if latest.is_some_and(|latest| latest.asset == *asset) {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("this is the latest version of {name} already"),
            ));
        }
        let revision = BoundRevision::bind(&self.id, &self.document, party, asset, &self.tables)?;
        let version = Version {
            asset: asset.clone(),
            added_at: at,
            revision: Ok(revision),
            statement: *digest,
        };
        Ok(Effect::AddVersion { author: party.clone(), version: Box::new(version) })
    }

    pub(super) fn require_owner(&self, party: &Alias, table: &TableName) -> Result<(), Refusal> {
        if table.schema() == party.as_str() {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::NotPermitted,
            format!(
                "the table {table} belongs to {}; {party} names its own {party}.NAME",
                table.schema()
            ),
        ))
    }

    fn require_room_for_asset(&self, party: &Alias) -> Result<(), Refusal> {
        let tables = self.tables.keys().filter(|name| name.schema() == party.as_str()).count();
        let notebooks =
            self.notebooks.values().filter(|notebook| notebook.author() == party).count();
        if tables.saturating_add(notebooks) < MAX_ASSETS {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::PolicyLimit,
            format!("{party} has {MAX_ASSETS} tables and notebooks, the most a party may have"),
        ))
    }
}
