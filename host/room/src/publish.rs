//! The end of a run: the receipt is logged, then the outputs get their name.
//!
//! The order is what makes it atomic: the files are on disk before the receipt is logged, and the
//! logged receipt *is* the commit. Whoever finds it finishes the rename; whoever does not removes
//! the files.

use std::collections::BTreeSet;

use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{EvidenceClass, Outcome, Receipt, Usage};
use glovebox_contract::state::{Run, RunStatus};
use glovebox_contract::statement::{Body, Delete};
use glovebox_job::event::ResourceUsage;

use crate::crash::CrashPoint;
use crate::error::{Result, RoomError};
use crate::private::RunWords;
use crate::room::Room;
use crate::run::{EndedRun, FinishedRun, computation};
use crate::staging::Found;
use crate::worker::WorkerSettings;

const SECONDS_PER_DAY: u64 = 86_400;

impl Room {
    /// Logs the receipt of a finished run and publishes its outputs, if it has any.
    pub(crate) fn publish(
        &mut self,
        settings: &WorkerSettings,
        finished: FinishedRun,
    ) -> Result<EndedRun> {
        let FinishedRun { run, staged, outcome, words, usage, used } = finished;
        self.locked(|room, _| {
            let outcome = match outcome {
                // Someone may have paused or rejected meanwhile; the room would refuse the receipt.
                Ok(outputs) => match room.state.publishable(&run) {
                    Ok(()) => Outcome::Succeeded { outputs },
                    Err(refusal) => Outcome::Failed { reason: refusal.reason() },
                },
                Err(reason) => Outcome::Failed { reason },
            };
            if let Outcome::Failed { .. } = outcome {
                // First, to make room: a full disk may be why the run failed.
                room.outputs.discard(staged)?;
                let ended = room.log_receipt(&run, outcome, usage, &words)?;
                return Ok(EndedRun { used, ..ended });
            }
            let ended = room.log_receipt(&run, outcome, usage, &words)?;
            settings.pass(CrashPoint::ReceiptLogged);
            room.outputs.rename(&staged)?;
            settings.pass(CrashPoint::OutputsRenamed);
            room.outputs.sync()?;
            settings.pass(CrashPoint::Published);
            Ok(EndedRun { used, ..ended })
        })
    }

    /// Logs under the lock how a started run ended.
    fn log_receipt(
        &mut self,
        run: &RunId,
        outcome: Outcome,
        usage: Usage,
        words: &RunWords,
    ) -> Result<EndedRun> {
        let record = self.state.run(run)?;
        let (Some(start), Some(digest), Some(grants)) =
            (record.start(), record.start_digest(), record.grants())
        else {
            return Err(RoomError::internal(format!("run {run} has not started or has ended")));
        };
        let receipt = Receipt {
            computation: computation(grants, &start.inputs)?,
            evidence: EvidenceClass::Asserted,
            finished_at: self.now(),
            inputs: start.inputs.clone(),
            notebook: record.notebook().clone(),
            outcome,
            revision: *record.revision(),
            run: *run,
            start: *digest,
            usage,
        };
        let body = Body::RunReceipt(Box::new(receipt.clone()));
        let receipt_digest = self.append_end(run, body, words)?;
        let host_detail = match &receipt.outcome {
            Outcome::Failed { reason: ReasonCode::JailUnavailable } => {
                words.operator_detail.clone()
            }
            _ => None,
        };
        let used = ResourceUsage::default();
        Ok(EndedRun { run: *run, receipt, receipt_digest, used, host_detail })
    }

    /// Deletes outputs that have expired, says so in the log, and forgets what runs said that long
    /// ago. Opening a room does the same, so only a process that lives long needs this.
    ///
    /// It also finishes or undoes what dead processes left half done. Runs that are alive, here or
    /// in other processes, are left alone. Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the log or the disk fails.
    pub fn sweep_expired(&mut self) -> Result<()> {
        self.refresh()?;
        self.recover()
    }

    /// Finishes or undoes what dead processes left half done, and removes expired outputs. Runs
    /// that are alive in other processes are left alone. Doing it twice changes nothing.
    pub(crate) fn recover(&mut self) -> Result<()> {
        if !self.needs_recovery()? {
            return Ok(());
        }
        self.locked(|room, _| {
            let alive = room.settle_staged()?;
            room.end_dead_runs(&alive)?;
            room.remove_outputs_without_right()?;
            room.remove_old_words()?;
            room.remove_unused_files()
        })
    }

