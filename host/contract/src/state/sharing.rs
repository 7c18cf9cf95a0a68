//! What parties share with people outside the room.

use std::collections::BTreeMap;

use super::effect::Effect;
use super::{Refusal, RoomState, Run, SharingRecipient};
use crate::digest::Sha256Digest;
use crate::name::{Alias, AssetName, Identifier, TableName};
use crate::reason::ReasonCode;
use crate::receipt::OutputFile;
use crate::statement::{
    Grant, MAX_TOKEN_GRACE_SECONDS, OutputName, OutputReaders, Recipient, Share, Shared, SharedRead,
};

/// Most recipients of one party, and most grants of one recipient.
const MAX_RECIPIENTS: usize = 1000;

/// The recipients of all parties, by owner and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Sharing {
    recipients: BTreeMap<Alias, BTreeMap<AssetName, SharingRecipient>>,
    /// Every token there ever was, with owner and name of the recipient it was given to: one that
    /// was revoked must not come back, and nobody may claim another party's, whose digest everyone
    /// reads in the log.
    tokens: BTreeMap<Sha256Digest, (Alias, AssetName)>,
}

impl Sharing {
    fn of(&self, owner: &Alias) -> impl Iterator<Item = &SharingRecipient> {
        self.recipients.get(owner).into_iter().flat_map(BTreeMap::values)
    }

    fn find(&self, owner: &Alias, name: &AssetName) -> Option<&SharingRecipient> {
        self.recipients.get(owner)?.get(name)
    }

    pub(super) fn set(&mut self, recipient: SharingRecipient) {
        let (owner, name) = (recipient.owner().clone(), recipient.name().clone());
        self.tokens.insert(*recipient.token(), (owner.clone(), name.clone()));
        self.recipients.entry(owner).or_default().insert(name, recipient);
    }

    pub(super) fn grant(&mut self, owner: &Alias, grant: Grant) {
        let owned = self.recipients.get_mut(owner);
        if let Some(recipient) = owned.and_then(|owned| owned.get_mut(&grant.recipient)) {
            recipient.take(grant);
        }
    }

    pub(super) fn revoke(&mut self, owner: &Alias, name: &AssetName, share: Option<&AssetName>) {
        let Some(owned) = self.recipients.get_mut(owner) else { return };
        match share {
            None => drop(owned.remove(name)),
            Some(share) => {
                if let Some(recipient) = owned.get_mut(name) {
                    recipient.revoke(share);
                }
            }
        }
    }

    /// A table that left the room is shared no more, also when one of its name comes later.
    pub(super) fn forget_table(&mut self, table: &TableName) {
        for recipient in self.recipients.values_mut().flat_map(BTreeMap::values_mut) {
            recipient.forget_table(table);
        }
    }
}

impl RoomState {
    /// The recipients, by owner and name.
    pub fn recipients(&self) -> impl Iterator<Item = &SharingRecipient> {
        self.sharing.recipients.values().flat_map(BTreeMap::values)
    }

