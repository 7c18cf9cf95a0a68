//! A room's log, read from the beginning on, and the tables that it makes.

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::state::{Applied, RoomState};
use glovebox_contract::statement::Body;

use crate::columns::{EVENTS, RUNS};
use crate::error::AuditError;
use crate::events;
use crate::rows::{Rows, Table};
use crate::runs::{self, Asked, Known};
use crate::said::{Before, Said};

/// What the log of a room has told so far.
#[derive(Debug)]
pub struct Journal {
    state: RoomState,
    runs: Known,
    events: Rows,
}

impl Journal {
    /// Reads the first statement of a log.
    ///
    /// # Errors
    /// When it creates no room.
    pub fn open(first: &Envelope) -> Result<Self, AuditError> {
        let refused = |refusal| AuditError::Log { position: 0, refusal };
        let state = RoomState::open(first).map_err(refused)?;
        let before = Before::of_first(state.document());
        let mut journal = Self { state, runs: Known::new(), events: Rows::new(EVENTS)? };
        let applied = Applied { digest: first.digest(), statement: first.unverified()? };
        journal.tell(before, &applied, 0)?;
        Ok(journal)
    }

    /// Reads a whole log.
    ///
    /// # Errors
    /// When there is none, or an entry of it does not hold up.
    pub fn of(entries: &[Envelope]) -> Result<Self, AuditError> {
        let (first, rest) = entries.split_first().ok_or(AuditError::Empty)?;
        let mut journal = Self::open(first)?;
        rest.iter().try_for_each(|envelope| journal.take(envelope))?;
        Ok(journal)
    }

    /// Reads the next statement of the log.
    ///
    /// # Errors
    /// When it does not hold up; the journal stays as it was.
    pub fn take(&mut self, envelope: &Envelope) -> Result<(), AuditError> {
        let position = self.entries();
        let before = Before::of(&self.state, &envelope.unverified()?);
        let applied = self.state.apply(envelope);
        let applied = applied.map_err(|refusal| AuditError::Log { position, refusal })?;
        self.tell(before, &applied, position)
    }

    /// Adds the events that a statement makes.
    fn tell(
        &mut self,
        before: Option<Before>,
        applied: &Applied,
        position: u64,
    ) -> Result<(), AuditError> {
        if let Body::RunRequest(_) = applied.statement.body {
            let id = RunId::of_request(&applied.digest);
            let asked = match self.state.run(&id) {
                Ok(run) => Asked::of(&self.state, run)?,
                Err(_) => None,
            };
            self.runs.extend(asked.map(|asked| (id, asked)));
        }
        // A statement that was taken is one of a party.
        let Some(before) = before else { return Ok(()) };
        let said = Said { before, state: &self.state, applied, position, runs: &self.runs };
        events::of(&said).iter().try_for_each(|row| self.events.push(row))
    }

    /// How many statements were read.
    pub fn entries(&self) -> u64 {
        self.state.statements()
    }

    /// The room as they say it is.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// What happened, in the order of the log.
    ///
    /// # Errors
    /// When a row does not fit its table, which is a fault of this program.
    pub fn events(&self) -> Result<Table, AuditError> {
        self.events.table()
    }

    /// What was run, in the order in which it was asked for.
    ///
    /// # Errors
    /// As [`Journal::events`].
    pub fn runs(&self) -> Result<Table, AuditError> {
        let mut rows = Rows::new(RUNS)?;
        for run in self.state.runs() {
            rows.push(&runs::row(&self.state, &self.runs, run)?)?;
        }
        rows.table()
    }
}
