//! Turns sources into Glovebox components.
//!
//! A SQL notebook needs no WebAssembly toolchain: its text goes into a tiny, always identical core
//! module ([`build_sql`]). A Rust notebook is a cargo package that is compiled for
//! `wasm32-unknown-unknown` in a reproducible way, a notebook in C likewise by clang. One in Python
//! or JavaScript is loaded into its interpreter, whose memory then becomes the component's. All end
//! as a component that carries its manifest, and its source unless it is hidden, under its own hash.
#![forbid(unsafe_code)]

mod c;
mod comment;
mod component;
mod embedded;
mod error;
mod header;
mod javascript;
mod library;
mod notebook;
mod package;
mod python;
mod script;
mod toolchain;
mod tools;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use component::Component;
pub use embedded::{Embedded, extract};
pub use error::{BuildError, Position};
pub use notebook::{build_sql, verify_sql};

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Leave the source out of the component. A SQL notebook cannot be hidden.
    pub hidden: bool,
    /// Let rustup install the target of Rust notebooks when it is missing.
    pub install_target: bool,
    /// Install what builds need beside Rust into the user's cache directory when it is missing.
    pub install_tools: bool,
    /// Where cargo keeps what it compiles; the package's own `target` when absent.
    pub target_directory: Option<PathBuf>,
}

/// Builds what `path` is: a notebook in one file (`.sql`, `.py`, `.ipynb`, `.js`, `.mjs`), the
/// directory of a cargo package, or one with `glovebox.toml` and C files.
///
/// `progress` hears what is being done, one short line at a time.
///
/// # Errors
/// Says what is wrong in which file, and what to do about it.
pub fn build(
    path: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let unreadable =
        |error: std::io::Error| BuildError::new(format!("cannot be read: {error}")).in_file(path);
    if path.join(c::HEADER_FILE).exists() {
        return c::build(path, options, progress);
    }
    if path.is_dir() {
        return package::build(path, options, progress);
    }
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension {
        "sql" => {}
        "js" | "mjs" => return javascript::build(path, options, progress),
        "py" | "ipynb" => return python::build(path, options, progress),
        _ => {
            std::fs::metadata(path).map_err(unreadable)?;
            return Err(BuildError::new(
                "neither a `.sql`, `.py`, `.ipynb` or `.js` file nor the directory of a package",
            )
            .in_file(path));
        }
    }
    if options.hidden {
        return Err(BuildError::new("a SQL notebook cannot be hidden: the host runs its text")
            .in_file(path));
    }
    progress("checking the statements");
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let source = String::from_utf8(bytes)
        .map_err(|_| BuildError::new("the text is not UTF-8").in_file(path))?;
    build_sql(&source).map_err(|error| error.in_file(path))
}
