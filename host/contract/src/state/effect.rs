//! What a statement changes, decided before anything is changed.

use super::RoomState;
use super::notebook::{ByHand, Notebook, ReviewRecord, Version};
use super::offered::{Changed, Library};
use super::pause::PauseState;
use super::run::{Run, RunStatus, StartRecord};
use super::{AutoApprovalRule, Deprecation, SharingRecipient};
use crate::digest::Blake3Digest;
use crate::grants::Grants;
use crate::key::PublicKey;
use crate::name::{Alias, AssetName, RunId, TableName};
use crate::reason::ReasonCode;
use crate::revision::BoundRevision;
use crate::statement::{Grant, Receipt, TableAsset, VolumeAsset};

/// A change that is allowed. Taking it cannot fail, so a statement is taken whole or not at all.
pub(super) enum Effect {
    Nothing,
    Accept { party: Alias },
    Rotate { party: Alias, key: PublicKey },
    AddTable(TableAsset),
    AddLibrary(Box<Library>),
    AddVolume(VolumeAsset),
    AddVersion { author: Alias, version: Box<Version> },
    Review { notebook: AssetName, record: ReviewRecord, reviewed: Box<ByHand> },
    Deprecate { notebook: AssetName, revision: Blake3Digest, deprecation: Deprecation },
    Pause { notebook: Option<AssetName>, pause: PauseState },
    Vote { notebook: Option<AssetName>, party: Alias, ends_pause: bool },
    Request(Box<Run>),
    Start { run: RunId, record: Box<StartRecord>, grants: Box<Grants> },
    End { run: RunId, receipt: Box<Receipt>, digest: Blake3Digest, position: u64 },
    RefuseRun { run: RunId, reason: ReasonCode },
    DeleteTable(TableName),
    DeleteLibrary(AssetName),
    DeleteVolume(TableName),
    DeleteNotebook(AssetName),
    DeleteOutputs(RunId),
    Cancel { run: RunId, at: u64 },
    AddRule(AutoApprovalRule),
    RemoveRule { owner: Alias, id: AssetName },
    SetRecipient(Box<SharingRecipient>),
    GrantShare { owner: Alias, grant: Box<Grant> },
    RevokeShare { owner: Alias, name: AssetName, share: Option<AssetName> },
}

