//! Passes batches to the library `scoring`, which its party hides.

use glovebox_guest::{Result, Room, bail, import, notebook};

import!("acme:scoring/score@1.0.0");

#[notebook]
fn run(room: &Room) -> Result<()> {
    let mut output = room.output("scores")?;
    for batch in room.table("nike.customers")?.scan().batches()? {
        let batch = score::pass(batch?);
        if score::count(&batch) != batch.num_rows() as u64 {
            bail!("the library counts otherwise");
        }
        output.write_batch(&score::score(&batch)?)?;
    }
    output.finish()?;
    Ok(())
}
