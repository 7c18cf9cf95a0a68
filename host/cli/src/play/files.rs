//! Where a story's files come from, and the working directory that they are put into.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Name of the file that makes a folder a story.
pub(crate) const STORY: &str = "story.toml";

/// Says that a directory is a story's own and may be made anew.
const MARKER: &str = ".glovebox-demo";

/// The files of a story.
pub(crate) enum Files {
    /// A folder with a `story.toml`.
    Folder(PathBuf),
    /// Files that this program carries, by path, and cargo packages on this machine, by name.
    Carried { files: &'static [(&'static str, &'static [u8])], packages: Vec<(String, PathBuf)> },
}

impl Files {
    /// The text of the story's description.
    pub(crate) fn story(&self) -> Result<String> {
        let unreadable = "cannot read the story";
        match self {
            Self::Folder(folder) => {
                let path = folder.join(STORY);
                fs::read_to_string(&path)
                    .with_context(|| format!("{unreadable} {}", path.display()))
            }
            Self::Carried { files, .. } => {
                let found = files.iter().find(|(path, _)| *path == STORY);
                let (_, bytes) = found.context(unreadable)?;
                Ok(String::from_utf8(bytes.to_vec())?)
            }
        }
    }

    /// Puts all files into `directory`, so that commands name them as in the story's folder.
    pub(crate) fn put_into(&self, directory: &Path) -> Result<()> {
        match self {
            Self::Folder(folder) => copy_folder(folder, directory),
            Self::Carried { files, packages } => {
                for (path, bytes) in *files {
                    let to = directory.join(path);
                    if let Some(parent) = to.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    fs::write(&to, bytes)?;
                }
                for (name, package) in packages {
                    link(package, &directory.join(name))?;
                }
                Ok(())
            }
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if !path.is_dir() {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        } else if path.join("Cargo.toml").exists() {
            link(&path, &target)?;
        } else {
            copy_folder(&path, &target)?;
        }
    }
    Ok(())
}

/// A cargo package stays where it is: its dependencies may be named by relative paths.
fn link(package: &Path, name: &Path) -> Result<()> {
    std::os::unix::fs::symlink(package, name)
        .with_context(|| format!("cannot link {}", package.display()))
}

/// Makes `directory` anew. Refuses to remove a directory that no story made.
pub(crate) fn prepare(directory: &Path) -> Result<()> {
    let shown = directory.display();
    if directory.exists() {
        if !directory.join(MARKER).exists() {
            bail!("{shown} exists and is not a story's; name another directory with --directory");
        }
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove the last story in {shown}"))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {shown}"))?;
    fs::write(directory.join(MARKER), "made by `glovebox play`, which may remove it\n")?;
    Ok(())
}