    /// Whether there is anything to look at, found without the lock.
    fn needs_recovery(&self) -> Result<bool> {
        let open = self.state.runs().any(is_open);
        if open || !self.outputs.is_staging_empty()? {
            return Ok(true);
        }
        if !self.kept.is_empty() && self.kept.has_unused(&self.store.places()?)? {
            return Ok(true);
        }
        let published = self.outputs.published()?;
        if published.iter().any(|run| !self.has_outputs_now(run)) {
            return Ok(true);
        }
        Ok(self.store.runs_with_words()?.iter().any(|run| self.words_are_old(run)))
    }

    /// Staged outputs with a logged receipt are published, others removed. Returns the runs that
    /// are alive.
    fn settle_staged(&mut self) -> Result<BTreeSet<RunId>> {
        let mut alive = BTreeSet::new();
        for (run, found) in self.outputs.staged()? {
            match found {
                Found::Alive => {
                    alive.insert(run);
                }
                Found::Dead(staged) if self.has_outputs_now(&run) => {
                    self.outputs.rename(&staged)?;
                    self.outputs.sync()?;
                }
                Found::Dead(staged) => self.outputs.discard(staged)?,
            }
        }
        Ok(alive)
    }

    /// Ends every run whose process died before it could.
    fn end_dead_runs(&mut self, alive: &BTreeSet<RunId>) -> Result<()> {
        let reason = |run: &Run| match run.cancelled() {
            true => ReasonCode::Cancelled,
            false => ReasonCode::HostRestarted,
        };
        let dead: Vec<(RunId, bool, ReasonCode)> = self
            .state
            .runs()
            .filter(|run| is_open(run) && !alive.contains(run.id()))
            .map(|run| (*run.id(), *run.status() == RunStatus::Started, reason(run)))
            .collect();
        let words = RunWords::default();
        for (run, started, reason) in dead {
            if started {
                self.log_receipt(
                    &run,
                    Outcome::Failed { reason },
                    Usage::rounded(0, 0, 0),
                    &words,
                )?;
            } else {
                self.refuse_run(&run, reason, &words)?;
            }
        }
        Ok(())
    }

    /// Removes outputs that have expired, that their runner deleted, or that have no receipt.
    fn remove_outputs_without_right(&mut self) -> Result<()> {
        for run in self.outputs.published()? {
            if self.has_outputs_now(&run) {
                continue;
            }
            let expired = self.state.run(&run).is_ok_and(|record| {
                record.receipt().is_some_and(|receipt| receipt.outputs().is_some())
                    && !record.outputs_deleted()
            });
            if expired {
                self.append_own(Body::Delete(Delete::Outputs { run }))?;
            }
            self.outputs.remove(&run)?;
        }
        Ok(())
    }

    /// Forgets what runs said when their outputs would have expired: words are outputs too.
    fn remove_old_words(&mut self) -> Result<()> {
        for run in self.store.runs_with_words()? {
            if self.words_are_old(&run) {
                self.store.remove_run_words(&run)?;
            }
        }
        Ok(())
    }

    fn words_are_old(&self, run: &RunId) -> bool {
        let Ok(record) = self.state.run(run) else { return true };
        match (record.receipt(), record.status()) {
            (Some(receipt), _) => self.state.expires_at(receipt) <= self.now(),
            // A run that never started has words for the operator only, for as long.
            (None, RunStatus::Refused { .. }) => {
                let life = self.state.document().outputs.time_to_live_days;
                let life = life.saturating_mul(SECONDS_PER_DAY);
                record.requested_at().saturating_add(life) <= self.now()
            }
            _ => false,
        }
    }

    /// Whether the run has outputs that someone may still read.
    pub(crate) fn has_outputs_now(&self, run: &RunId) -> bool {
        let Ok(record) = self.state.run(run) else { return false };
        record.receipt().is_some_and(|receipt| {
            receipt.outputs().is_some()
                && !record.outputs_deleted()
                && self.now() < self.state.expires_at(receipt)
        })
    }
}

fn is_open(run: &Run) -> bool {
    matches!(run.status(), RunStatus::Requested | RunStatus::Started)
}
