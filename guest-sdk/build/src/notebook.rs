//! SQL notebooks: one text with a header, wrapped into a component.

use std::collections::BTreeMap;

use glovebox_contract::manifest::{MANIFEST_SECTION, Manifest, SOURCE_SECTION};

use crate::comment::find_header;
use crate::component::{self, Component};
use crate::error::BuildError;
use crate::header::{Header, Place};
use crate::script;

/// Path under which a component keeps the text of a SQL notebook.
const SOURCE_PATH: &str = "notebook.sql";

/// Longest text of a SQL notebook in bytes.
const MAX_SOURCE_BYTES: usize = 1 << 20;

/// Builds a SQL notebook: a header in a block comment, then its statements.
///
/// The same text always gives the same bytes.
///
/// # Errors
/// Says where the text breaks a rule: a header that is missing or wrong, SQL that does not parse,
/// a statement of another kind than `CREATE TEMP VIEW` and `CREATE TABLE output.…`, an output that
/// is not written once, a table or parameter that is not declared, or one that is not used.
pub fn build_sql(source: &str) -> Result<Component, BuildError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(BuildError::new(format!(
            "the notebook has {} bytes, at most {MAX_SOURCE_BYTES} are allowed",
            source.len()
        )));
    }
    let manifest = manifest_of(source)?;
    script::check(source, &manifest)?;
    assemble(source, manifest)
}

/// Whether `component` is exactly what [`build_sql`] makes of the source inside it, so that the
/// text that was reviewed is the text that runs.
///
/// A host shows this beside the embedded source. It answers for components made by this version
/// of the builder; `false` means "not shown", not "forged".
pub fn verify_sql(component: &[u8]) -> bool {
    rebuild(component).is_some_and(|rebuilt| rebuilt.bytes() == component)
}

fn rebuild(component: &[u8]) -> Option<Component> {
    let source = component::custom_section(component, SOURCE_SECTION)?;
    let manifest = component::custom_section(component, MANIFEST_SECTION)?;
    let mut source: BTreeMap<String, String> = serde_json::from_slice(source).ok()?;
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let text = source.remove(SOURCE_PATH).filter(|text| text.len() <= MAX_SOURCE_BYTES)?;
    // The statements need no second check: the query engine judges them when they run.
    if manifest_of(&text).ok()? != manifest {
        return None;
    }
    assemble(&text, manifest).ok()
}

fn assemble(source: &str, manifest: Manifest) -> Result<Component, BuildError> {
    let files = BTreeMap::from([(SOURCE_PATH.to_owned(), source.to_owned())]);
    Component::new(component::wrap_script(source)?, manifest, Some(&files))
}

fn manifest_of(source: &str) -> Result<Manifest, BuildError> {
    let (header, start) = find_header(source, "--")?;
    let place = Place { file: source, start };
    Header::parse(header, place)?.into_manifest(place, "sql", "")
}
