//! Differences as sentences, the gravest first.

use glovebox_contract::difference::{Change, Effect, Part};
use glovebox_contract::manifest::Manifest;

use super::{meaning, offer};
use crate::terminal::{self, plain};

/// The differences under one heading for each effect; nothing when there is none.
pub(crate) fn changes(changes: &[Change], old: &Manifest, new: &Manifest) -> Option<String> {
    let headings = [
        (Effect::Widens, "MORE THAN BEFORE"),
        (Effect::Alters, "Other than before"),
        (Effect::Narrows, "Less than before"),
        (Effect::Says, "Words only"),
    ];
    let mut sections = Vec::new();
    for (effect, heading) in headings {
        let lines: Vec<_> = changes
            .iter()
            .filter(|change| change.effect == effect)
            .map(|change| format!("  {} {}", sign(change), sentence(change, old, new)))
            .collect();
        if !lines.is_empty() {
            sections.push(format!("{heading}\n{}", lines.join("\n")));
        }
    }
    (!sections.is_empty()).then(|| sections.join("\n\n"))
}

/// Whether a thing came or went, or is there as before and differs.
fn sign(change: &Change) -> char {
    let thing = matches!(
        change.part,
        Part::Import
            | Part::Input
            | Part::InputColumn
            | Part::Volume
            | Part::Output
            | Part::OutputColumn
            | Part::Parameter
            | Part::Library
            | Part::Function
            | Part::Export
            | Part::Runner
    );
    match (&change.old, &change.new) {
        (None, Some(_)) if thing => '+',
        (Some(_), None) if thing => '-',
        _ => '~',
    }
}

/// A value on both sides.
fn from_to(change: &Change) -> String {
    let text = |value: &Option<String>| value.as_deref().map_or("nothing".into(), plain);
    format!("from {} to {}", text(&change.old), text(&change.new))
}

/// A column of the room's table; without one it is called the same.
fn from_to_column(change: &Change) -> String {
    let text =
        |value: &Option<String>| value.as_deref().map_or("the column of that name".into(), plain);
    format!("{}, was {}", text(&change.new), text(&change.old))
}

fn bytes(value: Option<&String>) -> String {
    value.and_then(|value| value.parse().ok()).map_or("the room's limit".into(), terminal::bytes)
}

