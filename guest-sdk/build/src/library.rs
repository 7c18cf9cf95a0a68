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
    manifest.functions = functions(module)?;
    agree(manifest, &Names::of(component))
}

/// Checks that a component is what its manifest says, and says in it whose its imports are.
fn agree(manifest: &mut Manifest, names: &Names) -> Result<(), BuildError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a component with these imports and exports against a manifest.
    fn checked(
        kind: &str,
        libraries: serde_json::Value,
        imports: &[&str],
        exports: &[&str],
    ) -> Result<Manifest, String> {
        let mut manifest = serde_json::json!({
            "kind": kind, "language": "rust", "libraries": libraries, "name": "me",
            "version": "1.0.0",
        });
        if kind == "notebook" {
            let columns = serde_json::json!([{"name": "n", "type": "int64"}]);
            manifest["outputs"] = serde_json::json!({"out": {"columns": columns}});
        }
        let mut manifest = serde_json::from_value(manifest).unwrap();
        let all = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let names = Names { imports: all(imports), exports: all(exports) };
        agree(&mut manifest, &names).map_err(|error| error.to_string())?;
        Ok(manifest)
    }

    const SCORE: &str = "acme:scoring/score@1.0.0";
    const DATA: &str = "glovebox:guest/data@0.1.0";

    #[test]
    fn an_import_belongs_to_the_library_that_lists_it_or_is_called_so_or_is_alone() {
        let check = |libraries: serde_json::Value, expect: Result<&str, &str>| {
            let found = checked("notebook", libraries, &[SCORE, DATA], &[RUN_INTERFACE]);
            let owner = found.map(|manifest| {
                let mut owners = manifest.libraries.iter();
                let owner = owners.find(|(_, library)| library.interfaces.contains(SCORE));
                owner.unwrap().0.to_string()
            });
            assert_eq!(owner, expect.map(str::to_owned).map_err(str::to_owned));
        };
        let listed = serde_json::json!({"interfaces": [SCORE]});
        check(serde_json::json!({"scoring": {}, "other": {}}), Ok("scoring"));
        check(serde_json::json!({"scoring": {}, "other": listed}), Ok("other"));
        check(serde_json::json!({"only": {}}), Ok("only"));
        let nobody = "nothing says which library offers `acme:scoring/score@1.0.0`\n\
                      help: declare it: libraries.NAME.interfaces = [\"acme:scoring/score@1.0.0\"]";
        check(serde_json::json!({}), Err(nobody));
        check(serde_json::json!({"one": {}, "two": {}}), Err(nobody));
        check(
            serde_json::json!({"one": listed, "two": {"interfaces": ["a:b/c"]}}),
            Err("`a:b/c` of library `two` is declared but not imported"),
        );
    }

    #[test]
    fn a_component_is_what_its_kind_says() {
        let none = || serde_json::json!({});
        let check = |kind: &str, libraries, exports: &[&str], expect: &str| {
            let error = checked(kind, libraries, &[DATA], exports).expect_err(expect);
            assert!(error.starts_with(expect), "{error}");
        };
        check("notebook", none(), &[SCORE], "the package has no entry point");
        check("library", none(), &[RUN_INTERFACE], "a library has no `#[notebook]`");
        check("library", none(), &[], "the library offers nothing");
        let unused = serde_json::json!({"scoring": {}});
        check("library", unused, &["a:b/c"], "library `scoring` is declared but not used");
        assert!(checked("library", none(), &[DATA], &[SCORE]).is_ok());
        // In SQL that it hands over, a notebook may call functions of a library.
        let scoring = serde_json::json!({"scoring": {}});
        assert!(checked("notebook", scoring, &[DATA], &[RUN_INTERFACE]).is_ok());
    }

    #[test]
    fn declarations_of_functions_are_understood_or_refused() {
        let function = r#"{"name":"f","kind":"scalar","returns":[{"name":"f","type":"int64"}]}"#;
        assert_eq!(super::function(function.as_bytes()).unwrap().0.as_str(), "f");
        for (from, to) in [("scalar", "window"), ("int64", "integer"), ("\"f\",\"k", "\"F F\",\"k")]
        {
            let altered = function.replacen(from, to, 1);
            assert_ne!(altered, function);
            assert!(super::function(altered.as_bytes()).is_err(), "{altered}");
        }
    }
}
