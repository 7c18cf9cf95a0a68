//! `glovebox verify`: the auditor's check, the same as `glovebox-verify`.

use std::process::ExitCode;

use anyhow::Result;

use crate::context::Context;

pub(crate) fn run(context: &Context, arguments: &glovebox_verify::Arguments) -> Result<ExitCode> {
    let mut arguments = arguments.clone();
    arguments.json |= context.json();
    let verdict = glovebox_verify::execute(&arguments, &mut std::io::stdout().lock())?;
    Ok(if verdict == glovebox_verify::Verdict::Verified {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
