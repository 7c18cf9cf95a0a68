//! The state of a room: a fold over its statements.
//!
//! [`RoomState::open`] takes the statement that creates the room, [`RoomState::apply`] every one
//! after it. Both check everything, the signature included, so a state cannot hold what the parties
//! did not sign. A refused statement leaves the state as it was. The order of the log is the truth;
//! where a rule depends on time (a cutover date, an output's time to live), the time is an argument
//! or the host's own `issued_at`.
//!
//! # Who approves
//!
//! A revision may run when its author stands by it and every other collaborator approves it. A
//! party's latest signed decision about a revision counts. Where it has signed none, its rules
//! ([`crate::statement::AutoApproval`]) are asked, as they are *now*: those that stand in the log
//! before the version was added, and only if they cover every party whose code the revision runs,
//! for every runner, and their conditions ([`crate::statement::Conditions`]) are met. So a rule never
//! reaches back, and what it approved ends with it. A run-start names the rules that approved the
//! run; every fold computes them again, and counts.
//!
//! # Who reads
//!
//! Outputs are for the runner or for all ([`RoomState::may_read_output`]); log text and error texts
//! are for the author, the runner or all ([`RoomState::may_read_words`]). A recipient outside the
//! room ([`SharingRecipient`]) never reads more than the party that answers for it:
//! [`RoomState::shared_outputs`] is computed through `may_read_output` at the time of the read, so a
//! grant follows expiry and deletion by itself.

mod approval;
mod assets;
mod by_rule;
mod decide;
mod deprecation;
mod derived;
mod effect;
mod member;
mod notebook;
mod offered;
mod pause;
mod recipient;
mod refusal;
mod rules;
mod run;
mod runs;
mod sharing;

use std::collections::BTreeMap;

pub use approval::ApprovedNotebook;
pub use deprecation::Deprecation;
pub use derived::DerivedTable;
pub use member::Member;
pub use notebook::{Notebook, ReviewRecord, RevisionStatus, Version};
pub(crate) use offered::Assets;
pub use offered::Library;
pub use pause::PauseState;
pub use recipient::SharingRecipient;
pub use refusal::Refusal;
pub use rules::AutoApprovalRule;
use rules::Rules;
pub use run::{Run, RunStatus};
use sharing::Sharing;

use crate::digest::{Blake3Digest, ContentDigest};
use crate::envelope::Envelope;
use crate::key::{KeyId, PublicKey};
use crate::manifest::Manifest;
use crate::name::{Alias, AssetName, RoomId, RunId, TableName};
use crate::reason::ReasonCode;
use crate::statement::{Body, HOST_ALIAS, RoomDocument, Statement, TableAsset, VolumeAsset};

/// A room as its log says it is.
#[derive(Debug, Clone)]
pub struct RoomState {
    id: RoomId,
    document: RoomDocument,
    host: Alias,
    host_sequence: u64,
    members: BTreeMap<Alias, Member>,
    assets: Assets,
    notebooks: BTreeMap<AssetName, Notebook>,
    runs: BTreeMap<RunId, Run>,
    run_order: Vec<RunId>,
    pause: Option<PauseState>,
    rules: Rules,
    sharing: Sharing,
    statements: u64,
}

/// A statement that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Digest of its envelope.
    pub digest: Blake3Digest,
    /// What it says.
    pub statement: Statement,
}

impl RoomState {
    /// Opens a room with the envelope of the statement that creates it.
    ///
    /// # Errors
    /// When it is not a room statement of its creator, number 1, or has too many collaborators.
    pub fn open(envelope: &Envelope) -> Result<Self, Refusal> {
        let Body::Room(document) = envelope.unverified()?.body else {
            return Err(Refusal::new(
                ReasonCode::Malformed,
                "a room starts with the statement that creates it",
            ));
        };
        let creator = document
            .collaborators
            .iter()
            .find(|party| party.alias == document.creator)
            .ok_or_else(|| {
            Refusal::new(ReasonCode::Malformed, "the creator is no collaborator")
        })?;
        let statement = envelope.verify(&creator.public_key)?;
        if statement.party != document.creator || statement.sequence != 1 {
            return Err(Refusal::new(
                ReasonCode::Malformed,
                "a room is created by the first statement of its creator",
            ));
        }
        if document.exceeds_limit() {
            return Err(Refusal::new(
                ReasonCode::PolicyLimit,
                format!(
                    "the room names {} collaborators, its limits allow {}",
                    document.collaborators.len(),
                    document.limits.collaborators
                ),
            ));
        }
        let members = document
            .collaborators
            .iter()
            .map(|party| (party.alias.clone(), Member::new(party, &document.creator)))
            .collect();
        Ok(Self {
            id: RoomId(envelope.digest()),
            host: HOST_ALIAS.parse()?,
            host_sequence: 1,
            members,
            assets: Assets::default(),
            notebooks: BTreeMap::new(),
            runs: BTreeMap::new(),
            run_order: Vec::new(),
            pause: None,
            rules: Rules::default(),
            sharing: Sharing::default(),
            statements: 1,
            document,
        })
    }