impl RoomState {
    pub(super) fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Accept { party } => {
                if let Some(member) = self.members.get_mut(&party) {
                    member.accept();
                }
            }
            Effect::Rotate { party, key } => {
                if let Some(member) = self.members.get_mut(&party) {
                    member.rotate(key);
                }
            }
            Effect::AddTable(_)
            | Effect::AddLibrary(_)
            | Effect::AddVolume(_)
            | Effect::DeleteTable(_)
            | Effect::DeleteLibrary(_)
            | Effect::DeleteVolume(_) => self.take_for_assets(effect),
            Effect::AddVersion { author, version } => self.add_version(author, *version),
            Effect::DeleteNotebook(name) => {
                if let Some(notebook) = self.notebooks.get_mut(&name) {
                    *notebook = Notebook::new(name, notebook.author().clone());
                }
            }
            Effect::Review { notebook, record, reviewed } => {
                if let Some(notebook) = self.notebooks.get_mut(&notebook) {
                    notebook.review(record, *reviewed);
                }
            }
            Effect::Deprecate { notebook, revision, deprecation } => {
                if let Some(notebook) = self.notebooks.get_mut(&notebook) {
                    notebook.deprecate(&revision, &deprecation);
                }
            }
            Effect::Pause { notebook, pause } => {
                if let Some(slot) = self.pause_slot(notebook.as_ref()) {
                    *slot = Some(pause);
                }
            }
            Effect::Vote { notebook, party, ends_pause } => {
                if let Some(slot) = self.pause_slot(notebook.as_ref()) {
                    match slot {
                        Some(pause) if !ends_pause => pause.vote(party),
                        _ => *slot = None,
                    }
                }
            }
            Effect::Request(run) => {
                self.run_order.push(run.id);
                self.runs.insert(run.id, *run);
            }
            Effect::AddRule(rule) => self.rules.add(rule),
            Effect::RemoveRule { owner, id } => self.rules.remove(&owner, &id),
            Effect::SetRecipient(recipient) => self.sharing.set(*recipient),
            Effect::GrantShare { owner, grant } => self.sharing.grant(&owner, *grant),
            Effect::RevokeShare { owner, name, share } => {
                self.sharing.revoke(&owner, &name, share.as_ref());
            }
            run_effect => self.take_for_run(run_effect),
        }
    }

    fn take_for_assets(&mut self, effect: Effect) {
        match effect {
            Effect::AddTable(table) => {
                let name = table.name.clone();
                self.assets.tables.insert(name.clone(), table);
                self.bind_again(&Changed::Table(&name));
            }
            Effect::DeleteTable(name) => {
                self.assets.tables.remove(&name);
                self.sharing.forget_table(&name);
                self.bind_again(&Changed::Table(&name));
            }
            Effect::AddLibrary(library) => {
                let name = library.asset.manifest.name.clone();
                self.assets.libraries.insert(name, *library);
                self.bind_again(&Changed::Libraries);
            }
            Effect::DeleteLibrary(name) => {
                self.assets.libraries.remove(&name);
                self.bind_again(&Changed::Libraries);
            }
            Effect::AddVolume(volume) => {
                let name = volume.name.clone();
                self.assets.volumes.insert(name.clone(), volume);
                self.bind_again(&Changed::Volume(&name));
            }
            Effect::DeleteVolume(name) => {
                self.assets.volumes.remove(&name);
                self.bind_again(&Changed::Volume(&name));
            }
            _ => {}
        }
    }

    fn take_for_run(&mut self, effect: Effect) {
        let (id, status) = match effect {
            Effect::Start { run, record, grants } => {
                self.rules.count_run(&record.rules);
                if let Some(run) = self.runs.get_mut(&run) {
                    run.start = Some(*record);
                    run.grants = Some(*grants);
                }
                (run, RunStatus::Started)
            }
            Effect::End { run, receipt, digest, position } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.ended_position = Some(position);
                }
                (run, RunStatus::Ended { receipt, digest })
            }
            Effect::RefuseRun { run, reason } => (run, RunStatus::Refused { reason }),
            Effect::DeleteOutputs(run) => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.outputs_deleted = true;
                }
                return;
            }
            Effect::Cancel { run, at } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.cancelled_at = Some(at);
                }
                return;
            }
            _ => return,
        };
        if let Some(run) = self.runs.get_mut(&id) {
            if status != RunStatus::Started {
                run.grants = None;
            }
            run.status = status;
        }
    }

    fn add_version(&mut self, author: Alias, version: Version) {
        let name = version.asset.manifest.name.clone();
        self.notebooks
            .entry(name.clone())
            .or_insert_with(|| Notebook::new(name, author))
            .versions
            .push(version);
    }

    /// Recomputes the revisions that an asset which has changed is part of.
    fn bind_again(&mut self, changed: &Changed<'_>) {
        for notebook in self.notebooks.values_mut() {
            let author = notebook.author().clone();
            for version in &mut notebook.versions {
                if changed.concerns(&version.asset) {
                    version.revision = BoundRevision::bind(
                        &self.id,
                        &self.document,
                        &author,
                        &version.asset,
                        &self.assets,
                    );
                }
            }
        }
    }

    fn pause_slot(&mut self, notebook: Option<&AssetName>) -> Option<&mut Option<PauseState>> {
        match notebook {
            None => Some(&mut self.pause),
            Some(name) => self.notebooks.get_mut(name).map(|notebook| &mut notebook.pause),
        }
    }
}
