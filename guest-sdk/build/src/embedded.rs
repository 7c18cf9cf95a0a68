//! The source that a component carries, laid out so that it can be built again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component as Part, Path, PathBuf};

use glovebox_contract::manifest::SOURCE_SECTION;

use crate::c::HEADER_FILE;
use crate::component::custom_section;
use crate::error::BuildError;

/// What the source of a component turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Embedded {
    /// A notebook in one file, or the directory of one in C: it has no build scripts.
    Notebook(PathBuf),
    /// The directory of a cargo package. Compiling it runs its build scripts on this machine.
    Package(PathBuf),
}

impl Embedded {
    /// What [`crate::build`] takes.
    pub fn path(&self) -> &Path {
        match self {
            Self::Notebook(path) | Self::Package(path) => path,
        }
    }
}

/// Writes the source inside `component` to `directory`, which should be empty.
///
/// # Errors
/// When there is no source, when a path leads out of the directory, or when the source needs what
/// the component does not carry: a cargo package with a dependency by path.
pub fn extract(component: &[u8], directory: &Path) -> Result<Embedded, BuildError> {
    let section = custom_section(component, SOURCE_SECTION).ok_or_else(|| {
        BuildError::new("the component carries no source: it is hidden, or no component")
            .help("its author can verify it: `glovebox build --verify SOURCE --expect DIGEST`")
    })?;
    let files: BTreeMap<String, String> = serde_json::from_slice(section)
        .map_err(|error| BuildError::new(format!("the source section is damaged: {error}")))?;
    for (name, text) in &files {
        write(directory, name, text)?;
    }
    if let Some(manifest) = files.get("Cargo.toml") {
        check_complete(manifest)?;
        return Ok(Embedded::Package(directory.to_owned()));
    }
    if files.contains_key(HEADER_FILE) {
        return Ok(Embedded::Notebook(directory.to_owned()));
    }
    let mut names = files.keys();
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(Embedded::Notebook(directory.join(name))),
        _ => Err(BuildError::new("the source is neither one notebook nor a cargo package")),
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), BuildError> {
    let path = Path::new(name);
    if name.is_empty() || !path.components().all(|part| matches!(part, Part::Normal(_))) {
        return Err(BuildError::new(format!(
            "the source has a file at `{}`, which is no place in it",
            name.escape_debug()
        )));
    }
    let path = directory.join(path);
    let failed = |error: std::io::Error| {
        BuildError::new(format!("cannot be written: {error}")).in_file(&path)
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(&path, text).map_err(failed)
}

/// Fails when a `Cargo.toml` names a place that is not inside its package.
fn check_complete(manifest: &str) -> Result<(), BuildError> {
    let manifest: toml::Table = toml::from_str(manifest)
        .map_err(|error| BuildError::new(format!("its Cargo.toml is not valid: {error}")))?;
    match path_outside(&toml::Value::Table(manifest), "the package") {
        None => Ok(()),
        Some((who, path)) => Err(BuildError::new(format!(
            "the source is not complete: `{}` comes from `{}`, which the component does not carry",
            who.escape_debug(),
            path.escape_debug()
        ))
        .help(
            "check the source out where that path leads to something, and name the package: \
             `glovebox build --verify DIRECTORY --expect COMPONENT.wasm`",
        )),
    }
}

/// A `path = "…"` that leads out of the package, and the key of the table that it stands in.
fn path_outside(value: &toml::Value, name: &str) -> Option<(String, String)> {
    match value {
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| match value {
            toml::Value::String(path) if key == "path" && leads_out(path) => {
                Some((name.to_owned(), path.clone()))
            }
            other => path_outside(other, key),
        }),
        toml::Value::Array(values) => values.iter().find_map(|value| path_outside(value, name)),
        _ => None,
    }
}

fn leads_out(path: &str) -> bool {
    let mut depth = 0_i32;
    Path::new(path).components().any(|part| {
        match part {
            Part::Normal(_) => depth += 1,
            Part::ParentDir => depth -= 1,
            Part::CurDir => {}
            Part::RootDir | Part::Prefix(_) => return true,
        }
        depth < 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Component;

    const NOTEBOOK: &str = include_str!("../../../examples/flights-weather/delay-by-wind.sql");

    /// A component with this source, made of a notebook's other parts.
    fn with_source(files: &[(&str, &str)]) -> Vec<u8> {
        let built = crate::build_sql(NOTEBOOK).unwrap();
        let manifest = built.manifest().clone();
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let bare = crate::component::wrap_script(NOTEBOOK).unwrap();
        Component::new(bare, manifest, Some(&files.collect())).unwrap().into_bytes()
    }

    fn extracted(component: &[u8]) -> Result<(tempfile::TempDir, Embedded), String> {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("source");
        fs::create_dir(&place).unwrap();
        let embedded = extract(component, &place).map_err(|error| error.to_string())?;
        let outside = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(outside, 1, "a file lies outside");
        Ok((directory, embedded))
    }

    #[test]
    fn what_was_embedded_builds_again() {
        let component = crate::build_sql(NOTEBOOK).unwrap();
        let (_directory, embedded) = extracted(component.bytes()).unwrap();
        let again =
            crate::build(embedded.path(), &crate::BuildOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(again, component);
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        for name in ["../evil.sql", "/tmp/evil.sql", "a/../../evil.sql", "", ".", "a/./../../b"] {
            let error = extracted(&with_source(&[(name, "x")])).unwrap_err();
            assert!(error.contains("no place in it"), "{name}: {error}");
        }
        let deep = with_source(&[("a/b/notebook.sql", NOTEBOOK)]);
        assert!(matches!(extracted(&deep), Ok((_, Embedded::Notebook(_)))));
    }

    #[test]
    fn what_cannot_be_built_again_says_why() {
        let check = |files: &[(&str, &str)], expect: &str| {
            let error = extracted(&with_source(files)).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(&[], "neither one notebook nor a cargo package");
        check(&[("a.sql", ""), ("b.sql", "")], "neither one notebook nor a cargo package");
        check(&[("Cargo.toml", "[package")], "not valid");
        check(
            &[("Cargo.toml", "[dependencies]\nsdk = { path = \"../../sdk\" }")],
            "`sdk` comes from `../../sdk`",
        );
        check(
            &[("Cargo.toml", "[target.'cfg(unix)'.dependencies.sdk]\npath = \"/opt/sdk\"")],
            "`sdk` comes from `/opt/sdk`",
        );
        check(&[("Cargo.toml", "[[bin]]\npath = \"a/../../b.rs\"")], "`bin` comes from");
        let alone = [("Cargo.toml", "[lib]\npath = \"src/../src/lib.rs\""), ("src/lib.rs", "")];
        assert!(matches!(extracted(&with_source(&alone)), Ok((_, Embedded::Package(_)))));
        assert!(extracted(b"").unwrap_err().contains("carries no source"));
    }
}
