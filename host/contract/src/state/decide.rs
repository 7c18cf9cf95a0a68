//! Whether a statement may be taken, and what it changes.

use super::assets::not_yours;
use super::effect::Effect;
use super::notebook::{ByHand, ReviewRecord};
use super::pause::PauseState;
use super::rules::Asked;
use super::{Refusal, RoomState};
use crate::digest::Blake3Digest;
use crate::name::{Alias, AssetName};
use crate::reason::ReasonCode;
use crate::statement::{Body, Decision, Delete, Pause, Resume, Review, Rotate, Statement};

impl RoomState {
    /// Decides on a statement whose signature has been verified; `digest` is its envelope's.
    pub(super) fn decide(
        &self,
        statement: &Statement,
        digest: &Blake3Digest,
    ) -> Result<Effect, Refusal> {
        self.check_place(statement)?;
        if statement.party == self.host {
            self.decide_host(statement, digest)
        } else {
            self.decide_party(statement, digest)
        }
    }

    /// For this room, and the next of its party.
    fn check_place(&self, statement: &Statement) -> Result<(), Refusal> {
        if matches!(statement.body, Body::Room(_)) {
            return Err(Refusal::new(ReasonCode::AlreadyExists, "the room is created already"));
        }
        if statement.room.as_ref() != Some(&self.id) {
            return Err(Refusal::new(ReasonCode::WrongRoom, "the statement is for another room"));
        }
        let expected = self.next_sequence(&statement.party)?;
        let reason = match statement.sequence {
            number if number < expected => ReasonCode::Replayed,
            number if number > expected => ReasonCode::OutOfSequence,
            _ => return Ok(()),
        };
        Err(Refusal::new(
            reason,
            format!(
                "the statement is number {} of {}, the next is number {expected}",
                statement.sequence, statement.party
            ),
        ))
    }

