//! What changed between two components, or between two revisions of a notebook.
//!
//! Approvals name digests, which say *that* something changed. This says *what*, part by part, and
//! whether a part lets more be read, done or let out than before. Words are made of it elsewhere.

mod component;
mod growth;
mod revision;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use component::{ComponentFacts, between_components};
pub use growth::Growth;
pub use revision::{RevisionFacts, between_revisions};

/// What a change means to those whose data is at stake; the gravest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More can be read, done, chosen or let out, or less can be reviewed.
    Widens,
    /// Something else is done with what was there before.
    Alters,
    /// Less can be read, done, chosen or let out.
    Narrows,
    /// Only words changed.
    Says,
}

/// Which part of a component or a revision changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// An imported interface. Path: the interface.
    Import,
    /// An input table; old and new are its columns. Path: the table.
    Input,
    /// A column of an input table; old and new are its type. Path: table, column.
    InputColumn,
    /// The table of the room that stands for an input, or the table's column for one of its
    /// columns. Path: the input as the manifest names it, perhaps its column.
    Binding,
    /// How a table's owner made a column of join keys. Path: table, column.
    JoinKey,
    /// The definition of a view that is read. Path: the input.
    View,
    /// The notebook's output that a table is. Path: the input.
    DerivedFrom,
    /// A volume of files. Path: the volume.
    Volume,
    /// An output table; old and new are its columns. Path: the output.
    Output,
    /// A column of an output table; old and new are its type. Path: output, column.
    OutputColumn,
    /// The order of an output's columns. Path: the output.
    OutputOrder,
    /// What a run does to the rows that earlier runs left in an output. Path: the output.
    OutputMode,
    /// Most rows of an output. Path: the output.
    OutputRows,
    /// Most bytes of an output. Path: the output.
    OutputBytes,
    /// A parameter; old and new are its type. Path: the parameter.
    Parameter,
    /// A parameter's value when the runner gives none. Path: the parameter.
    ParameterDefault,
    /// A parameter's smallest value. Path: the parameter.
    ParameterMinimum,
    /// A parameter's largest value. Path: the parameter.
    ParameterMaximum,
    /// A parameter's allowed values. Path: the parameter.
    ParameterChoices,
    /// A library; old and new are what is asked of it, or its digest. Path: the library.
    Library,
    /// A function that a library offers to SQL; old and new are its signature. Path: the function.
    Function,
    /// An exported interface. Path: the interface.
    Export,
    /// A party that may run the notebook. Path: its alias.
    Runner,
    /// A limit of the run. Path: the limit's name.
    Limit,
    /// Who may read outputs.
    OutputReaders,
    /// How many days outputs are kept.
    OutputDays,
    /// Whether the source is `visible` or `hidden`.
    Source,
    /// Notebook or library.
    Kind,
    /// What the source is written in.
    Language,
    /// The compiler.
    Toolchain,
    /// The digests of the component.
    Component,
    /// Its name.
    Name,
    /// Its version.
    Version,
    /// A description. Path: what is described; empty for the whole.
    Description,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Change {
    /// What it means.
    pub effect: Effect,
    /// Which part changed.
    pub part: Part,
    /// Which one of them, as [`Part`] says.
    pub path: Vec<String>,
    /// What it was; nothing when it is new.
    pub old: Option<String>,
    /// What it is; nothing when it is gone.
    pub new: Option<String>,
}

/// Changes as they are found.
#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(
        &mut self,
        effect: Effect,
        part: Part,
        path: &[&str],
        old: Option<String>,
        new: Option<String>,
    ) {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        self.0.push(Change { effect, part, path, old, new });
    }

    /// One value that is always there.
    fn value(
        &mut self,
        effect: Effect,
        part: Part,
        path: &[&str],
        old: impl ToString,
        new: impl ToString,
    ) {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            self.add(effect, part, path, Some(old), Some(new));
        }
    }

    /// Words; empty is as good as none.
    fn words(&mut self, part: Part, path: &[&str], old: &str, new: &str) {
        if old != new {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            self.add(Effect::Says, part, path, said(old), said(new));
        }
    }

    /// Names of a set: one more widens, one less narrows.
    fn names<T: Ord + ToString>(&mut self, part: Part, old: &BTreeSet<T>, new: &BTreeSet<T>) {
        for name in new.difference(old).map(ToString::to_string) {
            self.add(Effect::Widens, part, &[&name], None, Some(name.clone()));
        }
        for name in old.difference(new).map(ToString::to_string) {
            self.add(Effect::Narrows, part, &[&name], Some(name.clone()), None);
        }
    }

    /// The gravest first, and in a stable order.
    fn sorted(mut self) -> Vec<Change> {
        self.0.sort();
        self.0
    }
}

/// Every key of either map with what it was and what it is.
fn pairs<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    keys.into_iter().map(|key| (key, old.get(key), new.get(key)))
}

/// What appearing or vanishing means for something that lets its holder do more.
fn gained<T>(old: Option<T>, new: Option<T>) -> Effect {
    match (old, new) {
        (None, Some(_)) => Effect::Widens,
        (Some(_), None) => Effect::Narrows,
        _ => Effect::Alters,
    }
}

/// What a changed cap means; none is no cap at all.
fn cap(old: Option<u64>, new: Option<u64>) -> Effect {
    if new.unwrap_or(u64::MAX) > old.unwrap_or(u64::MAX) { Effect::Widens } else { Effect::Narrows }
}
