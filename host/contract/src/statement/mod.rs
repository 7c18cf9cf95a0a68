//! What parties say, each sentence signed by the one who says it.
//!
//! A [`Statement`] is an in-toto Statement v1 whose predicate carries the [`Body`], the party that
//! speaks, the room it speaks in, a sequence number of its own and the time it claims. The log's
//! order is the truth about *before* and *after*; `issued_at` is only the signer's word.
//!
//! All collaborators may read all statements, so no statement holds rows, paths or error texts.
//!
//! # Who may say what
//!
//! [`crate::state`] takes a statement only from the party that it is for, and refuses all others
//! with a [`crate::reason::ReasonCode`]. Every party may say only what is its own to say:
//!
//! | kind | signed by | taken when |
//! |---|---|---|
//! | `room` | the creator | it is the first, and makes sense by itself |
//! | `accept` | a collaborator | once |
//! | `asset` | the owner | the name is free or the signer's; in a packaged room code is the provider's, hidden, and not for the provider to run |
//! | `review` | a collaborator | the notebook has that revision now |
//! | `deprecate` | the author of the notebook | the notebook has that revision now |
//! | `rule` | a collaborator | author and runner are collaborators, the author another one |
//! | `run-request` | a runner | everyone else approves the revision, by review or by rule, and nobody has paused |
//! | `cancel` | the runner of the run | the run waits or runs |
//! | `run-start` | the host | the request stands, and grants, inputs and the rules that approve are those of the revision |
//! | `run-receipt` | the host | the run has started; with outputs only if it could start still |
//! | `output-read` | who may read | the outputs are there |
//! | `share` | a collaborator | recipients are its own; it grants its own tables, and outputs that it may read |
//! | `shared-read` | the host | the recipient's token is good and the grant holds |
//! | `pause`, `resume` | a collaborator | always; there is a pause and the signer has not voted |
//! | `rotate` | a collaborator | the new key has agreed and was never used here |
//! | `delete` | the owner, for outputs the runner; the host when they have expired | it is there |
//! | `refused` | the host | it names a run that waits, or none |

mod asset;
mod billing;
mod condition;
mod review;
mod room;
mod rule;
mod run;
mod share;
mod wire;

use std::fmt;

pub use asset::{
    AssetStatement, Delete, LibraryAsset, MAX_VOLUME_FILES, NotebookAsset, TableAsset,
    TableBinding, TableOutput, VolumeAsset,
};
pub use billing::{Amount, AmountError, Billing, Prices};
pub use condition::{AllowedValues, Conditions};
pub use review::{Decision, Deprecate, Pause, Refused, Resume, Review, Rotate};
pub use room::{Collaborator, LogReaders, OutputReaders, OutputSettings, RoomDocument};
pub use rule::{AutoApproval, Rule};
pub use run::{Cancel, FileDigest, JailMode, OutputRead, Pin, RunRequest, RunStart, Snapshot};
pub(crate) use share::OutputName;
pub use share::{AuditTable, Grant, MAX_TOKEN_GRACE_SECONDS, Recipient, Share, Shared, SharedRead};
pub use wire::PAYLOAD_TYPE;

pub use crate::receipt::Receipt;

use crate::digest::ContentDigest;
use crate::name::{Alias, RoomId};
use crate::text::TextError;

/// Most bytes of a statement in its canonical encoding: 1 MiB. The longest are run-starts and
/// receipts that list the digests of some thousand input files.
pub const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// The alias under which the host signs. No collaborator may use it.
pub const HOST_ALIAS: &str = "host";

