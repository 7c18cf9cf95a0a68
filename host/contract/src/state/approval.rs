//! From an approved revision to what a run may touch.

use std::collections::{BTreeMap, BTreeSet};

use super::by_rule::ByRule;
use super::rules::Asked;
use super::{Refusal, RevisionStatus, RoomState, Run};
use crate::digest::{Blake3Digest, ContentDigest};
use crate::grants::{GrantedLibrary, Grants, TableSource};
use crate::manifest::{Manifest, OutputDeclaration};
use crate::name::{Alias, AssetName, Identifier, RunId, TableName};
use crate::parameter::ParameterValue;
use crate::reason::ReasonCode;
use crate::receipt::Receipt;
use crate::revision::BoundRevision;
use crate::state::notebook::{Notebook, ReviewRecord, Reviewers};
use crate::statement::{Decision, FileDigest, LogReaders, NotebookAsset, OutputReaders};
use crate::text::utc;

const SECONDS_PER_DAY: u64 = 86_400;

/// A revision that all parties approved, for a runner that its author named. Only
/// [`RoomState::approved`] makes one.
#[derive(Debug, Clone)]
pub struct ApprovedNotebook {
    asset: NotebookAsset,
    by_rule: ByRule,
    libraries: BTreeMap<AssetName, GrantedLibrary>,
    revision: BoundRevision,
    volumes: BTreeMap<TableName, BTreeMap<String, FileDigest>>,
}

impl RoomState {
    /// The revision of `notebook` that `runner` may run at `now` (seconds since 1970-01-01): the
    /// one with digest `revision`, or the newest that is approved.
    ///
    /// # Errors
    /// When the room is not accepted by all or is paused, there is no such revision, it is not
    /// approved, rejected or superseded, or the party is not among its runners.
    pub fn approved(
        &self,
        notebook: &AssetName,
        revision: Option<&Blake3Digest>,
        runner: &Alias,
        now: u64,
    ) -> Result<ApprovedNotebook, Refusal> {
        self.check_all_accepted()?;
        let notebook = self.notebook(notebook)?;
        self.check_not_paused(notebook)?;
        let asked = Asked::At(now);
        let index = match revision {
            Some(digest) => self.index_of(notebook, digest)?,
            None => self.newest_approved(notebook, asked),
        };
        self.require_approved(notebook, index, asked)?;
        let missing = || Refusal::new(ReasonCode::NotFound, "the notebook has no version");
        let version = notebook.versions().get(index).ok_or_else(missing)?;
        if !version.asset.runners.contains(runner) {
            return Err(Refusal::new(
                ReasonCode::NotARunner,
                format!("{runner} is not among the runners of {}", notebook.name()),
            ));
        }
        let revision = version.revision.clone()?;
        Ok(ApprovedNotebook {
            by_rule: self.by_rule(notebook, version, runner, asked),
            libraries: self.granted_libraries(&version.asset.manifest, notebook.author()),
            revision,
            volumes: self.granted_volumes(&version.asset.manifest),
            asset: version.asset.clone(),
        })
    }

    /// The closure of a manifest's libraries. A bound revision has found them all.
    fn granted_libraries(
        &self,
        manifest: &Manifest,
        author: &Alias,
    ) -> BTreeMap<AssetName, GrantedLibrary> {
        let granted = |name: &AssetName| {
            let library = self.assets.library(name)?;
            let asset = library.asset();
            let library = GrantedLibrary {
                component: asset.component,
                functions: asset.manifest.functions.clone(),
                interfaces: asset.interfaces.clone(),
                private: asset.hidden && library.owner() != author,
                requirements: asset.manifest.libraries.clone(),
            };
            Some((name.clone(), library))
        };
        self.assets.closure(manifest).into_iter().filter_map(granted).collect()
    }

    fn granted_volumes(
        &self,
        manifest: &Manifest,
    ) -> BTreeMap<TableName, BTreeMap<String, FileDigest>> {
        let names = manifest.volumes.keys();
        names
            .filter_map(|name| Some((name.clone(), self.assets.volume(name)?.files.clone())))
            .collect()
    }

    /// What the run may touch if it starts at `issued_at` (seconds since 1970-01-01), which must be
    /// the `issued_at` of its run-start. Checks the approval again.
    ///
    /// # Errors
    /// When there is no such request, it is no longer waiting or was cancelled, or
    /// [`RoomState::approved`] refuses.
    pub fn grants_for(&self, run: &RunId, issued_at: u64) -> Result<Grants, Refusal> {
        let run = self.run(run)?;
        run.require_not_cancelled()?;
        let approved = self.approved(&run.notebook, Some(&run.revision), &run.runner, issued_at)?;
        approved.grants(&run.parameters, run.id, micros(issued_at))
    }