    /// The host starts runs, ends them and refuses; nothing else.
    fn decide_host(&self, statement: &Statement, digest: &Blake3Digest) -> Result<Effect, Refusal> {
        match &statement.body {
            Body::RunStart(start) => self.decide_start(start, digest, statement.issued_at),
            Body::RunReceipt(receipt) => self.decide_receipt(receipt, digest),
            Body::Refused(refused) => self.decide_refused(refused),
            Body::Delete(Delete::Outputs { run }) => self.decide_expiry(run, statement.issued_at),
            Body::SharedRead(read) => self.decide_shared_read(read, statement.issued_at),
            body => Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("the host may not sign a {} statement", body.kind()),
            )),
        }
    }

    fn decide_party(
        &self,
        statement: &Statement,
        digest: &Blake3Digest,
    ) -> Result<Effect, Refusal> {
        let party = &statement.party;
        let accepted = self.member(party)?.has_accepted();
        if matches!(statement.body, Body::Accept) {
            if accepted {
                return Err(Refusal::new(
                    ReasonCode::AlreadyExists,
                    format!("{party} has accepted the room already"),
                ));
            }
            return Ok(Effect::Accept { party: party.clone() });
        }
        if !accepted {
            return Err(Refusal::new(
                ReasonCode::NotAccepted,
                format!("{party} has not accepted the room yet"),
            ));
        }
        let at = statement.issued_at;
        match &statement.body {
            Body::Asset(asset) => self.decide_asset(party, asset, digest, at),
            Body::Review(review) => self.decide_review(party, review, at),
            Body::RunRequest(request) => self.decide_request(party, request, digest, at),
            Body::Cancel(cancel) => self.decide_cancel(party, cancel, at),
            Body::OutputRead(read) => self.decide_read(party, read, at),
            Body::Rule(rule) => self.decide_rule(party, rule, at),
            Body::Deprecate(deprecate) => self.decide_deprecate(party, deprecate, at),
            Body::Share(share) => self.decide_share(party, share, at),
            Body::Pause(pause) => self.decide_pause(party, pause, at),
            Body::Resume(resume) => self.decide_resume(party, resume),
            Body::Rotate(rotate) => self.decide_rotate(party, rotate),
            Body::Delete(delete) => self.decide_delete(party, delete),
            body => Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("only the host may sign a {} statement", body.kind()),
            )),
        }
    }

    fn decide_review(&self, party: &Alias, review: &Review, at: u64) -> Result<Effect, Refusal> {
        let notebook = self.notebook(&review.notebook)?;
        let version = notebook.version(&review.revision).ok_or_else(|| {
            Refusal::new(
                ReasonCode::NotFound,
                format!(
                    "{} has no revision {} in the room as it is now",
                    review.notebook, review.revision
                ),
            )
        })?;
        let signed = notebook.decisions(&review.revision).get(party).copied();
        let is_author = notebook.author() == party;
        let by_rule = self.rules.approving(party, notebook, version, Asked::At(at)).is_some();
        let stands = if is_author || by_rule { Decision::Approve } else { Decision::Comment };
        let earlier = signed.unwrap_or(stands);
        let refuse = |reason, why: &str| Err(Refusal::new(reason, format!("{party} {why}")));
        match review.decision {
            Decision::Approve if earlier == Decision::Approve && is_author => refuse(
                ReasonCode::NotPermitted,
                "added this notebook; an author's approval does not count",
            ),
            // A party may sign what a rule of its approves: it then holds without the rule.
            Decision::Approve | Decision::Reject if signed == Some(review.decision) => {
                refuse(ReasonCode::AlreadyExists, "has decided so already")
            }
            Decision::Revoke if earlier != Decision::Approve => refuse(
                ReasonCode::NotPermitted,
                "has not approved this revision; reject it instead",
            ),
            decision => Ok(Effect::Review {
                notebook: review.notebook.clone(),
                reviewed: Box::new(ByHand {
                    manifest: version.asset.manifest.clone(),
                    position: self.statements,
                    revision: version.revision.clone()?,
                }),
                record: ReviewRecord {
                    at,
                    auto_approved: None,
                    comment: review.comment.clone(),
                    decision,
                    party: party.clone(),
                },
            }),
        }
    }

    fn decide_pause(&self, party: &Alias, pause: &Pause, at: u64) -> Result<Effect, Refusal> {
        if let Some(name) = &pause.notebook {
            self.notebook(name)?;
        }
        let state = PauseState::new(party.clone(), pause.comment.clone(), at);
        Ok(Effect::Pause { notebook: pause.notebook.clone(), pause: state })
    }

    fn decide_resume(&self, party: &Alias, resume: &Resume) -> Result<Effect, Refusal> {
        let pause = match &resume.notebook {
            None => self.pause.as_ref(),
            Some(name) => self.notebook(name)?.pause(),
        };
        let Some(pause) = pause else {
            return Err(Refusal::new(ReasonCode::NotFound, "there is no pause to end"));
        };
        let votes = pause.resume_votes();
        if votes.contains(party) {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("{party} has agreed to resume already"),
            ));
        }
        let ends_pause =
            self.parties().iter().all(|other| *other == party || votes.contains(*other));
        Ok(Effect::Vote { notebook: resume.notebook.clone(), party: party.clone(), ends_pause })
    }

    fn decide_rotate(&self, party: &Alias, rotate: &Rotate) -> Result<Effect, Refusal> {
        let key = rotate.public_key;
        let used = self.document.host_key == key || self.members().any(|m| m.has_used(&key));
        if used {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                "the new key is or was used in this room",
            ));
        }
        if !rotate.is_proven(&self.id, party) {
            return Err(Refusal::new(
                ReasonCode::BadSignature,
                "the new key has not signed that it stands for this party",
            ));
        }
        Ok(Effect::Rotate { party: party.clone(), key })
    }

    fn decide_delete(&self, party: &Alias, delete: &Delete) -> Result<Effect, Refusal> {
        match delete {
            Delete::Table { table } => {
                self.require_owner(party, table)?;
                let found = self.table(table).map(|_| Effect::DeleteTable(table.clone()));
                found.ok_or_else(|| missing(format!("table {table}")))
            }
            Delete::Volume { volume } => {
                self.require_owner(party, volume)?;
                let found = self.volume(volume).map(|_| Effect::DeleteVolume(volume.clone()));
                found.ok_or_else(|| missing(format!("volume {volume}")))
            }
            Delete::Library { library } => match self.library(library) {
                None => Err(missing(format!("library {library}"))),
                Some(found) if found.owner() != party => {
                    Err(not_yours("library", library, found.owner()))
                }
                Some(_) => Ok(Effect::DeleteLibrary(library.clone())),
            },
            Delete::Notebook { notebook } => {
                let author = self.notebook(notebook)?.author();
                self.require_author(party, author, notebook)?;
                Ok(Effect::DeleteNotebook(notebook.clone()))
            }
            Delete::Outputs { run } => {
                let record = self.run_with_outputs(run)?;
                if record.runner() != party {
                    return Err(Refusal::new(
                        ReasonCode::NotPermitted,
                        format!("only the runner, {}, may delete them", record.runner()),
                    ));
                }
                Ok(Effect::DeleteOutputs(*run))
            }
        }
    }

    pub(super) fn require_author(
        &self,
        party: &Alias,
        author: &Alias,
        notebook: &AssetName,
    ) -> Result<(), Refusal> {
        if party == author {
            return Ok(());
        }
        Err(not_yours("notebook", notebook, author))
    }
}

fn missing(what: String) -> Refusal {
    Refusal::new(ReasonCode::NotFound, format!("the room has no {what}"))
}
