//! `glovebox inspect`: what a component is, in plain words.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_sandbox::Inspection;
use serde_json::json;

use crate::arguments::Inspect;
use crate::context::Context;
use crate::terminal::print_json;
use crate::words;

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
    println!("{}\n", words::facts(&inspection));
    let Inspection { imports, exports, manifest, source, .. } = &inspection;
    println!("{}\n", words::abilities(imports, exports, manifest.as_ref()));
    let whole = inspect.source || text_is_what_runs == Some(true);
    println!("{}", words::source(source, text_is_what_runs, whole));
    Ok(ExitCode::SUCCESS)
}
