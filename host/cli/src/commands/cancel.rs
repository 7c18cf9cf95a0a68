//! `glovebox cancel`: takes a request for a run back.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::state::Run;
use glovebox_contract::statement::{Body, Cancel as CancelStatement};
use serde_json::json;

use super::output::find_run;
use crate::arguments::Cancel;
use crate::context::Context;
use crate::terminal::print_json;

pub(crate) fn run(context: &Context, cancel: &Cancel) -> Result<ExitCode> {
    let (mut room, party) = context.act(&cancel.room, &cancel.signer)?;
    let run = find_run(room.state(), &cancel.run, |run: &Run| !run.has_ended())?;
    room.say(&party, Body::Cancel(CancelStatement { run }))?;
    if context.json() {
        print_json(&json!({ "run": run, "cancelled_by": party.alias }))?;
    } else {
        println!("{} cancels run {run}", party.alias);
    }
    Ok(ExitCode::SUCCESS)
}
