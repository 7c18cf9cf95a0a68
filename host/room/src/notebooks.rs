//! Adding notebooks, and what they have in common with libraries: a component is checked and
//! compiled before its statement is taken.

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, NotebookAsset};
use glovebox_job::event::Compiled;

use crate::components::{CodeCache, Compilation, ComponentStore};
use crate::error::{Result, RoomError};
use crate::room::Room;
use crate::worker::{self, WorkerSettings};

impl Room {
    /// Adds a notebook or a version of one: keeps the component, checks and compiles it in a
    /// jailed child, compares what it is with what the statement says, and takes the statement.
    ///
    /// # Errors
    /// With the reason when the statement or the component is refused; `component-mismatch` when
    /// the statement speaks about another component than this one.
    pub fn add_notebook(
        &mut self,
        settings: &WorkerSettings,
        envelope: &Envelope,
        component: &[u8],
    ) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Notebook(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a notebook"));
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

    /// Checks, keeps and compiles a component, asks `agrees` whether it is what its statement says,
    /// and takes the statement.
    pub(crate) fn add_component(
        &mut self,
        settings: &WorkerSettings,
        envelope: &Envelope,
        component: &[u8],
        announced: &Announced<'_>,
        agrees: impl Fn(&Compiled) -> Result<()>,
    ) -> Result<Applied> {
        let checked = self
            .check_first(envelope, announced, component)
            .and_then(|()| self.compile(settings, envelope, announced, component))
            .and_then(|compiled| agrees(&compiled));
        if let Err(error) = checked {
            self.locked(|room, _| room.log_refusal(envelope, error.reason()))?;
            return Err(error);
        }
        self.locked(|room, _| room.take(envelope, |_| Ok(())))
    }

    /// What can be said without running a compiler: nobody makes the host work in vain.
    fn check_first(
        &mut self,
        envelope: &Envelope,
        announced: &Announced<'_>,
        component: &[u8],
    ) -> Result<()> {
        self.refresh()?;
        self.state.clone().apply(envelope)?;
        let bytes = u64::try_from(component.len()).unwrap_or(u64::MAX);
        let most = self.state.document().limits.component_bytes;
        if bytes > most {
            return Err(RoomError::new(
                ReasonCode::PolicyLimit,
                format!("the component has {bytes} bytes, the room allows {most}"),
            ));
        }
        if announced.bytes != bytes || announced.digest != ContentDigest::of(component) {
            return Err(mismatch("its digests or its length"));
        }
        Ok(())
    }

    fn compile(
        &self,
        settings: &WorkerSettings,
        envelope: &Envelope,
        announced: &Announced<'_>,
        component: &[u8],
    ) -> Result<Compiled> {
        let digest = ComponentStore::open(&self.home)?.put(component)?;
        let limits = &self.state.document().limits;
        let libraries = self.state.libraries_for(announced.manifest);
        let asked = Compilation {
            component: &digest,
            engine: &settings.engine,
            host_binary: &settings.host_binary,
            libraries: &libraries,
            limits,
            party: envelope.key_id().to_string(),
        };
        let cache = CodeCache::open(&self.home)?;
        if let Some(compiled) = cache.compiled(&asked) {
            return Ok(compiled);
        }
        let compiled =
            worker::compile(&self.home, settings, &digest, &libraries, limits, &mut || None)?;
        cache.remember(&asked, &compiled)?;
        Ok(compiled)
    }
}

/// What a statement says about the component that comes with it.
pub(crate) struct Announced<'a> {
    pub(crate) bytes: u64,
    pub(crate) digest: ContentDigest,
    pub(crate) manifest: &'a Manifest,
}

/// The statement says what the component is, as far as a reviewer relies on it.
fn check_statement(asset: &NotebookAsset, compiled: &Compiled) -> Result<()> {
    if asset.manifest != compiled.manifest {
        return Err(mismatch("its manifest"));
    }
    if asset.interfaces != compiled.imports {
        return Err(mismatch("the interfaces it imports"));
    }
    if asset.hidden != compiled.source_paths.is_empty() {
        return Err(mismatch("whether it hides its source"));
    }
    Ok(())
}

pub(crate) fn mismatch(what: &str) -> RoomError {
    RoomError::new(
        ReasonCode::ComponentMismatch,
        format!("the statement says something else about the component: {what}"),
    )
}
