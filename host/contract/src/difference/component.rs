//! Two components: imports, exports and manifests.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Changes, Effect, Part, cap, gained, pairs};
use crate::column::Column;
use crate::library::{FunctionDeclaration, LibraryRequirement};
use crate::manifest::{InputDeclaration, Manifest, OutputDeclaration};
use crate::parameter::{ParameterDeclaration, ParameterType, ParameterValue};

/// What can be compared of a component.
#[derive(Debug, Clone, Copy)]
pub struct ComponentFacts<'a> {
    /// Interfaces that it imports.
    pub imports: &'a BTreeSet<String>,
    /// Interfaces that it exports.
    pub exports: &'a BTreeSet<String>,
    /// Whether it hides its source.
    pub hidden: bool,
    /// What it says about itself.
    pub manifest: &'a Manifest,
}

/// What changed from one component to another, the gravest first. That the two have other digests
/// is not among it: the bytes are not looked at.
pub fn between_components(old: ComponentFacts<'_>, new: ComponentFacts<'_>) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.names(Part::Import, old.imports, new.imports);
    exports(&mut changes, old.exports, new.exports);
    source(&mut changes, old.hidden, new.hidden);
    inputs(&mut changes, &old.manifest.inputs, &new.manifest.inputs);
    libraries(&mut changes, &old.manifest.libraries, &new.manifest.libraries);
    functions(&mut changes, &old.manifest.functions, &new.manifest.functions);
    shared(&mut changes, old.manifest, new.manifest);
    changes.sorted()
}

/// What a manifest says and a revision does not repeat.
pub(super) fn shared(changes: &mut Changes, old: &Manifest, new: &Manifest) {
    for (name, was, is) in pairs(&old.volumes, &new.volumes) {
        let name = name.to_string();
        let said = |volume: Option<&crate::manifest::VolumeDeclaration>| {
            volume.map(|volume| volume.description.clone())
        };
        match (was, is) {
            (Some(was), Some(is)) => {
                changes.words(Part::Description, &[&name], &was.description, &is.description);
            }
            _ => changes.add(gained(was, is), Part::Volume, &[&name], said(was), said(is)),
        }
    }
    for (name, was, is) in pairs(&old.outputs, &new.outputs) {
        output(changes, name.as_ref(), was, is);
    }
    for (name, was, is) in pairs(&old.parameters, &new.parameters) {
        parameter(changes, name.as_ref(), was, is);
    }
    let kind = |manifest: &Manifest| format!("{:?}", manifest.kind).to_lowercase();
    changes.value(Effect::Alters, Part::Kind, &[], kind(old), kind(new));
    changes.value(Effect::Alters, Part::Name, &[], &old.name, &new.name);
    changes.value(Effect::Alters, Part::Language, &[], &old.language, &new.language);
    changes.value(Effect::Alters, Part::Toolchain, &[], &old.toolchain, &new.toolchain);
    changes.value(Effect::Says, Part::Version, &[], &old.version, &new.version);
    changes.words(Part::Description, &[], &old.description, &new.description);
}

pub(super) fn source(changes: &mut Changes, old: bool, new: bool) {
    let word = |hidden| if hidden { "hidden" } else { "visible" };
    let effect = if new { Effect::Widens } else { Effect::Narrows };
    changes.value(effect, Part::Source, &[], word(old), word(new));
}

/// An export is what others may call, so neither more nor less is in anyone's reach.
fn exports(changes: &mut Changes, old: &BTreeSet<String>, new: &BTreeSet<String>) {
    for name in new.difference(old) {
        changes.add(Effect::Alters, Part::Export, &[name], None, Some(name.clone()));
    }
    for name in old.difference(new) {
        changes.add(Effect::Alters, Part::Export, &[name], Some(name.clone()), None);
    }
}

