//! What the parties offer to notebooks: tables, libraries, volumes.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::Manifest;
use crate::name::{Alias, AssetName, TableName};
use crate::statement::{LibraryAsset, NotebookAsset, TableAsset, VolumeAsset};

/// The assets of a room that notebooks are bound to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assets {
    pub(super) tables: BTreeMap<TableName, TableAsset>,
    pub(super) libraries: BTreeMap<AssetName, Library>,
    pub(super) volumes: BTreeMap<TableName, VolumeAsset>,
}

/// A library of a room.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) asset: LibraryAsset,
    pub(super) owner: Alias,
}

impl Library {
    /// What its owner's statement says.
    pub fn asset(&self) -> &LibraryAsset {
        &self.asset
    }

    /// The party that added it, and the only one that may replace or delete it.
    pub fn owner(&self) -> &Alias {
        &self.owner
    }
}

impl Assets {
    pub(crate) fn table(&self, name: &TableName) -> Option<&TableAsset> {
        self.tables.get(name)
    }

    pub(crate) fn library(&self, name: &AssetName) -> Option<&Library> {
        self.libraries.get(name)
    }

    pub(crate) fn volume(&self, name: &TableName) -> Option<&VolumeAsset> {
        self.volumes.get(name)
    }

    /// How many of them a party has.
    pub(super) fn count_of(&self, party: &Alias) -> usize {
        let own = |name: &&TableName| name.schema() == party.as_str();
        let tables = self.tables.keys().filter(own).count();
        let volumes = self.volumes.keys().filter(own).count();
        let libraries = self.libraries.values().filter(|library| library.owner == *party).count();
        tables.saturating_add(volumes).saturating_add(libraries)
    }

    /// The libraries that a manifest needs, and those that they need, as far as they are there.
    pub(super) fn closure(&self, manifest: &Manifest) -> BTreeSet<&AssetName> {
        let mut closure = BTreeSet::new();
        let mut open: Vec<&AssetName> =
            self.libraries.keys().filter(|name| manifest.libraries.contains_key(*name)).collect();
        while let Some(name) = open.pop() {
            if closure.insert(name)
                && let Some(library) = self.libraries.get(name)
            {
                let needs = &library.asset.manifest.libraries;
                open.extend(self.libraries.keys().filter(|name| needs.contains_key(*name)));
            }
        }
        closure
    }
}

/// An asset that was added, replaced or deleted.
pub(super) enum Changed<'a> {
    Table(&'a TableName),
    /// Which libraries its libraries need, only they know, so any change may concern it.
    Libraries,
    Volume(&'a TableName),
}

impl Changed<'_> {
    /// Whether the change may make another revision of a notebook.
    pub(super) fn concerns(&self, asset: &NotebookAsset) -> bool {
        let manifest = &asset.manifest;
        match self {
            Self::Table(table) => manifest.inputs.keys().any(|name| {
                asset.bindings.get(name).map_or(name, |binding| &binding.table) == *table
            }),
            Self::Libraries => !manifest.libraries.is_empty(),
            Self::Volume(volume) => manifest.volumes.contains_key(*volume),
        }
    }
}