    /// Whether the outputs of a started run may be published now: nobody has cancelled it, paused
    /// it, rejected it or changed its inputs since it started. The room takes a receipt of success only then.
    ///
    /// # Errors
    /// Why not; the host ends the run with that reason.
    pub fn publishable(&self, run: &RunId) -> Result<(), Refusal> {
        let run = self.run(run)?;
        run.require_not_cancelled()?;
        let notebook = self.notebook(&run.notebook)?;
        self.check_not_paused(notebook)?;
        let index = self.index_of(notebook, &run.revision)?;
        // A cutover date that passes meanwhile does not matter, nor what has become of the rules by
        // date and number.
        let asked = match &run.start {
            Some(start) => Asked::For(start, &run.runner),
            None => Asked::Ever,
        };
        self.require_approved(notebook, index, asked)?;
        let version = notebook.versions().get(index);
        let version = version.ok_or_else(|| not_found(notebook, &run.revision))?;
        self.by_rule(notebook, version, &run.runner, asked).choose(&run.parameters).map(drop)
    }

    /// Where a revision stands at `now` (seconds since 1970-01-01T00:00:00Z).
    ///
    /// # Errors
    /// When the notebook has no version with that revision.
    pub fn status(
        &self,
        notebook: &AssetName,
        revision: &Blake3Digest,
        now: u64,
    ) -> Result<RevisionStatus, Refusal> {
        let notebook = self.notebook(notebook)?;
        let index = self.index_of(notebook, revision)?;
        let status = notebook.status(index, &self.reviewers(Asked::At(now)));
        status.ok_or_else(|| not_found(notebook, revision))
    }

    /// What each party said about a revision, in the order of the log, and after that the approvals
    /// by rule, as rules stand at `now` (seconds since 1970-01-01), of those that have signed no
    /// decision.
    ///
    /// # Errors
    /// When the notebook has no version with that revision.
    pub fn reviews(
        &self,
        notebook: &AssetName,
        revision: &Blake3Digest,
        now: u64,
    ) -> Result<Vec<ReviewRecord>, Refusal> {
        self.reviews_when(notebook, revision, Asked::At(now))
    }

    /// The same, however often rules were used and whether they have expired.
    pub(crate) fn reviews_ever(
        &self,
        notebook: &AssetName,
        revision: &Blake3Digest,
    ) -> Result<Vec<ReviewRecord>, Refusal> {
        self.reviews_when(notebook, revision, Asked::Ever)
    }

    fn reviews_when(
        &self,
        notebook: &AssetName,
        revision: &Blake3Digest,
        asked: Asked<'_>,
    ) -> Result<Vec<ReviewRecord>, Refusal> {
        let notebook = self.notebook(notebook)?;
        let version = notebook.version(revision).ok_or_else(|| not_found(notebook, revision))?;
        let decided = notebook.decisions(revision);
        let undecided = self.members.keys().filter(|party| !decided.contains_key(party));
        let by_rule = undecided.filter_map(|party| {
            let approving = self.rules.approving(party, notebook, version, asked)?;
            let rule = approving.shown()?;
            Some(ReviewRecord {
                at: version.added_at(),
                auto_approved: Some(rule.clone()),
                comment: String::new(),
                decision: Decision::Approve,
                party: party.clone(),
            })
        });
        Ok(notebook.reviews(revision).iter().cloned().chain(by_rule).collect())
    }

    /// Where each version of a notebook stands at `now`, oldest first.
    ///
    /// # Errors
    /// When the room has no such notebook.
    pub fn statuses(&self, notebook: &AssetName, now: u64) -> Result<Vec<RevisionStatus>, Refusal> {
        self.statuses_when(notebook, Asked::At(now))
    }

    /// The same, dates and the number of runs by rules aside: what the parties approved.
    pub(crate) fn statuses_ever(
        &self,
        notebook: &AssetName,
    ) -> Result<Vec<RevisionStatus>, Refusal> {
        self.statuses_when(notebook, Asked::Ever)
    }

    fn statuses_when(
        &self,
        notebook: &AssetName,
        asked: Asked<'_>,
    ) -> Result<Vec<RevisionStatus>, Refusal> {
        let notebook = self.notebook(notebook)?;
        let reviewers = self.reviewers(asked);
        let count = notebook.versions().len();
        Ok((0..count).filter_map(|index| notebook.status(index, &reviewers)).collect())
    }