    /// The recipient of `owner` with this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn recipient(&self, owner: &Alias, name: &AssetName) -> Result<&SharingRecipient, Refusal> {
        self.sharing.find(owner, name).ok_or_else(|| {
            Refusal::new(ReasonCode::NotFound, format!("{owner} has no recipient {name}"))
        })
    }

    /// The recipient that holds the token with this digest at `now` (seconds since 1970-01-01).
    pub fn recipient_with_token(
        &self,
        token: &Sha256Digest,
        now: u64,
    ) -> Option<&SharingRecipient> {
        let (owner, name) = self.sharing.tokens.get(token)?;
        let recipient = self.sharing.find(owner, name)?;
        // It may have another token by now.
        recipient.has_token(token, now).then_some(recipient)
    }

    /// The output files that a grant of `owner` covers at `now`, in the order their runs were asked
    /// for: of runs whose outputs `owner` may read then, and of no others. None for what is no
    /// output.
    pub fn shared_outputs<'a>(
        &'a self,
        owner: &'a Alias,
        what: &'a Shared,
        now: u64,
    ) -> impl Iterator<Item = (&'a Run, &'a Identifier, &'a OutputFile)> {
        let wanted = match what {
            Shared::Output { notebook, output } => Some((notebook, output)),
            Shared::Table { .. } | Shared::Events {} => None,
        };
        wanted.into_iter().flat_map(move |(notebook, output)| {
            let of_notebook = self.runs().filter(move |run| run.notebook() == notebook);
            of_notebook
                .filter_map(move |run| {
                    let receipt = self.may_read_output(run.id(), owner, now).ok()?;
                    Some((run, receipt.outputs()?))
                })
                .flat_map(|(run, files)| files.iter().map(move |(name, file)| (run, name, file)))
                .filter(move |(_, name, _)| output.as_ref().is_none_or(|output| output == *name))
        })
    }

    pub(super) fn decide_share(
        &self,
        party: &Alias,
        share: &Share,
        at: u64,
    ) -> Result<Effect, Refusal> {
        match share {
            Share::Recipient(recipient) => self.decide_recipient(party, recipient, at),
            Share::Grant(grant) => self.decide_grant(party, grant, at),
            Share::Revoke { recipient, share } => {
                let present = self.recipient(party, recipient)?;
                if let Some(share) = share.as_ref().filter(|share| !present.has_share(share)) {
                    return Err(Refusal::new(
                        ReasonCode::NotFound,
                        format!("{recipient} of {party} has no share {share}"),
                    ));
                }
                let (name, share) = (recipient.clone(), share.clone());
                Ok(Effect::RevokeShare { owner: party.clone(), name, share })
            }
        }
    }

    fn decide_recipient(
        &self,
        party: &Alias,
        recipient: &Recipient,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let refuse = |reason, why: String| Err(Refusal::new(reason, why));
        let present = self.sharing.find(party, &recipient.name);
        if recipient.expires <= at {
            return refuse(ReasonCode::Malformed, "the token ends before it is given".into());
        }
        if self.sharing.tokens.contains_key(&recipient.token) {
            let why = "the room has seen this token before; each is taken once";
            return refuse(ReasonCode::AlreadyExists, why.into());
        }
        match (recipient.previous_until, present) {
            (Some(_), None) => {
                let why = format!("{party} has no recipient {} to replace", recipient.name);
                return refuse(ReasonCode::NotFound, why);
            }
            (Some(until), Some(_)) if until > at.saturating_add(MAX_TOKEN_GRACE_SECONDS) => {
                let why = "a token that is replaced stays good for 7 days at most";
                return refuse(ReasonCode::PolicyLimit, why.into());
            }
            _ => {}
        }
        if let Some(present) = present {
            return Ok(Effect::SetRecipient(Box::new(present.rotated(recipient))));
        }
        if self.sharing.of(party).count() >= MAX_RECIPIENTS {
            let why = format!("{party} has {MAX_RECIPIENTS} recipients, the most a party may have");
            return refuse(ReasonCode::PolicyLimit, why);
        }
        Ok(Effect::SetRecipient(Box::new(SharingRecipient::new(party, recipient, at))))
    }

    fn decide_grant(&self, party: &Alias, grant: &Grant, at: u64) -> Result<Effect, Refusal> {
        let recipient = self.recipient(party, &grant.recipient)?;
        if grant.until.is_some_and(|until| until <= at) {
            let why = "the grant ends before it is given";
            return Err(Refusal::new(ReasonCode::Malformed, why));
        }
        match &grant.what {
            Shared::Table { table } => {
                self.require_owner(party, table)?;
                if self.table(table).is_none() {
                    let why = format!("the room has no table {table}");
                    return Err(Refusal::new(ReasonCode::NotFound, why));
                }
            }
            Shared::Output { notebook, output } => {
                self.check_shared_output(party, notebook, output.as_ref())?;
            }
            // Every party reads the whole log.
            Shared::Events {} => {}
        }
        match recipient.grant(&grant.share, &grant.what) {
            Some(present) if present == grant => Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("{} has this very grant already", grant.recipient),
            )),
            None if recipient.grants().count() >= MAX_RECIPIENTS => Err(Refusal::new(
                ReasonCode::PolicyLimit,
                format!("{} has {MAX_RECIPIENTS} grants, the most there may be", grant.recipient),
            )),
            _ => Ok(Effect::GrantShare { owner: party.clone(), grant: Box::new(grant.clone()) }),
        }
    }

    /// A party shares what it may read itself.
    fn check_shared_output(
        &self,
        party: &Alias,
        name: &AssetName,
        output: Option<&Identifier>,
    ) -> Result<(), Refusal> {
        let notebook = self.notebook(name)?;
        let versions = || notebook.versions().iter().map(|version| version.asset());
        let may_read = self.document.outputs.readers == OutputReaders::All
            || versions().any(|asset| asset.runners.contains(party));
        if !may_read {
            return Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("{party} may not read the outputs of {name}, so it cannot share them"),
            ));
        }
        let declares = |output| versions().any(|asset| asset.manifest.outputs.contains_key(output));
        match output.filter(|output| !declares(*output)) {
            None => Ok(()),
            Some(output) => Err(Refusal::new(
                ReasonCode::NotFound,
                format!("no version of {name} has an output {output}"),
            )),
        }
    }

    /// The host says who read what; it cannot say so of what was not granted.
    pub(super) fn decide_shared_read(&self, read: &SharedRead, at: u64) -> Result<Effect, Refusal> {
        let recipient = self.recipient(&read.owner, &read.recipient)?;
        let refuse = |why: String| Err(Refusal::new(ReasonCode::NotPermitted, why));
        let SharedRead { owner, recipient: name, share, what, .. } = read;
        if recipient.tokens_at(at).next().is_none() {
            return refuse(format!("the token of {name} of {owner} has ended"));
        }
        let of_others = self.document.outputs.readers == OutputReaders::Runner
            && OutputName::parse(what).and_then(|read| read.runner).is_some_and(|of| of != *owner);
        if of_others {
            return refuse(format!("{owner} may not read {what}, nor its recipients"));
        }
        let covers = |grant: &Grant| grant.share == *share && grant.what.is_called(what);
        if recipient.grants_at(at).any(covers) {
            return Ok(Effect::Nothing);
        }
        refuse(format!("{what} is not granted to {name} of {owner} in the share {share}"))
    }
}
