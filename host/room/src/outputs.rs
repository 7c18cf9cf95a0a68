//! Reading outputs, and what a run said.

use std::fs::File;
use std::io::Seek as _;
use std::path::PathBuf;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Alias, Identifier, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{OutputFile, Receipt};
use glovebox_contract::state::{Refusal, Run};
use glovebox_contract::statement::{Body, LogReaders};

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::private::{Display, LogLine};
use crate::room::Room;
use crate::staging::OutputStore;

/// A published output, opened for reading.
#[derive(Debug)]
pub struct OpenedOutput {
    /// The Parquet file, at its beginning. Read-only.
    pub file: File,
    /// What the receipt says about it; the file has this digest.
    pub output: OutputFile,
    /// The receipt that vouches for it.
    pub receipt: Receipt,
}

/// What a run said, for those who may know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunText {
    /// Why it failed, in words.
    pub detail: Option<String>,
    /// What its cells displayed, oldest first.
    pub displays: Vec<Display>,
    /// The lines that the notebook logged, oldest first.
    pub log: Vec<LogLine>,
}

fn no_output(run: &RunId, output: &Identifier) -> RoomError {
    RoomError::not_found(format!("run {run} has no output {output}"))
}

impl Room {
    /// The receipt of a run whose outputs `reader` may read now. It shows names and sizes; to
    /// read rows a party signs, see [`Room::read_output`].
    ///
    /// # Errors
    /// `not-found` when there are none (any more), `not-permitted` when they are not for this
    /// party.
    pub fn readable_outputs(&self, run: &RunId, reader: &Alias) -> Result<&Receipt> {
        Ok(self.state.may_read_output(run, reader, self.now())?)
    }

    /// Takes a party's signed statement that it reads an output, and opens the output.
    ///
    /// # Errors
    /// With the reason when the party may not read it; the refusal is in the log.
    pub fn read_output(&mut self, envelope: &Envelope) -> Result<OpenedOutput> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::OutputRead(read) = statement.body else {
            return Err(RoomError::internal("the statement does not read an output"));
        };
        let (run, output) = (read.run, read.output);
        // Opened first, so that what this host cannot give is not logged as read. Whether the party
        // may have it is decided under the lock.
        self.refresh()?;
        let may = self.state.may_read_output(&run, &statement.party, self.now());
        let opened = match may.cloned() {
            Ok(receipt) if receipt.outputs().is_some_and(|files| files.contains_key(&output)) => {
                Some(self.open_output(receipt, &run, &output)?)
            }
            _ => None,
        };
        let receipt = self.locked(|room, _| {
            // The statement's own time is the reader's word; expiry goes by the host's clock.
            match room.state.may_read_output(&run, &statement.party, room.now()) {
                Ok(receipt) => {
                    let receipt = receipt.clone();
                    room.take(envelope, |_| Ok(()))?;
                    Ok(receipt)
                }
                Err(refusal) => {
                    room.log_refusal(envelope, refusal.reason())?;
                    Err(refusal.into())
                }
            }
        })?;
        match opened {
            Some(opened) => Ok(opened),
            // It was published at this very moment.
            None => self.open_output(receipt, &run, &output),
        }
    }

    /// Opens a published output for the host itself, with the digest that its receipt says. For
    /// Delta Sharing, which checks what a recipient was granted and logs
    /// [`glovebox_contract::statement::SharedRead`]; a party reads by [`Room::read_output`].
    ///
    /// # Errors
    /// `not-found` when there is no such output, or not any more.
    pub fn published_output(&self, run: &RunId, output: &Identifier) -> Result<OpenedOutput> {
        let receipt = self.present_receipt(run)?.clone();
        self.open_output(receipt, run, output)
    }

    /// Where the file of a published output is. As [`Room::published_output`], and its bytes are the
    /// caller's to check.
    ///
    /// # Errors
    /// `not-found` when there is no such output, or not any more.
    pub fn output_path(&self, run: &RunId, output: &Identifier) -> Result<PathBuf> {
        let receipt = self.present_receipt(run)?;
        if !receipt.outputs().is_some_and(|outputs| outputs.contains_key(output)) {
            return Err(no_output(run, output));
        }
        Ok(self.path.join(OutputStore::path(run, output)))
    }

    /// The receipt of a run that has outputs now.
    fn present_receipt(&self, run: &RunId) -> Result<&Receipt> {
        let receipt = self.state.run(run)?.receipt();
        receipt.filter(|_| self.has_outputs_now(run)).ok_or_else(|| {
            RoomError::not_found(format!("run {run} has no outputs, or not any more"))
        })
    }

    fn open_output(
        &self,
        receipt: Receipt,
        run: &RunId,
        output: &Identifier,
    ) -> Result<OpenedOutput> {
        let expected = receipt.outputs().and_then(|outputs| outputs.get(output)).copied();
        let expected = expected.ok_or_else(|| no_output(run, output))?;
        let mut file = self.outputs.open_output(run, output)?.ok_or_else(|| {
            RoomError::internal(format!("output {output} of run {run} is missing on this host"))
        })?;
        let (digest, bytes) =
            files::digest_reader(&file).trying(|| format!("read output {output}"))?;
        if (digest, bytes) != (expected.digest, expected.bytes) {
            return Err(RoomError::internal(format!(
                "output {output} of run {run} is damaged on this host: it is not what its receipt \
                 says; run the notebook again"
            )));
        }
        file.rewind().trying(|| format!("read output {output}"))?;
        Ok(OpenedOutput { file, output: expected, receipt })
    }

    /// What a run said and why it failed, for `reader`: the author of the notebook, or the runner
    /// or every collaborator if the room says so. The caller has made sure that it speaks for `reader`, by
    /// its key. Kept as long as outputs are.
    ///
    /// # Errors
    /// `not-permitted` when it is not for this party.
    pub fn run_text(&self, run: &RunId, reader: &Alias) -> Result<RunText> {
        let record = self.state.run(run)?;
        self.state.member(reader)?;
        if !self.may_read_words(record, reader) {
            return Err(RoomError::new(
                ReasonCode::NotPermitted,
                match self.state.document().log_readers {
                    LogReaders::Runner => {
                        format!("the log of run {run} is for {} only", record.runner())
                    }
                    _ => format!(
                        "the log of run {run} is for the author of {} only",
                        record.notebook()
                    ),
                },
            ));
        }
        let words = self.store.run_words(run)?;
        Ok(RunText { detail: words.detail, displays: words.displays, log: words.log })
    }

    /// Why a run failed, for the operator of this host. May name files of parties: never show it
    /// to a party.
    pub fn operator_detail(&self, run: &RunId) -> Result<Option<String>> {
        Ok(self.store.run_words(run)?.operator_detail)
    }

    pub(crate) fn may_read_words(&self, run: &Run, reader: &Alias) -> bool {
        self.state.may_read_words(run, reader)
    }
}
