//! Rust notebooks: a cargo package with its manifest under `[package.metadata.glovebox]`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glovebox_contract::manifest::Manifest;
use serde::Deserialize;
use toml::Spanned;

use crate::BuildOptions;
use crate::component::{self, Component};
use crate::error::BuildError;
use crate::header::{Header, Place};
use crate::library;
use crate::toolchain::Toolchain;

/// Most bytes of source that a component carries.
const MAX_SOURCE_BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct CargoToml {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: Spanned<String>,
    /// Not a string when the package inherits it from a workspace.
    version: Option<Spanned<toml::Value>>,
    description: Option<toml::Value>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    glovebox: Option<Header>,
}

/// Compiles the package in `directory` and makes it a component.
pub(crate) fn build(
    directory: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let cargo_toml = directory.join("Cargo.toml");
    let text = read(&cargo_toml)?;
    let mut header = read_header(&text).map_err(|error| error.in_file(&cargo_toml))?;
    header.guess_kind();
    // Mistakes in the manifest show before the compiler starts.
    let manifest = |header: Header, toolchain: &str| -> Result<Manifest, BuildError> {
        header
            .into_manifest(Place { file: &text, start: 0 }, "rust", toolchain)
            .map_err(|error| error.in_file(&cargo_toml))
    };
    let mut manifest = manifest(header, "")?;
    let toolchain = Toolchain::find(directory, options, progress)?;
    manifest.toolchain = toolchain.version().into();
    progress("compiling");
    let module = read_bytes(&toolchain.compile(directory, options, progress)?)?;
    progress("encoding the component");
    let component = component::encode(&module).map_err(|error| {
        error.in_file(&cargo_toml).help("the package needs one function with `#[notebook]`")
    })?;
    library::complete(&mut manifest, &module, &component)
        .map_err(|error| error.in_file(&cargo_toml))?;
    let source = if options.hidden { None } else { Some(collect_source(directory)?) };
    Component::new(component, manifest, source.as_ref())
}

fn read_header(text: &str) -> Result<Header, BuildError> {
    let place = Place { file: text, start: 0 };
    let CargoToml { package } = toml::from_str(text).map_err(|error| place.toml_error(&error))?;
    let Some(mut header) = package.metadata.glovebox else {
        return Err(place
            .error(package.name.span().start, "the package is neither a notebook nor a library")
            .help(
                "declare inputs and outputs, or kind = \"library\", under \
                 [package.metadata.glovebox]",
            ));
    };
    header.name.get_or_insert(package.name);
    if header.version.is_none()
        && let Some(version) = package.version
    {
        let span = version.span();
        let toml::Value::String(version) = version.into_inner() else {
            return Err(place
                .error(span.start, "the version is inherited from a workspace")
                .help("write it here, or under [package.metadata.glovebox]"));
        };
        header.version = Some(Spanned::new(span, version));
    }
    if header.description.is_none()
        && let Some(toml::Value::String(description)) = package.description
    {
        header.description = Some(description);
    }
    Ok(header)
}

fn read(path: &Path) -> Result<String, BuildError> {
    String::from_utf8(read_bytes(path)?)
        .map_err(|_| BuildError::new("the text is not UTF-8").in_file(path))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path)
        .map_err(|error| BuildError::new(format!("cannot be read: {error}")).in_file(path))
}

/// `Cargo.toml`, `Cargo.lock` and all `.rs` and `.wit` files of the package, by path with `/`.
fn collect_source(directory: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let mut source = BTreeMap::new();
    let mut size = 0;
    for path in source_files(directory)? {
        let text = read(&path)?;
        size += text.len() as u64;
        if size > MAX_SOURCE_BYTES {
            let message = format!("the source has more than {MAX_SOURCE_BYTES} bytes");
            return Err(BuildError::new(message).in_file(directory).help("build with --hidden"));
        }
        let relative = path.strip_prefix(directory).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        source.insert(parts.join("/"), text);
    }
    Ok(source)
}

fn source_files(directory: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        let failed = |error: std::io::Error| {
            BuildError::new(format!("cannot be listed: {error}")).in_file(&next)
        };
        for entry in fs::read_dir(&next).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_dir() {
                // Another package, or what cargo made, is not this package's source.
                if !name.starts_with('.') && name != "target" && !path.join("Cargo.toml").exists() {
                    directories.push(path);
                }
            } else if kind.is_file()
                && ([".rs", ".wit"].iter().any(|extension| name.ends_with(extension))
                    || next == directory && (name == "Cargo.toml" || name == "Cargo.lock"))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