fn inputs<K: Ord + ToString>(
    changes: &mut Changes,
    old: &BTreeMap<K, InputDeclaration>,
    new: &BTreeMap<K, InputDeclaration>,
) {
    for (table, was, is) in pairs(old, new) {
        let table = table.to_string();
        let text = |input: &InputDeclaration| {
            let columns = input.columns.iter().map(|(name, kind)| format!("{name} {kind}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let (Some(was), Some(is)) = (was, is) else {
            let (old, new) = (was.map(text), is.map(text));
            changes.add(gained(was, is), Part::Input, &[&table], old, new);
            continue;
        };
        for (column, was, is) in pairs(&was.columns, &is.columns) {
            if was != is {
                let (old, new) = (was.map(ToString::to_string), is.map(ToString::to_string));
                changes.add(gained(was, is), Part::InputColumn, &[&table, column], old, new);
            }
        }
        changes.words(Part::Description, &[&table], &was.description, &is.description);
    }
}

pub(super) fn column_text(column: &Column) -> String {
    let not_null = if column.nullable { "" } else { " not null" };
    format!("{}{not_null}", column.column_type)
}

pub(super) fn columns_text(columns: &[Column]) -> String {
    let columns = columns.iter().map(|column| format!("{} {}", column.name, column_text(column)));
    columns.collect::<Vec<_>>().join(", ")
}

fn by_name(columns: &[Column]) -> BTreeMap<&str, &Column> {
    columns.iter().map(|column| (column.name.as_str(), column)).collect()
}

fn output(
    changes: &mut Changes,
    name: &str,
    was: Option<&OutputDeclaration>,
    is: Option<&OutputDeclaration>,
) {
    let (Some(old), Some(new)) = (was, is) else {
        let text = |output: &OutputDeclaration| columns_text(&output.columns);
        return changes.add(gained(was, is), Part::Output, &[name], was.map(text), is.map(text));
    };
    for (column, was, is) in pairs(&by_name(&old.columns), &by_name(&new.columns)) {
        if was == is {
            continue;
        }
        let effect = match (was, is) {
            // Another type can carry more than the old one.
            (Some(was), Some(is)) if !was.column_type.is_compatible(&is.column_type) => {
                Effect::Widens
            }
            _ => gained(was, is),
        };
        let text = |column: &&Column| column_text(column);
        let (old, new) = (was.map(text), is.map(text));
        changes.add(effect, Part::OutputColumn, &[name, column], old, new);
    }
    let order = |output: &OutputDeclaration| {
        output.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    let (before, after) = (order(old), order(new));
    let kept = |names: &[String], others: &[String]| -> Vec<String> {
        names.iter().filter(|name| others.contains(name)).cloned().collect()
    };
    if kept(&before, &after) != kept(&after, &before) {
        let (before, after) = (before.join(", "), after.join(", "));
        changes.value(Effect::Alters, Part::OutputOrder, &[name], before, after);
    }
    changes.value(Effect::Alters, Part::OutputMode, &[name], old.mode, new.mode);
    let caps = [
        (Part::OutputRows, old.max_rows, new.max_rows),
        (Part::OutputBytes, old.max_bytes, new.max_bytes),
    ];
    for (part, was, is) in caps {
        if was != is {
            let (old, new) = (was.map(|most| most.to_string()), is.map(|most| most.to_string()));
            changes.add(cap(was, is), part, &[name], old, new);
        }
    }
    changes.words(Part::Description, &[name], &old.description, &new.description);
}

fn parameter(
    changes: &mut Changes,
    name: &str,
    was: Option<&ParameterDeclaration>,
    is: Option<&ParameterDeclaration>,
) {
    let (Some(old), Some(new)) = (was, is) else {
        let text = |parameter: &ParameterDeclaration| parameter.parameter_type.to_string();
        return changes.add(gained(was, is), Part::Parameter, &[name], was.map(text), is.map(text));
    };
    let kind = new.parameter_type;
    changes.value(Effect::Alters, Part::Parameter, &[name], old.parameter_type, kind);
    if old.default != new.default {
        let (was, is) = (old.default.clone(), new.default.clone());
        changes.add(Effect::Alters, Part::ParameterDefault, &[name], was, is);
    }
    let bounds = [
        (Part::ParameterMinimum, &old.minimum, &new.minimum, Ordering::Less),
        (Part::ParameterMaximum, &old.maximum, &new.maximum, Ordering::Greater),
    ];
    for (part, was, is, wider) in bounds {
        if was != is {
            let effect = bound(kind, was.as_deref(), is.as_deref(), wider);
            changes.add(effect, part, &[name], was.clone(), is.clone());
        }
    }
    choices(changes, name, &old.choices, &new.choices);
    changes.words(Part::Description, &[name], &old.description, &new.description);
}

/// What a changed bound means: `wider` is how a value compares with one that it lies outside of.
fn bound(kind: ParameterType, was: Option<&str>, is: Option<&str>, wider: Ordering) -> Effect {
    let (Some(was), Some(is)) = (was, is) else {
        return if is.is_none() { Effect::Widens } else { Effect::Narrows };
    };
    let read = |text| ParameterValue::parse(kind, text).ok();
    match read(is).partial_cmp(&read(was)) {
        Some(order) if order == wider => Effect::Widens,
        Some(_) => Effect::Narrows,
        None => Effect::Alters,
    }
}

/// No choices: any value.
fn choices(changes: &mut Changes, name: &str, old: &[String], new: &[String]) {
    let (was, is): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    if was == is {
        return;
    }
    let wider = is.is_empty() || !was.is_empty() && !is.is_subset(&was);
    let effect = if wider { Effect::Widens } else { Effect::Narrows };
    let text = |choices: &[String]| (!choices.is_empty()).then(|| choices.join(", "));
    changes.add(effect, Part::ParameterChoices, &[name], text(old), text(new));
}

fn libraries<K: Ord + ToString>(
    changes: &mut Changes,
    old: &BTreeMap<K, LibraryRequirement>,
    new: &BTreeMap<K, LibraryRequirement>,
) {
    let text = |library: &LibraryRequirement| {
        let digest = library.digest.as_ref().map(|digest| digest.blake3.to_string());
        let interfaces = library.interfaces.iter().cloned();
        digest.into_iter().chain(interfaces).collect::<Vec<_>>().join(", ")
    };
    for (name, was, is) in pairs(old, new).filter(|(_, was, is)| was != is) {
        let (old, new) = (was.map(text), is.map(text));
        changes.add(gained(was, is), Part::Library, &[&name.to_string()], old, new);
    }
}

fn functions<K: Ord + AsRef<str>>(
    changes: &mut Changes,
    old: &BTreeMap<K, FunctionDeclaration>,
    new: &BTreeMap<K, FunctionDeclaration>,
) {
    for (name, was, is) in pairs(old, new) {
        let text = |function: &FunctionDeclaration| signature(function);
        let (old, new) = (was.map(text), is.map(text));
        if old != new {
            changes.add(Effect::Alters, Part::Function, &[name.as_ref()], old, new);
        } else if let (Some(was), Some(is)) = (was, is) {
            let path = [name.as_ref()];
            changes.words(Part::Description, &path, &was.description, &is.description);
        }
    }
}

/// A function's kind, arguments and result on one line.
fn signature(function: &FunctionDeclaration) -> String {
    let kind = format!("{:?}", function.kind).to_lowercase();
    let volatility = format!("{:?}", function.volatility).to_lowercase();
    let input = function
        .input
        .as_ref()
        .map_or_else(String::new, |columns| format!(" over a table ({})", columns_text(columns)));
    format!(
        "{volatility} {kind} ({}){input} → {}",
        columns_text(&function.arguments),
        columns_text(&function.returns)
    )
}
