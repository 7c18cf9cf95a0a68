//! Runs: asked for, waited for.

use std::time::Duration;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{RunProgress, RunText, StartedRun};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Receipt;
use glovebox_contract::state::RunStatus;
use glovebox_contract::statement::{Body, RunRequest};

use super::RemoteRoom;
use crate::error::{ClientError, Result};
use crate::http::Call;

/// How long to wait for the log before a run's progress is asked again.
const BETWEEN_PROGRESS: Duration = Duration::from_secs(1);

impl RemoteRoom {
    /// Asks for a run with a signed request. The same request may be sent twice: it has one run.
    ///
    /// # Errors
    /// With the host's reason when it does not take the request.
    pub fn start_run(&mut self, envelope: &Envelope) -> Result<RunId> {
        let path = path::room(self.id(), RoomPart::Runs);
        let body = envelope.to_bytes();
        let StartedRun { run } = self.session.ask_again(&Call::post(&path, &body))?;
        if run != RunId::of_request(&envelope.digest()) {
            return Err(ClientError::answer(
                format!("POST {path}"),
                "the host started another run than the one asked for",
            ));
        }
        self.refresh()?;
        Ok(run)
    }

    /// Signs and sends a request for a run, as [`RemoteRoom::submit_with`] does.
    ///
    /// # Errors
    /// What `request` fails with, and as [`RemoteRoom::start_run`].
    pub fn start_run_with(
        &mut self,
        mut request: impl FnMut(&Self) -> Result<RunRequest>,
    ) -> Result<RunId> {
        self.race(|room| {
            let envelope = room.sign(Body::RunRequest(request(room)?))?;
            room.start_run(&envelope)
        })
    }

    /// Waits until a run has ended, and says how far it is as far as this party may know: that is
    /// the runner, for others the progress is empty.
    ///
    /// # Errors
    /// [`ClientError::RunRefused`] when it did not start, `not-found` when the host does not know
    /// it. A run that started and failed has a receipt.
    pub fn wait_run(
        &mut self,
        run: &RunId,
        observer: &mut dyn FnMut(&RunProgress),
    ) -> Result<Receipt> {
        let mut told = None;
        loop {
            if let Some(ended) = self.ended(run) {
                return ended;
            }
            let progress = match self.run_progress(run) {
                Ok(progress) => progress,
                Err(error) if error.reason() == ReasonCode::NotPermitted => RunProgress::default(),
                Err(error) if error.reason() == ReasonCode::NotFound => {
                    // It may have come to the log just now.
                    self.refresh()?;
                    if self.state().run(run).is_err() {
                        return Err(ClientError::NotFound(format!("the host knows no run {run}")));
                    }
                    RunProgress::default()
                }
                Err(error) => return Err(error),
            };
            if told != Some(progress) {
                observer(&progress);
                told = Some(progress);
            }
            self.wait_for_more(BETWEEN_PROGRESS)?;
        }
    }

    /// How a run ended, when it has, as the log at hand says.
    fn ended(&self, run: &RunId) -> Option<Result<Receipt>> {
        match self.state().run(run).ok()?.status() {
            RunStatus::Ended { receipt, .. } => Some(Ok((**receipt).clone())),
            RunStatus::Refused { reason } => {
                Some(Err(ClientError::RunRefused { run: *run, reason: *reason }))
            }
            RunStatus::Requested | RunStatus::Started => None,
        }
    }

    /// How far a run is now; for its runner only.
    ///
    /// # Errors
    /// `not-permitted` for others, `not-found` when there is no such run.
    pub fn run_progress(&self, run: &RunId) -> Result<RunProgress> {
        self.session.get(&path::run(self.id(), run), "")
    }

    /// What a run said and why it failed, as far as this party may know.
    ///
    /// # Errors
    /// `not-permitted` when it is not for this party.
    pub fn run_text(&self, run: &RunId) -> Result<RunText> {
        self.session.get(&path::run_text(self.id(), run), "")
    }
}
