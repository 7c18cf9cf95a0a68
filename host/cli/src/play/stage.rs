//! Plays a story step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, AssetName, Identifier};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RevisionStatus;

use super::checks::Checks;
use super::compare::compare;
use super::story::{Edit, Expected, Party, Step, Story};
use crate::arguments::Command;
use crate::context::Context;
use crate::terminal;

/// A story being played, in the working directory of this process.
pub(crate) struct Stage<'a> {
    pub(super) context: &'a Context,
    pub(super) story: &'a Story,
    chapters: u32,
    pub(super) checks: Checks,
    /// Components of notebooks that were offered, by digest.
    pub(super) offered: BTreeMap<Blake3Digest, PathBuf>,
    /// Outputs that were written to files; the auditor gets them all.
    exported: Vec<PathBuf>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(context: &'a Context, story: &'a Story) -> Self {
        Self {
            context,
            story,
            chapters: 0,
            checks: Checks::default(),
            offered: BTreeMap::new(),
            exported: Vec::new(),
        }
    }

    pub(crate) fn play(&mut self) -> Result<()> {
        let story = self.story;
        self.open_room()?;
        for (index, step) in story.steps.iter().enumerate() {
            self.step(step).with_context(|| format!("step {} of the story", index + 1))?;
        }
        self.audit()
    }

    /// Prints the checks; true when all hold.
    pub(crate) fn report(&self, took: Duration) -> Result<bool> {
        self.checks.report(self.context, &self.story.title, took)
    }

    fn open_room(&mut self) -> Result<()> {
        let story = self.story;
        self.chapter(&story.title);
        self.say(&story.about);
        for party in &story.parties {
            self.run(&format!("key new {}.key", party.alias))?;
        }
        std::fs::write("room.toml", room_file(story)?)?;
        self.say("room.toml says who takes part. The creator signs it; everyone named accepts exactly that.");
        for (index, Party { alias, .. }) in story.parties.iter().enumerate() {
            if index == 0 {
                self.run(&format!("room create room.toml --as {alias}.key"))?;
            } else {
                self.run(&format!("room accept {} --as {alias}.key", story.room))?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        if let Some(title) = &step.chapter {
            self.chapter(title);
        }
        if let Some(text) = &step.say {
            self.say(text);
        }
        if let Some(edit) = &step.edit {
            self.edit(edit)?;
        }
        for notebook in &step.approve.0 {
            self.approve(notebook, &step.by)?;
        }
        let Some((last, before)) = step.run.0.split_last() else { return Ok(()) };
        for line in before {
            self.run(line)?;
        }
        match (step.refused, &step.fails) {
            (Some(reason), _) => return self.refused(last, reason),
            (None, Some(text)) => return self.fails(last, text),
            (None, None) => self.run(last)?,
        }
        for (table, expected) in &step.outputs {
            self.output(last, table, expected)?;
        }
        for alias in &step.unreadable_by {
            self.refused(
                &format!("output show {} latest --as {alias}.key", self.story.room),
                ReasonCode::NotPermitted,
            )?;
        }
        Ok(())
    }

    /// The auditor has the bundle, what was let out, and what was approved; no key and no home.
    fn audit(&mut self) -> Result<()> {
        self.chapter("The auditor: offline, with the bundle alone");
        let room = &self.story.room;
        self.run(&format!("log {room}"))?;
        self.run(&format!("bundle {room} -o room.bundle"))?;
        let mut line = "verify room.bundle".to_owned();
        for output in &self.exported {
            line += &format!(" --output {}", output.display());
        }
        let approved = self.approved()?;
        for component in &approved {
            line += &format!(" --component {}", component.display());
        }
        self.run(&line)?;
        let what = format!(
            "the log verifies offline, with {} outputs and {} approved components",
            self.exported.len(),
            approved.len()
        );
        self.checks.holds(what);
        Ok(())
    }

    /// Files of the components that everyone has approved wherever they are offered.
    fn approved(&self) -> Result<BTreeSet<PathBuf>> {
        let room = self.room()?;
        let state = room.state();
        let (mut approved, mut others) = (BTreeSet::new(), BTreeSet::new());
        for notebook in state.notebooks() {
            let statuses =
                state.statuses(notebook.name(), crate::context::now()).unwrap_or_default();
            for (version, status) in notebook.versions().iter().zip(statuses) {
                let into = match status {
                    RevisionStatus::Approved => &mut approved,
                    _ => &mut others,
                };
                into.insert(version.asset().component.blake3);
            }
        }
        let files = approved.difference(&others).filter_map(|digest| self.offered.get(digest));
        Ok(files.cloned().collect())
    }

    fn edit(&self, Edit { file, replace }: &Edit) -> Result<()> {
        let unreadable = || format!("cannot read {file}");
        // A cargo package is only linked: what is changed there would change the story itself.
        if !Path::new(file)
            .canonicalize()
            .with_context(unreadable)?
            .starts_with(std::env::current_dir()?)
        {
            bail!("{file} is outside of the story's working directory");
        }
        let mut text = std::fs::read_to_string(file).with_context(unreadable)?;
        for (from, to) in replace {
            if !text.contains(from.as_str()) {
                bail!("{file} has no `{from}` to replace");
            }
            text = text.replace(from.as_str(), to);
        }
        Ok(std::fs::write(file, text)?)
    }

    /// `by` approve, or everyone but the author.
    fn approve(&mut self, notebook: &AssetName, by: &[Alias]) -> Result<()> {
        let room = self.room()?;
        let state = room.state();
        let offered = state.notebook(notebook).map_err(glovebox_room::RoomError::from)?;
        let others =
            state.members().map(|member| member.alias()).filter(|alias| *alias != offered.author());
        let by: Vec<Alias> = if by.is_empty() { others.cloned().collect() } else { by.to_vec() };
        for alias in by {
            self.run(&format!(
                "review {{room}} {notebook} --approve {{revision {notebook}}} --as {alias}.key"
            ))?;
        }
        Ok(())
    }

    /// Exports an output of the run that `line` asked for, as the runner, and compares it.
    fn output(&mut self, line: &str, table: &Identifier, expected: &Expected) -> Result<()> {
        let Command::Run(run) = self.parse(line)?.1.command else { bail!("`{line}` is not a run") };
        let file = free_name(table);
        let key = run.signer.key.display();
        self.run(&format!(
            "output export {{room}} latest {table} -o {} --as {key}",
            file.display()
        ))?;
        let what = format!("{table} of {} is {}", run.notebook, expected.file);
        match compare(&file, expected)? {
            Ok(rows) => {
                if !self.context.json() {
                    println!("as expected in {}: {rows} rows", expected.file);
                }
                self.checks.holds(format!("{what}, {rows} rows"));
            }
            Err(found) => self.checks.differs(what, found),
        }
        self.exported.push(file);
        Ok(())
    }

    fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        if !self.context.json() {
            let line = "━".repeat(70_usize.saturating_sub(title.chars().count()));
            println!("\n━━ {}. {} {line}", self.chapters, terminal::plain(title));
        }
    }

    fn say(&self, text: &str) {
        if !self.context.json() {
            println!("\n{}", terminal::plain_lines(text.trim()));
        }
    }
}

/// The room file: the parties with the keys that were made for them, then the story's settings.
fn room_file(story: &Story) -> Result<String> {
    let mut text = format!("name = \"{}\"\nregion = \"local\"\n", story.room);
    for Party { alias, organisation } in &story.parties {
        let key = crate::context::read_key(Path::new(&format!("{alias}.key")))?.public();
        // Debug text of a plain string is a TOML string.
        text += &format!(
            "\n[[collaborators]]\nalias = \"{alias}\"\norganisation = {organisation:?}\npublic_key = \"{key}\"\n"
        );
    }
    Ok(text + "\n" + &story.settings)
}

/// `TABLE.parquet`, or with a number when there is one already.
fn free_name(table: &Identifier) -> PathBuf {
    let numbered = (2_u32..).map(|number| PathBuf::from(format!("{table}-{number}.parquet")));
    std::iter::once(PathBuf::from(format!("{table}.parquet")))
        .chain(numbered)
        .find(|file| !file.exists())
        .unwrap_or_default()
}
