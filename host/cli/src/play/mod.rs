//! `glovebox play`: the story of a folder, played with the commands that a person would type.
//!
//! Nothing is staged: every line that is shown is parsed and executed as if it had been typed, in
//! the story's own directory, and what it prints is what it printed.

mod checks;
mod command;
mod compare;
mod files;
mod stage;
mod story;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};

pub(crate) use self::files::Files;
use self::stage::Stage;
use self::story::Story;
use crate::arguments::Play;
use crate::context::Context;

pub(crate) fn run(context: &Context, play: &Play) -> Result<ExitCode> {
    let folder = play
        .folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", play.folder.display()))?;
    let directory = Directory::new(play)?;
    let played = play_in(context, &Files::Folder(folder), &directory.path())?;
    if let Directory::Kept(directory) = &directory {
        context.hint(format!("everything is in {}: go there and go on", directory.display()));
    }
    Ok(played)
}

/// Plays the story of `files` in `directory`, which is made anew.
pub(crate) fn play_in(context: &Context, files: &Files, directory: &Path) -> Result<ExitCode> {
    let started = Instant::now();
    let story = Story::parse(&files.story()?).context("the story's description is not valid")?;
    files::prepare(directory)?;
    files.put_into(directory)?;
    std::env::set_current_dir(directory)?;
    let mut stage = Stage::new(context, &story);
    stage.play()?;
    let holds = stage.report(started.elapsed())?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Where a story is played.
enum Directory {
    Kept(PathBuf),
    /// Removed at the end.
    Passing(tempfile::TempDir),
}

impl Directory {
    fn new(play: &Play) -> Result<Self> {
        if let Some(directory) = &play.directory {
            return Ok(Self::Kept(std::path::absolute(directory)?));
        }
        let passing = tempfile::Builder::new().prefix("glovebox-play-").tempdir()?;
        Ok(if play.keep {
            Self::Kept(passing.keep().join("story"))
        } else {
            Self::Passing(passing)
        })
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Kept(directory) => directory.clone(),
            // A directory of its own: `prepare` makes none anew that no story made.
            Self::Passing(directory) => directory.path().join("story"),
        }
    }
}
