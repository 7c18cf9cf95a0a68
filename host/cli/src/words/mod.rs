//! Plain words for reviewers: what a component may do, and what changed from one to another.
//!
//! Everything here gives text and prints nothing. Names and descriptions come from the author of
//! the component, so each passes through [`plain`] on its way.

mod abilities;
mod changes;
mod facts;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use abilities::abilities;
pub(crate) use changes::changes;
pub(crate) use facts::facts;
pub(crate) use source::{code, source, source_difference};

use glovebox_contract::column::Column;
use glovebox_contract::manifest::Manifest;

use crate::terminal::plain;

/// What an imported interface lets a component do.
fn meaning(import: &str, manifest: Option<&Manifest>) -> String {
    let unknown = || "UNKNOWN: no room of this host takes a component that imports it".into();
    known(import, manifest).unwrap_or_else(unknown)
}

fn known(import: &str, manifest: Option<&Manifest>) -> Option<String> {
    let interface = import.strip_prefix("glovebox:guest/").and_then(|rest| rest.split('@').next());
    let known = match interface {
        Some("context") => "be told the run's id, its room and its logical time",
        Some("data") => "handle record batches that it was given or makes",
        Some("logging") => "write log lines and show results to those whom the room names",
        Some("outputs") => "write its declared output tables",
        Some("parameters") => "be told the run's parameters",
        Some("script") => "run its SQL over its declared inputs into its declared outputs",
        Some("sql") => "run SQL over its declared inputs",
        Some("tables") => "read its declared input tables",
        Some("types") => "nothing: type definitions",
        Some("volumes") => "read files whose digests the revision pins",
        _ => {
            let mut libraries = manifest.iter().flat_map(|manifest| &manifest.libraries);
            let offers = libraries.find(|(_, library)| library.interfaces.contains(import));
            return offers.map(|(name, _)| format!("call the library {name}"));
        }
    };
    Some(known.into())
}

/// What an exported interface offers.
fn offer(export: &str) -> &'static str {
    match export.strip_prefix("glovebox:guest/").and_then(|rest| rest.split('@').next()) {
        Some("run") => "the run itself",
        Some("scalar-functions") => "functions for SQL, one value for each row",
        Some("aggregate-functions") => "functions for SQL, one value for each group",
        Some("table-functions") => "functions for SQL that give tables",
        Some(_) => "UNKNOWN to this host",
        None => "for components that import it",
    }
}

/// `name type, name type not null, …`
fn columns(columns: &[Column]) -> String {
    plain(&crate::terminal::columns(columns))
}

/// `1 column`, `2 columns`.
fn count(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}")
}

/// `a`, `a and b`, `a, b and c`, with `and` or another word.
fn list<T: AsRef<str>>(words: &[T], between: &str) -> String {
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} {between} {last}", others.join(", ")),
    }
}
