//! Two revisions of a notebook: what they read in the room, by whom, and within which limits.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::component::{column_text, columns_text, shared, source};
use super::{Change, Changes, Effect, Part, gained, pairs};
use crate::column::Column;
use crate::manifest::Manifest;
use crate::revision::{Revision, RevisionInput, RevisionLibrary};
use crate::statement::{OutputReaders, TableOutput};

/// A revision with the manifest that it covers.
#[derive(Debug, Clone, Copy)]
pub struct RevisionFacts<'a> {
    /// What is approved.
    pub revision: &'a Revision,
    /// What the component says about itself.
    pub manifest: &'a Manifest,
}

/// What changed from one revision of a notebook to another, the gravest first. Together the
/// changes are all that an approval covers, so two revisions without any have the same digest.
pub fn between_revisions(old: RevisionFacts<'_>, new: RevisionFacts<'_>) -> Vec<Change> {
    let mut changes = Changes::default();
    let (was, is) = (old.revision, new.revision);
    changes.names(Part::Import, &was.interfaces, &is.interfaces);
    changes.names(Part::Runner, &was.runners, &is.runners);
    source(&mut changes, was.hidden, is.hidden);
    let (before, after) = (inputs(was), inputs(is));
    for (name, was, is) in pairs(&before, &after) {
        input(&mut changes, name, was.copied(), is.copied());
    }
    for (name, was, is) in pairs(&was.libraries, &is.libraries).filter(|(_, was, is)| was != is) {
        let text = |library: &RevisionLibrary| {
            format!("{} of {}", library.component.blake3, library.owner)
        };
        let (old, new) = (was.map(text), is.map(text));
        changes.add(gained(was, is), Part::Library, &[name.as_ref()], old, new);
    }
    for (name, was, is) in pairs(&was.volumes, &is.volumes).filter(|(_, was, is)| was != is) {
        let (old, new) = (was.map(ToString::to_string), is.map(ToString::to_string));
        changes.add(gained(was, is), Part::Volume, &[name.as_ref()], old, new);
    }
    limits(&mut changes, was, is);
    changes.value(Effect::Alters, Part::Component, &[], was.component.blake3, is.component.blake3);
    shared(&mut changes, old.manifest, new.manifest);
    changes.sorted()
}

fn inputs(revision: &Revision) -> BTreeMap<String, &RevisionInput> {
    revision.inputs.iter().map(|input| (input.name.to_string(), input)).collect()
}

fn input(
    changes: &mut Changes,
    name: &str,
    was: Option<&RevisionInput>,
    is: Option<&RevisionInput>,
) {
    let (Some(old), Some(new)) = (was, is) else {
        let text = |input: &RevisionInput| columns_text(&input.columns);
        return changes.add(gained(was, is), Part::Input, &[name], was.map(text), is.map(text));
    };
    changes.value(Effect::Alters, Part::Binding, &[name], &old.table, &new.table);
    let (before, after) = (by_name(&old.columns), by_name(&new.columns));
    for (column, was, is) in pairs(&before, &after).filter(|(_, was, is)| was != is) {
        let text = |column: &&Column| column_text(column);
        let (old, new) = (was.map(text), is.map(text));
        changes.add(gained(was, is), Part::InputColumn, &[name, column], old, new);
    }
    for (column, was, is) in pairs(&old.renamed, &new.renamed).filter(|(_, was, is)| was != is) {
        let (old, new) = (was.cloned(), is.cloned());
        changes.add(Effect::Alters, Part::Binding, &[name, column], old, new);
    }
    for (column, was, is) in pairs(&old.join_keys, &new.join_keys).filter(|(_, was, is)| was != is)
    {
        let (old, new) = (was.map(word), is.map(word));
        changes.add(Effect::Alters, Part::JoinKey, &[name, column], old, new);
    }
    if old.output != new.output {
        let text = |output: &TableOutput| output.to_string();
        let (old, new) = (old.output.as_ref().map(text), new.output.as_ref().map(text));
        changes.add(Effect::Alters, Part::DerivedFrom, &[name], old, new);
    }
    if old.view != new.view {
        let text = |digest: &crate::digest::Blake3Digest| digest.to_string();
        let (old, new) = (old.view.as_ref().map(text), new.view.as_ref().map(text));
        changes.add(Effect::Alters, Part::View, &[name], old, new);
    }
}

fn by_name(columns: &[Column]) -> BTreeMap<&str, &Column> {
    columns.iter().map(|column| (column.name.as_str(), column)).collect()
}

/// A value as its encoding, without the quotes of a mere word.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn limits(changes: &mut Changes, old: &Revision, new: &Revision) {
    let figures = |revision: &Revision| match serde_json::to_value(&revision.limits) {
        Ok(Value::Object(limits)) => limits.into_iter().collect::<BTreeMap<_, _>>(),
        _ => BTreeMap::new(),
    };
    for (name, was, is) in pairs(&figures(old), &figures(new)) {
        let effect = larger(was.and_then(Value::as_u64), is.and_then(Value::as_u64));
        if was != is {
            changes.add(effect, Part::Limit, &[name], was.map(word), is.map(word));
        }
    }
    let (was, is) = (&old.outputs, &new.outputs);
    let effect = match is.readers {
        OutputReaders::All => Effect::Widens,
        OutputReaders::Runner => Effect::Narrows,
    };
    changes.value(effect, Part::OutputReaders, &[], word(&was.readers), word(&is.readers));
    let effect = larger(Some(was.time_to_live_days), Some(is.time_to_live_days));
    changes.value(effect, Part::OutputDays, &[], was.time_to_live_days, is.time_to_live_days);
}

fn larger(old: Option<u64>, new: Option<u64>) -> Effect {
    if new > old { Effect::Widens } else { Effect::Narrows }
}
