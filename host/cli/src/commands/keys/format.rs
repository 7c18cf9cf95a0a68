//! Which files can be hashed, by their ending.

use std::path::Path;

use anyhow::{Result, bail};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Ndjson,
    Parquet,
    /// One value a line.
    Lines,
}

impl Format {
    pub(super) fn of_input(path: &Path) -> Result<Self> {
        if path == Path::new("-") { Ok(Self::Lines) } else { Self::of_output(path) }
    }

    pub(super) fn of_output(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("ndjson" | "jsonl" | "json") => Ok(Self::Ndjson),
            Some("parquet") => Ok(Self::Parquet),
            Some("txt") => Ok(Self::Lines),
            _ => bail!(
                "what {} is cannot be told by its ending; expected .csv, .ndjson, .parquet or .txt",
                path.display()
            ),
        }
    }
}
