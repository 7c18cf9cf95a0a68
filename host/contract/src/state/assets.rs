//! Tables, notebooks, libraries and volumes that parties add.

use super::effect::Effect;
use super::notebook::Version;
use super::{Library, Refusal, RoomState};
use crate::digest::Blake3Digest;
use crate::name::{Alias, AssetName, TableName};
use crate::reason::ReasonCode;
use crate::revision::{BoundRevision, check_library};
use crate::statement::{AssetStatement, LibraryAsset, NotebookAsset, TableAsset, VolumeAsset};

/// Most tables, notebooks, libraries and volumes of one party.
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
            AssetStatement::Library(library) => self.decide_library(party, library),
            AssetStatement::Volume(volume) => self.decide_volume(party, volume),
        }
    }

    fn decide_volume(&self, party: &Alias, volume: &VolumeAsset) -> Result<Effect, Refusal> {
        self.require_owner(party, &volume.name)?;
        if self.assets.volume(&volume.name).is_none() {
            self.require_room_for_asset(party)?;
        }
        Ok(Effect::AddVolume(volume.clone()))
    }

    fn decide_library(&self, party: &Alias, asset: &LibraryAsset) -> Result<Effect, Refusal> {
        let name = &asset.manifest.name;
        self.check_package(party, asset.hidden)?;
        match self.assets.library(name) {
            Some(library) if library.owner() != party => {
                return Err(not_yours("library", name, library.owner()));
            }
            Some(library) if library.asset() == asset => {
                return Err(Refusal::new(
                    ReasonCode::AlreadyExists,
                    format!("the room has this very library {name} already"),
                ));
            }
            Some(_) => {}
            None => self.require_room_for_asset(party)?,
        }
        self.require_component_size(asset.component_bytes)?;
        check_library(&asset.manifest, &self.assets)?;
        let library = Library { asset: asset.clone(), owner: party.clone() };
        Ok(Effect::AddLibrary(Box::new(library)))
    }

    fn decide_table(&self, party: &Alias, table: &TableAsset) -> Result<Effect, Refusal> {
        self.require_owner(party, &table.name)?;
        if self.assets.table(&table.name).is_none() {
            self.require_room_for_asset(party)?;
        }
        if let Some(output) = &table.output {
            self.check_derived_table(party, table, output)?;
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
        self.check_package(party, asset.hidden)?;
        match self.notebooks.get(name) {
            Some(notebook) => self.require_author(party, notebook.author(), name)?,
            None => self.require_room_for_asset(party)?,
        }
        for runner in &asset.runners {
            self.member(runner)?;
            if self.document.package_provider.as_ref() == Some(runner) {
                return Err(Refusal::new(
                    ReasonCode::NotPermitted,
                    format!("{runner} provides this packaged room, so it runs nothing in it"),
                ));
            }
        }
        self.require_component_size(asset.component_bytes)?;
        let latest = self.notebooks.get(name).and_then(|notebook| notebook.latest());
        if latest.is_some_and(|latest| latest.asset == *asset) {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("this is the latest version of {name} already"),
            ));
        }
        let revision = BoundRevision::bind(&self.id, &self.document, party, asset, &self.assets)?;
        let version = Version {
            asset: asset.clone(),
            added_at: at,
            deprecation: None,
            position: self.statements,
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
            format!("{table} belongs to {}; {party} names its own {party}.NAME", table.schema()),
        ))
    }

    /// In a packaged room all code is the provider's, and hidden.
    fn check_package(&self, party: &Alias, hidden: bool) -> Result<(), Refusal> {
        let Some(provider) = &self.document.package_provider else { return Ok(()) };
        let why = if provider != party {
            format!("all code of this packaged room is of {provider}")
        } else if !hidden {
            "the code of a packaged room is hidden; build it without its source".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::new(ReasonCode::NotPermitted, why))
    }

    fn require_room_for_asset(&self, party: &Alias) -> Result<(), Refusal> {
        let notebooks =
            self.notebooks.values().filter(|notebook| notebook.author() == party).count();
        if self.assets.count_of(party).saturating_add(notebooks) < MAX_ASSETS {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::PolicyLimit,
            format!("{party} has {MAX_ASSETS} assets, the most a party may have"),
        ))
    }

    fn require_component_size(&self, bytes: u64) -> Result<(), Refusal> {
        let limit = self.document.limits.component_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::PolicyLimit,
            format!("the component has {bytes} bytes, the room allows {limit}"),
        ))
    }
}

pub(super) fn not_yours(what: &str, name: &AssetName, owner: &Alias) -> Refusal {
    Refusal::new(ReasonCode::NotPermitted, format!("the {what} {name} belongs to {owner}"))
}
