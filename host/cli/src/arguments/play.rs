//! Stories: rooms that play themselves.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Working directory of the demo; made anew each time.
    #[arg(long, default_value = "glovebox-demo")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Play {
    /// A folder with a `story.toml`, such as those in `examples/`.
    pub(crate) folder: PathBuf,
    /// Working directory of the story; made anew each time [default: a passing one].
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Keep the passing working directory.
    #[arg(long, conflicts_with = "directory")]
    pub(crate) keep: bool,
}
