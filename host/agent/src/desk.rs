//! A room as an agent works in it.

use std::collections::BTreeMap;
use std::time::Duration;

use glovebox_client::{Client, ClientError, Options, RemoteRoom};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{Refusal, RunStatus};
use glovebox_contract::statement::{Body, RunRequest};

use crate::book::RoomRecord;
use crate::orders::Order;
use crate::watch::{self, News};

/// Where a run stands, as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The log has no such request.
    Unknown,
    /// It waits or runs.
    Going,
    Succeeded,
    /// It failed, or the host did not start it.
    Failed(ReasonCode),
}

/// Why something could not be done in a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The host is away: later it may work.
    #[error("{0}")]
    Away(String),
    /// The room or the host does not do it.
    #[error("{what} ({reason})")]
    Refused { reason: ReasonCode, what: String },
    /// The host shows another log than before, or has another key.
    #[error("{0}")]
    Forked(String),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// What an agent does in a room.
pub(crate) trait Desk {
    /// Fetches what came to the log; waits for it for as long as `most`.
    fn wait(&mut self, most: Duration) -> Result<(), Problem>;
    /// A signed request for a run, and the run that it asks for. Not sent.
    fn draw_up(
        &self,
        order: &Order,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Envelope, RunId), Problem>;
    /// Whether a request is one for this room.
    fn is_for(&self, request: &Envelope) -> bool;
    /// Sends a request. The same may be sent again.
    fn send(&mut self, request: &Envelope) -> Result<(), Problem>;
    /// Where a run stands, by the log as it was fetched last.
    fn standing(&self, run: &RunId) -> Standing;
    /// Whether a request that is not in the log can still come to it: its number is not used.
    fn may_come(&self, request: &Envelope) -> bool;
    /// What happened since the log was looked at last.
    fn news(&self, room: &str, record: Option<&RoomRecord>, now: u64) -> Result<News, Problem>;
}

/// A room on a host.
#[derive(Debug)]
pub(crate) struct RemoteDesk {
    room: RemoteRoom,
}

/// How the rooms of an agent are reached.
pub(crate) struct Access {
    pub(crate) host: String,
    pub(crate) key: PrivateKey,
    pub(crate) options: Options,
}

impl Access {
    /// Opens a room: the one that was opened under this name before, when there is one.
    pub(crate) fn open(
        &self,
        name: &str,
        record: Option<&RoomRecord>,
    ) -> Result<RemoteDesk, Problem> {
        let client = Client::connect(&self.host, &self.options)?;
        let session = client.party(self.key.clone());
        let room = match record {
            Some(record) => session.open_room(&record.id),
            None => session.room(name),
        };
        Ok(RemoteDesk { room: room? })
    }
}

impl Desk for RemoteDesk {
    fn wait(&mut self, most: Duration) -> Result<(), Problem> {
        match most.is_zero() {
            true => self.room.refresh()?,
            false => self.room.wait_for_more(most)?,
        };
        Ok(())
    }

    fn draw_up(
        &self,
        order: &Order,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Envelope, RunId), Problem> {
        let state = self.room.state();
        let (party, now) = (self.room.party()?, self.room.now());
        let approved = state.approved(&order.notebook, None, party, now)?;
        let request = RunRequest {
            notebook: order.notebook.clone(),
            parameters: approved.read_parameters(parameters)?,
            revision: *approved.revision().digest(),
        };
        let statement = self.room.next_statement(Body::RunRequest(request))?;
        state.check(&statement)?;
        let envelope = Envelope::sign(&statement, self.room.session().key())
            .map_err(|error| Problem::Broken(error.to_string()))?;
        let run = RunId::of_request(&envelope.digest());
        Ok((envelope, run))
    }

    fn is_for(&self, request: &Envelope) -> bool {
        request.unverified().is_ok_and(|statement| statement.room.as_ref() == Some(self.room.id()))
    }

    fn send(&mut self, request: &Envelope) -> Result<(), Problem> {
        self.room.start_run(request)?;
        Ok(())
    }

    fn standing(&self, run: &RunId) -> Standing {
        let Ok(run) = self.room.state().run(run) else { return Standing::Unknown };
        match run.status() {
            RunStatus::Requested | RunStatus::Started => Standing::Going,
            RunStatus::Refused { reason } => Standing::Failed(*reason),
            RunStatus::Ended { receipt, .. } => match &receipt.outcome {
                Outcome::Succeeded { .. } => Standing::Succeeded,
                Outcome::Failed { reason } => Standing::Failed(*reason),
            },
        }
    }

    fn may_come(&self, request: &Envelope) -> bool {
        let next =
            self.room.party().and_then(|party| Ok(self.room.state().next_sequence(party)?));
        match (request.unverified(), next) {
            (Ok(statement), Ok(next)) => statement.sequence >= next,
            // With a key that the room does not know any more, nothing can come.
            _ => false,
        }
    }

    fn news(&self, room: &str, record: Option<&RoomRecord>, now: u64) -> Result<News, Problem> {
        let party = self.room.party()?;
        Ok(watch::news(room, party, self.room.state(), self.room.entries(), record, now))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { reason: refusal.reason(), what: refusal.to_string() }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let what = error.to_string();
        match &error {
            ClientError::Fork { .. }
            | ClientError::Tampered { .. }
            | ClientError::HostKey { .. } => Self::Forked(what),
            ClientError::Unreachable { .. } => Self::Away(what),
            _ if error.is_passing() => Self::Away(what),
            ClientError::Refused { .. }
            | ClientError::Rule(_)
            | ClientError::RunRefused { .. }
            | ClientError::NotFound(_) => Self::Refused { reason: error.reason(), what },
            _ => Self::Broken(what),
        }
    }
}
