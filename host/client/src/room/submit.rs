//! Statements: sent once, whatever the connection does.

use std::time::Duration;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::Taken;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;
use glovebox_contract::statement::{AssetStatement, Body, Rotate};

use super::RemoteRoom;
use crate::error::{ClientError, Result};
use crate::http::Call;
use crate::patience::Patience;

/// How often a statement is signed again because another one of the party came first.
const RACES: u64 = 8;

impl RemoteRoom {
    /// Has the host take a signed statement that needs nothing but itself: accept, review, pause,
    /// resume, delete, rule, share, cancel. For a change of the key see [`RemoteRoom::rotate`]. When the connection breaks, the log is asked
    /// whether the statement arrived before it is sent again.
    ///
    /// # Errors
    /// With the host's reason when it does not take it. When the host said that it did and the log
    /// does not have it.
    pub fn submit(&mut self, envelope: &Envelope) -> Result<Taken> {
        self.post(RoomPart::Statements, envelope, &envelope.to_bytes())
    }

    /// Signs and submits what `body` makes of the room as it is; does so again from the start when
    /// another process of the same party comes first. For all statements that
    /// [`RemoteRoom::submit`] takes, and for volumes, notebooks and libraries whose files are
    /// uploaded.
    ///
    /// # Errors
    /// What `body` fails with, and as [`RemoteRoom::submit`].
    pub fn submit_with(&mut self, mut body: impl FnMut(&Self) -> Result<Body>) -> Result<Taken> {
        self.race(|room| {
            let envelope = room.sign(body(room)?)?;
            room.send(&envelope)
        })
    }

    /// Changes the party's key to `new`: signs that with the present key, and goes on with the new
    /// one, whether the host's answer comes or the log has to tell.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`].
    pub fn rotate(&mut self, new: PrivateKey) -> Result<Taken> {
        let rotate = Rotate::to(&new, self.id(), self.party()?);
        let envelope = self.sign(Body::Rotate(rotate))?;
        let (path, body) = (path::room(self.id(), RoomPart::Statements), envelope.to_bytes());
        let old = self.session.clone();
        let new = old.client().party(new);
        let mut patience = Patience::new(old.client().patience());
        loop {
            let error = match old.ask(&Call::post(&path, &body)).and_then(|answer| answer.json()) {
                Ok(taken) => {
                    self.session = new;
                    return self.confirm(&path, &envelope.digest(), taken);
                }
                Err(error) => error,
            };
            // To who has no key in it any more, the room may be missing.
            let after = [ReasonCode::Replayed, ReasonCode::NotFound, ReasonCode::UnknownSigner];
            if error.is_passing() || after.contains(&error.reason()) {
                self.session = new.clone();
                let refreshed = self.refresh();
                if let Some(taken) = self.taken(&envelope.digest()) {
                    return Ok(taken);
                }
                self.session = old.clone();
                if let Err(fork @ ClientError::Fork { .. }) = refreshed {
                    return Err(fork);
                }
            }
            if !error.is_passing() || !patience.wait(error.retry_after()) {
                return Err(error);
            }
        }
    }

    /// Does `attempt` again when another statement of the same party came first.
    pub(super) fn race<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        let mut races = 0;
        loop {
            match attempt(self) {
                Err(error) if error.is_race() && races < RACES => races += 1,
                done => return done,
            }
            // The others go on while this one waits, each for another time.
            let part = u64::from(std::process::id()) % 16;
            std::thread::sleep(Duration::from_millis(races * (10 + part)));
            self.refresh()?;
        }
    }

    /// Sends a statement to where its kind goes.
    fn send(&mut self, envelope: &Envelope) -> Result<Taken> {
        match envelope.unverified()?.body {
            Body::Asset(AssetStatement::Volume(_)) => self.add_volume(envelope),
            Body::Asset(AssetStatement::Notebook(_)) => self.add_notebook(envelope),
            Body::Asset(AssetStatement::Library(_)) => self.add_library(envelope),
            Body::Asset(AssetStatement::Table(table)) if table.output.is_some() => {
                self.submit(envelope)
            }
            Body::Asset(AssetStatement::Table(_)) | Body::RunRequest(_) | Body::OutputRead(_) => {
                let why = "this statement has a call of its own";
                Err(Refusal::new(ReasonCode::InvalidArgument, why).into())
            }
            _ => self.submit(envelope),
        }
    }

    /// Posts a statement in `body`, and sees that it came to the log.
    pub(super) fn post(
        &mut self,
        part: RoomPart,
        envelope: &Envelope,
        body: &[u8],
    ) -> Result<Taken> {
        let path = path::room(self.id(), part);
        let call = Call::post(&path, body);
        let digest = envelope.digest();
        let mut patience = Patience::new(self.session.client().patience());
        loop {
            let error = match self.session.ask(&call).and_then(|answer| answer.json()) {
                Ok(taken) => return self.confirm(&path, &digest, taken),
                Err(error) => error,
            };
            // No answer says nothing; `replayed` may be about what an earlier try did.
            if error.is_passing() || error.reason() == ReasonCode::Replayed {
                self.refresh()?;
                if let Some(taken) = self.taken(&digest) {
                    return Ok(taken);
                }
            }
            if !error.is_passing() || !patience.wait(error.retry_after()) {
                return Err(error);
            }
        }
    }

    /// A statement that the host says it took must be in the log, and where it says.
    fn confirm(&mut self, path: &str, digest: &Blake3Digest, said: Taken) -> Result<Taken> {
        self.refresh()?;
        match self.taken(digest) {
            Some(taken) if taken == said => Ok(taken),
            _ => Err(ClientError::answer(
                format!("POST {path}"),
                "the host says that it took the statement, but its log does not have it there",
            )),
        }
    }

    /// Where the log has the statement with this digest.
    fn taken(&self, digest: &Blake3Digest) -> Option<Taken> {
        self.log.position(digest).map(|position| Taken { digest: *digest, position })
    }
}
