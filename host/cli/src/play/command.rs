//! One line of a story: parsed as if it had been typed, shown, and executed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser as _;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::reason::ReasonCode;
use glovebox_room::Room;

use super::stage::Stage;
use super::words;
use crate::arguments::{Arguments, Command, Notebook};
use crate::context::Context;
use crate::failure;

/// Home of the host in the working directory.
const HOME: &str = ".glovebox";

impl Stage<'_> {
    /// Runs a line that must succeed.
    pub(super) fn run(&mut self, line: &str) -> Result<()> {
        let (shown, arguments) = self.show(line)?;
        let offered = match &arguments.command {
            Command::Notebook(Notebook::Add { component, .. }) => Some(component.clone()),
            _ => None,
        };
        if crate::execute(arguments)? != ExitCode::SUCCESS {
            bail!("`glovebox {shown}` failed");
        }
        if let Some(file) = offered {
            let bytes = std::fs::read(&file)?;
            self.offered.insert(Blake3Digest::of(&bytes), file);
        }
        Ok(())
    }

    /// Runs a line that must be refused with `reason`.
    pub(super) fn refused(&mut self, line: &str, reason: ReasonCode) -> Result<()> {
        let expected = |error: &anyhow::Error| failure::reason(error) == Some(reason);
        self.must_fail(line, &format!("refused as {reason}"), expected)
    }

    /// Runs a line that must fail with an error that says `text`.
    pub(super) fn fails(&mut self, line: &str, text: &str) -> Result<()> {
        let expected = |error: &anyhow::Error| format!("{error:#}").contains(text);
        self.must_fail(line, &format!("fails with `{text}`"), expected)
    }

    fn must_fail(
        &mut self,
        line: &str,
        how: &str,
        expected: impl Fn(&anyhow::Error) -> bool,
    ) -> Result<()> {
        let (shown, arguments) = self.show(line)?;
        let what = format!("{how}: {shown}");
        match crate::execute(arguments) {
            Err(error) if expected(&error) => {
                let _exit_status = failure::report(&error, self.context.json(), true);
                self.checks.holds(what);
            }
            Err(error) => self.checks.differs(what, format!("{error:#}")),
            Ok(_) => self.checks.differs(what, "it did not fail".into()),
        }
        Ok(())
    }

    fn show(&self, line: &str) -> Result<(String, Arguments)> {
        let (shown, arguments) = self.parse(line)?;
        if !self.context.json() {
            println!("\n$ glovebox {shown}");
        }
        Ok((shown, arguments))
    }

    pub(super) fn parse(&self, line: &str) -> Result<(String, Arguments)> {
        let words = words::split(&words::fill(line, |name| self.placeholder(name))?)?;
        let shown = words::join(&words);
        let mut arguments = Arguments::try_parse_from(
            std::iter::once("glovebox").chain(words.iter().map(String::as_str)),
        )
        .map_err(|error| anyhow!("`glovebox {shown}`: {error}"))?;
        if matches!(arguments.command, Command::Demo(_) | Command::Play(_)) {
            bail!("`glovebox {shown}`: a story does not play stories");
        }
        arguments.global = self.context.global_in(Path::new(HOME));
        Ok((shown, arguments))
    }

    /// `{room}`; `{revision NOTEBOOK}`, the newest; `{revision NOTEBOOK VERSION}`.
    fn placeholder(&self, name: &str) -> Result<String> {
        match name.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["room"] => Ok(self.story.room.to_string()),
            ["revision", notebook] => {
                crate::commands::room::newest_revision(self.room()?.state(), notebook)
            }
            ["revision", notebook, version] => self.revision_of(notebook, version),
            _ => bail!(
                "`{{{name}}}` is none of {{room}}, {{revision NOTEBOOK}}, {{revision NOTEBOOK VERSION}}"
            ),
        }
    }

    fn revision_of(&self, notebook: &str, version: &str) -> Result<String> {
        let room = self.room()?;
        let notebook =
            room.state().notebook(&notebook.parse()?).map_err(glovebox_room::RoomError::from)?;
        let found = notebook
            .versions()
            .iter()
            .rev()
            .find(|offered| offered.asset().manifest.version == version);
        let digest = found.and_then(|offered| offered.revision_digest());
        Ok(digest
            .with_context(|| format!("{} has no revision of version {version}", notebook.name()))?
            .to_string())
    }

    pub(super) fn room(&self) -> Result<Room> {
        let home = Context::new(self.context.global_in(Path::new(HOME))).home()?;
        Ok(home.room(self.story.room.as_str())?)
    }
}
