//! Volumes: files that a notebook reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::canonical::{self, CanonicalError};
use crate::digest::Blake3Digest;
use crate::name::TableName;
use crate::statement::FileDigest;
use crate::text::{check_line, check_text};

/// Most files of a volume.
pub const MAX_VOLUME_FILES: usize = 1024;

/// A set of read-only files, each pinned by its digests: model weights, documents, images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeAsset {
    /// What it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its files by their path in the volume, with `/` between the parts.
    pub files: BTreeMap<String, FileDigest>,
    /// Its name; the part in front of the dot is the signer's alias.
    pub name: TableName,
}

impl VolumeAsset {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        check_text("description", &self.description)?;
        if self.files.is_empty() || self.files.len() > MAX_VOLUME_FILES {
            return Err(StatementError::new(
                "files",
                format!("a volume has 1 to {MAX_VOLUME_FILES}"),
            ));
        }
        for path in self.files.keys() {
            check_line("path", path)?;
            if !is_plain_path(path) {
                return Err(StatementError::new(
                    "path",
                    format!("`{}` is not a plain relative path", path.escape_debug()),
                ));
            }
        }
        Ok(())
    }

    /// Digest of its files: of every path, length and content.
    ///
    /// # Errors
    /// When a length does not fit 53 bits.
    pub fn digest(&self) -> Result<Blake3Digest, CanonicalError> {
        canonical::digest(&self.files)
    }
}

/// Relative, without empty, `.` or `..` parts and without backslashes.
fn is_plain_path(path: &str) -> bool {
    !path.contains('\\') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
