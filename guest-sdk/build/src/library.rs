//! What a compiled component says about libraries: the functions that it offers, and which of its
//! imports are whose.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::library::{FunctionDeclaration, HOST_PACKAGE};
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::name::{AssetName, Identifier};
use wasmparser::{Parser, Payload};

use crate::error::BuildError;

/// Custom sections in which a module declares its functions, one JSON object a line.
const FUNCTIONS_SECTION: &str = "glovebox:functions";

/// The export that makes a component a notebook.
const RUN_INTERFACE: &str = "glovebox:guest/run@0.1.0";

/// Completes the manifest of a compiled component with what only its bytes tell: functions, and
/// interfaces that it imports from libraries.
pub(crate) fn complete(
    manifest: &mut Manifest,
    module: &[u8],
    component: &[u8],
) -> Result<(), BuildError> {
    let names = Names::of(component);
    let runs = names.exports.contains(RUN_INTERFACE);
    match manifest.kind {
        ComponentKind::Notebook if !runs => {
            return Err(BuildError::new("the package has no entry point")
                .help("mark one function with `#[notebook]`, or write kind = \"library\""));
        }
        ComponentKind::Library if runs => {
            return Err(BuildError::new("a library has no `#[notebook]`")
                .help("delete kind = \"library\" and declare what the notebook writes"));
        }
        ComponentKind::Library if names.exports.is_empty() => {
            return Err(BuildError::new("the library offers nothing")
                .help("mark a module with `#[library]`, or export an interface with `export!`"));
        }
        _ => {}
    }
    manifest.functions = functions(module)?;
    for interface in names.imports.iter().filter(|name| !name.starts_with(HOST_PACKAGE)) {
        assign(manifest, interface)?;
    }
    let imported = |name: &String| names.imports.contains(name);
    for (library, requirement) in &manifest.libraries {
        if let Some(unused) = requirement.interfaces.iter().find(|name| !imported(name)) {
            return Err(BuildError::new(format!(
                "`{unused}` of library `{library}` is declared but not imported"
            )));
        }
        if requirement.interfaces.is_empty() && manifest.kind == ComponentKind::Library {
            return Err(BuildError::new(format!("library `{library}` is declared but not used")));
        }
    }
    manifest.validate().map_err(|error| BuildError::new(error.to_string()))
}

/// Says which library an imported interface comes from: the one that lists it, else the one that
/// is called as its package, else the only one.
fn assign(manifest: &mut Manifest, interface: &str) -> Result<(), BuildError> {
    let libraries = &mut manifest.libraries;
    if libraries.values().any(|library| library.interfaces.contains(interface)) {
        return Ok(());
    }
    let package = interface.split([':', '/']).nth(1).unwrap_or_default();
    let only = (libraries.len() == 1).then(|| libraries.keys().next().cloned()).flatten();
    let named: Option<AssetName> =
        libraries.keys().find(|name| name.as_str() == package).cloned().or(only);
    let Some(requirement) = named.and_then(|name| libraries.get_mut(&name)) else {
        return Err(BuildError::new(format!("nothing says which library offers `{interface}`"))
            .help(format!("declare it: libraries.NAME.interfaces = [{interface:?}]")));
    };
    requirement.interfaces.insert(interface.to_owned());
    Ok(())
}

/// The functions that a core module declares.
fn functions(module: &[u8]) -> Result<BTreeMap<Identifier, FunctionDeclaration>, BuildError> {
    let mut functions = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        let Ok(Payload::CustomSection(section)) = payload else { continue };
        if section.name() != FUNCTIONS_SECTION {
            continue;
        }
        for line in section.data().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let (name, function) = function(line).map_err(|why| {
                BuildError::new(format!("the declaration of a function is not understood: {why}"))
                    .help("build with the version of glovebox that the package depends on")
            })?;
            if functions.insert(name.clone(), function).is_some() {
                return Err(BuildError::new(format!("two functions are called `{name}`")));
            }
        }
    }
    Ok(functions)
}

fn function(line: &[u8]) -> Result<(Identifier, FunctionDeclaration), String> {
    let mut line: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let name = line.remove("name").unwrap_or_default();
    let name = name.as_str().unwrap_or_default();
    let name = name.parse().map_err(|error| format!("function `{name}`: {error}"))?;
    let function = serde_json::from_value(line.into())
        .map_err(|error| format!("function `{name}`: {error}"))?;
    Ok((name, function))
}

/// Names of a component's imports and exports.
#[derive(Default)]
struct Names {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Names {
    fn of(component: &[u8]) -> Self {
        let mut names = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    let imports = imports.into_iter().map_while(Result::ok);
                    names.imports.extend(imports.map(|import| import.name.name.to_owned()));
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    let exports = exports.into_iter().map_while(Result::ok);
                    names.exports.extend(exports.map(|export| export.name.name.to_owned()));
                }
                _ => {}
            }
        }
        names
    }
}
