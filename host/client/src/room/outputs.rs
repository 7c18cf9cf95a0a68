//! Reading outputs.

use std::io::{Seek as _, Write};

use glovebox_api::path::{self, RoomPart};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Identifier, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::OutputFile;
use glovebox_contract::state::Refusal;
use glovebox_contract::statement::{Body, OutputRead};

use super::RemoteRoom;
use crate::error::{ClientError, Context as _, Result};
use crate::http::Call;
use crate::patience::Patience;

impl RemoteRoom {
    /// Reads an output with the signed statement that says so, and writes its Parquet file to
    /// `out`: after all of it has come and has the digest in the receipt, so `out` never holds
    /// anything else.
    ///
    /// A statement is good for one answer. When the connection breaks in the middle, another must
    /// be signed: [`RemoteRoom::read_output_with`] does that.
    ///
    /// # Errors
    /// With the host's reason when the party may not read it, and when the file is another.
    pub fn read_output(&mut self, envelope: &Envelope, out: &mut dyn Write) -> Result<()> {
        let Body::OutputRead(read) = envelope.unverified()?.body else {
            let why = "the statement does not read an output";
            return Err(Refusal::new(ReasonCode::InvalidArgument, why).into());
        };
        let expected = self.expected(&read)?;
        let path = path::room(self.id(), RoomPart::Outputs);
        let body = envelope.to_bytes();
        let directory = self.session.client().state();
        let mut file = tempfile::tempfile_in(directory)
            .trying(|| format!("make a file in `{}`", directory.display()))?;
        let answer = self.session.ask(&Call::post(&path, &body))?;
        let (bytes, digest) = answer.copy(expected.bytes, &mut file)?;
        if (bytes, digest) != (expected.bytes, expected.digest) {
            let why = format!("output {} is not what its receipt says", read.output);
            return Err(ClientError::answer(format!("POST {path}"), why));
        }
        file.rewind()
            .and_then(|()| std::io::copy(&mut file, out))
            .trying(|| format!("write output {}", read.output))?;
        self.refresh()?;
        Ok(())
    }

    /// Signs that the party reads an output and reads it, as [`RemoteRoom::read_output`]; signs
    /// again when the connection breaks or another statement of the party came first.
    ///
    /// # Errors
    /// As [`RemoteRoom::read_output`].
    pub fn read_output_with(
        &mut self,
        run: &RunId,
        output: &Identifier,
        out: &mut dyn Write,
    ) -> Result<()> {
        let read = OutputRead { output: output.clone(), run: *run };
        let mut patience = Patience::new(self.session.client().patience());
        loop {
            let done = self.race(|room| {
                let envelope = room.sign(Body::OutputRead(read.clone()))?;
                room.read_output(&envelope, out)
            });
            match done {
                Err(error) if error.is_passing() => {
                    if !patience.wait(error.retry_after()) {
                        return Err(error);
                    }
                    self.refresh()?;
                }
                done => return done,
            }
        }
    }

    /// What the receipt says about an output.
    fn expected(&self, read: &OutputRead) -> Result<OutputFile> {
        let receipt = self.state().run(&read.run)?.receipt();
        let file = receipt.and_then(|receipt| receipt.outputs()?.get(&read.output)).copied();
        file.ok_or_else(|| {
            let why = format!("run {} has no output {}", read.run, read.output);
            Refusal::new(ReasonCode::NotFound, why).into()
        })
    }
}
