//! `glovebox verify`: the auditor's check, the same as `glovebox-verify`, which can also read tables.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_contract::digest::Blake3Digest;
use glovebox_worker::content;

use crate::context::Context;

pub(crate) fn run(context: &Context, arguments: &glovebox_verify::Arguments) -> Result<ExitCode> {
    let mut arguments = arguments.clone();
    arguments.json |= context.json();
    let verdict =
        glovebox_verify::execute_with(&arguments, Some(content_of), &mut std::io::stdout().lock())?;
    Ok(if verdict == glovebox_verify::Verdict::Verified {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn content_of(path: &Path) -> Result<Blake3Digest> {
    let what = || format!("cannot read the table in {}", path.display());
    let file = File::open(path).with_context(what)?;
    content::of_parquet(file).with_context(what)
}
