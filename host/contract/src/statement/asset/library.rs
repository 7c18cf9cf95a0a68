//! Private libraries.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{StatementError, check_interfaces, check_manifest, check_names};
use crate::digest::ContentDigest;
use crate::library::{HOST_PACKAGE, LIBRARY_INTERFACES};
use crate::manifest::{ComponentKind, Manifest};

/// A private library: a component that works on what its caller passes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryAsset {
    /// The component's content.
    pub component: ContentDigest,
    /// The component's length.
    pub component_bytes: u64,
    /// The interfaces that the component exports, for example `acme:scoring/score@1.0.0`.
    pub exports: BTreeSet<String>,
    /// Whether the component hides its source.
    pub hidden: bool,
    /// The interfaces that the component imports.
    pub interfaces: BTreeSet<String>,
    /// What the component says about itself. The library's name in the room is the one in here.
    pub manifest: Manifest,
}

impl LibraryAsset {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        if self.manifest.kind != ComponentKind::Library {
            return Err(StatementError::new("manifest", "the component is not a library"));
        }
        check_manifest(&self.manifest)?;
        check_interfaces(&self.interfaces, &self.manifest)?;
        check_names("exports", &self.exports)?;
        let reaches_further = |name: &&String| {
            name.starts_with(HOST_PACKAGE) && !LIBRARY_INTERFACES.contains(&name.as_str())
        };
        match self.interfaces.iter().find(reaches_further) {
            None => Ok(()),
            Some(name) => Err(StatementError::new(
                "interfaces",
                format!("a library may not import `{name}`: it sees what its caller passes in"),
            )),
        }
    }
}
