//! A notebook that attacks its host, for the hostile tests.
//!
//! The parameter `attack` says how. An attack that the host stops ends in a trap, or in the host's
//! own error, which the notebook returns. An attack that the host lets pass writes one honest row
//! and ends well, so a test notices it.
#![cfg(target_arch = "wasm32")]

mod handles;
mod lies;
mod outputs;
mod reads;
mod resources;

use glovebox_guest::{Result, Room, bail, columns, notebook};

/// Name, what it does.
type Attack = (&'static str, fn(&Room) -> Result<()>);

const ATTACKS: &[&[Attack]] =
    &[resources::ATTACKS, outputs::ATTACKS, reads::ATTACKS, lies::ATTACKS, handles::ATTACKS];

#[notebook]
fn run(room: &Room) -> Result<()> {
    let name: String = room.parameter("attack")?;
    if name == "none" {
        return behave(room);
    }
    match ATTACKS.iter().copied().flatten().find(|(listed, _)| *listed == name) {
        Some((_, attack)) => attack(room),
        None => bail!("there is no attack `{name}`"),
    }
}

/// What a good notebook does: one row, finished.
fn behave(room: &Room) -> Result<()> {
    let mut output = room.output("out")?;
    output.write(columns! { "x" => vec![1_i64], "y" => vec![0.5] })?;
    output.finish()?;
    Ok(())
}
