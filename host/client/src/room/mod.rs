//! A room on a host, as one party sees it.

mod assets;
mod outputs;
mod runs;
mod submit;
mod sync;

use std::time::Duration;

use glovebox_api::path;
use glovebox_contract::bundle::Bundle;
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Alias, AssetName, RoomId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Refusal, RoomState};
use glovebox_contract::statement::{Body, Statement};

use crate::error::{ClientError, Result};
use crate::mirror::Mirror;
use crate::session::Session;
use crate::verified::VerifiedLog;

/// A room on a host. Its state is what its log was when it was last fetched, see
/// [`RemoteRoom::refresh`]; every call that changes the room fetches what came.
#[derive(Debug)]
pub struct RemoteRoom {
    session: Session,
    log: VerifiedLog,
    mirror: Mirror,
    /// What the host had signed before this process came.
    signed: Option<Checkpoint>,
}

impl RemoteRoom {
    /// Opens a room: what was mirrored, and what came since.
    pub(crate) fn open(session: Session, room: &RoomId) -> Result<Self> {
        let client = session.client();
        let mut mirror = Mirror::open(client.state(), room, client.host_key())?;
        let mirrored = mirror.load()?;
        let signed = mirrored.checkpoint;
        if let Some(log) = mirrored.log {
            let mut opened = Self { session, log, mirror, signed };
            opened.refresh()?;
            return Ok(opened);
        }
        let log = sync::first(&session, room, &mut mirror, signed.as_ref())?;
        Ok(Self { session, log, mirror, signed })
    }

    /// The room if it is called so. What the host lists is only its word.
    pub(crate) fn called(self, name: &AssetName) -> Result<Self> {
        if self.name() == name {
            return Ok(self);
        }
        let why =
            format!("the host lists room {} as {name}, it is called {}", self.id(), self.name());
        Err(ClientError::answer(format!("GET {}", path::ROOMS), why))
    }

    /// Its id.
    pub fn id(&self) -> &RoomId {
        self.state().id()
    }

    /// Its name.
    pub fn name(&self) -> &AssetName {
        &self.state().document().name
    }

    /// What its log makes of it.
    pub fn state(&self) -> &RoomState {
        self.log.state()
    }

    /// Who asks.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The alias of the party that asks.
    ///
    /// # Errors
    /// `unknown-signer` when no party of the room signs with its key.
    pub fn party(&self) -> Result<&Alias> {
        let key = self.session.public_key();
        self.state().party_with_key(&key).ok_or_else(|| {
            let why = format!("{key} is the present key of no party of the room {}", self.name());
            Refusal::new(ReasonCode::UnknownSigner, why).into()
        })
    }

    /// This machine's time, in seconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> u64 {
        crate::now()
    }

    /// Every entry of the log, oldest first.
    pub fn entries(&self) -> &[Envelope] {
        self.log.entries()
    }

    /// The host's signed note over these entries.
    pub fn checkpoint(&self) -> &str {
        self.log.checkpoint()
    }

    /// The bytes of a bundle: these entries and the note, for an auditor.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn bundle(&self) -> Result<Vec<u8>> {
        let bundle = Bundle::new(self.checkpoint().to_owned(), self.entries().to_vec());
        bundle.to_bytes().map_err(|error| {
            Refusal::new(ReasonCode::Internal, format!("cannot write the bundle: {error}")).into()
        })
    }

    /// Fetches what came to the log. Says whether something did.
    ///
    /// # Errors
    /// [`ClientError::Fork`] when it does not go on from the log at hand.
    pub fn refresh(&mut self) -> Result<bool> {
        self.pull(Duration::ZERO)
    }

    /// The next statement of the party, ready to sign.
    ///
    /// # Errors
    /// `unknown-signer` when the key is no party's.
    pub fn next_statement(&self, body: Body) -> Result<Statement> {
        Ok(self.state().next_statement(self.party()?, body, self.now())?)
    }

    /// The next statement of the party, signed.
    ///
    /// # Errors
    /// As [`RemoteRoom::next_statement`], and when the statement makes no sense in itself.
    pub fn sign(&self, body: Body) -> Result<Envelope> {
        Ok(Envelope::sign(&self.next_statement(body)?, self.session.key())?)
    }

    /// The bytes of a component, verified. A hidden one is for its owner only.
    ///
    /// # Errors
    /// `not-found` when it is not for this party; when the bytes are others.
    pub fn component(&self, digest: &ContentDigest) -> Result<Vec<u8>> {
        let path = path::component(self.id(), digest);
        let limit = self.state().document().limits.component_bytes;
        let bytes = self.session.get_bytes(&path, limit)?;
        if digest.matches(&bytes) {
            return Ok(bytes);
        }
        Err(ClientError::answer(format!("GET {path}"), "the host sends another component"))
    }
}
