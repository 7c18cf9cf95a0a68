//! `glovebox room form`: what a notebook asks of its runner; at a terminal it is asked for, and run.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::Identifier;
use glovebox_contract::parameter::ParameterDeclaration;
use glovebox_contract::state::{RoomState, Version};
use glovebox_room::RoomError;
use serde_json::{Value, json};

use crate::arguments::Form;
use crate::commands::run::{Wanted, run_in};
use crate::context::{Context, Party};
use crate::host::OpenRoom;
use crate::terminal::{self, plain, plain_lines, print_json};

pub(super) fn run(context: &Context, form: &Form) -> Result<ExitCode> {
    let room = context.read_room(&form.room)?;
    let party = match &form.room.key {
        Some(key) => Some(context.party(room.state(), key)?),
        None => None,
    };
    let version = version(&room, form, party.as_ref())?.clone();
    let manifest = &version.asset().manifest;
    for (name, _) in &form.parameters {
        if !manifest.parameters.contains_key(name) {
            bail!("the notebook {} asks for no {name}", manifest.name);
        }
    }
    if context.json() {
        print_json(&as_json(room.state(), &version))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_form(room.state(), &version);
    let asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let Some(party) = party.filter(|party| asked && version.asset().runners.contains(&party.alias))
    else {
        context.hint(format!(
            "`glovebox run {} {} --param NAME=VALUE --as KEY` runs it",
            room.name(),
            manifest.name
        ));
        return Ok(ExitCode::SUCCESS);
    };
    let given: BTreeMap<_, _> = form.parameters.iter().cloned().collect();
    let (mut questions, mut answers) = (std::io::stderr().lock(), std::io::stdin().lock());
    let parameters = fill(manifest, given, &mut answers, &mut questions)?;
    drop((questions, answers));
    let revision = version.revision_digest().copied();
    let wanted = Wanted { notebook: &form.notebook, parameters: &parameters, revision };
    run_in(context, room, &party, &wanted)
}

/// The version that the party may run, or else the newest.
fn version<'a>(room: &'a OpenRoom, form: &Form, party: Option<&Party>) -> Result<&'a Version> {
    let state = room.state();
    let notebook = state.notebook(&form.notebook).map_err(RoomError::from)?;
    let approved = party
        .and_then(|party| state.approved(&form.notebook, None, &party.alias, room.now()).ok())
        .and_then(|approved| notebook.version(approved.revision().digest()));
    approved.or_else(|| notebook.latest()).context("the notebook has no version")
}

