//! What a component may read, write and ask for, and what it cannot reach.

use std::collections::BTreeSet;

use glovebox_contract::library::{FunctionDeclaration, FunctionKind, Volatility};
use glovebox_contract::manifest::{ComponentKind, Manifest, OutputMode};
use glovebox_contract::parameter::ParameterDeclaration;

use super::{columns, count, known, list, meaning, offer};
use crate::terminal::{self, plain, plain_lines};

/// What a component with these imports and exports may do, as its manifest declares it.
pub(crate) fn abilities(
    imports: &BTreeSet<String>,
    exports: &BTreeSet<String>,
    manifest: Option<&Manifest>,
) -> String {
    let mut lines = Vec::new();
    match manifest {
        Some(manifest) => {
            about(&mut lines, manifest);
            declared(&mut lines, imports, manifest);
        }
        None => lines.push("It has no manifest, so no room takes it.".into()),
    }
    lines.push(match imports.iter().find(|import| known(import, manifest).is_none()) {
        Some(import) => format!(
            "\nWhat it could reach cannot be said: this host does not know {}.",
            plain(import)
        ),
        None => format!("\nIt cannot reach {}.", out_of_reach(imports)),
    });
    lines.push("\nIt imports, and nothing else is linked:".into());
    if imports.is_empty() {
        lines.push("  nothing".into());
    }
    let explained = |name: &String, what: &str| format!("  {:44} {what}", plain(name));
    lines.extend(imports.iter().map(|name| explained(name, &meaning(name, manifest))));
    lines.push("\nIt exports:".into());
    lines.extend(exports.iter().map(|name| explained(name, offer(name))));
    lines.join("\n")
}

fn about(lines: &mut Vec<String>, manifest: &Manifest) {
    let kind = match manifest.kind {
        ComponentKind::Notebook => "a notebook",
        ComponentKind::Library => "a library",
    };
    let (version, language) = (plain(&manifest.version), plain(&manifest.language));
    lines.push(format!("{} {version}, {kind} written in {language}", manifest.name));
    if !manifest.description.is_empty() {
        lines.push(indented(&manifest.description));
    }
}