fn sentence(change: &Change, old: &Manifest, new: &Manifest) -> String {
    let path: Vec<_> = change.path.iter().map(|name| plain(name)).collect();
    let first = path.first().cloned().unwrap_or_default();
    let second = path.get(1).cloned().unwrap_or_default();
    let was = change.old.as_deref().map(plain).unwrap_or_default();
    let is = change.new.as_deref().map(plain).unwrap_or_default();
    let gained = change.old.is_none();
    let lost = change.new.is_none();
    match change.part {
        Part::Import if lost => {
            format!(
                "it can no longer {}: no import {first}",
                meaning(&change.path.concat(), Some(old))
            )
        }
        Part::Import => {
            format!("it can now {}: import {first}", meaning(&change.path.concat(), Some(new)))
        }
        Part::Input if gained => format!("it reads another table, {first}: {is}"),
        Part::Input => format!("it no longer reads {first}"),
        Part::InputColumn if gained => format!("it reads another column of {first}: {second} {is}"),
        Part::InputColumn if lost => format!("it no longer reads {second} of {first}"),
        Part::InputColumn => {
            format!("the column {second} of {first} is read as {is}, was {was}")
        }
        Part::Binding if !second.is_empty() => {
            format!("for {second} of {first} it reads {}", from_to_column(change))
        }
        Part::Binding => format!("for {first} it reads {is}, was {was}"),
        Part::JoinKey => format!("the keys in {second} of {first} were made {}", from_to(change)),
        Part::DerivedFrom => format!("the table {first} is another output, or no output any more"),
        Part::View => format!("the view {first} is defined otherwise"),
        Part::Volume if gained => format!("it reads another volume, {first} {is}"),
        Part::Volume if lost => format!("it no longer reads the volume {first}"),
        Part::Volume => format!("the volume {first} has other files: {}", from_to(change)),
        Part::Output if gained => format!("it writes another table, {first}: {is}"),
        Part::Output => format!("it no longer writes {first}"),
        Part::OutputColumn if gained => format!("{first} has another column: {second} {is}"),
        Part::OutputColumn if lost => format!("{first} has no column {second} any more"),
        Part::OutputColumn => format!("the column {second} of {first} is {is}, was {was}"),
        Part::OutputOrder => format!("the columns of {first} are in another order: {is}"),
        Part::OutputMode if is == "append" => {
            format!("a run adds its rows to {first}, before it replaced those of earlier runs")
        }
        Part::OutputMode => {
            format!("a run replaces the rows of {first}, before it added to those of earlier runs")
        }
        Part::OutputRows => {
            let rows = |value: &str| match value {
                "" => "as many rows as the room allows".to_owned(),
                value => format!("{value} rows"),
            };
            format!("{first} may have {}, before {}", rows(&is), rows(&was))
        }
        Part::OutputBytes => format!(
            "{first} may have {}, before {}",
            bytes(change.new.as_ref()),
            bytes(change.old.as_ref())
        ),
        Part::Parameter if gained => {
            format!("the runner chooses another parameter, {first} ({is})")
        }
        Part::Parameter if lost => format!("the parameter {first} is gone"),
        Part::Parameter => format!("the parameter {first} is of type {is}, was {was}"),
        Part::ParameterDefault if lost => {
            format!("{first} must be given now; was {was} by default")
        }
        Part::ParameterDefault => {
            format!("{first} is {is} when nothing is said; {}", before(change))
        }
        Part::ParameterMinimum if lost => {
            format!("{first} has no smallest value any more, was {was}")
        }
        Part::ParameterMinimum => format!("{first} is at least {is}; {}", before(change)),
        Part::ParameterMaximum if lost => {
            format!("{first} has no largest value any more, was {was}")
        }
        Part::ParameterMaximum => format!("{first} is at most {is}; {}", before(change)),
        Part::ParameterChoices if lost => format!("{first} may be anything; was one of {was}"),
        Part::ParameterChoices => format!("{first} is one of {is}; {}", before(change)),
        Part::Library if gained => format!("it needs the library {first}: {is}"),
        Part::Library if lost => format!("it no longer needs the library {first}"),
        Part::Library => format!("the library {first} is another: {is}, was {was}"),
        Part::Function if gained => format!("it offers the function {first} to SQL: {is}"),
        Part::Function if lost => format!("it no longer offers the function {first}"),
        Part::Function => format!("the function {first} is {is}, was {was}"),
        Part::Export if gained => format!("it exports {first}: {}", offer(&change.path.concat())),
        Part::Export => format!("it no longer exports {first}"),
        Part::Runner if gained => format!("{first} may run it"),
        Part::Runner => format!("{first} may no longer run it"),
        Part::Limit => format!("the limit {first} is {is}, was {was}"),
        Part::OutputReaders => format!("outputs are read by {is}, before by {was}"),
        Part::OutputDays => format!("outputs are kept {is} days, before {was}"),
        Part::Source => format!("the source is {is}, was {was}"),
        Part::Kind => format!("it is a {is}, was a {was}"),
        Part::Language => format!("it is written in {is}, was in {was}"),
        Part::Toolchain => format!("it was compiled {}", from_to(change)),
        Part::Component => format!("the component is another: {is}, was {was}"),
        Part::Name => format!("its name is {is}, was {was}"),
        Part::Version => format!("its version is {is}, was {was}"),
        Part::Description if first.is_empty() => {
            format!("its description: \"{is}\", was \"{was}\"")
        }
        Part::Description => format!("the description of {first}: \"{is}\", was \"{was}\""),
    }
}

fn before(change: &Change) -> String {
    match &change.old {
        Some(old) => format!("before {}", plain(old)),
        None => "before it had none".into(),
    }
}