/// Asks for each value that is not given, until it fits.
fn fill(
    manifest: &Manifest,
    mut given: BTreeMap<Identifier, String>,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> Result<Vec<(Identifier, String)>> {
    let mut filled = Vec::new();
    for (name, declared) in &manifest.parameters {
        if let Some(value) = given.remove(name) {
            filled.push((name.clone(), value));
            continue;
        }
        if let Some(value) = ask(name, declared, answers, questions)? {
            filled.push((name.clone(), value));
        }
    }
    Ok(filled)
}

/// Asks for a value; none when the default is taken.
fn ask(
    name: &Identifier,
    declared: &ParameterDeclaration,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> Result<Option<String>> {
    let default = declared.default.as_deref();
    let shown = default.map(|default| format!(" [{}]", plain(default))).unwrap_or_default();
    loop {
        write!(questions, "{name}{shown}: ")?;
        questions.flush()?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            bail!("the form was not filled in: {name} is missing");
        }
        let answer = line.trim_end_matches(['\r', '\n']);
        let given = (!answer.is_empty() || default.is_none()).then_some(answer);
        match declared.resolve(given) {
            Ok(_) => return Ok(given.map(str::to_owned)),
            Err(error) => writeln!(questions, "  {}", plain(&error.to_string()))?,
        }
    }
}

/// What a field takes: `int64, at least 2`, `utf8, one of linear, tree`.
fn takes(declared: &ParameterDeclaration) -> String {
    let mut takes = declared.parameter_type.to_string();
    if let Some(minimum) = &declared.minimum {
        takes += &format!(", at least {minimum}");
    }
    if let Some(maximum) = &declared.maximum {
        takes += &format!(", at most {maximum}");
    }
    if !declared.choices.is_empty() {
        takes += &format!(", one of {}", declared.choices.join(", "));
    }
    takes
}

fn print_form(state: &RoomState, version: &Version) {
    let asset = version.asset();
    let manifest = &asset.manifest;
    println!("{} {}", manifest.name, plain(&manifest.version));
    if !manifest.description.is_empty() {
        println!("{}", plain_lines(&manifest.description));
    }
    let runners: Vec<_> = asset.runners.iter().map(ToString::to_string).collect();
    println!("\nrun by   {}", runners.join(", "));
    for (table, offered) in needs(state, version) {
        println!("reads    {table}{}", if offered { "" } else { ", which nobody offers yet" });
    }
    for (name, output) in &manifest.outputs {
        println!("writes   {name}: {}", plain(&terminal::columns(&output.columns)));
    }
    if let Err(refusal) = version.revision() {
        println!("missing  {}", plain(refusal.detail()));
    }
    if manifest.parameters.is_empty() {
        println!("\nIt asks for nothing.");
        return;
    }
    println!();
    let rows = manifest.parameters.iter().map(|(name, declared)| {
        let default = declared.default.clone();
        let default = default.unwrap_or_else(|| "(needed)".into());
        [name.to_string(), takes(declared), default, declared.description.clone()]
    });
    println!("{}", terminal::table(&["field", "takes", "when left out", "for"], &[], rows));
}

/// The tables and volumes that a version reads, and whether the room has them.
fn needs(state: &RoomState, version: &Version) -> Vec<(String, bool)> {
    let asset = version.asset();
    let tables = asset.manifest.inputs.keys().map(|input| {
        let table = asset.bindings.get(input).map_or(input, |binding| &binding.table);
        (table.to_string(), state.table(table).is_some())
    });
    let volumes = asset.manifest.volumes.keys();
    let volumes = volumes.map(|volume| (volume.to_string(), state.volume(volume).is_some()));
    tables.chain(volumes).collect()
}

fn as_json(state: &RoomState, version: &Version) -> Value {
    let manifest = &version.asset().manifest;
    let fields: Vec<_> = manifest
        .parameters
        .iter()
        .map(|(name, declared)| {
            json!({
                "name": name,
                "type": declared.parameter_type,
                "default": declared.default,
                "needed": declared.default.is_none(),
                "choices": declared.choices,
                "minimum": declared.minimum,
                "maximum": declared.maximum,
                "description": declared.description,
            })
        })
        .collect();
    let needs: Vec<_> = needs(state, version)
        .into_iter()
        .map(|(name, offered)| json!({ "name": name, "offered": offered }))
        .collect();
    json!({
        "notebook": manifest.name,
        "version": manifest.version,
        "description": manifest.description,
        "revision": version.revision_digest(),
        "runners": version.asset().runners,
        "reads": needs,
        "writes": manifest.outputs,
        "fields": fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_value(json!({
            "kind": "notebook", "language": "sql", "name": "n", "version": "1.0.0",
            "outputs": { "o": { "columns": [{ "name": "c", "type": "utf8" }] } },
            "parameters": {
                "k": { "type": "int64", "minimum": "2", "maximum": "9", "default": "3" },
                "model": { "type": "utf8", "choices": ["linear", "tree"] },
            },
        }))
        .unwrap()
    }

    fn filled(given: &[(&str, &str)], typed: &str) -> (Result<Vec<(Identifier, String)>>, String) {
        let given = given.iter().map(|(name, value)| (name.parse().unwrap(), (*value).to_owned()));
        let mut asked = Vec::new();
        let filled = fill(&manifest(), given.collect(), &mut typed.as_bytes(), &mut asked);
        (filled, String::from_utf8(asked).unwrap())
    }

    fn texts(filled: Result<Vec<(Identifier, String)>>) -> String {
        match filled {
            Ok(values) => {
                let texts = values.iter().map(|(name, value)| format!("{name}={value}"));
                texts.collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_form_asks_until_the_answers_fit() {
        let (values, asked) = filled(&[], "1\nmany\n5\nforest\ntree\n");
        assert_eq!(texts(values), "k=5 model=tree");
        assert_eq!(
            asked,
            "k [3]:   `1` is below the minimum `2`\nk [3]:   `many` is not a value of type int64\n\
             k [3]: model:   `forest` is not one of linear, tree\nmodel: "
        );
    }

    #[test]
    fn defaults_and_given_values_are_not_repeated() {
        let check = |given: &[(&str, &str)], typed, expect| {
            assert_eq!(texts(filled(given, typed).0), expect, "{given:?} {typed:?}");
        };
        check(&[], "\ntree\n", "model=tree");
        check(&[("k", "4"), ("model", "linear")], "", "k=4 model=linear");
        check(&[("k", "4")], "\r\ntree\r\n", "k=4 model=tree");
        check(&[], "4\n", "the form was not filled in: model is missing");
    }

    #[test]
    fn a_field_says_what_it_takes() {
        let manifest = manifest();
        let told: Vec<_> = manifest.parameters.values().map(takes).collect();
        assert_eq!(told, ["int64, at least 2, at most 9", "utf8, one of linear, tree"]);
    }
}
