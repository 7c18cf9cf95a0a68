//! Adding tables, views, volumes, notebooks and libraries.

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{
    AddAsset, AddTable, CredentialReplaced, Described, ReplaceCredential, Secrets, TableFiles,
    Taken,
};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::TableName;
use glovebox_contract::statement::Body;
use serde::Serialize;
use url::{Host, Url};

use super::RemoteRoom;
use crate::error::{ClientError, Result};
use crate::http::Call;

impl RemoteRoom {
    /// Has the host read the columns of uploaded files or of a table that is elsewhere, or plan a
    /// view of files.
    ///
    /// # Errors
    /// With the host's reason, such as `input-corrupt`; [`ClientError::Invalid`] when credentials
    /// would cross the network for all to read.
    pub fn describe(&self, files: &TableFiles) -> Result<Described> {
        self.check_secrets(files)?;
        let path = path::room(self.id(), RoomPart::Describe);
        self.session.ask_again(&Call::post(&path, &json(files)?))
    }

    /// Adds a table or a view whose files are uploaded, or a table that is elsewhere.
    ///
    /// # Errors
    /// As [`RemoteRoom::submit`] and [`RemoteRoom::describe`].
    pub fn add_table(&mut self, envelope: &Envelope, files: &TableFiles) -> Result<Taken> {
        self.check_secrets(files)?;
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

    /// Gives a table that is elsewhere another credential. Nothing is logged.
    ///
    /// # Errors
    /// With the host's reason, such as `source-denied`: then the table keeps the one it has. As
    /// [`RemoteRoom::describe`] otherwise.
    pub fn replace_credential(&self, table: &TableName, credentials: Secrets) -> Result<()> {
        self.require_privacy()?;
        let path = path::room(self.id(), RoomPart::Credentials);
        let body = ReplaceCredential { credentials, table: table.clone() };
        let replaced: CredentialReplaced =
            self.session.ask_again(&Call::post(&path, &json(&body)?))?;
        if replaced.table == *table {
            return Ok(());
        }
        Err(ClientError::answer(format!("POST {path}"), "the host speaks of another table"))
    }

    fn check_secrets(&self, files: &TableFiles) -> Result<()> {
        match &files.remote {
            Some(remote) if remote.credentials.is_some() => self.require_privacy(),
            _ => Ok(()),
        }
    }

    /// Fails where others could read what is sent.
    fn require_privacy(&self) -> Result<()> {
        let url = self.session.client().url();
        if is_private(url) {
            return Ok(());
        }
        Err(ClientError::Invalid(format!(
            "credentials are not sent to {url}: anybody on the way could read them; use https"
        )))
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

/// Whether nobody on the way can read what is sent to this address: it is encrypted, or never leaves
/// this machine.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_where_nobody_listens() {
        let check = |url: &str, expect: bool| {
            assert_eq!(is_private(&Url::parse(url).unwrap()), expect, "{url}");
        };
        check("https://host.example", true);
        check("http://127.0.0.1:8080", true);
        check("http://[::1]:8080", true);
        check("http://localhost:8080", true);
        check("http://host.example", false);
        check("http://10.0.0.7", false);
        check("http://localhost.example", false);
    }
}
