//! JavaScript notebooks: one ES module with a header, loaded into an engine.

mod asked;
mod pin;
mod problem;
mod toolchain;

use std::collections::BTreeMap;
use std::path::Path;

use crate::BuildOptions;
use crate::comment::find_header;
use crate::component::{self, Component};
use crate::error::BuildError;
use crate::header::{Header, Place};
use crate::tools;

use self::asked::Asked;
use self::toolchain::{Toolchain, VERSION};

/// Path under which a component keeps the text of a JavaScript notebook.
const SOURCE_PATH: &str = "notebook.js";

/// Longest text of a JavaScript notebook in bytes.
const MAX_SOURCE_BYTES: usize = 1 << 20;

/// The module `glovebox`, and the module that makes a notebook what the world wants.
const SDK: [(&str, &str); 11] = [
    ("backend.js", include_str!("../../js/src/backend.js")),
    ("batch.js", include_str!("../../js/src/batch.js")),
    ("column.js", include_str!("../../js/src/column.js")),
    ("encode.js", include_str!("../../js/src/encode.js")),
    ("entry.js", include_str!("../../js/src/entry.js")),
    ("glovebox.js", include_str!("../../js/src/glovebox.js")),
    ("output.js", include_str!("../../js/src/output.js")),
    ("run.js", include_str!("../../js/src/run.js")),
    ("scalar.js", include_str!("../../js/src/scalar.js")),
    ("types.js", include_str!("../../js/src/types.js")),
    ("volume.js", include_str!("../../js/src/volume.js")),
];

/// Builds the notebook in the file `path`.
pub(crate) fn build(
    path: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    if options.hidden {
        return Err(BuildError::new(
            "a JavaScript notebook cannot be hidden: its engine carries its text",
        )
        .in_file(path));
    }
    let source = read(path)?;
    build_text(&source, options, progress).map_err(|error| error.in_file(path))
}

fn build_text(
    source: &str,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let (header, start) = find_header(source, "//")?;
    let place = Place { file: source, start };
    let manifest = Header::parse(header, place)?.into_manifest(place, "javascript", VERSION)?;
    let asked = Asked::of(source, &manifest);
    let toolchain = Toolchain::find(&asked, options, progress)?;
    progress("loading the notebook");
    let directory = tools::scratch()?;
    let sources = directory.path().join("sources");
    for (name, text) in SDK {
        tools::write(&sources.join(name), text)?;
    }
    tools::write(&sources.join("asked.js"), asked.module())?;
    tools::write(&sources.join(SOURCE_PATH), source)?;
    let module = toolchain
        .load(&sources, &directory.path().join("notebook.wasm"))
        .map_err(|error| problem::explain(error.message(), SOURCE_PATH).unwrap_or(error))?;
    progress("encoding the component");
    let files = BTreeMap::from([(SOURCE_PATH.to_owned(), source.to_owned())]);
    Component::new(component::encode(&module)?, manifest, Some(&files))
}

fn read(path: &Path) -> Result<String, BuildError> {
    let bytes = tools::read(path)?;
    if bytes.len() > MAX_SOURCE_BYTES {
        let message = format!(
            "the notebook has {} bytes, at most {MAX_SOURCE_BYTES} are allowed",
            bytes.len()
        );
        return Err(BuildError::new(message).in_file(path));
    }
    String::from_utf8(bytes).map_err(|_| BuildError::new("the text is not UTF-8").in_file(path))
}
