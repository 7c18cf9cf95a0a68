//! `glovebox dry-run`: plays a component over made-up rows before anyone is asked to approve it.
//!
//! Nothing is passed over: a throwaway room with throwaway keys, tables offered by their owners,
//! the notebook offered, approved by everyone and run in its jail.

mod estimate;
mod rows;
mod stage;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::name::{Alias, TableName};
use glovebox_contract::receipt::Outcome;
use glovebox_sandbox::Inspection;
use serde_json::{Map, Value, json};

use self::estimate::{Estimate, Measured};
use self::rows::Rows;
use self::stage::{Played, Stage};
use crate::arguments::DryRun;
use crate::context::Context;
use crate::failure::Refused;
use crate::output_file;
use crate::terminal::{self, plain, print_json};

/// The smaller run has so manieth of the rows.
const SMALLER: usize = 4;

/// Each size is run so often, for the sake of its time.
const ROUNDS: usize = 3;

pub(crate) fn run(context: &Context, command: &DryRun) -> Result<ExitCode> {
    let (bytes, inspection) = read(&command.component)?;
    let manifest = inspection.manifest.clone().context("the component has no manifest")?;
    check(&manifest, command)?;
    let libraries = command.libraries.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    check_libraries(&manifest, &libraries)?;
    let rows = Rows::new(&manifest, command.seed);
    let bar = terminal::spinner(context.quiet(), "making a room");
    let owned = manifest.inputs.keys().chain(manifest.volumes.keys());
    let owners = owned.map(|name| name.schema().parse());
    let mut stage = Stage::new(context, owners.collect::<Result<BTreeSet<Alias>, _>>()?)?;
    for (file, (bytes, inspection)) in command.libraries.iter().zip(libraries) {
        bar.set_message(format!("compiling {}", file.display()));
        stage.add_library(&bytes, inspection).with_context(|| shown(file))?;
    }
    for (volume, path) in &command.volumes {
        stage.add_volume(volume, path).with_context(|| shown(path))?;
    }
    let mut plays = Vec::new();
    let mut added = Some((bytes, inspection));
    for size in [(command.rows / SMALLER).max(1), command.rows.max(2)] {
        bar.set_message(format!("making up {size} rows for each table"));
        offer_tables(&mut stage, &rows, size)?;
        if let Some((bytes, inspection)) = added.take() {
            bar.set_message("checking and compiling");
            stage.add_notebook(&bytes, inspection)?;
            stage.approve(&manifest.name)?;
        }
        bar.set_message(format!("running over {size} rows for each table"));
        let parameters: BTreeMap<String, String> = command
            .parameters
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let mut played = stage.run(&manifest.name, &parameters)?;
        let failed = matches!(played.ended.receipt.outcome, Outcome::Failed { .. });
        for _ in 1..ROUNDS {
            if !failed {
                // What else the machine does only ever makes a run slower.
                played.took = stage.run(&manifest.name, &parameters)?.took.min(played.took);
            }
        }
        plays.push((size, played));
        if failed {
            break;
        }
    }
    bar.finish_and_clear();
    report(context, command, stage, &manifest, &plays)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(file: &Path) -> Result<(Vec<u8>, Inspection)> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let inspection = glovebox_sandbox::inspect(&bytes)
        .with_context(|| format!("{} is not a component that a room takes", file.display()))?;
    Ok((bytes, inspection))
}

fn check(manifest: &Manifest, command: &DryRun) -> Result<()> {
    if manifest.kind != ComponentKind::Notebook {
        bail!(
            "{} is a library, which does nothing by itself: dry-run a notebook that uses it",
            manifest.name
        );
    }
    let given = |volume: &TableName| command.volumes.iter().any(|(name, _)| name == volume);
    if let Some(volume) = manifest.volumes.keys().find(|volume| !given(volume)) {
        bail!("files cannot be made up: name those of the volume with `--volume {volume}=PATH`");
    }
    let declared = |volume: &TableName| manifest.volumes.contains_key(volume);
    if let Some((volume, _)) = command.volumes.iter().find(|(volume, _)| !declared(volume)) {
        bail!("{} declares no volume {volume}", manifest.name);
    }
    Ok(())
}