/// A text of the author, never at the beginning of a line, where it could pass for ours.
fn indented(text: &str) -> String {
    let lines = plain_lines(text);
    lines.lines().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

fn declared(lines: &mut Vec<String>, imports: &BTreeSet<String>, manifest: &Manifest) {
    reads(lines, imports, manifest);
    writes(lines, imports, manifest);
    parameters(lines, manifest);
    libraries(lines, manifest);
    functions(lines, manifest);
}

fn has(imports: &BTreeSet<String>, interfaces: &[&str]) -> bool {
    imports.iter().any(|import| {
        let rest = import.strip_prefix("glovebox:guest/").unwrap_or_default();
        rest.split('@').next().is_some_and(|interface| interfaces.contains(&interface))
    })
}

fn reads(lines: &mut Vec<String>, imports: &BTreeSet<String>, manifest: &Manifest) {
    lines.push("\nIt may read:".into());
    for (table, input) in &manifest.inputs {
        let names: Vec<_> =
            input.columns.iter().map(|(name, kind)| format!("{} {kind}", plain(name))).collect();
        let what = format!("{} of {table}", count(names.len(), "column"));
        lines.push(format!("  {what}: {}", names.join(", ")));
        lines.extend(described(&input.description));
    }
    for (volume, declared) in &manifest.volumes {
        lines.push(format!("  the files of the volume {volume}, pinned by their digests"));
        lines.extend(described(&declared.description));
    }
    match (manifest.kind, manifest.inputs.is_empty() && manifest.volumes.is_empty()) {
        (ComponentKind::Library, _) => lines.push("  only what its caller passes to it".into()),
        (ComponentKind::Notebook, true) => lines.push("  nothing".into()),
        (ComponentKind::Notebook, false) => {}
    }
    if has(imports, &["sql", "script"]) {
        lines.push("  by SQL: joined, filtered and counted in any way over these columns".into());
    }
    if has(imports, &["tables"]) {
        lines.push("  row by row: every value of these columns".into());
    }
    if !manifest.inputs.is_empty() && !has(imports, &["sql", "script", "tables"]) {
        lines.push("  NOTE: it declares tables but imports no interface to read them".into());
    }
}

fn writes(lines: &mut Vec<String>, imports: &BTreeSet<String>, manifest: &Manifest) {
    lines.push("\nIt may write:".into());
    for (name, output) in &manifest.outputs {
        let rows = output.max_rows.map(|rows| format!("at most {rows} rows"));
        let bytes = output.max_bytes.map(|bytes| format!("at most {}", terminal::bytes(bytes)));
        let caps: Vec<_> = rows.into_iter().chain(bytes).collect();
        let caps = match caps.as_slice() {
            [] => "as large as the room's limits".into(),
            caps => list(caps, "and"),
        };
        lines.push(format!("  the table {name} ({caps}): {}", columns(&output.columns)));
        if output.mode == OutputMode::Append {
            lines.push("    its rows are added to those of earlier runs".into());
        }
        lines.extend(described(&output.description));
    }
    if manifest.outputs.is_empty() {
        lines.push("  nothing".into());
    } else {
        lines.push("  with anything in them that it computes from what it may read".into());
    }
    if !manifest.outputs.is_empty() && !has(imports, &["outputs", "script"]) {
        lines.push("  NOTE: it declares outputs but imports no interface to write them".into());
    }
}

fn parameters(lines: &mut Vec<String>, manifest: &Manifest) {
    if manifest.parameters.is_empty() {
        return;
    }
    lines.push("\nThe runner chooses:".into());
    for (name, declared) in &manifest.parameters {
        lines.push(format!("  {name} ({}), {}", declared.parameter_type, bounds(declared)));
        lines.extend(described(&declared.description));
    }
}

fn bounds(declared: &ParameterDeclaration) -> String {
    let (minimum, maximum) =
        (declared.minimum.as_deref().map(plain), declared.maximum.as_deref().map(plain));
    let range = match (minimum, maximum) {
        _ if !declared.choices.is_empty() => {
            format!("one of {}", plain(&declared.choices.join(", ")))
        }
        (Some(minimum), Some(maximum)) => format!("from {minimum} to {maximum}"),
        (Some(minimum), None) => format!("at least {minimum}"),
        (None, Some(maximum)) => format!("at most {maximum}"),
        (None, None) => "any value".into(),
    };
    match &declared.default {
        Some(default) => format!("{range}; {} when nothing is said", plain(default)),
        None => format!("{range}; must be given"),
    }
}

fn libraries(lines: &mut Vec<String>, manifest: &Manifest) {
    if manifest.libraries.is_empty() {
        return;
    }
    lines.push("\nIt needs the libraries:".into());
    for (name, library) in &manifest.libraries {
        let which = match &library.digest {
            Some(digest) => format!("exactly {}", digest.blake3),
            None => "the one the room has under this name when it is approved".into(),
        };
        let interfaces: Vec<_> = library.interfaces.iter().map(|name| plain(name)).collect();
        let how = if interfaces.is_empty() {
            "its functions in SQL".into()
        } else {
            interfaces.join(", ")
        };
        lines.push(format!("  {name}: {how}; {which}"));
    }
}

fn functions(lines: &mut Vec<String>, manifest: &Manifest) {
    if manifest.functions.is_empty() {
        return;
    }
    lines.push("\nIt offers to SQL:".into());
    for (name, function) in &manifest.functions {
        lines.push(format!("  {}.{name}{}", manifest.name, signature(function)));
        lines.extend(described(&function.description));
    }
}

fn signature(function: &FunctionDeclaration) -> String {
    let kind = match function.kind {
        FunctionKind::Scalar => "one value for each row",
        FunctionKind::Aggregate => "one value for each group",
        FunctionKind::Table => "a table",
    };
    let input = match &function.input {
        Some(input) => format!(" over a table ({})", columns(input)),
        None => String::new(),
    };
    let stable = match function.volatility {
        Volatility::Immutable => "",
        Volatility::Stable => "; may differ from statement to statement",
    };
    format!(
        "({}){input} → {}: {kind}{stable}",
        columns(&function.arguments),
        columns(&function.returns)
    )
}

fn described(description: &str) -> Option<String> {
    (!description.is_empty()).then(|| format!("    | {}", plain(description)))
}

/// What no import leads to.
fn out_of_reach(imports: &BTreeSet<String>) -> String {
    let wasi = |package: &str| imports.iter().any(|import| import.starts_with(package));
    let mut things =
        vec!["the network", "other tables and columns", "other runs and rooms", "keys"];
    if !wasi("wasi:filesystem") {
        things.push(if has(imports, &["volumes"]) { "files of the host" } else { "files" });
    }
    if !wasi("wasi:clocks") {
        things.push(if has(imports, &["context"]) { "the host's clock" } else { "any clock" });
    }
    if !wasi("wasi:random") {
        things.push("random numbers");
    }
    things.push("other processes");
    list(&things, "or")
}
