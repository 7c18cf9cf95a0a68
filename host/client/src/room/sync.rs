//! Fetching the log, and holding the host to it.

use std::time::{Duration, Instant};

use glovebox_api::limits::MAX_WAIT_SECONDS;
use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::LogPage;
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::name::RoomId;

use super::RemoteRoom;
use crate::error::{ClientError, Result};
use crate::mirror::Mirror;
use crate::session::Session;
use crate::verified::{Extension, Folded, VerifiedLog};

/// Most entries that are fetched before one of the host's checkpoints holds for all of them.
const MAX_UNSIGNED_ENTRIES: usize = 1_000_000;

/// A host that answers at once although it was asked to wait is asked again no sooner.
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// Fetches the log of a room that was not mirrored, or whose mirror was damaged: then `signed` is
/// what the host had signed.
pub(super) fn first(
    session: &Session,
    room: &RoomId,
    mirror: &mut Mirror,
    signed: Option<&Checkpoint>,
) -> Result<VerifiedLog> {
    let fetch = Fetch { session, room, mirror, log: None, signed };
    let (folded, note) = fetch.all(Duration::ZERO)?;
    let folded = folded.ok_or_else(|| tampered(room, "it has no entries"))?;
    keep(mirror, &[], &folded, &note)?;
    Ok(folded.into_log(note))
}

impl RemoteRoom {
    /// Waits until something comes to the log, for as long as `most`, and fetches it. Says whether
    /// something came.
    ///
    /// # Errors
    /// As [`RemoteRoom::refresh`].
    pub fn wait_for_more(&mut self, most: Duration) -> Result<bool> {
        let started = Instant::now();
        loop {
            let asked = Instant::now();
            let rest = most.saturating_sub(started.elapsed());
            if self.pull(rest)? {
                return Ok(true);
            }
            let rest = most.saturating_sub(started.elapsed());
            if rest.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(LEAST_PAUSE.saturating_sub(asked.elapsed()).min(rest));
        }
    }

    /// Fetches what came to the log; waits for it for some whole seconds, as `wait` allows.
    pub(super) fn pull(&mut self, wait: Duration) -> Result<bool> {
        let Self { session, log, mirror, signed } = self;
        let room = *log.state().id();
        let wait = wait
            .min(Duration::from_secs(MAX_WAIT_SECONDS))
            .min(session.client().transport().timeout() / 2);
        let fetch = Fetch { session, room: &room, mirror, log: Some(log), signed: signed.as_ref() };
        let (Some(folded), note) = fetch.all(wait)? else { return Ok(false) };
        keep(mirror, log.entries(), &folded, &note)?;
        log.extend(folded, note);
        *signed = None;
        Ok(true)
    }
}

/// Writes to the mirror what was found signed.
fn keep(
    mirror: &mut Mirror,
    before: &[glovebox_contract::envelope::Envelope],
    folded: &Folded,
    note: &str,
) -> Result<()> {
    if mirror.keep(before, folded, note)?.is_ok() {
        return Ok(());
    }
    let mirrored = mirror.note()?.unwrap_or_default();
    let evidence = mirror.keep_evidence(&mirrored, note, folded.entries())?;
    let why = "another process on this machine was shown other entries".into();
    Err(ClientError::Fork { room: *mirror.room(), why, evidence })
}

fn tampered(room: &RoomId, why: impl Into<String>) -> ClientError {
    ClientError::Tampered { room: *room, why: why.into() }
}

/// Fetches what is behind `log`.
struct Fetch<'a> {
    session: &'a Session,
    room: &'a RoomId,
    mirror: &'a Mirror,
    log: Option<&'a VerifiedLog>,
    signed: Option<&'a Checkpoint>,
}

impl Fetch<'_> {
    /// All entries that came, and the note that signs them with those before.
    fn all(&self, wait: Duration) -> Result<(Option<Folded>, String)> {
        let host = self.session.client().host_key();
        let mut extension = Extension::behind(self.log, self.room, host);
        let mut wait = wait;
        loop {
            let page = self.session.log_page(self.room, extension.size(), wait)?;
            wait = Duration::ZERO;
            let signed = self.check_form(&page, extension.size())?;
            let LogPage { checkpoint: note, entries, .. } = page;
            for envelope in entries {
                if let Err(refusal) = extension.push(envelope) {
                    let why = format!("entry {} is refused: {refusal}", extension.size());
                    return Err(self.contradiction(&note, &extension, &why));
                }
            }
            if signed.size() < extension.size() {
                let why = format!("it has {} entries, but had more", signed.size());
                return Err(self.contradiction(&note, &extension, &why));
            }
            if signed.size() == extension.size() {
                self.check_signed(&signed, &note, &extension)?;
                return Ok((extension.into_folded(), note));
            }
            if extension.entries().len() > MAX_UNSIGNED_ENTRIES {
                return Err(self.answer("the log has no end"));
            }
        }
    }

    /// The note is the host's and about this many entries, and the page goes on.
    fn check_form(&self, page: &LogPage, from: u64) -> Result<Checkpoint> {
        let host = self.session.client().host_key();
        let signed = Checkpoint::verify(&page.checkpoint, self.room, host)
            .map_err(|error| self.answer(error.to_string()))?;
        let missing = signed.size().checked_sub(from);
        let count = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        if signed.size() != page.size {
            return Err(self.answer("the checkpoint is about another number of entries"));
        }
        if missing.is_some_and(|missing| count > missing) {
            return Err(self.answer("there are more entries than are signed"));
        }
        if missing.is_some_and(|missing| missing > 0) && count == 0 {
            return Err(self.answer("the entries that are signed are missing"));
        }
        Ok(signed)
    }

    /// The entries are those that the note signs, and those that the host signed before.
    fn check_signed(
        &self,
        signed: &Checkpoint,
        note: &str,
        extension: &Extension<'_>,
    ) -> Result<()> {
        if !extension.contains(signed) {
            let why = "its entries are not those that its checkpoint signs";
            return Err(self.contradiction(note, extension, why));
        }
        match self.signed {
            Some(before) if before.size() > signed.size() => {
                let why = format!(
                    "it has {} entries, the host has signed {}",
                    signed.size(),
                    before.size()
                );
                Err(self.contradiction(note, extension, &why))
            }
            Some(before) if !extension.contains(before) => {
                Err(self.contradiction(note, extension, "the host signed other entries before"))
            }
            _ => Ok(()),
        }
    }

    /// What the host shows does not go with what it signed before; or, when nothing is known of
    /// the room, not with itself.
    fn contradiction(&self, note: &str, extension: &Extension<'_>, why: &str) -> ClientError {
        let mirrored = match self.log {
            Some(log) => Some(log.checkpoint().to_owned()),
            None => match self.mirror.note() {
                Ok(mirrored) => mirrored,
                Err(error) => return error,
            },
        };
        let Some(mirrored) = mirrored else { return tampered(self.room, why) };
        match self.mirror.keep_evidence(&mirrored, note, extension.entries()) {
            Ok(evidence) => ClientError::Fork { room: *self.room, why: why.to_owned(), evidence },
            Err(error) => error,
        }
    }

    fn answer(&self, why: impl Into<String>) -> ClientError {
        ClientError::answer(format!("GET {}", path::room(self.room, RoomPart::Log)), why)
    }
}