/// Whether the libraries that the notebook names are among those that were given.
fn check_libraries(manifest: &Manifest, given: &[(Vec<u8>, Inspection)]) -> Result<()> {
    let names: BTreeSet<_> = given
        .iter()
        .filter_map(|(_, inspection)| Some(&inspection.manifest.as_ref()?.name))
        .collect();
    match manifest.libraries.keys().find(|library| !names.contains(library)) {
        None => Ok(()),
        Some(library) => bail!(
            "{} needs the library {library}: name its component with `--library COMPONENT`",
            manifest.name
        ),
    }
}

/// Each owner offers so many made-up rows. The columns stay, and so does what was approved.
fn offer_tables(stage: &mut Stage, rows: &Rows, size: usize) -> Result<()> {
    for table in rows.tables() {
        let file = stage.path().join(format!("{table}-{size}.parquet"));
        rows.write(table, size, &file)
            .with_context(|| format!("cannot make up rows for {table}"))?;
        stage.add_table(table, &file)?;
    }
    Ok(())
}

fn report(
    context: &Context,
    command: &DryRun,
    mut stage: Stage,
    manifest: &Manifest,
    plays: &[(usize, Played)],
) -> Result<ExitCode> {
    let Some((size, last)) = plays.last() else { bail!("nothing was run") };
    let measured = |(size, played): &(usize, Played)| Measured {
        rows: *size as u64,
        wall: played.took,
        memory_bytes: played.ended.used.memory_bytes,
    };
    let estimate = match plays {
        [small, large] if !manifest.inputs.is_empty() => {
            Some(Estimate::new(measured(small), measured(large), command.estimate_rows))
        }
        _ => None,
    };
    let limits = stage.room().state().document().limits.clone();
    let outputs = outputs(&mut stage, last, command.show, context.json())?;
    let failed = match &last.ended.receipt.outcome {
        Outcome::Succeeded { .. } => None,
        Outcome::Failed { reason } => Some(*reason),
    };
    if context.json() {
        let log =
            last.log.iter().map(|line| json!({ "level": line.level, "message": line.message }));
        print_json(&json!({
            "notebook": manifest.name,
            "rows": size,
            "seed": command.seed,
            "reason": failed,
            "detail": last.detail,
            "log": log.collect::<Vec<_>>(),
            "outputs": outputs.json,
            "cost": estimate.map(|estimate| estimate.to_json(&limits)),
        }))?;
    } else {
        println!("{} {} over {size} made-up rows a table", manifest.name, plain(&manifest.version));
        for line in &last.log {
            println!("{:5} {}", line.level.as_str(), plain(&line.message));
        }
        print!("{}", outputs.text);
        if let Some(estimate) = estimate {
            println!("\n{}", estimate.to_text(&limits));
        }
    }
    let Some(reason) = failed else { return Ok(ExitCode::SUCCESS) };
    if let Some(lacks) = &last.ended.host_detail {
        eprintln!("this machine: {}", plain(lacks));
    }
    context.hint("the rows are made up: a text that the notebook reads as something else, such as a time, is not one");
    let detail = last.detail.clone().unwrap_or_default();
    let error = anyhow::Error::new(Refused { reason, what: plain(&detail) });
    Err(error.context(format!("the dry run of {} failed over {size} rows a table", manifest.name)))
}

/// The output tables, as text or as JSON.
#[derive(Default)]
struct Shown {
    text: String,
    json: Map<String, Value>,
}

fn outputs(stage: &mut Stage, played: &Played, most: usize, as_json: bool) -> Result<Shown> {
    let mut shown = Shown::default();
    let names: Vec<_> = played.ended.receipt.outputs().into_iter().flatten().collect();
    for (name, written) in names {
        let declared = stage.room().state();
        let columns = declared
            .notebook(&played.ended.receipt.notebook)
            .ok()
            .and_then(|notebook| notebook.latest())
            .and_then(|version| version.asset().manifest.outputs.get(name))
            .map(|output| output.columns.clone())
            .unwrap_or_default();
        let file = stage.output(played, name)?;
        if as_json {
            let mut rows = output_file::json_rows(file)?;
            rows.truncate(most);
            let output = json!({ "columns": columns, "rows": written.rows, "first": rows });
            shown.json.insert(name.to_string(), output);
            continue;
        }
        let (table, total) = output_file::preview(file, most)?;
        shown.text += &format!("\n{name}: {}\n", plain(&terminal::columns(&columns)));
        shown.text += &if total == 0 {
            "no rows: made-up rows may not pass its filters; more rows or other parameters may\n"
                .into()
        } else {
            format!("{table}\n{} of {total} rows\n", total.min(most))
        };
    }
    Ok(shown)
}
