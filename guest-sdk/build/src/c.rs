//! C notebooks: a directory with `glovebox.toml` and C files, compiled by clang.
//!
//! There is no C library for this target. The bindings, and what little of a library they need,
//! are compiled with the notebook.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildOptions;
use crate::component::{self, Component};
use crate::error::BuildError;
use crate::header::{Header, Place};
use crate::tools;

/// The file with the declarations of a notebook; a directory with it is one.
pub(crate) const HEADER_FILE: &str = "glovebox.toml";

const LANGUAGE: &str = "c";

/// Most bytes of source that a component carries.
const MAX_SOURCE_BYTES: usize = 4 << 20;

/// What is compiled with every notebook.
const SDK: [(&str, &str); 5] = [
    ("include/stdlib.h", include_str!("../../c/include/stdlib.h")),
    ("include/string.h", include_str!("../../c/include/string.h")),
    ("libc.c", include_str!("../../c/libc.c")),
    ("include/notebook.h", include_str!("../../c/notebook.h")),
    ("notebook.c", include_str!("../../c/notebook.c")),
];

/// Names of the compiler: the plain one, then those of Debian's packages.
const COMPILERS: [&str; 10] = [
    "clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16",
    "clang-15", "clang-14",
];

const MISSING: &str = "C notebooks are compiled with clang and linked with wasm-ld: `apt-get install clang-16 lld-16`";

/// No host to lean on, the instructions that every engine has, the same arithmetic everywhere.
const FLAGS: [&str; 16] = [
    "--target=wasm32-unknown-unknown",
    "-std=c11",
    "-O2",
    "-Wall",
    "-nostdlib",
    "-nostdlibinc",
    "-mbulk-memory",
    "-mnontrapping-fptoint",
    "-msign-ext",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wl,--no-entry",
    "-Wl,--gc-sections",
    "-Wl,--strip-all",
    "-Wl,--stack-first",
    "-Wl,-z,stack-size=1048576",
];

/// Compiles the notebook in `directory` and makes it a component.
pub(crate) fn build(
    directory: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Component, BuildError> {
    let header_file = directory.join(HEADER_FILE);
    let sources = collect_source(directory)?;
    let text = sources.get(HEADER_FILE).map_or("", String::as_str);
    let place = Place { file: text, start: 0 };
    let header = Header::parse(text, place).map_err(|error| error.in_file(&header_file))?;
    if header.language.as_deref() != Some(LANGUAGE) {
        return Err(BuildError::new("the directory is not a notebook in C")
            .in_file(&header_file)
            .help("add language = \"c\"; packages in Rust have their header in Cargo.toml"));
    }
    let (compiler, version) = find_compiler()?;
    let manifest = header
        .into_manifest(place, LANGUAGE, &version)
        .map_err(|error| error.in_file(&header_file))?;
    progress("compiling");
    let mut module = compile(compiler, directory, &sources)?;
    progress("encoding the component");
    component::embed_world(&mut module, "notebook")?;
    let component = component::encode(&module).map_err(|error| {
        error.in_file(&header_file).help("a notebook defines exports_glovebox_guest_run_run")
    })?;
    Component::new(component, manifest, (!options.hidden).then_some(&sources))
}

/// The first compiler that is there, and what it calls itself.
fn find_compiler() -> Result<(&'static str, String), BuildError> {
    COMPILERS
        .into_iter()
        .find_map(|name| {
            let said = tools::output(Command::new(name).arg("--version"), MISSING).ok()?;
            Some((name, said.lines().next().unwrap_or(name).to_owned()))
        })
        .ok_or_else(|| BuildError::new("there is no clang").help(MISSING))
}

/// Compiles and links in one step; no path of this machine gets into the module.
fn compile(
    compiler: &str,
    directory: &Path,
    sources: &BTreeMap<String, String>,
) -> Result<Vec<u8>, BuildError> {
    let scratch = tools::scratch()?;
    let sdk = scratch.path().join("sdk");
    for (name, text) in SDK {
        tools::write(&sdk.join(name), text)?;
    }
    let output = scratch.path().join("notebook.wasm");
    let mut prefix = std::ffi::OsString::from("-ffile-prefix-map=");
    prefix.push(&sdk);
    prefix.push("=/sdk");
    let mut clang = Command::new(compiler);
    clang
        .current_dir(directory)
        .args(FLAGS)
        .arg(prefix)
        .arg("-isystem")
        .arg(sdk.join("include"))
        .arg("-I.")
        .args([sdk.join("notebook.c"), sdk.join("libc.c")])
        // A name that begins with a dash is no option.
        .args(sources.keys().filter(|name| name.ends_with(".c")).map(|name| format!("./{name}")))
        .arg("-o")
        .arg(&output);
    // Variables that clang reads flags and directories from.
    for name in ["CPATH", "C_INCLUDE_PATH", "CCC_OVERRIDE_OPTIONS", "SOURCE_DATE_EPOCH"] {
        clang.env_remove(name);
    }
    tools::output(&mut clang, MISSING).map_err(|error| {
        if error.message().contains("unable to execute command") {
            BuildError::new("there is no wasm-ld").help(MISSING)
        } else {
            error.in_file(directory)
        }
    })?;
    tools::read(&output)
}

/// The header and the C files at the top of the directory, by name.
fn collect_source(directory: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let mut source = BTreeMap::new();
    let mut size = 0;
    for path in source_files(directory)? {
        let text = String::from_utf8(tools::read(&path)?)
            .map_err(|_| BuildError::new("the text is not UTF-8").in_file(&path))?;
        size += text.len();
        if size > MAX_SOURCE_BYTES {
            let message = format!("the source has more than {MAX_SOURCE_BYTES} bytes");
            return Err(BuildError::new(message).in_file(directory));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        source.insert(name, text);
    }
    Ok(source)
}

fn source_files(directory: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let failed = |error: std::io::Error| {
        BuildError::new(format!("cannot be listed: {error}")).in_file(directory)
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(OsStr::to_str);
        let header = path.file_name() == Some(OsStr::new(HEADER_FILE));
        if path.is_file() && (header || matches!(extension, Some("c" | "h"))) {
            files.push(path);
        }
    }
    Ok(files)
}
