//! Python notebooks: percent cells or Jupyter's file, with the interpreter in one component.

mod packages;
mod problem;
mod source;
mod toolchain;

use std::collections::BTreeMap;
use std::path::Path;

use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::manifest::Manifest;

use self::source::Source;
use self::toolchain::{Toolchain, VERSION};
use crate::BuildOptions;
use crate::component::{Component, WIT};
use crate::error::BuildError;
use crate::tools;

/// The module `glovebox` for notebooks, without its rooms for tests.
const SDK: [(&str, &str); 9] = [
    ("__init__.py", include_str!("../../python/glovebox/__init__.py")),
    ("_cells.py", include_str!("../../python/glovebox/_cells.py")),
    ("_columns.py", include_str!("../../python/glovebox/_columns.py")),
    ("_encode.py", include_str!("../../python/glovebox/_encode.py")),
    ("_notebook.py", include_str!("../../python/glovebox/_notebook.py")),
    ("_room.py", include_str!("../../python/glovebox/_room.py")),
    ("_show.py", include_str!("../../python/glovebox/_show.py")),
    ("_source.py", include_str!("../../python/glovebox/_source.py")),
    ("_types.py", include_str!("../../python/glovebox/_types.py")),
];
const SDK_HOST: &str = include_str!("../../python/glovebox/_wasm.py");
const APP: &str = include_str!("../python/app.py");

/// Builds the notebook in the file `path`.
///
/// Hidden or not, the component holds the notebook's text, for tracebacks: hidden means that it is
/// not shown, as it is with any machine code.
pub(crate) fn build(
    path: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let source = Source::read(path)?;
    build_source(&source, options, progress).map_err(|error| error.in_file(path))
}

fn build_source(
    source: &Source,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let (requirements, mut manifest) = source.declarations(VERSION)?;
    let toolchain = Toolchain::find(options, progress)?;
    let directory = tools::scratch()?;
    let place = directory.path();
    if !requirements.is_empty() {
        progress("getting the required packages");
        let wheels = packages::get(&requirements, &place.join("packages"))?;
        let digest = Sha256Digest::of(wheels.as_bytes());
        manifest.toolchain = format!("{VERSION}, requirements {digest}");
    }
    progress("loading the notebook into CPython");
    lay_out(source, &manifest, place)?;
    let bytes = toolchain
        .componentize(place, !requirements.is_empty(), &source.seed())
        .map_err(|error| problem::explain(&error, source.format()).unwrap_or(error))?;
    let files = BTreeMap::from([(source.format().file().to_owned(), source.text().to_owned())]);
    Component::new(bytes, manifest, (!options.hidden).then_some(&files))
}

/// Writes what componentize-py reads.
fn lay_out(source: &Source, manifest: &Manifest, place: &Path) -> Result<(), BuildError> {
    let sources = place.join("sources");
    for (name, text) in SDK {
        tools::write(&sources.join("glovebox").join(name), text)?;
    }
    tools::write(&sources.join("glovebox/_wasm.py"), SDK_HOST)?;
    tools::write(&sources.join("app.py"), APP)?;
    tools::write(&sources.join(source.format().file()), source.text())?;
    for (name, text) in WIT {
        tools::write(&place.join("wit").join(name), text)?;
    }
    tools::write(&place.join("wit/python.wit"), world(source, manifest))
}

/// A world with no more than the notebook needs: its imports are what a reviewer reads.
fn world(source: &Source, manifest: &Manifest) -> String {
    let mut imports = vec!["parameters", "data", "tables", "sql", "outputs", "logging"];
    // The run's time, which can make two runs differ.
    if source.text().contains("run_info") {
        imports.push("context");
    }
    if !manifest.volumes.is_empty() {
        imports.push("volumes");
    }
    let imports: String = imports.iter().map(|name| format!("  import {name};\n")).collect();
    format!(
        "/// What this notebook imports.\nworld python-notebook {{\n{imports}  export run;\n}}\n"
    )
}