/// One sentence of one party.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What is said.
    pub body: Body,
    /// When the signer says it was said, in seconds since 1970-01-01T00:00:00Z.
    pub issued_at: u64,
    /// Who says it; [`HOST_ALIAS`] is the host.
    pub party: Alias,
    /// Where; absent only in the statement that creates the room and so names it.
    pub room: Option<RoomId>,
    /// The party's own count of its statements in this room, from 1 without gaps.
    pub sequence: u64,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "statements are few and short-lived; boxes would burden every caller"
)]
pub enum Body {
    /// Creates the room. Its signer has accepted by it.
    Room(RoomDocument),
    /// The party agrees to the room as created.
    Accept,
    /// Adds a table or a notebook, or replaces the party's own.
    Asset(AssetStatement),
    /// Approves, rejects, revokes or comments on one revision of a notebook.
    Review(Review),
    /// Asks for a run.
    RunRequest(RunRequest),
    /// The host is about to run.
    RunStart(RunStart),
    /// The host has run, or failed to.
    RunReceipt(Box<Receipt>),
    /// A party is reading an output.
    OutputRead(OutputRead),
    /// Nothing may run from here on.
    Pause(Pause),
    /// One vote to run again; all collaborators must give it.
    Resume(Resume),
    /// The party signs with another key from here on.
    Rotate(Rotate),
    /// Takes an asset or outputs out of the room.
    Delete(Delete),
    /// The host turned something down.
    Refused(Refused),
    /// The runner takes its request for a run back.
    Cancel(Cancel),
    /// The party approves notebooks beforehand, or no longer does.
    Rule(Rule),
    /// The party shares tables with people outside the room, or no longer does.
    Share(Share),
    /// The host has let a recipient of a party read a shared table.
    SharedRead(SharedRead),
    /// The author says that a revision is going to end.
    Deprecate(Deprecate),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $label:literal;)*) => {
        /// The kind of a statement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each is the variant of Body with the same name")]
        pub enum Kind { $($name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Self::$name),*];

            /// The word in logs and predicate types, for example `run-request`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What the party does, for people: `asks for a run`.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

kinds! {
    Room = "room", "creates the room";
    Accept = "accept", "accepts the room";
    Asset = "asset", "adds an asset";
    Review = "review", "reviews a notebook";
    RunRequest = "run-request", "asks for a run";
    RunStart = "run-start", "starts a run";
    RunReceipt = "run-receipt", "ends a run";
    OutputRead = "output-read", "reads an output";
    Pause = "pause", "pauses";
    Resume = "resume", "agrees to resume";
    Rotate = "rotate", "changes its key";
    Delete = "delete", "deletes";
    Refused = "refused", "refuses";
    Cancel = "cancel", "cancels a run";
    Rule = "rule", "changes a rule";
    Share = "share", "changes what it shares";
    SharedRead = "shared-read", "lets a recipient read";
    Deprecate = "deprecate", "deprecates a revision";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Body {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Room(_) => Kind::Room,
            Self::Accept => Kind::Accept,
            Self::Asset(_) => Kind::Asset,
            Self::Review(_) => Kind::Review,
            Self::RunRequest(_) => Kind::RunRequest,
            Self::RunStart(_) => Kind::RunStart,
            Self::RunReceipt(_) => Kind::RunReceipt,
            Self::OutputRead(_) => Kind::OutputRead,
            Self::Pause(_) => Kind::Pause,
            Self::Resume(_) => Kind::Resume,
            Self::Rotate(_) => Kind::Rotate,
            Self::Delete(_) => Kind::Delete,
            Self::Refused(_) => Kind::Refused,
            Self::Cancel(_) => Kind::Cancel,
            Self::Rule(_) => Kind::Rule,
            Self::Share(_) => Kind::Share,
            Self::SharedRead(_) => Kind::SharedRead,
            Self::Deprecate(_) => Kind::Deprecate,
        }
    }

    /// One line for people, without data: `approves delay-by-wind blake3:9f86…`.
    pub fn summary(&self) -> String {
        match self {
            Self::Room(document) => format!("creates the room {}", document.name),
            Self::Accept => Kind::Accept.label().into(),
            Self::Asset(asset) => asset.summary(),
            Self::Review(review) => {
                format!("{} {} {}", review.decision.verb(), review.notebook, review.revision)
            }
            Self::RunRequest(request) => format!("asks to run {}", request.notebook),
            Self::RunStart(start) => format!("starts run {}", start.run),
            Self::RunReceipt(receipt) => format!("ends run {}: {}", receipt.run, receipt.outcome),
            Self::OutputRead(read) => format!("reads {} of run {}", read.output, read.run),
            Self::Pause(Pause { notebook: None, .. }) => "pauses the room".into(),
            Self::Pause(Pause { notebook: Some(name), .. }) => format!("pauses {name}"),
            Self::Resume(Resume { notebook: None }) => "agrees to resume the room".into(),
            Self::Resume(Resume { notebook: Some(name) }) => format!("agrees to resume {name}"),
            Self::Rotate(rotate) => format!("changes its key to {}", rotate.public_key),
            Self::Delete(delete) => delete.summary(),
            Self::Refused(refused) => format!("refuses {}: {}", refused.what, refused.reason),
            Self::Cancel(cancel) => format!("cancels run {}", cancel.run),
            Self::Rule(rule) => rule.summary(),
            Self::Share(share) => share.summary(),
            Self::SharedRead(read) => read.summary(),
            Self::Deprecate(deprecate) => deprecate.summary(),
        }
    }

    /// What in-toto calls the subject: the things this statement is about, by name and digest.
    /// `None` when it is about itself only.
    fn subjects(&self) -> Option<Vec<(String, ContentDigest)>> {
        match self {
            Self::Asset(AssetStatement::Notebook(notebook)) => {
                Some(vec![(notebook.manifest.name.to_string(), notebook.component)])
            }
            Self::Asset(AssetStatement::Library(library)) => {
                Some(vec![(library.manifest.name.to_string(), library.component)])
            }
            Self::Asset(AssetStatement::Volume(volume)) => {
                Some(volume.files.iter().map(|(path, file)| (path.clone(), file.digest)).collect())
            }
            Self::RunReceipt(receipt) => {
                let outputs = receipt.outputs()?;
                let named = |(name, file): (&_, &crate::receipt::OutputFile)| {
                    (ToString::to_string(name), file.digest)
                };
                Some(outputs.iter().map(named).collect())
            }
            _ => None,
        }
    }

    /// Checks what the types cannot say and what needs no room: texts, counts, bounds.
    fn validate(&self) -> Result<(), StatementError> {
        match self {
            Self::Room(document) => document.validate(),
            Self::Asset(asset) => asset.validate(),
            Self::Review(review) => review.validate(),
            Self::RunRequest(request) => request.validate(),
            Self::RunReceipt(receipt) => receipt.validate(),
            Self::Pause(pause) => pause.validate(),
            Self::Refused(refused) => refused.validate(),
            Self::SharedRead(read) => read.validate(),
            Self::Rule(rule) => rule.validate(),
            Self::Deprecate(deprecate) => deprecate.validate(),
            _ => Ok(()),
        }
    }
}

impl Statement {
    /// Checks what the types cannot say: the room is named by all statements but the first, the
    /// sequence starts at 1, texts are short and printable.
    ///
    /// # Errors
    /// When a part does not make sense; it says which and why.
    pub fn validate(&self) -> Result<(), StatementError> {
        if self.room.is_none() != (self.body.kind() == Kind::Room) {
            return Err(StatementError::new(
                "room",
                "every statement names its room, except the one that creates it",
            ));
        }
        if self.sequence == 0 {
            return Err(StatementError::new("sequence", "it starts at 1"));
        }
        self.body.validate()
    }
}

/// Why a statement does not make sense, whatever the room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct StatementError {
    what: String,
    why: String,
}

impl StatementError {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

impl From<TextError> for StatementError {
    fn from(error: TextError) -> Self {
        Self::new("text", error.to_string())
    }
}