    /// Takes the next statement. On refusal the state stays as it was.
    ///
    /// # Errors
    /// When the signer is unknown, the signature is wrong, the statement is for another room, out
    /// of sequence, or against a rule of the room.
    pub fn apply(&mut self, envelope: &Envelope) -> Result<Applied, Refusal> {
        let (party, key) = self.key_with_id(&envelope.key_id()).ok_or_else(|| {
            Refusal::new(
                ReasonCode::UnknownSigner,
                "the signing key is not the present key of a party of this room",
            )
        })?;
        let (party, key) = (party.clone(), *key);
        let statement = envelope.verify(&key)?;
        if statement.party != party {
            return Err(Refusal::new(
                ReasonCode::BadSignature,
                format!("a statement of {} is signed with the key of {party}", statement.party),
            ));
        }
        let digest = envelope.digest();
        let effect = self.decide(&statement, &digest)?;
        self.count_statement(&party);
        self.take(effect);
        Ok(Applied { digest, statement })
    }

    /// Whether the room would take `statement`, were it signed. Lets a party know before it signs.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, statement: &Statement) -> Result<(), Refusal> {
        statement.validate()?;
        self.decide(statement, &Blake3Digest::from_bytes([0; 32])).map(drop)
    }

    /// The next statement of `party`, ready to sign.
    ///
    /// # Errors
    /// When the room has no such party.
    pub fn next_statement(
        &self,
        party: &Alias,
        body: Body,
        issued_at: u64,
    ) -> Result<Statement, Refusal> {
        let sequence = self.next_sequence(party)?;
        Ok(Statement { body, issued_at, party: party.clone(), room: Some(self.id), sequence })
    }

    /// The sequence number of the next statement of `party`.
    ///
    /// # Errors
    /// When the room has no such party.
    pub fn next_sequence(&self, party: &Alias) -> Result<u64, Refusal> {
        if *party == self.host {
            return Ok(self.host_sequence);
        }
        self.member(party).map(Member::next_sequence)
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// What the parties agreed to when they accepted.
    pub fn document(&self) -> &RoomDocument {
        &self.document
    }

    /// How many statements the state has taken, the first included.
    pub fn statements(&self) -> u64 {
        self.statements
    }

    /// The parties, by alias.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The party with this alias.
    ///
    /// # Errors
    /// When the room has none.
    pub fn member(&self, alias: &Alias) -> Result<&Member, Refusal> {
        self.members.get(alias).ok_or_else(|| {
            Refusal::new(ReasonCode::NotFound, format!("the room has no collaborator {alias}"))
        })
    }

    /// The party that signs with this key now, `host` included.
    pub fn party_with_key(&self, key: &PublicKey) -> Option<&Alias> {
        self.key_with_id(&key.id()).map(|(alias, _)| alias)
    }

    /// Whether every collaborator has accepted.
    pub fn all_accepted(&self) -> bool {
        self.members.values().all(Member::has_accepted)
    }

    /// The tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &TableAsset> {
        self.assets.tables.values()
    }

    /// The table with this name.
    pub fn table(&self, name: &TableName) -> Option<&TableAsset> {
        self.assets.table(name)
    }

    /// The libraries, by name.
    pub fn libraries(&self) -> impl Iterator<Item = &Library> {
        self.assets.libraries.values()
    }

    /// The library with this name.
    pub fn library(&self, name: &AssetName) -> Option<&Library> {
        self.assets.library(name)
    }

    /// The libraries that a component with this manifest needs, and those that they need, each
    /// with its content, as far as the room has them.
    pub fn libraries_for(&self, manifest: &Manifest) -> BTreeMap<AssetName, ContentDigest> {
        let closure = self.assets.closure(manifest).into_iter();
        closure
            .filter_map(|name| Some((name.clone(), self.library(name)?.asset().component)))
            .collect()
    }

    /// The volumes, by name.
    pub fn volumes(&self) -> impl Iterator<Item = &VolumeAsset> {
        self.assets.volumes.values()
    }

    /// The volume with this name.
    pub fn volume(&self, name: &TableName) -> Option<&VolumeAsset> {
        self.assets.volume(name)
    }

    /// The notebooks, by name.
    pub fn notebooks(&self) -> impl Iterator<Item = &Notebook> {
        self.notebooks.values()
    }

    /// The notebook with this name.
    ///
    /// # Errors
    /// When the room has none.
    pub fn notebook(&self, name: &AssetName) -> Result<&Notebook, Refusal> {
        self.notebooks.get(name).filter(|notebook| notebook.exists()).ok_or_else(|| {
            Refusal::new(ReasonCode::NotFound, format!("the room has no notebook {name}"))
        })
    }

    /// The runs, in the order they were asked for.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.run_order.iter().filter_map(|id| self.runs.get(id))
    }

    /// The run with this id.
    ///
    /// # Errors
    /// When the room has none.
    pub fn run(&self, id: &RunId) -> Result<&Run, Refusal> {
        self.runs
            .get(id)
            .ok_or_else(|| Refusal::new(ReasonCode::NotFound, format!("the room has no run {id}")))
    }

    /// The pause of the whole room, if there is one.
    pub fn pause(&self) -> Option<&PauseState> {
        self.pause.as_ref()
    }

    fn key_with_id(&self, id: &KeyId) -> Option<(&Alias, &PublicKey)> {
        let host = (&self.host, &self.document.host_key);
        self.members
            .iter()
            .map(|(alias, member)| (alias, member.public_key()))
            .chain([host])
            .find(|(_, key)| key.id() == *id)
    }

    fn count_statement(&mut self, party: &Alias) {
        self.statements = self.statements.saturating_add(1);
        match self.members.get_mut(party) {
            Some(member) => member.count_statement(),
            None => self.host_sequence = self.host_sequence.saturating_add(1),
        }
    }
}
