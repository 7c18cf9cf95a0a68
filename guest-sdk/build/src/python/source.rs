//! The file of a Python notebook, and the header in it.

use std::path::Path;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::manifest::Manifest;
use serde::Deserialize;

use crate::error::{BuildError, Position};
use crate::header::{Header, Place};
use crate::tools;

/// Longest file of a notebook in bytes. Jupyter keeps outputs in it, images included.
const MAX_SOURCE_BYTES: usize = 8 << 20;

/// First line of the header, after `#` and a space in a `.py`.
const START: &str = "/// glovebox";
/// Its last line.
const END: &str = "///";

const HOW: &str = "begin with the lines `# /// glovebox`, then name, version, inputs and outputs \
    in TOML, each line a comment, then `# ///`";
const HOW_JUPYTER: &str = "add a raw cell: the line `/// glovebox`, then name, version, inputs \
    and outputs in TOML, then `///`";

/// How cells are kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `.py` with `# %%` between cells.
    Percent,
    /// `.ipynb`.
    Jupyter,
}

impl Format {
    /// Path under which a component keeps the notebook.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Percent => "notebook.py",
            Self::Jupyter => "notebook.ipynb",
        }
    }
}

/// A notebook's file.
pub(super) struct Source {
    format: Format,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, BuildError> {
        let jupyter = path.extension().is_some_and(|extension| extension == "ipynb");
        let format = if jupyter { Format::Jupyter } else { Format::Percent };
        let bytes = tools::read(path)?;
        if bytes.len() > MAX_SOURCE_BYTES {
            let size = bytes.len();
            return Err(BuildError::new(format!(
                "the notebook has {size} bytes, at most {MAX_SOURCE_BYTES} are allowed"
            ))
            .help("clear the outputs that Jupyter keeps in it")
            .in_file(path));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| BuildError::new("the text is not UTF-8").in_file(path))?;
        let text = match format {
            Format::Percent => text,
            Format::Jupyter => without_outputs(&text).map_err(|error| error.in_file(path))?,
        };
        Ok(Self { format, text })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What the interpreter takes for randomness while it starts.
    pub(super) fn seed(&self) -> String {
        Blake3Digest::of(self.text.as_bytes()).to_hex()
    }

    /// The required packages and the manifest.
    pub(super) fn declarations(
        &self,
        toolchain: &str,
    ) -> Result<(Vec<String>, Manifest), BuildError> {
        let block = match self.format {
            Format::Percent => find(&self.text)
                .ok_or_else(|| BuildError::new("the notebook has no header").help(HOW))?,
            Format::Jupyter => cells(&self.text)?
                .iter()
                .find_map(|cell| find(&cell.source.text()))
                .ok_or_else(|| BuildError::new("the notebook has no header").help(HOW_JUPYTER))?,
        };
        let place = Place { file: &block.toml, start: 0 };
        let read = || {
            let mut header = Header::parse(&block.toml, place)?;
            let requirements = std::mem::take(&mut header.requirements);
            Ok((requirements, header.into_manifest(place, "python", toolchain)?))
        };
        read().map_err(|error: BuildError| block.place(error, self.format))
    }
}

/// The TOML of a header.
struct Block {
    /// Characters of the comment sign in front of each line.
    indent: u64,
    /// Lines above it.
    lines: u64,
    toml: String,
}

impl Block {
    /// Moves an error from the block to its file. Cells of Jupyter have no lines of the file.
    fn place(&self, error: BuildError, format: Format) -> BuildError {
        match (format, error.position()) {
            (Format::Percent, Some(Position { line, column })) => {
                error.at(Position { line: line + self.lines, column: column + self.indent })
            }
            _ => error,
        }
    }
}

/// The header in `text`: the lines between two that begin it and end it.
fn find(text: &str) -> Option<Block> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| bare(line).trim_end() == START)?;
    let length = lines.iter().skip(start + 1).position(|line| bare(line).trim_end() == END)?;
    let body = lines.iter().skip(start + 1).take(length);
    let commented = lines.get(start)?.starts_with('#');
    let toml: Vec<&str> = body.map(|line| if commented { bare(line) } else { line }).collect();
    Some(Block {
        indent: if commented { 2 } else { 0 },
        lines: start as u64 + 1,
        toml: toml.join("\n"),
    })
}

