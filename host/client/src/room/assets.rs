//! Adding tables, views, volumes, notebooks and libraries.

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{AddAsset, AddTable, Described, TableFiles, Taken};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::statement::Body;
use serde::Serialize;

use super::RemoteRoom;
use crate::error::{ClientError, Result};
use crate::http::Call;

impl RemoteRoom {
    /// Has the host read the columns of uploaded files, or plan a view of them.
    ///
    /// # Errors
    /// With the host's reason, such as `input-corrupt`.
    pub fn describe(&self, files: &TableFiles) -> Result<Described> {
        let path = path::room(self.id(), RoomPart::Describe);
        self.session.ask_again(&Call::post(&path, &json(files)?))
    }

    /// Adds a table or a view whose files are uploaded.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`].
    pub fn add_table(&mut self, envelope: &Envelope, files: &TableFiles) -> Result<Taken> {
        let body = AddTable { statement: envelope.clone(), source: files.clone() };
        self.post(RoomPart::Tables, envelope, &json(&body)?)
    }

    /// Signs and adds a table or a view, as [`RemoteRoom::submit_with`] does.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit_with`].
    pub fn add_table_with(
        &mut self,
        files: &TableFiles,
        mut body: impl FnMut(&Self) -> Result<Body>,
    ) -> Result<Taken> {
        self.race(|room| {
            let envelope = room.sign(body(room)?)?;
            room.add_table(&envelope, files)
        })
    }

    /// Adds a volume whose files are uploaded.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`].
    pub fn add_volume(&mut self, envelope: &Envelope) -> Result<Taken> {
        self.add(RoomPart::Volumes, envelope)
    }

    /// Adds a notebook whose component is uploaded.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`].
    pub fn add_notebook(&mut self, envelope: &Envelope) -> Result<Taken> {
        self.add(RoomPart::Notebooks, envelope)
    }

    /// Adds a library whose component is uploaded.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`].
    pub fn add_library(&mut self, envelope: &Envelope) -> Result<Taken> {
        self.add(RoomPart::Libraries, envelope)
    }

    fn add(&mut self, part: RoomPart, envelope: &Envelope) -> Result<Taken> {
        let body = AddAsset { statement: envelope.clone() };
        self.post(part, envelope, &json(&body)?)
    }
}

fn json<T: Serialize>(body: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(body)
        .map_err(|error| ClientError::Invalid(format!("cannot write a request: {error}")))
}
