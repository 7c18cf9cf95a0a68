//! Adding notebooks: the component is checked and compiled before its statement is taken.

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, NotebookAsset};
use glovebox_job::event::Compiled;

use crate::components::ComponentStore;
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
        let checked = self
            .check_first(envelope, &asset, component)
            .and_then(|()| self.compile(settings, &asset, component));
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
        asset: &NotebookAsset,
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
        if asset.component_bytes != bytes || asset.component != ContentDigest::of(component) {
            return Err(mismatch("its digests or its length"));
        }
        Ok(())
    }

    fn compile(
        &self,
        settings: &WorkerSettings,
        asset: &NotebookAsset,
        component: &[u8],
    ) -> Result<()> {
        let digest = ComponentStore::open(&self.home)?.put(component)?;
        let limits = &self.state.document().limits;
        let compiled = worker::compile(&self.home, settings, &digest, limits)?;
        check_statement(asset, &compiled)
    }
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

fn mismatch(what: &str) -> RoomError {
    RoomError::new(
        ReasonCode::ComponentMismatch,
        format!("the statement says something else about the component: {what}"),
    )
}