    /// The receipt of a run whose outputs `reader` may read at `now` (seconds since 1970-01-01).
    ///
    /// # Errors
    /// When the run has no outputs (yet, or any more), or they are not for this party.
    pub fn may_read_output(
        &self,
        run: &RunId,
        reader: &Alias,
        now: u64,
    ) -> Result<&Receipt, Refusal> {
        let run = self.run(run)?;
        self.member(reader)?;
        if self.document.outputs.readers == OutputReaders::Runner && run.runner != *reader {
            return Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("the outputs of run {} are for {} only", run.id, run.runner),
            ));
        }
        let receipt =
            run.receipt().filter(|receipt| receipt.outputs().is_some()).ok_or_else(|| {
                Refusal::new(ReasonCode::NotFound, format!("run {} has no outputs", run.id))
            })?;
        if run.outputs_deleted || self.expires_at(receipt) <= now {
            return Err(Refusal::new(
                ReasonCode::NotFound,
                format!("the outputs of run {} are expired or deleted", run.id),
            ));
        }
        Ok(receipt)
    }

    /// Whether `reader` may read what a run said and why it failed. The caller has made sure that it
    /// speaks for `reader`.
    pub fn may_read_words(&self, run: &Run, reader: &Alias) -> bool {
        self.members.contains_key(reader)
            && match self.document.log_readers {
                LogReaders::All => true,
                LogReaders::Runner => run.runner() == reader,
                LogReaders::Author => {
                    self.notebook(run.notebook()).is_ok_and(|notebook| notebook.author() == reader)
                }
            }
    }

    /// When outputs with this receipt expire, in seconds since 1970-01-01T00:00:00Z.
    pub fn expires_at(&self, receipt: &Receipt) -> u64 {
        let life = self.document.outputs.time_to_live_days.saturating_mul(SECONDS_PER_DAY);
        receipt.finished_at.saturating_add(life)
    }

    pub(super) fn check_all_accepted(&self) -> Result<(), Refusal> {
        let waiting: Vec<&str> = self
            .members()
            .filter(|member| !member.has_accepted())
            .map(|member| member.alias().as_str())
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::NotAccepted,
            format!("the room is not accepted yet by {}", waiting.join(", ")),
        ))
    }

    pub(super) fn check_not_paused(&self, notebook: &Notebook) -> Result<(), Refusal> {
        let paused = |what: String, by: &Alias| {
            Err(Refusal::new(
                ReasonCode::Paused,
                format!("{what} is paused by {by}; all collaborators must agree to resume"),
            ))
        };
        if let Some(pause) = &self.pause {
            return paused("the room".into(), pause.by());
        }
        match &notebook.pause {
            Some(pause) => paused(format!("the notebook {}", notebook.name()), pause.by()),
            None => Ok(()),
        }
    }

    pub(super) fn parties(&self) -> BTreeSet<&Alias> {
        self.members.keys().collect()
    }

    fn reviewers<'a>(&'a self, asked: Asked<'a>) -> Reviewers<'a> {
        Reviewers { asked, parties: self.parties(), rules: &self.rules }
    }

    fn index_of(&self, notebook: &Notebook, revision: &Blake3Digest) -> Result<usize, Refusal> {
        notebook.position(revision).ok_or_else(|| not_found(notebook, revision))
    }

    fn newest_approved(&self, notebook: &Notebook, asked: Asked<'_>) -> usize {
        let reviewers = self.reviewers(asked);
        let count = notebook.versions().len();
        let approved = Some(RevisionStatus::Approved);
        (0..count)
            .rev()
            .find(|index| notebook.status(*index, &reviewers) == approved)
            .unwrap_or(count.saturating_sub(1))
    }

    fn require_approved(
        &self,
        notebook: &Notebook,
        index: usize,
        asked: Asked<'_>,
    ) -> Result<(), Refusal> {
        let name = notebook.name();
        let list = |parties: &BTreeSet<Alias>| {
            parties.iter().map(Alias::as_str).collect::<Vec<_>>().join(", ")
        };
        match notebook.status(index, &self.reviewers(asked)) {
            Some(RevisionStatus::Approved) => Ok(()),
            Some(RevisionStatus::Waiting { missing }) => Err(Refusal::new(
                ReasonCode::NotApproved,
                format!("this revision of {name} is not approved yet by {}", list(&missing)),
            )),
            Some(RevisionStatus::Rejected { by }) => Err(Refusal::new(
                ReasonCode::Rejected,
                format!("this revision of {name} is rejected by {}", list(&by)),
            )),
            Some(RevisionStatus::Superseded { since }) => Err(Refusal::new(
                ReasonCode::Superseded,
                format!(
                    "this revision of {name} ended on {}, its cutover date or the end that its \
                     author gave it",
                    utc(since)
                ),
            )),
            Some(RevisionStatus::Unbound { refusal }) => Err(refusal),
            None => Err(Refusal::new(
                ReasonCode::NotFound,
                format!("the notebook {name} has no such version"),
            )),
        }
    }
}

