//! The least that a Rust notebook can be.

use glovebox_guest::{Result, Room, notebook};

#[notebook]
fn run(room: &Room) -> Result<()> {
    room.info("first line");
    let mut output = room.output("one")?;
    output.write([("n", [1_i64].into_iter().collect::<glovebox_guest::Column>())])?;
    output.finish()?;
    Ok(())
}