/// A line without its comment sign.
fn bare(line: &str) -> &str {
    let rest = line.strip_prefix('#').unwrap_or(line);
    if rest.len() < line.len() { rest.strip_prefix(' ').unwrap_or(rest) } else { line }
}

#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    source: Text,
}

/// Text as Jupyter writes it: whole, or line by line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Lines(Vec<String>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Whole(String::new())
    }
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Lines(lines) => lines.concat(),
        }
    }
}

fn cells(text: &str) -> Result<Vec<Cell>, BuildError> {
    #[derive(Deserialize)]
    struct Notebook {
        cells: Vec<Cell>,
    }
    serde_json::from_str::<Notebook>(text).map(|notebook| notebook.cells).map_err(not_jupyter)
}

fn not_jupyter(error: serde_json::Error) -> BuildError {
    BuildError::new(format!("not a notebook of Jupyter: {error}"))
}

/// The notebook as a component keeps it: what an author's own runs left in the file, results of
/// cells among it, is nobody's business and would change the digest.
fn without_outputs(text: &str) -> Result<String, BuildError> {
    use serde_json::{Value, json};
    let mut notebook: Value = serde_json::from_str(text).map_err(not_jupyter)?;
    if notebook["nbformat"] != 4 {
        return Err(BuildError::new("only notebooks of Jupyter's format 4 are read")
            .help("open it in a current Jupyter and save it"));
    }
    let bare: Vec<Value> = notebook["cells"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .map(|cell| {
            let source = cell["source"].take();
            match &cell["cell_type"] {
                Value::String(kind) if kind == "code" => json!({
                    "cell_type": "code", "execution_count": null, "metadata": {},
                    "outputs": [], "source": source,
                }),
                kind => json!({ "cell_type": kind, "metadata": {}, "source": source }),
            }
        })
        .collect();
    let kept = json!({ "cells": bare, "metadata": {}, "nbformat": 4, "nbformat_minor": 4 });
    serde_json::to_string_pretty(&kept).map(|text| text + "\n").map_err(not_jupyter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_in_comments_and_in_raw_cells() {
        let check = |text: &str, expect: Option<(&str, u64, u64)>| {
            let found = find(text);
            let found =
                found.as_ref().map(|block| (block.toml.as_str(), block.lines, block.indent));
            assert_eq!(found, expect, "{text}");
        };
        check(
            "# x\n# /// glovebox\n# a = 1\n#\n# b = \"# c\"\n# ///\nprint()",
            Some(("a = 1\n\nb = \"# c\"", 2, 2)),
        );
        check("/// glovebox\na = 1\n# note\n///", Some(("a = 1\n# note", 1, 0)));
        check("# /// glovebox\n# a = 1", None);
        check("# /// script\n# ///", None);
    }

    #[test]
    fn what_runs_left_in_a_file_is_not_kept() {
        let text = r#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": 1}, "cells": [
            {"cell_type": "code", "id": "x", "execution_count": 7, "metadata": {"a": 1},
             "outputs": [{"text": "secret"}], "source": ["a = 1\n", "a"]},
            {"cell_type": "raw", "metadata": {}, "source": "b"}]}"#;
        let kept = without_outputs(text).unwrap();
        assert!(!kept.contains("secret") && !kept.contains("kernelspec"), "{kept}");
        assert_eq!(without_outputs(&kept).unwrap(), kept);
        let texts: Vec<_> = cells(&kept).unwrap().iter().map(|cell| cell.source.text()).collect();
        assert_eq!(texts, ["a = 1\na", "b"]);
        assert!(without_outputs(r#"{"nbformat": 3, "worksheets": []}"#).is_err());
        assert!(without_outputs("{").is_err());
    }
}
