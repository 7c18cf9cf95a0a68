//! Webhooks that wait to be delivered: a file each, until somebody has taken them.
//!
//! Each endpoint has a thread of its own, so one that hangs holds up its own messages and nobody
//! else's. An endpoint may get a message twice when its answer was lost; the id is the same then.

mod deliver;

use std::path::{Path, PathBuf};

use glovebox_contract::name::AssetName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use deliver::{Delivery, Endpoint, run};

use crate::error::{AgentError, Context as _, Result};
use crate::files;

/// More than a message has.
const MAX_BYTES: u64 = 1 << 20;

/// Directories of messages that wait, were delivered, and were given up.
const WAITING: &str = "outbox";
const SENT: &str = "sent";
const UNDELIVERED: &str = "undelivered";

/// How many delivered messages are remembered by name.
const REMEMBERED: usize = 20_000;

/// The directories of messages.
#[derive(Debug)]
pub(crate) struct Outbox {
    directory: PathBuf,
}

/// A message as it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: Value,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// When it was first tried, in Unix seconds.
    pub(crate) first: Option<u64>,
    /// When to try again, in Unix seconds.
    pub(crate) not_before: u64,
}

impl Message {
    pub(crate) fn new(id: String, body: Value) -> Self {
        Self { id, body, tries: 0, first: None, not_before: 0 }
    }
}

impl Outbox {
    pub(crate) fn open(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn path(&self, part: &str, alert: &AssetName) -> PathBuf {
        self.directory.join(part).join(alert.as_str())
    }

    fn file(&self, part: &str, alert: &AssetName, id: &str) -> PathBuf {
        self.path(part, alert).join(format!("{id}.json"))
    }

    /// Puts a message in, unless it waits already or was delivered. Says whether it is new.
    pub(crate) fn put(&self, alert: &AssetName, id: &str, body: &Value) -> Result<bool> {
        for part in [WAITING, SENT, UNDELIVERED] {
            let path = self.path(part, alert);
            files::create_directory(&path).trying(|| format!("make `{}`", path.display()))?;
            let file = self.file(part, alert, id);
            if file.try_exists().trying(|| format!("look for `{}`", file.display()))? {
                return Ok(false);
            }
        }
        let message = Message::new(id.to_owned(), body.clone());
        self.write(alert, &message)?;
        Ok(true)
    }

    /// Writes a message that waits.
    fn write(&self, alert: &AssetName, message: &Message) -> Result<()> {
        let file = self.file(WAITING, alert, &message.id);
        let bytes = serde_json::to_vec(message)
            .map_err(|error| AgentError::State(format!("cannot write a webhook: {error}")))?;
        files::write(&file, &bytes).trying(|| format!("write `{}`", file.display()))
    }

    /// The messages that wait for an endpoint, those that are to be tried soonest first. Files that
    /// are not messages are left alone.
    pub(crate) fn waiting(&self, alert: &AssetName) -> Result<Vec<Message>> {
        let path = self.path(WAITING, alert);
        let mut messages = Vec::new();
        for (_, file) in list(&path)? {
            let bytes = files::read(&file, MAX_BYTES)
                .trying(|| format!("read `{}`", file.display()))?
                .unwrap_or_default();
            match serde_json::from_slice::<Message>(&bytes) {
                Ok(message) => messages.push(message),
                Err(error) => tracing::warn!("`{}` is no message: {error}", file.display()),
            }
        }
        messages.sort_by_key(|message| message.not_before);
        Ok(messages)
    }

    /// Remembers that a message was delivered. Only its name is kept.
    pub(crate) fn delivered(&self, alert: &AssetName, id: &str) -> Result<()> {
        self.move_to(SENT, alert, id)?;
        let sent = self.file(SENT, alert, id);
        files::write(&sent, b"{}\n").trying(|| format!("write `{}`", sent.display()))?;
        let mut known = list(&self.path(SENT, alert))?;
        if known.len() > REMEMBERED {
            known.sort();
            for (_, file) in known.iter().take(known.len() / 2) {
                // What is not removed now is removed later.
                let _ = std::fs::remove_file(file);
            }
        }
        Ok(())
    }

    /// Puts a message aside that nobody took.
    pub(crate) fn given_up(&self, alert: &AssetName, id: &str) -> Result<()> {
        self.move_to(UNDELIVERED, alert, id)
    }

    fn move_to(&self, part: &str, alert: &AssetName, id: &str) -> Result<()> {
        let (from, to) = (self.file(WAITING, alert, id), self.file(part, alert, id));
        files::rename(&from, &to).trying(|| format!("move `{}`", from.display()))
    }
}

/// The messages in a directory, with the time at which each was written.
fn list(path: &Path) -> Result<Vec<(std::time::SystemTime, PathBuf)>> {
    let reading = || format!("read `{}`", path.display());
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.trying(reading)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.trying(reading)?;
        let file = entry.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            found.push((modified.trying(reading)?, file));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