fn not_found(notebook: &Notebook, revision: &Blake3Digest) -> Refusal {
    Refusal::new(
        ReasonCode::NotFound,
        format!("{} has no revision {revision} in the room as it is now", notebook.name()),
    )
}

/// Microseconds of a time in seconds; times beyond the year 294 000 stop there.
pub(super) fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

impl ApprovedNotebook {
    /// What the author's statement says.
    pub fn asset(&self) -> &NotebookAsset {
        &self.asset
    }

    /// The component.
    pub fn component(&self) -> &ContentDigest {
        &self.asset.component
    }

    /// What the component says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.asset.manifest
    }

    pub(super) fn by_rule(&self) -> &ByRule {
        &self.by_rule
    }

    /// What was approved.
    pub fn revision(&self) -> &BoundRevision {
        &self.revision
    }

    /// Reads parameters from text, for example from a command line. Only those that are given; the
    /// request carries no defaults.
    ///
    /// # Errors
    /// When one is not declared, does not fit, or is needed and missing.
    pub fn read_parameters(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<Identifier, ParameterValue>, Refusal> {
        let declared = &self.manifest().parameters;
        for name in given.keys() {
            if !declared.keys().any(|known| known.as_str() == name) {
                return Err(unknown_parameter(name));
            }
        }
        let mut values = BTreeMap::new();
        for (name, declaration) in declared {
            let text = given.get(name.as_str());
            let value = declaration
                .resolve(text.map(String::as_str))
                .map_err(|error| bad_parameter(name, &error))?;
            if text.is_some() {
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }

    /// The values of all parameters: those of the request, and the defaults.
    ///
    /// # Errors
    /// As [`ApprovedNotebook::read_parameters`], and when parties approve by rules that do not take
    /// such a value.
    pub fn resolve_parameters(
        &self,
        requested: &BTreeMap<Identifier, ParameterValue>,
    ) -> Result<BTreeMap<Identifier, ParameterValue>, Refusal> {
        let declared = &self.manifest().parameters;
        if let Some(name) = requested.keys().find(|name| !declared.contains_key(*name)) {
            return Err(unknown_parameter(name.as_str()));
        }
        let values = declared
            .iter()
            .map(|(name, declaration)| {
                let value = match requested.get(name) {
                    Some(value) => declaration.check(value).map(|()| value.clone()),
                    None => declaration.resolve(None),
                };
                let value = value.map_err(|error| bad_parameter(name, &error))?;
                Ok((name.clone(), value))
            })
            .collect::<Result<_, Refusal>>()?;
        self.by_rule.choose(&values)?;
        Ok(values)
    }

    /// What a run may touch. `started_at` is the run's logical time in microseconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`ApprovedNotebook::read_parameters`].
    pub fn grants(
        &self,
        parameters: &BTreeMap<Identifier, ParameterValue>,
        run: RunId,
        started_at: i64,
    ) -> Result<Grants, Refusal> {
        let revision = self.revision.revision();
        let cap = |declared: &OutputDeclaration| OutputDeclaration {
            max_bytes: Some(smaller(declared.max_bytes, revision.limits.output_bytes)),
            max_rows: Some(smaller(declared.max_rows, revision.limits.output_rows)),
            ..declared.clone()
        };
        Ok(Grants {
            component: self.asset.component,
            interfaces: self.asset.interfaces.clone(),
            libraries: self.libraries.clone(),
            limits: revision.limits.clone(),
            notebook: revision.notebook.to_string(),
            outputs: self
                .manifest()
                .outputs
                .iter()
                .map(|(name, declared)| (name.clone(), cap(declared)))
                .collect(),
            parameters: self.resolve_parameters(parameters)?,
            requirements: self.manifest().libraries.clone(),
            revision: *self.revision.digest(),
            room: revision.room,
            run,
            sources: revision
                .inputs
                .iter()
                .map(|input| {
                    let (renamed, table) = (input.renamed.clone(), input.table.clone());
                    (input.name.clone(), TableSource { renamed, table })
                })
                .collect(),
            started_at,
            tables: revision
                .inputs
                .iter()
                .map(|input| (input.name.clone(), input.columns.clone()))
                .collect(),
            volumes: self.volumes.clone(),
        })
    }
}

fn smaller(declared: Option<u64>, limit: u64) -> u64 {
    declared.map_or(limit, |declared| declared.min(limit))
}

fn unknown_parameter(name: &str) -> Refusal {
    Refusal::new(
        ReasonCode::ParameterInvalid,
        format!("the notebook has no parameter `{}`", name.escape_debug()),
    )
}

fn bad_parameter(name: &Identifier, error: &crate::parameter::ParameterError) -> Refusal {
    Refusal::new(ReasonCode::ParameterInvalid, format!("parameter `{name}`: {error}"))
}
