//! Adding private libraries, and what a component is composed with.

use std::collections::BTreeMap;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::AssetName;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, LibraryAsset};
use glovebox_job::event::Compiled;

use crate::error::{Result, RoomError};
use crate::notebooks::{Announced, mismatch};
use crate::room::Room;
use crate::worker::WorkerSettings;

/// The libraries that a component needs, and those that they need, by their names in the room.
pub(crate) type Libraries = BTreeMap<AssetName, ContentDigest>;

impl Room {
    /// Adds a library, or replaces the party's own: keeps the component, checks and compiles it in
    /// a jailed child, compares what it is with what the statement says, and takes the statement.
    /// Every notebook that uses a library of that name becomes another revision.
    ///
    /// # Errors
    /// With the reason when the statement or the component is refused; `component-mismatch` when
    /// the statement speaks about another component than this one.
    pub fn add_library(
        &mut self,
        settings: &WorkerSettings,
        envelope: &Envelope,
        component: &[u8],
    ) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Library(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a library"));
        };
        let announced = Announced {
            bytes: asset.component_bytes,
            digest: asset.component,
            manifest: &asset.manifest,
        };
        self.add_component(settings, envelope, component, &announced, |compiled| {
            check_statement(&asset, compiled)
        })
    }
}

/// The statement says what the component is, as far as a reviewer relies on it.
fn check_statement(asset: &LibraryAsset, compiled: &Compiled) -> Result<()> {
    if asset.manifest != compiled.manifest {
        return Err(mismatch("its manifest"));
    }
    if asset.interfaces != compiled.imports {
        return Err(mismatch("the interfaces it imports"));
    }
    if asset.exports != compiled.exports {
        return Err(mismatch("the interfaces it exports"));
    }
    if asset.hidden != compiled.source_paths.is_empty() {
        return Err(mismatch("whether it hides its source"));
    }
    Ok(())
}
