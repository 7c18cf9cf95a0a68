//! `glovebox inspect`: what a component is, in plain words.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_contract::manifest::Manifest;
use glovebox_sandbox::Inspection;
use serde_json::json;

use crate::arguments::Inspect;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, inspect: &Inspect) -> Result<ExitCode> {
    let file = inspect.file.display();
    let bytes = std::fs::read(&inspect.file).with_context(|| format!("cannot read {file}"))?;
    let inspection = glovebox_sandbox::inspect(&bytes)
        .with_context(|| format!("{file} is not a component this host takes"))?;
    let is_sql = inspection.manifest.as_ref().is_some_and(|manifest| manifest.language == "sql");
    let text_is_what_runs = is_sql.then(|| glovebox_build::verify_sql(&bytes));
    if context.json() {
        print_json(&json!({
            "file": inspect.file,
            "bytes": bytes.len(),
            "blake3": inspection.digest.blake3,
            "sha256": inspection.digest.sha256,
            "world": inspection.world,
            "imports": inspection.imports,
            "exports": inspection.exports,
            "manifest": inspection.manifest,
            "source": inspection.source,
            "text_is_what_runs": text_is_what_runs,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_facts(&inspection, bytes.len() as u64);
    match &inspection.manifest {
        Some(manifest) => print_manifest(manifest),
        None => println!("\nIt has no manifest, so no room takes it."),
    }
    print_source(&inspection, inspect.source || text_is_what_runs == Some(true), text_is_what_runs);
    Ok(ExitCode::SUCCESS)
}

fn print_facts(inspection: &Inspection, bytes: u64) {
    println!("blake3   {}", inspection.digest.blake3.to_hex());
    println!("sha256   {}", inspection.digest.sha256.to_hex());
    println!("size     {}", terminal::bytes(bytes));
    println!("world    {}", inspection.world.as_deref().unwrap_or("none that this host knows"));
    println!("\nIt can reach, and nothing else:");
    for import in &inspection.imports {
        println!("  {:42} {}", plain(import), meaning(import));
    }
}

/// What an import lets a component do.
fn meaning(import: &str) -> &'static str {
    let interface = import.strip_prefix("glovebox:guest/").and_then(|rest| rest.split('@').next());
    match interface {
        Some("context") => "the run's id, room and logical time",
        Some("data") => "record batches that it was given",
        Some("logging") => "log lines, read by those whom the room names",
        Some("outputs") => "its declared output tables",
        Some("parameters") => "the run's parameters",
        Some("script") => "run its SQL over the declared inputs into the declared outputs",
        Some("sql") => "queries over the declared inputs",
        Some("tables") => "the declared input tables",
        Some("types") => "no capability: type definitions",
        Some("volumes") => "read-only files pinned by digest",
        _ => "UNKNOWN to this host",
    }
}

pub(crate) fn print_manifest(manifest: &Manifest) {
    println!("\n{} {} ({})", manifest.name, plain(&manifest.version), plain(&manifest.language));
    if !manifest.description.is_empty() {
        println!("{}", terminal::plain_lines(&manifest.description));
    }
    println!("\nReads");
    for (table, input) in &manifest.inputs {
        let columns: Vec<_> =
            input.columns.iter().map(|(name, kind)| format!("{} {kind}", plain(name))).collect();
        println!("  {table}: {}", columns.join(", "));
    }
    if !manifest.parameters.is_empty() {
        println!("\nParameters");
    }
    for (name, parameter) in &manifest.parameters {
        let mut says = format!("  {name} {}", parameter.parameter_type);
        for (word, value) in [
            ("default", &parameter.default),
            ("from", &parameter.minimum),
            ("to", &parameter.maximum),
        ] {
            if let Some(value) = value {
                says += &format!(", {word} {}", plain(value));
            }
        }
        if !parameter.choices.is_empty() {
            says += &format!(", one of {}", plain(&parameter.choices.join(", ")));
        }
        if !parameter.description.is_empty() {
            says += &format!(": {}", plain(&parameter.description));
        }
        println!("{says}");
    }
    println!("\nWrites");
    for (name, output) in &manifest.outputs {
        let rows = output.max_rows.map(|rows| format!(", at most {rows} rows")).unwrap_or_default();
        println!("  {name}: {}{rows}", plain(&terminal::columns(&output.columns)));
    }
}

fn print_source(inspection: &Inspection, whole: bool, text_is_what_runs: Option<bool>) {
    if inspection.source.is_empty() {
        println!("\nThe source is hidden: manifest and imports are all there is to review.");
        return;
    }
    match text_is_what_runs {
        Some(true) => println!(
            "\nSource. Built again from this text it gives these very bytes: what you read is what runs."
        ),
        Some(false) => {
            println!("\nSource. WARNING: built again from this text it does NOT give these bytes.")
        }
        None => println!(
            "\nSource, as the author embedded it. Build it again and compare the digest to be sure."
        ),
    }
    for (path, text) in &inspection.source {
        println!("── {} ({})", plain(path), terminal::bytes(text.len() as u64));
        if whole {
            println!("{}", terminal::plain_lines(text));
        }
    }
    if !whole {
        println!("`--source` prints it.");
    }
}
